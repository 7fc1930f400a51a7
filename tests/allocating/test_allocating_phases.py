import keras
import numpy as np
import pytest
import tiny_models
from weighted_models import eager
from weighted_models import fit
from weighted_models import weighted_model

import keras_curvenet as kcn


def changed_arrays(num_changed):
    """The arrays with other labels for the first samples."""
    x, y = tiny_models.arrays()
    y = np.where(np.arange(len(y)) < num_changed, (y + 1) % 3, y)
    return x, y.astype("int32")


# Changed labels.


@pytest.mark.parametrize("one_hot", [False, True])
def test_changed_labels_are_counted(one_hot):
    x, y = changed_arrays(5)
    weighted = eager(
        tiny_models.two_layer_model,
        loss="categorical_crossentropy" if one_hot else tiny_models.SPARSE_LOSS,
    )
    y = np.eye(3, dtype="float32")[y] if one_hot else y
    x_meta, y_meta = tiny_models.meta_arrays()
    y_meta = np.eye(3, dtype="float32")[y_meta] if one_hot else y_meta
    with pytest.raises(
        ValueError, match="Received: 5 samples with another label, in epoch 1"
    ):
        fit(weighted, x, y=y, meta_data=(x_meta, y_meta))


def test_changed_labels_of_one_binary_output():
    x, _ = tiny_models.arrays()
    y = (x[:, 0] > 0).astype("int32")
    curves = tiny_models.loss_curves(1 - y, num_classes=2)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")]
    )
    weighted = kcn.CurveWeightedModel(model)
    weighted.compile("sgd", "binary_crossentropy", run_eagerly=True)
    with pytest.raises(ValueError, match="Received: 24 samples with another"):
        weighted.fit(x, y, loss_curves=curves, meta_data=(x, y), verbose=0)


def test_changed_labels_are_trained_on_where_they_are_trusted():
    # All labels of the first batch are changed, and none of the others; the
    # weight of the others is small.
    x, y = changed_arrays(8)
    weighted = eager(
        tiny_models.two_layer_model,
        curve_net=tiny_models.constant_curve_net([0.25] * 3),
        optimizer=keras.optimizers.SGD(0.0),
        balance_classes=False,
    )
    history = fit(
        weighted, tiny_models.with_ids((x, y)), trust_changed_labels=True
    )
    assert history["mean_weight"] == [pytest.approx((1.0 + 0.25 * 2) / 3)] * 2
    predicted = weighted.base_model(x).numpy()
    losses = keras.losses.sparse_categorical_crossentropy(y, predicted).numpy()
    entropy = -np.sum(predicted * np.log(predicted), axis=1)
    weights = np.where(np.arange(24) < 8, 1.0, 0.25)
    stand_ins = (1.0 - weights) * np.sum(predicted**2, axis=1)
    expected = np.mean(weights * losses + stand_ins * entropy)
    # What is believed is kept as float16.
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-4)
    # The next fit trusts them no longer.
    with pytest.raises(ValueError, match="Received: 8 samples"):
        fit(weighted, tiny_models.with_ids((x, y)))


def test_labels_of_samples_that_were_never_seen_are_not_changed():
    _, y = tiny_models.arrays()
    values = tiny_models.loss_curves().values.copy()
    values[[4, 5]] = np.nan
    labels = np.where(np.isin(np.arange(24), [4, 5]), -1, y)
    weighted = eager(tiny_models.two_layer_model)
    history = fit(weighted, loss_curves=kcn.LossCurves(values, labels))
    assert np.isfinite(history["loss"]).all()


@pytest.mark.filterwarnings("ignore:The loss curves are of")
def test_classes_of_a_label_fn_are_not_compared():
    # Two groups of the three classes; then one number, whose sign counts.
    x, y = tiny_models.arrays()
    curves = tiny_models.loss_curves((y == 2).astype(int), num_classes=2)
    weighted = eager(
        tiny_models.two_layer_model,
        curve_net=tiny_models.curve_net(num_classes=2),
    )
    history = fit(weighted, loss_curves=curves)
    assert np.isfinite(history["loss"]).all()
    regression = eager(
        lambda: tiny_models.linear(1),
        curve_net=tiny_models.curve_net(num_classes=2),
        loss="mse",
        metrics=None,
    )
    target = np.where(y == 2, 0.0, 1.0).astype("float32")
    history = fit(
        regression, x, y=target, loss_curves=curves, meta_data=(x, target)
    )
    assert np.isfinite(history["loss"]).all()


def test_multi_hot_targets_are_not_compared():
    # Rows that happen to be one-hot, and others; a `label_fn` made classes.
    x, y = tiny_models.arrays()
    targets = np.eye(3, dtype="float32")[(y + 1) % 3]
    targets[::2] = 1.0
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation="sigmoid")]
    )
    weighted = kcn.CurveWeightedModel(model, curve_net=tiny_models.curve_net())
    weighted.compile("sgd", "binary_crossentropy", run_eagerly=True)
    history = weighted.fit(
        x,
        targets,
        verbose=0,
        loss_curves=tiny_models.loss_curves(),
        meta_data=(x, targets),
        meta_epochs=0,
    ).history
    assert np.isfinite(history["loss"]).all()


# Inputs that are not finite.


@pytest.mark.parametrize(
    ("soft_labels", "value"), [(False, np.inf), (True, np.nan)]
)
def test_inputs_that_are_not_finite_are_left_out(soft_labels, value):
    # As zeros of weight 0; BatchNormalization and Dropout are in the model.
    x, y = tiny_models.arrays()
    fits = []
    for filler, weight in ((value, 1.0), (0.0, 0.0)):
        x[[3, 17]] = 0.0
        x[[3, 17], 1] = filler
        own = np.where(np.isin(np.arange(24), [3, 17]), weight, 1.0)
        # A weight of 0 does not count in class frequencies.
        weighted = eager(soft_labels=soft_labels, balance_classes=False)
        data = tiny_models.with_ids((x, y, own.astype("float32")))
        messages = tiny_models.caught_warnings(fit, weighted, data)
        fits.append((tiny_models.values_of(weighted.variables), messages))
    (left_out, messages), (expected, silence) = fits
    assert [m for m in messages if "not finite in epoch" in m] == [
        "2 sample(s) had inputs that are not finite in epoch 1, and that the "
        "model does not fill. They were left out. Remove them from the data."
    ]
    assert not [m for m in silence if "not finite" in m]
    for values in left_out:
        assert np.isfinite(values).all()
    tiny_models.assert_all_close(left_out, expected)


def test_integer_inputs_beside_floats():
    x, y = tiny_models.arrays()
    x[2, 0] = np.nan
    inputs = {
        "a": keras.Input((4,), name="a"),
        "b": keras.Input((1,), dtype="int32", name="b"),
    }
    embedded = keras.layers.Flatten()(keras.layers.Embedding(3, 2)(inputs["b"]))
    hidden = keras.layers.Concatenate()([inputs["a"], embedded])
    outputs = keras.layers.Dense(3, activation="softmax")(hidden)
    weighted = eager(lambda: keras.Model(inputs, outputs))
    x = {"a": x, "b": y[:, np.newaxis]}
    x_meta = {"a": x["a"][6:12], "b": x["b"][6:12]}
    with pytest.warns(UserWarning, match=r"1 sample\(s\) had inputs"):
        history = fit(weighted, x, y=y, meta_data=(x_meta, y[6:12]))
    assert np.isfinite(history["loss"]).all()
    for values in tiny_models.values_of(weighted.variables):
        assert np.isfinite(values).all()


# Steps whose loss is not finite.


@pytest.mark.parametrize("soft_labels", [False, True])
def test_a_step_of_infinite_loss_is_left_out(soft_labels):
    # The second of three batches, as if it had no weight at all.
    fits = []
    for weight in (np.inf, 0.0):
        own = np.where(np.arange(24) == 9, weight, np.float32(0.0))
        own[:8] = own[16:] = 1.0
        weighted = weighted_model(
            tiny_models.two_layer_model,
            soft_labels=soft_labels,
            run_eagerly=not soft_labels,
        )
        data = tiny_models.with_ids(
            (*tiny_models.arrays(), own.astype("float32"))
        )
        messages = tiny_models.caught_warnings(
            fit, weighted, data, epochs=1, meta_epochs=0
        )
        fits.append((weighted.base_model.get_weights(), messages))
    (left_out, messages), (expected, silence) = fits
    assert [m for m in messages if "that is not finite" in m] == [
        "1 step(s) of epoch 1 had a loss that is not finite. They were left "
        "out. Lower the learning rate if training diverges."
    ]
    assert not [m for m in silence if "not finite" in m]
    tiny_models.assert_all_close(left_out, expected)


def test_a_meta_step_of_infinite_loss_is_left_out():
    own = np.where(np.arange(24) == 9, np.inf, 1.0).astype("float32")
    weighted = weighted_model(tiny_models.two_layer_model)
    start = weighted.curve_net.get_weights()
    data = tiny_models.with_ids((*tiny_models.arrays(), own))
    with pytest.warns(UserWarning, match=r"1 step\(s\) of epoch 1"):
        fit(weighted, data, epochs=1)
    for before, after in zip(
        start, weighted.curve_net.get_weights(), strict=True
    ):
        assert np.isfinite(after).all()
        assert (after != before).any()


def test_each_problem_is_warned_of_once():
    x, y = tiny_models.arrays()
    x[3, 1] = np.nan
    own = np.where(np.arange(24) == 9, np.inf, 1.0).astype("float32")
    weighted = eager(tiny_models.two_layer_model)
    data = tiny_models.with_ids((x, y, own))
    messages = tiny_models.caught_warnings(fit, weighted, data, epochs=3)
    assert sum("had inputs" in message for message in messages) == 1
    assert sum("left out. Lower" in message for message in messages) == 1


def test_sparse_gradients_stay_sparse():
    # Rows of an Embedding that a batch does not hold are left as they are.
    x, y = tiny_models.arrays()
    ids = np.arange(24, dtype="int32")[:, np.newaxis] % 4
    model = keras.Sequential(
        [
            keras.Input((1,), dtype="int32"),
            keras.layers.Embedding(9, 3),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    weighted = weighted_model(lambda: model)
    before = model.layers[0].get_weights()[0]
    fit(weighted, ids, y=y, epochs=1, meta_data=(ids, y))
    after = model.layers[0].get_weights()[0]
    np.testing.assert_array_equal(after[4:], before[4:])
    assert (after[:4] != before[:4]).all()

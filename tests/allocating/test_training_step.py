"""The training step of `CurveWeightedModel`, in all ways of running."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models
from weighted_models import CountForwardPasses
from weighted_models import eager
from weighted_models import fit
from weighted_models import weighted_model

import keras_curvenet as kcn
from keras_curvenet.allocating.prepared_fit import prepared_curves

# Weights act.


@pytest.mark.parametrize("soft_labels", [False, True])
def test_first_step_equals_plain_training_with_these_weights(soft_labels):
    # Of new samples, the network believes what it predicts: no gradient.
    x, y = tiny_models.arrays()
    class_weights = np.array([0.25, 1.0, 2.0], "float32")
    sample_weight = class_weights[y]
    # All classes are believed to be equally probable: as sure as 1/3.
    stand_ins = np.maximum(1.0 - sample_weight, 0.0) / 3.0 * soft_labels
    if not soft_labels:
        sample_weight = sample_weight / sample_weight.mean()
    fits = []
    for wrap in (False, True):
        keras.utils.set_random_seed(5)
        model = tiny_models.linear()
        if wrap:
            curve_net = tiny_models.constant_curve_net(class_weights)
            trained = kcn.CurveWeightedModel(
                model,
                curve_net=curve_net,
                soft_labels=soft_labels,
                balance_classes=False,
            )
            arguments = {
                "loss_curves": tiny_models.loss_curves(),
                "meta_data": tiny_models.meta_arrays(),
            }
        else:
            trained = model
            arguments = {"sample_weight": sample_weight}
        trained.compile(
            keras.optimizers.SGD(0.5),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            run_eagerly=True,
        )
        history = trained.fit(
            x, y, batch_size=24, verbose=0, **arguments
        ).history
        fits.append((model.get_weights(), history["loss"]))
    assert np.abs(fits[0][0][0]).max() > 1e-3
    tiny_models.assert_all_close(fits[1][0], fits[0][0])
    # The crossentropy of such a belief is log(3).
    expected = fits[0][1][0] + np.mean(stand_ins) * np.log(3.0)
    assert fits[1][1] == [pytest.approx(expected, rel=1e-6)]


@pytest.mark.parametrize("as_dataset", [False, True])
def test_users_sample_weight_multiplies(as_dataset):
    # At a learning rate of 0, the logged loss is mean(own * w * loss_i), with
    # weights relative to their mean in the batch.
    x, y = tiny_models.arrays()
    own = np.linspace(0.0, 2.0, len(x), dtype="float32")
    weighted = eager(
        tiny_models.linear,
        curve_net=tiny_models.WeightByCurve(),
        optimizer=keras.optimizers.SGD(0.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        soft_labels=False,
        balance_classes=False,
    )
    if as_dataset:
        history = fit(weighted, tiny_models.with_ids((x, y, own)), epochs=1)
    else:
        history = fit(weighted, x, y=y, sample_weight=own, epochs=1)
    # A linear model that starts at zero: each sample's loss is log(3).
    weights = weighted.sample_weights().reshape(-1, 8 if as_dataset else 24)
    assert np.ptp(weights) > 0.1
    product = own * (weights / weights.mean(axis=1, keepdims=True)).ravel()
    assert history["loss"][0] == pytest.approx(
        np.mean(product) * np.log(3.0), rel=1e-5
    )


def test_users_sample_weight_multiplies_in_the_virtual_step():
    # test_meta_update.test_one_step_of_a_linear_model_by_hand, where the
    # second sample has a weight of 0.5 from the user: in the virtual step, by
    # their mean, 4/3 and 2/3. Gradients -8/3 and 8/3, theta' = 0, meta loss 1,
    # its gradient -2, dtheta'/dw = (0.4, -0.4) / 3, of which the mean is 0.
    # w = 1 - (-0.8, 0.8) / 3 = (3.8, 2.2) / 3.
    # Actual: theta = -0.1 * (3.8 * -2 + 2.2 * 2) / 3 / 2 = 0.16 / 3.
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
        ]
    )
    curve_net = tiny_models.WeightByClass([1.0, 1.0])
    weighted = kcn.CurveWeightedModel(model, curve_net=curve_net)
    weighted.compile(
        keras.optimizers.SGD(0.1),
        "mse",
        meta_optimizer=keras.optimizers.SGD(1.0),
        run_eagerly=True,
    )
    weighted.fit(
        np.array([[1.0], [2.0]]),
        np.array([[1.0], [-1.0]]),
        sample_weight=np.array([1.0, 0.5]),
        verbose=0,
        loss_curves=tiny_models.loss_curves([0, 1], num_classes=2),
        meta_data=(np.array([[1.0]]), np.array([[1.0]])),
    )
    np.testing.assert_allclose(curve_net.table, [3.8 / 3, 2.2 / 3], rtol=1e-6)
    np.testing.assert_allclose(model.get_weights()[0], [[0.16 / 3]], rtol=1e-5)


@pytest.mark.parametrize("as_dataset", [False, True])
def test_weights_of_the_meta_set_weight_the_meta_loss(as_dataset):
    # As above without own weights: theta' = -0.1. Meta losses (theta' - 1)^2
    # = 1.21 with weight 2 and (theta' + 1)^2 = 0.81 with weight 0.5, by their
    # mean 1.6 and 0.4: meta loss (1.6 * 1.21 + 0.4 * 0.81) / 2 = 1.13;
    # gradient (1.6 * 2 * -1.1 + 0.4 * 2 * 0.9) / 2 = -1.4;
    # dtheta'/dw = (0.1, -0.2) minus its mean, (0.15, -0.15);
    # w = 1 + 1.4 * (0.15, -0.15) = (1.21, 0.79).
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
        ]
    )
    meta_data = (
        np.array([[1.0], [1.0]], "float32"),
        np.array([[1.0], [-1.0]], "float32"),
        np.array([2.0, 0.5], "float32"),
    )
    if as_dataset:
        meta_data = tf.data.Dataset.from_tensor_slices(meta_data).batch(2)
    curve_net = tiny_models.WeightByClass([1.0, 1.0])
    weighted = kcn.CurveWeightedModel(model, curve_net=curve_net)
    weighted.compile(
        keras.optimizers.SGD(0.1),
        "mse",
        meta_optimizer=keras.optimizers.SGD(1.0),
        run_eagerly=True,
    )
    history = weighted.fit(
        np.array([[1.0], [2.0]]),
        np.array([[1.0], [-1.0]]),
        batch_size=2,
        verbose=0,
        loss_curves=tiny_models.loss_curves([0, 1], num_classes=2),
        meta_data=meta_data,
    ).history
    assert history["meta_loss"][0] == pytest.approx(1.13)
    np.testing.assert_allclose(curve_net.table, [1.21, 0.79], rtol=1e-6)


def test_curves_follow_their_samples_through_shuffle():
    # At a rate of 0, each sample's loss, weight and entropy differ.
    x, y = tiny_models.arrays()
    weighted = eager(
        tiny_models.two_layer_model,
        curve_net=tiny_models.WeightByCurve(),
        optimizer=keras.optimizers.SGD(0.0),
        balance_classes=False,
    )
    data = kcn.with_sample_ids((x, y)).shuffle(24).batch(5)
    history = fit(weighted, data, epochs=1)
    predicted = weighted.base_model(x).numpy()
    losses = keras.losses.sparse_categorical_crossentropy(y, predicted).numpy()
    entropy = -np.sum(predicted * np.log(predicted), axis=1)
    weights = weighted.sample_weights()
    stand_ins = (1.0 - weights) * np.sum(predicted**2, axis=1)
    expected = np.mean(weights * losses + stand_ins * entropy)
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("optimizer", "epochs", "epsilon"),
    [
        (keras.optimizers.SGD(0.5), 4, 1e-6),
        (keras.optimizers.AdamW(0.01), 20, 2e-8),
    ],
    ids=["sgd", "adamw"],
)
def test_learning_raises_the_weight_of_clean_samples(
    optimizer, epochs, epsilon
):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    clean = (x[:, 0] > 0).astype("int32")
    is_wrong = np.arange(64) % 4 == 0
    y = np.where(is_wrong, 1 - clean, clean)
    values = np.where(is_wrong, 2.0, 0.2)[:, np.newaxis] * np.ones(6)
    curves = kcn.LossCurves(values, y)
    weighted = weighted_model(
        lambda: keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(2, activation="softmax")]
        ),
        curve_net=None,
        optimizer=optimizer,
        meta_optimizer=keras.optimizers.Adam(0.01, epsilon=epsilon),
    )
    weighted.fit(
        x,
        y,
        batch_size=8,
        epochs=epochs,
        verbose=0,
        loss_curves=curves,
        meta_data=(x[:32], clean[:32]),
        meta_epochs=epochs,
    )
    weights = weighted.sample_weights()
    assert weights.shape == (64,) and weights.dtype == np.float32
    assert weights[~is_wrong].min() > weights[is_wrong].max() + 0.1


def test_two_inputs_as_dict():
    x, y = tiny_models.arrays()

    def make_model():
        inputs = {name: keras.Input((4,), name=name) for name in ("a", "b")}
        hidden = keras.layers.Concatenate()(list(inputs.values()))
        hidden = keras.layers.Dense(4, activation="tanh")(hidden)
        outputs = keras.layers.Dense(3, activation="softmax")(hidden)
        return keras.Model(inputs, outputs)

    x = {"a": x, "b": -x}
    x_meta, y_meta = tiny_models.meta_arrays()
    weighted = eager(make_model)
    assert weighted.shares_forward_pass
    fit(
        weighted,
        x,
        y=y,
        epochs=1,
        meta_data=({"a": x_meta, "b": -x_meta}, y_meta),
    )
    np.testing.assert_array_equal(weighted(x), weighted.base_model(x))


def binary_data(num_samples=96):
    """Two classes, a fifth of the labels wrong, and curves with margins."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(num_samples, 4)).astype("float32")
    clean = (x[:, 0] > 0.5).astype("int32")
    is_wrong = np.arange(num_samples) % 5 == 0
    y = np.where(is_wrong, 1 - clean, clean)
    # As sure as labels of which a fifth is wrong let a network be.
    margins = np.where(is_wrong, -1.2, 1.2)[:, np.newaxis]
    margins = margins + 0.1 * rng.normal(size=(num_samples, 6))
    curves = kcn.LossCurves(np.log1p(np.exp(-margins)), y, margins=margins)
    return x, y, clean, is_wrong, curves


@pytest.mark.parametrize(
    ("activation", "loss", "shape"),
    [
        ("sigmoid", "binary_crossentropy", (-1, 1)),
        (None, keras.losses.BinaryCrossentropy(from_logits=True), (-1,)),
        ("sigmoid", kcn.LogitAdjustedCrossentropy([66, 30]), (-1,)),
    ],
)
def test_one_binary_output_with_all_defaults(activation, loss, shape):
    keras.utils.set_random_seed(0)
    x, y, clean, is_wrong, curves = binary_data()
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dense(1, activation),
        ]
    )
    weighted = kcn.CurveWeightedModel(model)
    weighted.compile(keras.optimizers.Adam(0.02), loss)
    history = weighted.fit(
        x, y.reshape(shape), 12, epochs=8, verbose=0, loss_curves=curves
    ).history
    assert weighted.curve_net.curve_length == 12
    assert not is_wrong[weighted.meta_sample_ids].any()
    assert np.isfinite(history["loss"] + history["meta_loss"]).all()
    weights = weighted.sample_weights()
    assert weights[~is_wrong].min() > weights[is_wrong].max() + 0.5
    predicted = weighted.predict(x, verbose=0)[:, 0]
    threshold = 0.0 if activation is None else 0.5
    assert np.mean((predicted > threshold) == clean) > 0.9


def test_what_was_believed_is_kept_by_the_same_curves_only():
    # At a learning rate of 0, with other weights of the network in between.
    # What is believed of new samples is what the network predicts.
    x, y = tiny_models.arrays()
    weighted = eager(
        tiny_models.two_layer_model,
        curve_net=tiny_models.constant_curve_net([0.25] * 3),
        optimizer=keras.optimizers.SGD(0.0),
        balance_classes=False,
    )
    curves = tiny_models.loss_curves()
    fit(weighted, loss_curves=curves, epochs=1)
    base = weighted.base_model
    base.set_weights([-3.0 * values for values in base.get_weights()])
    predicted = base(x).numpy()
    losses = keras.losses.sparse_categorical_crossentropy(y, predicted).numpy()
    entropy = -np.sum(predicted * np.log(predicted), axis=1)
    stand_ins = 0.75 * np.sum(predicted**2, axis=1)
    forgotten = np.mean(0.25 * losses + stand_ins * entropy)
    goes_on = {"epochs": 2, "initial_epoch": 1}
    kept = fit(weighted, loss_curves=curves, **goes_on)["loss"]
    assert kept != [pytest.approx(forgotten, rel=1e-2)]
    other = tiny_models.loss_curves()
    found = fit(weighted, loss_curves=other, **goes_on)["loss"]
    assert found == [pytest.approx(forgotten, rel=1e-4)]


def test_class_frequencies_are_those_of_the_latest_curves():
    # At a learning rate of 0; beliefs of certain labels do not matter.
    x, y = tiny_models.arrays()
    weighted = eager(
        tiny_models.two_layer_model,
        curve_net=tiny_models.constant_curve_net(),
        optimizer=keras.optimizers.SGD(0.0),
    )
    predicted = weighted.base_model(x).numpy()
    for seed in (0, 1):
        values = np.random.default_rng(seed).uniform(size=(24, 6))
        curves = kcn.LossCurves(values, y)
        history = fit(weighted, loss_curves=curves, epochs=1)
        start = prepared_curves(curves).start.astype("float64")
        adjusted = predicted * np.bincount(y, 1.0 / (1.0 + np.exp(-start)))
        adjusted /= adjusted.sum(axis=1, keepdims=True)
        expected = -np.log(adjusted[np.arange(24), y]).mean()
        assert history["loss"][0] == pytest.approx(expected, rel=1e-4)


def test_curves_of_more_samples_than_the_data():
    x, y = tiny_models.arrays(30)
    weighted = eager(tiny_models.two_layer_model)
    history = fit(
        weighted,
        tiny_models.with_ids((x[:24], y[:24])),
        loss_curves=tiny_models.loss_curves(y),
    )
    assert np.isfinite(history["loss"]).all()
    assert weighted.sample_weights().shape == (30,)


# Cost: traces and forward passes.


@pytest.mark.parametrize("metrics", [None, ["accuracy"]])
def test_one_trace_while_learning_and_one_when_frozen(metrics, monkeypatch):
    traces, counts = [], []
    train_step = kcn.CurveWeightedModel.train_step

    def counted(self, data):
        traces.append(self)
        return train_step(self, data)

    monkeypatch.setattr(kcn.CurveWeightedModel, "train_step", counted)
    weighted = weighted_model(tiny_models.two_layer_model, metrics=metrics)
    trace_counts = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: counts.append(len(traces))
    )
    fit(weighted, epochs=4, meta_epochs=2, callbacks=[trace_counts])
    assert counts == [1, 1, 2, 2]


@pytest.mark.parametrize("top_layers", [1, None])
def test_forward_passes(top_layers):
    def make_model():
        return keras.Sequential(
            [
                keras.Input((4,)),
                CountForwardPasses(),
                keras.layers.Dense(4, activation="tanh"),
                keras.layers.Dense(3, activation="softmax"),
                CountForwardPasses(),
            ]
        )

    weighted = weighted_model(
        make_model, top_layers=top_layers, run_eagerly=top_layers is None
    )
    bottom, top = (
        layer.sizes
        for layer in weighted.base_model.layers
        if isinstance(layer, CountForwardPasses)
    )
    fit(weighted, epochs=2, meta_epochs=1)  # Three steps in each epoch.
    # One pass serves the virtual and the actual step, another the meta loss.
    expected = [6, 8] * 3 + [8] * 3
    assert sorted(bottom) == sorted(expected)
    assert sorted(top) == sorted(expected)


# The same in other ways of running.


def test_steps_per_execution_makes_no_difference():
    fits = []
    for steps in (1, 2):
        weighted = weighted_model(
            tiny_models.two_layer_model,
            steps_per_execution=steps,
            run_eagerly=steps == 1,
        )
        history = fit(weighted, tiny_models.with_ids(batch_size=5), epochs=2)
        fits.append((weighted, history))
    (one, one_history), (two, two_history) = fits
    tiny_models.assert_all_close(
        tiny_models.values_of(two.variables),
        tiny_models.values_of(one.variables),
    )
    assert set(one_history) == set(two_history)
    for name, values in one_history.items():
        np.testing.assert_allclose(two_history[name], values, rtol=1e-5)


def test_jit_compile_is_close():
    fits = []
    for jit_compile in (False, True):
        weighted = weighted_model(
            tiny_models.two_layer_model,
            jit_compile=jit_compile,
            run_eagerly=not jit_compile,
            optimizer=keras.optimizers.SGD(1e-3),
            meta_optimizer=keras.optimizers.SGD(1e-3),
        )
        history = fit(weighted, epochs=1)
        fits.append((weighted, history))
    (plain, plain_history), (jitted, jitted_history) = fits
    tiny_models.assert_all_close(
        jitted.get_weights(), plain.get_weights(), 1e-5
    )
    for name, values in plain_history.items():
        np.testing.assert_allclose(jitted_history[name], values, rtol=1e-4)


def test_jit_compile_with_normalization_and_dropout():
    def make_model():
        return keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.3),
                keras.layers.Dense(3, activation="softmax"),
            ]
        )

    weighted = weighted_model(make_model, jit_compile=True)
    history = fit(weighted, epochs=1)
    assert np.isfinite(history["loss"] + history["meta_loss"]).all()


@pytest.mark.parametrize(
    ("policy", "run_eagerly"),
    [("mixed_bfloat16", True), ("mixed_float16", False)],
)
def test_mixed_precision(policy, run_eagerly):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        weighted = weighted_model(run_eagerly=run_eagerly)
        start = weighted.curve_net.get_weights()
        history = fit(weighted, epochs=1)
    finally:
        keras.config.set_dtype_policy(before)
    assert weighted.sample_weights().dtype == np.float32
    assert np.isfinite(history["loss"] + history["meta_loss"]).all()
    assert any(
        (left != right).any()
        for left, right in zip(
            start, weighted.curve_net.get_weights(), strict=True
        )
    )


@pytest.mark.parametrize(
    ("top_layers", "learning_rate"), [(1, 0.05), (None, 1e-3)]
)
def test_meta_gradients_in_half_precision(top_layers, learning_rate):
    before = keras.config.dtype_policy()
    gradients = {}
    for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            weighted = eager(
                tiny_models.two_layer_model,
                top_layers=top_layers,
                optimizer=keras.optimizers.SGD(learning_rate),
                meta_optimizer=keras.optimizers.SGD(1.0),
            )
        finally:
            keras.config.set_dtype_policy(before)
        start = tiny_models.values_of(weighted.curve_net.trainable_variables)
        fit(weighted, tiny_models.with_ids(batch_size=24), epochs=1)
        end = tiny_models.values_of(weighted.curve_net.trainable_variables)
        steps = [a - b for a, b in zip(start, end, strict=True)]
        gradients[policy] = np.concatenate([step.ravel() for step in steps])
    exact = gradients.pop("float32")
    for policy, rounded in gradients.items():
        error = np.linalg.norm(rounded - exact) / np.linalg.norm(exact)
        assert error < 0.05, policy


def test_run_eagerly():
    keras.utils.set_random_seed(0)
    weighted = kcn.CurveWeightedModel(
        tiny_models.two_layer_model(), curve_net=tiny_models.curve_net()
    )
    weighted.compile("sgd", tiny_models.SPARSE_LOSS, run_eagerly=True)
    history = fit(weighted, epochs=1)
    assert np.isfinite(history["loss"]).all()

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models

import keras_curvenet as kcn


def weighted_model(make_model=tiny_models.sequential, seed=7, **kwargs):
    """A compiled wrapper with a small CurveNet."""
    keras.utils.set_random_seed(seed)
    own = ("optimizer", "meta_optimizer", "loss", "metrics")
    own += ("meta_loss", "steps_per_execution", "jit_compile")
    compile_arguments = {
        name: kwargs.pop(name) for name in own if name in kwargs
    }
    if "curve_net" not in kwargs:
        kwargs["curve_net"] = tiny_models.curve_net()
    weighted = kcn.CurveWeightedModel(make_model(), **kwargs)
    weighted.compile(
        **{
            "optimizer": keras.optimizers.SGD(0.1),
            "loss": tiny_models.SPARSE_LOSS,
            "metrics": ["accuracy"],
            "meta_optimizer": keras.optimizers.Adam(0.05),
            **compile_arguments,
        }
    )
    return weighted


def fit(weighted, x=None, **kwargs):
    """Fits on batches with ids in a fixed order."""
    arguments = {
        "epochs": 2,
        "verbose": 0,
        "loss_curves": tiny_models.loss_curves(),
        "meta_data": tiny_models.meta_dataset(),
    }
    x = tiny_models.with_ids() if x is None else x
    return weighted.fit(x, **{**arguments, **kwargs}).history


class Snapshots(keras.callbacks.Callback):
    """CurveNet's variables after every step and every epoch."""

    def __init__(self):
        super().__init__()
        self.steps, self.epochs = [], []

    def on_train_begin(self, logs=None):
        self.steps.append(self.model.curve_net.get_weights())
        self.epochs.append(self.model.curve_net.get_weights())

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(self.model.curve_net.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.model.curve_net.get_weights())

    def changed(self, snapshots):
        return [
            any((left != right).any() for left, right in zip(a, b, strict=True))
            for a, b in zip(snapshots, snapshots[1:], strict=False)
        ]


# Weights act.


@pytest.mark.filterwarnings(tiny_models.ignore_no_variation)
def test_first_step_equals_plain_training_with_these_weights():
    x, y = tiny_models.arrays()
    class_weights = np.array([0.25, 1.0, 2.0], "float32")
    fits = []
    for wrap in (False, True):
        keras.utils.set_random_seed(5)
        model = tiny_models.linear()
        if wrap:
            curve_net = tiny_models.constant_curve_net(class_weights)
            trained = kcn.CurveWeightedModel(model, curve_net=curve_net)
            arguments = {
                "loss_curves": tiny_models.loss_curves(),
                "meta_data": tiny_models.meta_arrays(),
            }
        else:
            trained = model
            arguments = {"sample_weight": class_weights[y]}
        trained.compile(
            keras.optimizers.SGD(0.5),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        history = trained.fit(
            x, y, batch_size=24, verbose=0, **arguments
        ).history
        fits.append((model.get_weights(), history["loss"]))
    assert np.abs(fits[0][0][0]).max() > 1e-3
    tiny_models.assert_all_close(fits[1][0], fits[0][0])
    np.testing.assert_allclose(fits[1][1], fits[0][1], rtol=1e-6)


@pytest.mark.parametrize("as_dataset", [False, True])
def test_users_sample_weight_multiplies(as_dataset):
    # At a learning rate of 0, the logged loss is mean(own * w * loss_i).
    x, y = tiny_models.arrays()
    own = np.linspace(0.0, 2.0, len(x), dtype="float32")
    weighted = weighted_model(
        tiny_models.linear,
        curve_net=tiny_models.WeightByCurve(),
        optimizer=keras.optimizers.SGD(0.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    if as_dataset:
        history = fit(weighted, tiny_models.with_ids((x, y, own)), epochs=1)
    else:
        history = fit(weighted, x, y=y, sample_weight=own, epochs=1)
    # A linear model that starts at zero: each sample's loss is log(3).
    product = own * weighted.sample_weights()
    assert history["loss"][0] == pytest.approx(
        np.mean(product) * np.log(3.0), rel=1e-5
    )


@pytest.mark.filterwarnings(tiny_models.ignore_no_variation)
def test_users_sample_weight_multiplies_in_the_virtual_step():
    # test_meta_update.test_one_step_of_a_linear_model_by_hand, where the
    # second sample has a weight of 0.5 from the user: gradients -2 and 2,
    # theta' = 0, meta loss 1, its gradient -2, dtheta'/dw = (0.1, -0.1).
    # w = 1 - (-0.2, 0.2) = (1.2, 0.8).
    # Actual: theta = -0.1 * (1.2 * -2 + 0.8 * 2) / 2 = 0.04.
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
    )
    weighted.fit(
        np.array([[1.0], [2.0]]),
        np.array([[1.0], [-1.0]]),
        sample_weight=np.array([1.0, 0.5]),
        verbose=0,
        loss_curves=tiny_models.loss_curves([0, 1], num_classes=2),
        meta_data=(np.array([[1.0]]), np.array([[1.0]])),
    )
    np.testing.assert_allclose(curve_net.table, [1.2, 0.8], rtol=1e-6)
    np.testing.assert_allclose(model.get_weights()[0], [[0.04]], rtol=1e-5)


@pytest.mark.filterwarnings(tiny_models.ignore_no_variation)
@pytest.mark.parametrize("as_dataset", [False, True])
def test_weights_of_the_meta_set_weight_the_meta_loss(as_dataset):
    # As above without own weights: theta' = -0.1. Meta losses (theta' - 1)^2
    # = 1.21 with weight 2 and (theta' + 1)^2 = 0.81 with weight 0.5:
    # meta loss (2 * 1.21 + 0.5 * 0.81) / 2 = 1.4125;
    # gradient (2 * 2 * -1.1 + 0.5 * 2 * 0.9) / 2 = -1.75;
    # w = 1 + 1.75 * (0.1, -0.2) = (1.175, 0.65).
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
    )
    history = weighted.fit(
        np.array([[1.0], [2.0]]),
        np.array([[1.0], [-1.0]]),
        batch_size=2,
        verbose=0,
        loss_curves=tiny_models.loss_curves([0, 1], num_classes=2),
        meta_data=meta_data,
    ).history
    assert history["meta_loss"][0] == pytest.approx(1.4125)
    np.testing.assert_allclose(curve_net.table, [1.175, 0.65], rtol=1e-6)


def test_curves_follow_their_samples_through_shuffle():
    # A batch of one and a rate of 0: loss * 24 = sum of own weights * loss_i,
    # where each sample's loss differs.
    x, y = tiny_models.arrays()
    weighted = weighted_model(
        curve_net=tiny_models.WeightByCurve(),
        make_model=tiny_models.two_layer_model,
        optimizer=keras.optimizers.SGD(0.0),
    )
    data = kcn.with_sample_ids((x, y)).shuffle(24).batch(5)
    history = fit(weighted, data, epochs=1)
    losses = keras.losses.sparse_categorical_crossentropy(
        y, weighted.base_model(x)
    )
    expected = np.mean(losses * weighted.sample_weights())
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("optimizer", "epochs", "epsilon"),
    [
        (keras.optimizers.SGD(0.5), 15, 1e-6),
        (keras.optimizers.AdamW(0.01), 80, 2e-8),
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
    weighted = weighted_model(make_model)
    assert weighted.shares_forward_pass
    fit(
        weighted,
        x,
        y=y,
        batch_size=8,
        meta_data=({"a": x_meta, "b": -x_meta}, y_meta),
    )
    np.testing.assert_array_equal(
        weighted.predict(x, verbose=0),
        weighted.base_model.predict(x, verbose=0),
    )


# Cost: traces and forward passes.


@pytest.mark.parametrize("metrics", [None, ["accuracy"]])
def test_one_trace_while_learning_and_one_when_frozen(metrics, monkeypatch):
    traces = []
    train_step = kcn.CurveWeightedModel.train_step

    def counted(self, data):
        traces.append(self)
        return train_step(self, data)

    monkeypatch.setattr(kcn.CurveWeightedModel, "train_step", counted)
    weighted = weighted_model(tiny_models.two_layer_model, metrics=metrics)
    fit(weighted, epochs=2, meta_epochs=2)
    assert len(traces) == 1
    fit(weighted, epochs=4)
    assert len(traces) == 2
    fit(weighted, epochs=4, loss_curves=None)
    assert len(traces) == 2


class CountForwardPasses(keras.layers.Layer):
    """Records the batch size of every call that is really executed."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.sizes = []

    def call(self, inputs):
        size = tf.shape(inputs)[0]
        tf.py_function(lambda size: self.sizes.append(int(size)), [size], [])
        return inputs


@pytest.mark.parametrize("top_layers", [1, None])
@pytest.mark.parametrize("meta_every", [1, 3])
def test_forward_passes(top_layers, meta_every):
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
        make_model, top_layers=top_layers, meta_every=meta_every
    )
    bottom, top = (
        layer.sizes
        for layer in weighted.base_model.layers
        if isinstance(layer, CountForwardPasses)
    )
    fit(weighted, epochs=2, meta_epochs=1)  # Three steps in each epoch.
    learning = 3 if meta_every == 1 else 1
    plain = 6 - learning
    # One pass serves the virtual and the actual step, another the meta loss.
    expected = [6, 8] * learning + [8] * plain
    assert sorted(bottom) == sorted(expected)
    assert sorted(top) == sorted(expected)


# When CurveNet learns.


def test_meta_every_third_step():
    snapshots = Snapshots()
    weighted = weighted_model(tiny_models.two_layer_model, meta_every=3)
    fit(
        weighted,
        tiny_models.with_ids(batch_size=4),  # Six steps in an epoch.
        epochs=2,
        meta_epochs=2,
        callbacks=[snapshots],
    )
    changed = snapshots.changed(snapshots.steps)
    assert changed == [True, False, False] * 4
    assert int(weighted.meta_optimizer.iterations) == 4
    assert int(weighted.optimizer.iterations) == 12


@pytest.mark.parametrize(
    ("epochs", "initial_epoch", "meta_epochs", "changed"),
    [
        (5, 0, None, [True, True, True, False, False]),
        (4, 0, 1, [True, False, False, False]),
        (2, 0, 7, [True, True]),
        (4, 1, 2, [True, False, False]),
        (4, 2, None, [False, False]),
        (3, 0, 0, [False, False, False]),
    ],
)
def test_meta_epochs(epochs, initial_epoch, meta_epochs, changed):
    snapshots = Snapshots()
    weighted = weighted_model(tiny_models.two_layer_model)
    history = fit(
        weighted,
        epochs=epochs,
        initial_epoch=initial_epoch,
        meta_epochs=meta_epochs,
        callbacks=[snapshots],
    )
    assert snapshots.changed(snapshots.epochs) == changed
    assert len(history.get("meta_loss", [])) == sum(changed)


def test_weights_in_use_are_those_of_sample_weights_once_frozen():
    weighted = weighted_model(tiny_models.two_layer_model)
    history = fit(weighted, epochs=2, meta_epochs=1)
    assert history["mean_weight"][1] == pytest.approx(
        weighted.sample_weights().mean(), rel=1e-5
    )


def test_no_meta_data_needed_without_meta_epochs():
    weighted = weighted_model(tiny_models.two_layer_model)
    history = fit(weighted, meta_data=None, meta_epochs=0)
    assert set(history) == {
        "loss",
        "accuracy",
        "mean_weight",
        "effective_sample_size",
    }


def test_a_second_fit_learns_again_without_loss_curves():
    snapshots = Snapshots()
    weighted = weighted_model(tiny_models.two_layer_model)
    fit(weighted)
    fit(weighted, loss_curves=None, callbacks=[snapshots])
    assert snapshots.changed(snapshots.epochs) == [True, False]
    assert int(weighted.optimizer.iterations) == 12


def test_a_second_fit_may_have_fewer_samples():
    x, y = tiny_models.arrays()
    weighted = weighted_model(tiny_models.two_layer_model)
    fit(weighted)
    fit(weighted, tiny_models.with_ids((x[:9], y[:9])), loss_curves=None)
    assert weighted.sample_weights().shape == (24,)


# The meta set.


@pytest.mark.parametrize("meta_batch_size", [None, 4])
@pytest.mark.parametrize(
    ("kind", "own_size"), [("arrays", 6), ("dataset", 6), ("infinite", 6)]
)
def test_meta_batch_size(kind, own_size, meta_batch_size):
    def make_model():
        return keras.Sequential(
            [
                keras.Input((4,)),
                CountForwardPasses(),
                keras.layers.Dense(3, activation="softmax"),
            ]
        )

    weighted = weighted_model(
        make_model, meta_batch_size=meta_batch_size, top_layers=None
    )
    sizes = weighted.base_model.layers[0].sizes
    meta_data = {
        "arrays": tiny_models.meta_arrays(),
        "dataset": tiny_models.meta_dataset(),
        "infinite": tiny_models.meta_dataset().repeat(),
    }[kind]
    fit(weighted, epochs=1, meta_data=meta_data)
    meta_size = meta_batch_size or own_size
    assert sorted(sizes) == sorted([8, meta_size] * 3)


@pytest.mark.parametrize(
    ("meta_data", "error", "message"),
    [
        ("clean", TypeError, "Received: str"),
        ([1, 2], ValueError, "Received: shapes"),
    ],
)
def test_invalid_meta_data(meta_data, error, message):
    with pytest.raises(error, match=message):
        fit(weighted_model(), meta_data=meta_data)


ignore_few = pytest.mark.filterwarnings("ignore:Class:UserWarning")


@ignore_few
def test_the_meta_set_is_chosen_from_the_curves():
    x, y = tiny_models.arrays()
    curves = tiny_models.loss_curves()
    with pytest.warns(UserWarning, match="have fewer than"):
        chosen = kcn.select_meta_samples(curves)
    fits = []
    for meta_data in (None, (x[chosen], y[chosen])):
        weighted = weighted_model(tiny_models.two_layer_model)
        # Both draw the same batches: the whole set in each.
        weighted.meta_batch_size = len(chosen)
        fits.append((weighted, fit(weighted, meta_data=meta_data)))
    (by_curves, history), (given, expected) = fits
    np.testing.assert_array_equal(by_curves.meta_sample_ids, chosen)
    assert given.meta_sample_ids is None
    np.testing.assert_allclose(
        history["meta_loss"], expected["meta_loss"], rtol=1e-5
    )
    tiny_models.assert_all_close(
        by_curves.get_weights(), given.get_weights(), 1e-5
    )


@ignore_few
@pytest.mark.parametrize("kind", ["shuffled", "repeated", "arrays", "split"])
def test_the_chosen_meta_set_comes_from_any_training_data(kind):
    x, y = tiny_models.arrays()
    shuffled = kcn.with_sample_ids((x, y)).shuffle(24, seed=1).batch(5)
    arguments = {
        "shuffled": {"x": shuffled},
        "repeated": {"x": shuffled.repeat(), "steps_per_epoch": 3},
        "arrays": {"x": x, "y": y},
        "split": {"x": x, "y": y, "validation_split": 0.25},
    }[kind]
    weighted = weighted_model(tiny_models.two_layer_model)
    history = fit(weighted, meta_data=None, **arguments)
    assert np.isfinite(history["meta_loss"]).all()
    limit = 18 if kind == "split" else 24
    assert weighted.meta_sample_ids.max() < limit


@ignore_few
@pytest.mark.filterwarnings(tiny_models.ignore_no_variation)
def test_a_later_fit_chooses_again():
    weighted = weighted_model(tiny_models.two_layer_model)
    fit(weighted, meta_data=None)
    chosen = weighted.meta_sample_ids
    fit(weighted, meta_data=None, loss_curves=None)
    np.testing.assert_array_equal(weighted.meta_sample_ids, chosen)


@ignore_few
def test_classes_without_samples_need_no_meta_samples():
    curves = tiny_models.loss_curves(num_classes=5)
    weighted = weighted_model(
        tiny_models.two_layer_model,
        curve_net=tiny_models.curve_net(num_classes=5),
    )
    history = fit(weighted, meta_data=None, loss_curves=curves)
    assert np.isfinite(history["meta_loss"]).all()


@ignore_few
def test_chosen_samples_that_the_dataset_lacks():
    data = tiny_models.with_ids().unbatch()
    part = data.filter(lambda x, y, weight, sample_id: sample_id > 4)
    with pytest.raises(ValueError, match=r"without sample id\(s\) \[\d"):
        fit(weighted_model(), part.batch(8), meta_data=None)


@ignore_few
def test_chosen_samples_of_several_shapes():
    def sequences():
        for length in range(2, 26):
            yield np.arange(length) % 7, length % 3

    spec = (tf.TensorSpec([None], tf.int64), tf.TensorSpec([], tf.int32))
    data = tf.data.Dataset.from_generator(sequences, output_signature=spec)
    data = data.apply(tf.data.experimental.assert_cardinality(24))
    data = kcn.with_sample_ids(data).padded_batch(4)
    labels = np.arange(2, 26) % 3
    weighted = weighted_model(
        lambda: keras.Sequential(
            [
                keras.Input((None,)),
                keras.layers.Embedding(7, 4),
                keras.layers.GlobalAveragePooling1D(),
                keras.layers.Dense(3, activation="softmax"),
            ]
        )
    )
    curves = tiny_models.loss_curves(labels)
    with pytest.raises(ValueError, match="samples differ in shape"):
        fit(weighted, data, meta_data=None, loss_curves=curves)


def test_a_callback_list_is_refused():
    callbacks = keras.callbacks.CallbackList([])
    with pytest.raises(TypeError, match="Pass the callbacks themselves"):
        fit(weighted_model(), callbacks=callbacks)


def test_one_hot_targets_of_the_meta_set_alone():
    x, y = tiny_models.meta_arrays()
    weighted = weighted_model(meta_loss="categorical_crossentropy")
    history = fit(weighted, meta_data=(x, np.eye(3, dtype="float32")[y]))
    assert np.isfinite(history["meta_loss"]).all()


def expected_meta_loss(weighted, loss):
    """Of the meta set and the base model, as a fit at rate 0 leaves it."""
    x, y = tiny_models.meta_arrays()
    model = tiny_models.two_layer_model()
    model.set_weights(weighted.base_model.get_weights())
    return float(loss(y, model(x)))


@pytest.mark.parametrize("form", ["object", "name"])
def test_another_loss_of_the_meta_set(form):
    meta_loss = {
        "object": keras.losses.SparseCategoricalCrossentropy(),
        "name": tiny_models.SPARSE_LOSS,
    }[form]
    weighted = weighted_model(
        tiny_models.two_layer_model,
        loss=kcn.LogitAdjustedCrossentropy([8, 8, 80]),
        meta_loss=meta_loss,
        optimizer=keras.optimizers.SGD(0.0),
    )
    history = fit(weighted, epochs=1)
    plain = keras.losses.SparseCategoricalCrossentropy()
    expected = expected_meta_loss(weighted, plain)
    assert history["meta_loss"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("form", ["loss", "list", "meta loss"])
def test_the_meta_set_is_not_adjusted_unless_asked_for(form):
    adjusted = kcn.LogitAdjustedCrossentropy([8, 8, 80])
    arguments = {
        "loss": {"loss": adjusted},
        "list": {"loss": [adjusted]},
        "meta loss": {"loss": adjusted, "meta_loss": adjusted},
    }[form]
    weighted = weighted_model(
        tiny_models.two_layer_model,
        optimizer=keras.optimizers.SGD(0.0),
        **arguments,
    )
    meta_loss = fit(weighted, epochs=1)["meta_loss"][0]
    losses = [keras.losses.SparseCategoricalCrossentropy(), adjusted]
    meant, other = losses[::-1] if form == "meta loss" else losses
    expected = expected_meta_loss(weighted, meant)
    assert meta_loss == pytest.approx(expected, rel=1e-5)
    expected = expected_meta_loss(weighted, other)
    assert meta_loss != pytest.approx(expected, rel=1e-2)


def test_meta_set_that_misses_a_class():
    x, y = tiny_models.meta_arrays()
    with pytest.raises(ValueError, match=r"none of class\(es\) \[2\]"):
        fit(weighted_model(), meta_data=(x[y < 2], y[y < 2]))


# The same in other ways of running.


def test_steps_per_execution_makes_no_difference():
    fits = []
    for steps in (1, 4):
        weighted = weighted_model(steps_per_execution=steps)
        history = fit(weighted, tiny_models.with_ids(batch_size=3), epochs=2)
        fits.append((weighted, history))
    (one, one_history), (four, four_history) = fits
    tiny_models.assert_all_close(
        tiny_models.values_of(four.variables),
        tiny_models.values_of(one.variables),
    )
    assert set(one_history) == set(four_history)
    for name, values in one_history.items():
        np.testing.assert_allclose(four_history[name], values, rtol=1e-5)


def test_jit_compile_is_close():
    fits = []
    for jit_compile in (False, True):
        weighted = weighted_model(
            tiny_models.two_layer_model,
            jit_compile=jit_compile,
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
    weighted = weighted_model(jit_compile=True, meta_every=2)
    history = fit(weighted, epochs=1)
    assert np.isfinite(history["loss"] + history["meta_loss"]).all()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        weighted = weighted_model()
        start = weighted.curve_net.get_weights()
        history = fit(weighted)
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


@pytest.mark.parametrize("learning_rate", [0.05, 1e-3])
@pytest.mark.parametrize("top_layers", [1, None])
def test_meta_gradients_in_half_precision(top_layers, learning_rate):
    before = keras.config.dtype_policy()
    gradients = {}
    for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            weighted = weighted_model(
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


# Logs.


class EpochLogs(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.logs = []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs))


def test_names_of_logs():
    epoch_logs = EpochLogs()
    weighted = weighted_model(tiny_models.two_layer_model)
    fit(
        weighted,
        callbacks=[epoch_logs],
        validation_data=tiny_models.arrays(),
    )
    frozen = {"loss", "accuracy", "mean_weight", "effective_sample_size"}
    frozen |= {"val_loss", "val_accuracy"}
    assert set(epoch_logs.logs[0]) == frozen | {"meta_loss"}
    assert set(epoch_logs.logs[1]) == frozen


@pytest.mark.parametrize("trained", [False, True])
def test_names_of_evaluate_are_the_base_models(trained):
    x, y = tiny_models.arrays()
    base = tiny_models.two_outputs()
    y = {"label": y, "size": x[:, :1]}
    base.compile(
        "sgd",
        {"label": tiny_models.SPARSE_LOSS, "size": "mse"},
        metrics={"label": ["accuracy"], "size": ["mae"]},
    )
    weighted = kcn.CurveWeightedModel(
        base, curve_net=tiny_models.WeightByCurve(), top_layers=None
    )
    if trained:
        fit(weighted, x, y=y, meta_data=(x, y))
    arguments = {"verbose": 0, "return_dict": True}
    expected = base.evaluate(x, y, **arguments)
    assert weighted.evaluate(x, y, **arguments) == expected
    assert list(weighted.evaluate(x, y, **arguments)) == list(expected)


def test_values_of_logs_by_hand():
    # A rate of 0 everywhere; batches of 16 and 8.
    x, y = tiny_models.arrays()
    weighted = weighted_model(
        tiny_models.two_layer_model,
        optimizer=keras.optimizers.SGD(0.0),
        meta_optimizer=keras.optimizers.SGD(0.0),
    )
    history = fit(weighted, tiny_models.with_ids(batch_size=16), epochs=1)
    loss = keras.losses.sparse_categorical_crossentropy
    losses = loss(y, weighted.base_model(x)).numpy()
    x_meta, y_meta = tiny_models.meta_arrays()
    meta_losses = loss(y_meta, weighted.base_model(x_meta)).numpy()
    weights = weighted.sample_weights()
    assert np.ptp(weights) > 0.01
    hits = weighted.predict(x, verbose=0).argmax(axis=-1) == y
    logs = {name: values[0] for name, values in history.items()}
    assert logs == pytest.approx(
        {
            "loss": np.mean(weights * losses),
            "accuracy": np.mean(hits),
            "meta_loss": np.mean(meta_losses),
            "mean_weight": np.mean(weights),
            "effective_sample_size": np.sum(weights) ** 2
            / (24 * np.sum(weights**2)),
        },
        rel=1e-5,
    )


# predict and evaluate.


def test_predict_and_evaluate_are_the_base_models():
    x, y = tiny_models.arrays()
    weight = np.linspace(0.0, 1.0, len(x), dtype="float32")
    weighted = weighted_model()
    fit(weighted, epochs=1)
    base = weighted.base_model
    base.compile("sgd", tiny_models.SPARSE_LOSS, metrics=["accuracy"])
    arguments = {"verbose": 0, "return_dict": True}
    predictions = base.predict(x, batch_size=8, verbose=0)
    expected = base.evaluate(x, y, batch_size=8, **arguments)
    np.testing.assert_array_equal(
        weighted.predict(x, batch_size=8, verbose=0), predictions
    )
    assert weighted.evaluate(x, y, batch_size=8, **arguments) == expected
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    for data in (dataset, tiny_models.with_ids()):
        np.testing.assert_array_equal(
            weighted.predict(data, verbose=0), predictions
        )
        assert weighted.evaluate(data, **arguments) == expected
    actual = weighted.evaluate(
        tiny_models.with_ids((x, y, weight)), **arguments
    )
    assert actual == base.evaluate(
        x, y, sample_weight=weight, batch_size=8, **arguments
    )
    assert actual["loss"] != expected["loss"]


def test_calling_the_wrapper_is_calling_the_base():
    x, _ = tiny_models.arrays()
    weighted = weighted_model()
    np.testing.assert_array_equal(weighted(x), weighted.base_model(x))
    np.testing.assert_array_equal(
        weighted.predict_on_batch(x), weighted.base_model.predict_on_batch(x)
    )


def test_validation_data_with_and_without_ids():
    values = []
    for validation_data in (
        tiny_models.arrays(),
        tf.data.Dataset.from_tensor_slices(tiny_models.arrays()).batch(8),
        tiny_models.with_ids(),
    ):
        weighted = weighted_model(tiny_models.two_layer_model)
        history = fit(weighted, epochs=1, validation_data=validation_data)
        values.append(history["val_loss"])
    np.testing.assert_allclose(values[1], values[0], rtol=1e-6)
    np.testing.assert_allclose(values[2], values[0], rtol=1e-6)


# Callbacks.


def test_early_stopping_restores_the_best_weights():
    snapshots = []
    weighted = weighted_model(
        tiny_models.two_layer_model, optimizer=keras.optimizers.SGD(0.1)
    )
    stopping = keras.callbacks.EarlyStopping(
        "val_loss", patience=1, restore_best_weights=True, mode="max"
    )
    snapshot = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: snapshots.append(
            weighted.get_weights()
        )
    )
    history = fit(
        weighted,
        epochs=8,
        meta_epochs=8,
        validation_data=tiny_models.arrays(),
        callbacks=[snapshot, stopping],
    )
    best = int(np.argmax(history["val_loss"]))
    assert len(snapshots) == best + 2 < 8  # It stopped early.
    tiny_models.assert_all_equal(weighted.get_weights(), snapshots[best])


def test_learning_rates_by_callback():
    rates = []
    weighted = weighted_model(tiny_models.two_layer_model)
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.5 / (1 + epoch)),
        keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1),
        keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: rates.append(
                float(weighted.optimizer.learning_rate)
            )
        ),
    ]
    history = fit(weighted, epochs=2, callbacks=callbacks)
    np.testing.assert_allclose(rates, [0.5] * 3 + [0.25] * 3)
    assert "learning_rate" in history


def test_reduce_learning_rate_on_plateau():
    weighted = weighted_model(
        tiny_models.two_layer_model, optimizer=keras.optimizers.SGD(0.5)
    )
    callback = keras.callbacks.ReduceLROnPlateau(
        "val_loss", factor=0.1, patience=1, min_delta=1e6
    )
    history = fit(
        weighted,
        epochs=3,
        validation_data=tiny_models.arrays(),
        callbacks=callback,
    )
    np.testing.assert_allclose(history["learning_rate"], [0.5, 0.5, 0.05])


def test_model_checkpoint(tmp_path):
    weighted = weighted_model()
    fit(
        weighted,
        validation_data=tiny_models.arrays(),
        callbacks=[
            keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
            keras.callbacks.ModelCheckpoint(
                tmp_path / "{epoch}.weights.h5", save_weights_only=True
            ),
        ],
    )
    loaded = keras.models.load_model(tmp_path / "2.keras")
    tiny_models.assert_all_equal(loaded.get_weights(), weighted.get_weights())
    other = kcn.CurveWeightedModel(
        tiny_models.sequential(), curve_net=tiny_models.curve_net()
    )
    other.load_weights(tmp_path / "2.weights.h5")
    tiny_models.assert_all_equal(other.get_weights(), weighted.get_weights())


# Bad input.


def test_a_dataset_without_ids():
    data = tf.data.Dataset.from_tensor_slices(tiny_models.arrays()).batch(8)
    with pytest.raises(ValueError, match="keras_curvenet.with_sample_ids"):
        fit(weighted_model(), data)


def test_loss_curves_are_missing():
    with pytest.raises(ValueError, match="Received: loss_curves=None"):
        fit(weighted_model(), loss_curves=None)


def test_loss_curves_of_fewer_samples():
    curves = tiny_models.loss_curves(tiny_models.arrays()[1][:20])
    with pytest.raises(
        ValueError, match="each of the 24 samples.*Received: 20 curves"
    ):
        fit(weighted_model(), loss_curves=curves)


def test_a_failed_fit_keeps_the_curves_of_the_one_before():
    weighted = weighted_model(tiny_models.two_layer_model)
    fit(weighted, epochs=1)
    curves = tiny_models.loss_curves(tiny_models.arrays()[1][:20])
    with pytest.raises(ValueError, match="Received: 20 curves"):
        fit(weighted, loss_curves=curves)
    assert weighted.sample_weights().shape == (24,)


def test_loss_curves_of_another_type():
    values = tiny_models.loss_curves().values
    with pytest.raises(TypeError, match="Received: ndarray"):
        fit(weighted_model(), loss_curves=values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_epochs": 5}, "curve_length=6.*needs curve_length=5"),
        ({"num_classes": 4}, "num_classes=3.*needs num_classes=4"),
    ],
)
@pytest.mark.parametrize("own_curve_net", [False, True])
@pytest.mark.filterwarnings(tiny_models.ignore_no_variation)
def test_other_loss_curves_in_a_second_fit(changes, message, own_curve_net):
    weighted = weighted_model(
        tiny_models.two_layer_model,
        curve_net=tiny_models.curve_net() if own_curve_net else None,
    )
    fit(weighted, epochs=1)
    with pytest.raises(ValueError, match=message):
        fit(weighted, loss_curves=tiny_models.loss_curves(**changes))


def test_class_weight():
    with pytest.raises(ValueError, match=r"Received: class_weight=\{0: 2.0\}"):
        fit(weighted_model(), class_weight={0: 2.0})


def test_a_loss_that_reduces():
    def reduced(y_true, y_pred):
        losses = keras.losses.sparse_categorical_crossentropy(y_true, y_pred)
        return keras.ops.mean(losses)

    with pytest.raises(
        ValueError, match=r"'reduced' to give one value per sample"
    ):
        fit(weighted_model(loss=reduced))


def test_no_loss():
    weighted = kcn.CurveWeightedModel(tiny_models.sequential())
    with pytest.raises(ValueError, match="Received: loss=None"):
        weighted.compile("sgd")


@pytest.mark.parametrize("meta_epochs", [-1, 1.5])
def test_invalid_meta_epochs(meta_epochs):
    with pytest.raises(
        ValueError, match=f"Received: meta_epochs={meta_epochs}"
    ):
        fit(weighted_model(), meta_epochs=meta_epochs)


@pytest.mark.parametrize("argument", ["meta_every", "meta_batch_size"])
@pytest.mark.parametrize("value", [0, -1, 1.0, True, "2"])
def test_invalid_sizes(argument, value):
    with pytest.raises(ValueError, match=f"Received: {argument}={value!r}"):
        kcn.CurveWeightedModel(tiny_models.sequential(), **{argument: value})


def test_base_model_not_built():
    base = keras.Sequential([keras.layers.Dense(3)], name="unbuilt")
    with pytest.raises(ValueError, match="Received: 'unbuilt'"):
        kcn.CurveWeightedModel(base)


def test_base_model_of_another_type():
    with pytest.raises(TypeError, match="Received: .*of type Dense"):
        kcn.CurveWeightedModel(keras.layers.Dense(3))


class OwnTrainStep(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


def test_a_base_model_with_its_own_train_step_warns():
    base = OwnTrainStep([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.warns(UserWarning, match="has its own train_step") as record:
        kcn.CurveWeightedModel(base)
    assert record[0].filename == __file__


@pytest.mark.parametrize(
    "arguments",
    [
        {"y": np.zeros(24)},
        {"sample_weight": np.zeros(24)},
        {"validation_split": 0.5},
    ],
)
def test_arguments_for_arrays_with_a_dataset(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"Received: `x` as a dataset.*{name}"):
        fit(weighted_model(), **arguments)


def test_arrays_without_targets():
    x, _ = tiny_models.arrays()
    with pytest.raises(ValueError, match="y of type NoneType"):
        fit(weighted_model(), x)


@pytest.mark.parametrize("validation_split", [1.0, -0.5])
def test_invalid_validation_split(validation_split):
    x, y = tiny_models.arrays()
    with pytest.raises(
        ValueError, match=f"Received: validation_split={validation_split}"
    ):
        fit(weighted_model(), x, y=y, validation_split=validation_split)


def test_sample_weights_before_fit():
    with pytest.raises(ValueError, match="a model without loss curves"):
        weighted_model().sample_weights()


# Warnings at the end of learning.


def test_collapsed_weights_warn():
    weighted = weighted_model(
        tiny_models.two_layer_model,
        curve_net=tiny_models.constant_curve_net([0.03] * 3),
    )
    messages = " ".join(tiny_models.caught_warnings(fit, weighted))
    assert "collapsed: all are" in messages
    assert "0.030" in messages
    assert "do not vary" not in messages


def test_collapse_counts_from_curve_nets_minimum():
    curve_net = tiny_models.curve_net(min_weight=0.5, initial_logit=-9.0)
    curve_net.logit.kernel.assign(np.zeros((3, 1)))
    curve_net.trainable = False
    weighted = weighted_model(tiny_models.two_layer_model, curve_net=curve_net)
    messages = " ".join(tiny_models.caught_warnings(fit, weighted))
    assert "near the minimum of 0.5" in messages


@pytest.mark.parametrize("epochs", [1, 2])
def test_weights_without_variation_warn(epochs):
    weighted = weighted_model(
        tiny_models.two_layer_model,
        curve_net=tiny_models.constant_curve_net([0.5, 1.0, 2.0]),
    )
    messages = tiny_models.caught_warnings(fit, weighted, epochs=epochs)
    assert sum("do not vary within any class" in m for m in messages) == 1


def test_weights_that_are_all_near_the_maximum_warn():
    curve_net = tiny_models.curve_net(initial_logit=6.0)
    curve_net.trainable = False
    weighted = weighted_model(tiny_models.two_layer_model, curve_net=curve_net)
    messages = " ".join(tiny_models.caught_warnings(fit, weighted))
    assert np.ptp(weighted.sample_weights()) > 1e-4
    assert "do not vary within any class" in messages
    assert "LogitAdjustedCrossentropy" in messages


def test_weights_that_vary_do_not_warn():
    weighted = weighted_model(
        tiny_models.two_layer_model, curve_net=tiny_models.WeightByCurve()
    )
    messages = tiny_models.caught_warnings(fit, weighted)
    assert not [m for m in messages if "weights" in m]


def test_frozen_weights_do_not_warn():
    weighted = weighted_model(
        tiny_models.two_layer_model,
        curve_net=tiny_models.constant_curve_net(),
    )
    messages = tiny_models.caught_warnings(
        fit, weighted, initial_epoch=1, meta_epochs=1
    )
    assert not [m for m in messages if "weights" in m]


def test_arrays_make_no_warning_about_shuffle():
    x, y = tiny_models.arrays()
    weighted = weighted_model(tiny_models.two_layer_model)
    messages = tiny_models.caught_warnings(fit, weighted, x, y=y, epochs=1)
    assert not [m for m in messages if "shuffle" in m]


def test_a_recorder_is_refused():
    weighted = weighted_model(tiny_models.two_layer_model)
    with pytest.raises(ValueError, match="Received: one in CurveWeighted"):
        fit(weighted, callbacks=[kcn.LossCurveRecorder()])
    assert np.isfinite(fit(weighted)["loss"]).all()


def test_load_weights_without_a_curve_net_warns(tmp_path):
    path = tmp_path / "all.weights.h5"
    weighted = weighted_model(tiny_models.two_layer_model)
    fit(weighted)
    weighted.save_weights(path)
    fresh = kcn.CurveWeightedModel(tiny_models.two_layer_model())
    messages = tiny_models.caught_warnings(fresh.load_weights, path)
    assert any("no CurveNet before its first" in text for text in messages)


def test_an_unbuilt_curve_net_is_refused():
    class Unbuilt(keras.layers.Layer):
        pass

    with pytest.raises(ValueError, match="Received: 'unbuilt'"):
        kcn.CurveWeightedModel(
            tiny_models.two_layer_model(), curve_net=Unbuilt()
        )

import contextlib
import functools
import itertools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
import testing_utils

import keras_curvenet as kcn

N = 10


def train_data(sample_weight=None):
    data = testing_utils.tiny_data(N)
    if sample_weight is not None:
        data = (*data, sample_weight)
    return kcn.with_sample_ids(data)


def plain_data():
    return tf.data.Dataset.from_tensor_slices(testing_utils.tiny_data(N))


def compiled_model(kind="sequential", learning_rate=0.5, seed=0, **kwargs):
    keras.utils.set_random_seed(seed)
    compile_arguments = {
        name: kwargs.pop(name)
        for name in ("jit_compile", "steps_per_execution", "run_eagerly")
        if name in kwargs
    }
    model = testing_utils.tiny_model(kind, **kwargs)
    model.compile(
        keras.optimizers.SGD(learning_rate, momentum=0.9),
        testing_utils.sparse_loss(),
        metrics=["accuracy"],
        **compile_arguments,
    )
    return model


eager_model = functools.partial(compiled_model, run_eagerly=True)


def record(model, dataset=None, recorder=None, epochs=2, **kwargs):
    """Fits with a recorder and returns it."""
    recorder = recorder or kcn.LossCurveRecorder()
    dataset = train_data().batch(4) if dataset is None else dataset
    callbacks = [recorder, *kwargs.pop("callbacks", [])]
    model.fit(dataset, epochs=epochs, callbacks=callbacks, verbose=0, **kwargs)
    return recorder


@contextlib.contextmanager
def warns(match):
    """Expects a warning beside the one that Keras gives on every dataset."""
    with warnings.catch_warnings():
        # `pytest.warns` gives other warnings again, as if they came from here.
        warnings.filterwarnings("ignore", "`shuffle=True` was passed")
        with pytest.warns(UserWarning, match=match):
            yield


def curve_values(*args, **kwargs):
    return record(*args, **kwargs).loss_curves.values


class OwnTrainStep(testing_utils.TinyClassifier):
    """A training step of its own, that calls `compute_loss`."""

    def __init__(self, calls_compute_loss=True):
        super().__init__([keras.layers.Dense(3)])
        self.calls_compute_loss = calls_compute_loss

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            if self.calls_compute_loss:
                loss = self.compute_loss(
                    x=x, y=y, y_pred=y_pred, sample_weight=sample_weight
                )
            else:
                loss = tf.reduce_mean(
                    keras.losses.sparse_categorical_crossentropy(
                        y, y_pred, from_logits=True
                    )
                )
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


# --- Any model ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "built"),
    [("sequential", True), ("functional", True), ("subclassed", False)],
)
def test_values_by_numpy(kind, built):
    x, y = testing_utils.tiny_data(N)
    model = eager_model(kind, learning_rate=0.0, built=built)
    curves = record(model).loss_curves
    expected = testing_utils.cross_entropy(model.predict(x, verbose=0), y)
    for epoch in range(2):
        np.testing.assert_allclose(curves.values[:, epoch], expected, rtol=1e-4)
    np.testing.assert_array_equal(curves.labels, y)
    assert curves.num_classes == 3


def test_own_train_step():
    x, y = testing_utils.tiny_data(N)
    model = OwnTrainStep()
    model.compile(
        keras.optimizers.SGD(0.0),
        testing_utils.sparse_loss(),
        run_eagerly=True,
    )
    values = curve_values(model)
    expected = testing_utils.cross_entropy(model.predict(x, verbose=0), y)
    np.testing.assert_allclose(values[:, 0], expected, rtol=1e-4)


def test_own_compute_loss():
    class Penalized(testing_utils.TinyClassifier):
        def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
            loss = super().compute_loss(x, y, y_pred, sample_weight, training)
            return loss + 100.0

    x, y = testing_utils.tiny_data(N)
    model = Penalized([keras.layers.Dense(3)])
    model.compile(
        keras.optimizers.SGD(0.0),
        testing_utils.sparse_loss(),
        run_eagerly=True,
    )
    recorder = kcn.LossCurveRecorder()
    history = model.fit(train_data().batch(4), callbacks=[recorder], verbose=0)
    expected = testing_utils.cross_entropy(model.predict(x, verbose=0), y)
    values = recorder.loss_curves.values
    np.testing.assert_allclose(values[:, 0], expected, rtol=1e-4)
    assert history.history["loss"][0] > 100


@pytest.mark.parametrize(
    ("kind", "built"),
    [("sequential", False), ("functional", True), ("subclassed", True)],
)
def test_training_is_unchanged(kind, built):
    plain = compiled_model(kind, built=built)
    history = plain.fit(plain_data().batch(4), epochs=3, verbose=0)
    recorded = compiled_model(kind, built=built)
    recorder = kcn.LossCurveRecorder()
    recorded_history = recorded.fit(
        train_data().batch(4), epochs=3, callbacks=[recorder], verbose=0
    )
    testing_utils.assert_same_weights(plain, recorded)
    assert history.history == recorded_history.history
    assert recorder.loss_curves.num_epochs == 3


def test_weighted_training_is_unchanged():
    weights = np.linspace(0, 3, N, dtype="float32")
    x, y = testing_utils.tiny_data(N)
    plain, recorded = eager_model(), eager_model()
    plain.fit(x, y, sample_weight=weights, batch_size=4, shuffle=False)
    record(recorded, train_data(weights).batch(4), epochs=1)
    testing_utils.assert_same_weights(plain, recorded)


def test_model_is_restored():
    model = eager_model()
    record(model)
    assert not {"train_step", "compute_loss"} & set(vars(model))
    assert model.train_function is None


def test_own_instance_attributes_are_restored():
    model = eager_model()
    calls = []
    train_step = model.train_step

    def own_train_step(data):
        calls.append(None)
        return train_step(data)

    model.train_step = own_train_step
    record(model)
    assert calls
    assert model.train_step is own_train_step


# --- The way of execution ----------------------------------------------------


@pytest.mark.parametrize(
    "kind, batch_size",
    [("sequential", 2), ("subclassed", 3)],
)
def test_steps_per_execution(kind, batch_size):
    values = []
    for steps_per_execution in (1, 4):
        model = compiled_model(kind, steps_per_execution=steps_per_execution)
        data = train_data().shuffle(N, seed=1).batch(batch_size)
        values.append(curve_values(model, data, epochs=3))
    assert values[0].shape == (N, 3)
    assert np.isfinite(values[0]).all()
    np.testing.assert_array_equal(values[0], values[1])


@pytest.mark.slow  # The compiler is.
def test_jit_compile():
    values = [
        curve_values(
            compiled_model(
                "subclassed", learning_rate=0.0, jit_compile=jit_compile
            ),
            epochs=1,
        )
        for jit_compile in (False, True)
    ]
    assert np.isfinite(values[0]).all()
    np.testing.assert_allclose(values[0], values[1], atol=1e-3)


def test_jit_compile_with_steps_per_execution():
    model = compiled_model(jit_compile=True, steps_per_execution=2)
    curves = record(model).loss_curves
    expected = record(eager_model()).loss_curves
    np.testing.assert_allclose(curves.values, expected.values, atol=1e-3)
    np.testing.assert_allclose(curves.margins, expected.margins, atol=1e-3)
    np.testing.assert_array_equal(curves.labels, testing_utils.tiny_data(N)[1])


def test_run_eagerly():
    values = curve_values(compiled_model(run_eagerly=True))
    expected = curve_values(compiled_model())
    np.testing.assert_allclose(values, expected, rtol=1e-4)


def test_shuffled_data():
    expected = curve_values(eager_model(learning_rate=0.0))
    values = curve_values(
        eager_model(learning_rate=0.0), train_data().shuffle(N).batch(4)
    )
    np.testing.assert_allclose(values, expected, atol=1e-3)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_partial_last_batch(batch_size):
    values = curve_values(
        eager_model(learning_rate=0.0), train_data().batch(batch_size)
    )
    expected = curve_values(eager_model(learning_rate=0.0))
    np.testing.assert_allclose(values, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "steps_per_execution"),
    [("sequential", 1), ("functional", 2), ("subclassed", 1)],
)
def test_one_forward_pass_per_step_and_one_trace(kind, steps_per_execution):
    model = compiled_model(kind, steps_per_execution=steps_per_execution)
    # Variables of optimizer and metrics made in a trace cost a second one,
    # with or without a recorder.
    model.fit(plain_data().batch(4), verbose=0)
    with testing_utils.count_traces(model) as traces:
        with testing_utils.count_forward_passes(model) as passes:
            record(model, train_data().batch(4), epochs=3)
    assert passes.count == 3 * 3
    assert traces.count == 1


@pytest.mark.parametrize("built", [False, True])
def test_new_model_is_traced_as_often_as_without_the_recorder(built):
    counts = []
    for callbacks in ([], [kcn.LossCurveRecorder()]):
        model = compiled_model("subclassed", built=built)
        data = train_data() if callbacks else plain_data()
        with testing_utils.count_traces(model) as traces:
            model.fit(data.batch(4), callbacks=callbacks, verbose=0)
        counts.append(traces.count)
    assert counts[0] == counts[1] > 0


# --- What an epoch records ---------------------------------------------------


def test_samples_not_seen_are_nan():
    _, y = testing_utils.tiny_data(N)
    labels = []
    recorder = kcn.LossCurveRecorder()
    snapshot = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: labels.append(
            recorder.loss_curves.labels
        )
    )
    data = train_data().repeat().batch(3)
    record(
        eager_model(),
        data,
        recorder,
        steps_per_epoch=2,
        callbacks=[snapshot],
    )
    seen = np.isfinite(recorder.loss_curves.values)
    # Steps of 3: first ids 0 to 5, then 6 to 9 and 0 and 1.
    assert np.flatnonzero(seen[:, 0]).tolist() == [0, 1, 2, 3, 4, 5]
    assert np.flatnonzero(seen[:, 1]).tolist() == [0, 1, 6, 7, 8, 9]
    assert np.isnan(recorder.loss_curves.values[~seen]).all()
    assert labels[0].tolist() == [*y[:6], -1, -1, -1, -1]
    assert labels[1].tolist() == y.tolist()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_loss_that_is_not_finite(value):
    def loss(y_true, y_pred):
        finite = keras.losses.sparse_categorical_crossentropy(
            y_true, y_pred, from_logits=True
        )
        return finite + tf.where(tf.reshape(y_true, [-1]) == 2, value, 0.0)

    _, y = testing_utils.tiny_data(N)
    model = testing_utils.tiny_model()
    model.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        values = curve_values(model, epochs=3)
    caught = [str(w.message) for w in caught if "not finite" in str(w.message)]
    assert len(caught) == 1
    assert caught[0].startswith(f"{np.sum(y == 2)} of {N} samples")
    assert np.isposinf(values[y == 2]).all()
    assert np.isfinite(values[y != 2]).all()


def test_curves_are_there_after_every_epoch_as_a_snapshot():
    recorder = kcn.LossCurveRecorder()
    snapshots = []
    record(
        eager_model(),
        recorder=recorder,
        epochs=3,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: snapshots.append(
                    recorder.loss_curves
                )
            )
        ],
    )
    final = recorder.loss_curves.values
    assert [curves.num_epochs for curves in snapshots] == [1, 2, 3]
    for curves in snapshots:
        np.testing.assert_array_equal(
            curves.values, final[:, : curves.num_epochs]
        )


def test_no_curves_before_the_first_epoch():
    with pytest.raises(ValueError, match="Received: 0 epochs"):
        _ = kcn.LossCurveRecorder().loss_curves


def test_validation_data_needs_no_ids():
    model = eager_model()
    recorder = kcn.LossCurveRecorder()
    history = model.fit(
        train_data().batch(4),
        epochs=2,
        validation_data=plain_data().batch(4),
        callbacks=[recorder],
        verbose=0,
    )
    assert len(history.history["val_loss"]) == 2
    plain = eager_model()
    record(plain)
    testing_utils.assert_same_weights(model, plain)
    assert recorder.loss_curves.num_epochs == 2


def test_evaluate_and_predict_with_the_recorder_are_harmless():
    x, y = testing_utils.tiny_data(N)
    model = eager_model()
    recorder = record(model)
    values = recorder.loss_curves.values
    expected = model.evaluate(x, y, verbose=0)
    assert model.evaluate(x, y, callbacks=[recorder], verbose=0) == expected
    model.predict(x, callbacks=[recorder], verbose=0)
    np.testing.assert_array_equal(recorder.loss_curves.values, values)
    assert not {"train_step", "compute_loss"} & set(vars(model))


def test_recorder_serves_another_model_and_other_data():
    recorder = record(eager_model())
    x, y = testing_utils.tiny_data(7, seed=5)
    other = eager_model("functional", learning_rate=0.0, seed=1)
    with warns("holds 2 epochs .* epoch 0"):
        record(other, kcn.with_sample_ids((x, y)).batch(4), recorder, epochs=1)
    expected = testing_utils.cross_entropy(other.predict(x, verbose=0), y)
    curves = recorder.loss_curves
    np.testing.assert_allclose(curves.values[:, 0], expected, rtol=1e-4)
    np.testing.assert_array_equal(curves.labels, y)


# --- Data that cannot work ---------------------------------------------------


def assert_usable(model):
    """Asserts that a model trains without ids, saves, and can be recorded."""
    history = model.fit(plain_data().batch(4), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert record(model, epochs=1).loss_curves.values.shape == (N, 1)
    with pytest.raises(ValueError, match="expected to be in format"):
        model.fit(train_data().batch(4), verbose=0)


def test_fit_without_the_recorder_refuses_ids():
    with pytest.raises(ValueError, match="expected to be in format"):
        eager_model().fit(train_data().batch(4), verbose=0)


@pytest.mark.parametrize("with_weights", [False, True])
def test_dataset_without_ids(with_weights):
    data = plain_data()
    if with_weights:
        data = data.map(lambda x, y: (x, y, 1.0))
    model = eager_model()
    with pytest.raises(ValueError, match="Received: elements of.*with_sample"):
        record(model, data.batch(4))
    assert_usable(model)


def test_ids_that_someone_else_made():
    data = plain_data().enumerate().map(lambda i, xy: (*xy, 1.0, i))
    with pytest.raises(ValueError, match="Received: elements of.*with_sample"):
        record(eager_model(), data.batch(4))


def test_arrays():
    model = eager_model()
    x, y = testing_utils.tiny_data(N)
    with pytest.raises(ValueError, match="Received: .*with_sample_ids"):
        model.fit(x, y, callbacks=[kcn.LossCurveRecorder()], verbose=0)
    assert_usable(model)


@pytest.mark.parametrize("change", [100, -1])
def test_ids_out_of_range(change):
    data = train_data().map(
        lambda x, y, w, i: (x, y, w, tf.where(i == 3, np.int64(change), i))
    )
    model = eager_model()
    recorder = kcn.LossCurveRecorder()
    with pytest.raises(ValueError, match=r"Received: 1 id\(s\) outside"):
        record(model, data.batch(4), recorder)
    with pytest.raises(ValueError, match="Received: 0 epochs"):
        _ = recorder.loss_curves
    assert_usable(model)


def test_label_that_changes():
    x, y = testing_utils.tiny_data(N)
    turns = itertools.count()

    def generate():
        next(turns)
        order = np.arange(N)
        if next(turns) >= 4:  # The count, the first epoch, the second.
            order[:2] = 1, 0
        for row in order:
            yield x[row], y[row]

    data = tf.data.Dataset.from_generator(
        generate, output_signature=plain_data().element_spec
    )
    recorder = kcn.LossCurveRecorder()
    model = eager_model()
    data = kcn.with_sample_ids(data).batch(4)
    with pytest.raises(ValueError, match=r"2 id\(s\) whose label changed in"):
        record(model, data, recorder, epochs=3)
    curves = recorder.loss_curves
    assert curves.num_epochs == 1
    np.testing.assert_array_equal(curves.labels, y)
    assert_usable(model)


def test_train_step_that_never_calls_compute_loss():
    model = OwnTrainStep(calls_compute_loss=False)
    model.compile("sgd", testing_utils.sparse_loss())
    with pytest.raises(ValueError, match="`train_step` never does"):
        record(model)
    assert not {"train_step", "compute_loss"} & set(vars(model))


def test_two_recorders_in_one_fit():
    with pytest.raises(ValueError, match="[Oo]ne recorder"):
        record(eager_model(), callbacks=[kcn.LossCurveRecorder()])


def test_train_step_that_unpacks_two_parts():
    class TwoParts(keras.Sequential):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            variables = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

    x, y = testing_utils.tiny_data()
    model = TwoParts([keras.Input(x.shape[1:]), keras.layers.Dense(3)])
    model.compile("sgd", testing_utils.sparse_loss(), run_eagerly=True)
    recorder = record(model, kcn.with_sample_ids((x, y)).batch(4))
    assert np.isfinite(recorder.loss_curves.values).all()


def test_weights_that_are_mapped_in_later_are_used():
    x, y = testing_utils.tiny_data()
    train = kcn.with_sample_ids((x, y)).batch(4)
    zero = train.map(lambda x, y, weight, i: (x, y, 0.0 * weight, i))
    model = eager_model()
    before = model.get_weights()
    record(model, zero)
    for left, right in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_single_output_of_a_dict_has_classes():
    x, y = testing_utils.tiny_data()
    inputs = keras.Input(x.shape[1:])
    outputs = keras.layers.Dense(3, activation="softmax", name="o")(inputs)
    model = keras.Model(inputs, {"o": outputs})
    model.compile(
        "sgd", {"o": "sparse_categorical_crossentropy"}, run_eagerly=True
    )
    recorder = record(model, kcn.with_sample_ids((x, {"o": y})).batch(4))
    assert recorder.loss_curves.num_classes == 3
    np.testing.assert_array_equal(recorder.loss_curves.labels, y)


def test_epoch_that_a_callback_stopped_is_not_recorded():
    class StopInTheSecondEpoch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = self.epoch == 1 and batch == 1

    recorder = kcn.LossCurveRecorder()
    with warns("Epoch 2 was stopped before its end"):
        record(
            eager_model(),
            recorder=recorder,
            epochs=3,
            callbacks=[StopInTheSecondEpoch()],
        )
    assert recorder.loss_curves.num_epochs == 1

"""LossCurveRecorder over several fits: continued, resumed, interrupted."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
import test_loss_curve_recorder as recording
import testing_utils

import keras_curvenet as kcn

N = recording.N

eager_model = recording.eager_model
record = recording.record
train_data = recording.train_data


# --- A second fit ------------------------------------------------------------


def test_second_fit_continues():
    expected = record(eager_model(), epochs=4).loss_curves
    model = eager_model()
    recorder = record(model, epochs=2)
    record(model, recorder=recorder, epochs=4, initial_epoch=2)
    curves = recorder.loss_curves
    np.testing.assert_array_equal(curves.values, expected.values)
    np.testing.assert_array_equal(curves.labels, expected.labels)
    assert curves.margins.shape == curves.predicted_classes.shape == (N, 4)
    np.testing.assert_array_equal(curves.margins, expected.margins)
    np.testing.assert_array_equal(
        curves.predicted_classes, expected.predicted_classes
    )


def test_second_fit_with_other_batches_and_order():
    model = eager_model(learning_rate=0.0)
    recorder = record(model, epochs=2)
    data = train_data().shuffle(N).batch(3)
    record(model, data, recorder, epochs=3, initial_epoch=2)
    values = recorder.loss_curves.values
    assert values.shape == (N, 3)
    np.testing.assert_allclose(values[:, 0], values[:, 2], atol=1e-3)


def test_initial_epoch_below_truncates_with_a_warning():
    model = eager_model()
    recorder = record(model, epochs=3)
    earlier = recorder.loss_curves
    with recording.warns("holds 3 epochs .* at epoch 1"):
        record(model, recorder=recorder, epochs=2, initial_epoch=1)
    later = recorder.loss_curves
    for before, after in (
        (earlier.values, later.values),
        (earlier.margins, later.margins),
    ):
        assert after.shape == (N, 2)
        np.testing.assert_array_equal(after[:, 0], before[:, 0])
        assert (after[:, 1] != before[:, 1]).any()
    assert later.predicted_classes.shape == (N, 2)
    np.testing.assert_array_equal(
        later.predicted_columns[0], earlier.predicted_columns[0]
    )


def test_initial_epoch_above_is_an_error():
    model = eager_model()
    recorder = record(model, epochs=2)
    with pytest.raises(
        ValueError, match="at most 2.*Received: initial_epoch=3"
    ):
        record(model, recorder=recorder, epochs=4, initial_epoch=3)
    assert recorder.loss_curves.num_epochs == 2
    recording.assert_usable(model)


def test_initial_epoch_of_a_new_recorder():
    model = eager_model()
    with pytest.raises(ValueError, match="Received: initial_epoch=1"):
        record(model, epochs=2, initial_epoch=1)
    recording.assert_usable(model)


def test_second_fit_from_epoch_0_starts_anew():
    model = eager_model()
    recorder = record(model, epochs=3)
    with recording.warns("holds 3 epochs .* at epoch 0"):
        record(model, recorder=recorder, epochs=2)
    assert recorder.loss_curves.num_epochs == 2


def test_other_number_of_samples_is_an_error():
    model = eager_model()
    recorder = record(model, epochs=1)
    data = kcn.with_sample_ids(testing_utils.tiny_data(N + 1)).batch(4)
    with pytest.raises(ValueError, match=f"{N} samples. Received: .* {N + 1}"):
        record(model, data, recorder, epochs=2, initial_epoch=1)
    recording.assert_usable(model)


def test_other_labels_in_a_second_fit_are_an_error():
    model = eager_model()
    recorder = record(model, epochs=1)
    x, y = testing_utils.tiny_data(N)
    data = kcn.with_sample_ids((x, np.roll(y, 1))).batch(4)
    with pytest.raises(ValueError, match=r"id\(s\) whose label changed in ep"):
        record(model, data, recorder, epochs=2, initial_epoch=1)
    assert recorder.loss_curves.num_epochs == 1


# --- A file ------------------------------------------------------------------


def test_file_is_saved_after_every_epoch(tmp_path):
    filepath = tmp_path / "curves.npz"
    num_epochs = []
    after = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: num_epochs.append(
            kcn.LossCurves.load(filepath).num_epochs
        )
    )
    recorder = kcn.LossCurveRecorder(filepath)
    record(eager_model(), recorder=recorder, epochs=3, callbacks=[after])
    assert num_epochs == [1, 2, 3]
    loaded = kcn.LossCurves.load(filepath)
    assert loaded.values.tobytes() == recorder.loss_curves.values.tobytes()
    assert loaded.margins.tobytes() == recorder.loss_curves.margins.tobytes()
    predicted = recorder.loss_curves.predicted_classes
    assert loaded.predicted_classes.tobytes() == predicted.tobytes()
    np.testing.assert_array_equal(loaded.labels, recorder.loss_curves.labels)


def test_new_recorder_resumes_from_the_file(tmp_path):
    expected = record(eager_model(), epochs=4).loss_curves
    model = eager_model()
    filepath = str(tmp_path / "curves.npz")
    record(model, recorder=kcn.LossCurveRecorder(filepath), epochs=2)
    recorder = kcn.LossCurveRecorder(filepath)
    record(model, recorder=recorder, epochs=4, initial_epoch=2)
    for curves in (recorder.loss_curves, kcn.LossCurves.load(filepath)):
        np.testing.assert_array_equal(curves.values, expected.values)
        np.testing.assert_array_equal(curves.margins, expected.margins)
        np.testing.assert_array_equal(
            curves.predicted_classes, expected.predicted_classes
        )
        np.testing.assert_array_equal(curves.labels, expected.labels)
        assert curves.num_classes == expected.num_classes


@pytest.mark.parametrize("with_margins", [False, True])
def test_file_without_predictions_goes_on_without_them(tmp_path, with_margins):
    model = eager_model()
    filepath = tmp_path / "curves.npz"
    curves = record(model, epochs=2).loss_curves
    margins = curves.margins if with_margins else None
    kcn.LossCurves(curves.values, curves.labels, 3, margins).save(filepath)
    recorder = kcn.LossCurveRecorder(filepath)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        record(model, recorder=recorder, epochs=5, initial_epoch=2)
    caught = [str(w.message) for w in caught if "from now" in str(w.message)]
    assert len(caught) == 1
    assert ("curves.margins" in caught[0]) == (not with_margins)
    assert "`loss_curves.predicted_classes`" in caught[0]
    assert "Received: earlier epochs without" in caught[0]
    for curves in (recorder.loss_curves, kcn.LossCurves.load(filepath)):
        assert curves.num_epochs == 5
        assert (curves.margins is None) == (not with_margins)
        assert curves.predicted_classes is None
    with recording.warns("holds 5 epochs .* at epoch 0"):
        record(model, recorder=recorder, epochs=2)
    assert recorder.loss_curves.margins.shape == (N, 2)
    assert recorder.loss_curves.predicted_classes.shape == (N, 2)


@pytest.mark.parametrize("losses", [("mse", "ce"), ("ce", "mse")])
def test_epochs_with_another_loss_have_no_margins(losses):
    x, y = testing_utils.tiny_data(N)
    y = np.eye(3, dtype="float32")[y]
    data = kcn.with_sample_ids((x, y)).batch(4)
    model = testing_utils.tiny_model(activation="softmax")
    model.compile("sgd", losses[0], run_eagerly=True)
    recorder = record(model, data)
    assert (recorder.loss_curves.margins is None) == (losses[0] == "mse")
    model.compile("sgd", losses[1], run_eagerly=True)
    with recording.warns("margins` and .*classes` are None from now on"):
        record(model, data, recorder, epochs=4, initial_epoch=2)
    assert recorder.loss_curves.num_epochs == 4
    assert recorder.loss_curves.margins is None
    assert recorder.loss_curves.predicted_classes is None


def test_no_warning_where_no_epoch_has_margins(tmp_path):
    x, _ = testing_utils.tiny_data(N)
    data = kcn.with_sample_ids((x, x[:, :3] > 0)).batch(4)
    model = testing_utils.tiny_model()
    model.compile("sgd", "mse", run_eagerly=True)
    for epoch in range(2):
        recorder = kcn.LossCurveRecorder(tmp_path / "curves.npz")
        record(model, data, recorder, epochs=epoch + 1, initial_epoch=epoch)
    assert recorder.loss_curves.margins is None


def test_resumed_recorder_checks_the_data(tmp_path):
    model = eager_model()
    filepath = tmp_path / "curves.npz"
    record(model, recorder=kcn.LossCurveRecorder(filepath), epochs=1)
    x, y = testing_utils.tiny_data(N)
    for data, match in (
        ((x[:-1], y[:-1]), f"{N} samples. Received: .* {N - 1}"),
        ((x, np.roll(y, 1)), "whose label changed"),
    ):
        with pytest.raises(ValueError, match=match):
            record(
                model,
                kcn.with_sample_ids(data).batch(4),
                kcn.LossCurveRecorder(filepath),
                epochs=2,
                initial_epoch=1,
            )
    assert kcn.LossCurves.load(filepath).num_epochs == 1


def test_file_is_not_read_when_starting_at_epoch_0(tmp_path):
    filepath = tmp_path / "curves.npz"
    filepath.write_bytes(b"something else")
    record(eager_model(), recorder=kcn.LossCurveRecorder(filepath))
    assert kcn.LossCurves.load(filepath).num_epochs == 2


def test_damaged_file_is_an_error_and_kept(tmp_path):
    model = eager_model()
    filepath = tmp_path / "curves.npz"
    filepath.write_bytes(b"something else")
    with pytest.raises(ValueError, match="Received: filepath="):
        record(
            model,
            recorder=kcn.LossCurveRecorder(filepath),
            initial_epoch=1,
        )
    assert filepath.read_bytes() == b"something else"
    recording.assert_usable(model)


# --- Interrupted training ----------------------------------------------------


class Interruption(keras.callbacks.Callback):
    """Raises in one of the hooks, in one epoch and batch."""

    def __init__(self, hook, epoch=1, batch=1):
        super().__init__()
        self.epoch = None

        def interrupt(index=None, logs=None):
            if "epoch" in hook:
                self.epoch = index
            is_batch = "batch" not in hook or index == batch
            if hook == "on_train_begin" or (self.epoch == epoch and is_batch):
                raise KeyboardInterrupt(hook)

        setattr(self, hook, interrupt)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


HOOKS = {  # Whether the model runs eagerly.
    ("on_train_begin", 0, 0): True,
    ("on_epoch_begin", 0, 0): True,
    ("on_train_batch_end", 0, 0): True,
    ("on_train_batch_end", 1, 1): False,
}


@pytest.fixture(params=HOOKS, ids=lambda hook: f"{hook[0]}-{hook[1]}")
def interrupted(request):
    """A model and a recorder after an interrupted fit, and complete epochs."""
    model = recording.compiled_model(run_eagerly=HOOKS[request.param])
    recorder = kcn.LossCurveRecorder()
    with pytest.raises(KeyboardInterrupt, match=request.param[0]):
        record(
            model,
            recorder=recorder,
            epochs=3,
            callbacks=[Interruption(*request.param)],
        )
    return model, recorder, request.param[1]


def test_interrupted_epoch_adds_no_column(interrupted):
    _, recorder, complete = interrupted
    if complete:
        assert recorder.loss_curves.num_epochs == complete
        assert np.isfinite(recorder.loss_curves.values).all()
        assert recorder.loss_curves.margins.shape == (N, complete)
    else:
        with pytest.raises(ValueError, match="Received: 0 epochs"):
            _ = recorder.loss_curves


def test_plain_fit_after_an_interruption(interrupted):
    model, recorder, complete = interrupted
    weights = model.get_weights()
    history = model.fit(recording.plain_data().batch(4), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert any(
        (before != after).any()
        for before, after in zip(weights, model.get_weights(), strict=True)
    )
    assert len(recorder._recording.columns.losses) == complete


def test_array_fit_after_an_interruption(interrupted):
    model, _, _ = interrupted
    x, y = testing_utils.tiny_data(N)
    history = model.fit(x, y, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_compile_and_fit_after_an_interruption(interrupted):
    model, _, _ = interrupted
    x, y = testing_utils.tiny_data(N)
    model.compile(
        keras.optimizers.SGD(0.0), testing_utils.sparse_loss(), run_eagerly=True
    )
    history = model.fit(x, y, verbose=0)
    losses = testing_utils.cross_entropy(model.predict(x, verbose=0), y)
    np.testing.assert_allclose(
        history.history["loss"], [losses.mean()], rtol=1e-4
    )


def test_saving_after_an_interruption(interrupted, tmp_path):
    model, _, _ = interrupted
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    testing_utils.assert_same_weights(model, loaded)


def test_new_recorder_after_an_interruption(interrupted):
    model, earlier, complete = interrupted
    recorder = record(model, epochs=2)
    assert recorder.loss_curves.values.shape == (N, 2)
    assert np.isfinite(recorder.loss_curves.values).all()
    assert len(earlier._recording.columns.losses) == complete
    assert not {"train_step", "compute_loss"} & set(vars(model))


def test_same_recorder_after_an_interruption(interrupted):
    model, recorder, complete = interrupted
    columns = recorder._recording.columns.losses
    before = np.stack(columns, 1) if complete else np.zeros((N, 0))
    record(model, recorder=recorder, epochs=3, initial_epoch=complete)
    values = recorder.loss_curves.values
    assert values.shape == (N, 3)
    assert np.isfinite(values).all()
    assert recorder.loss_curves.margins.shape == (N, 3)
    np.testing.assert_array_equal(values[:, :complete], before)


def test_truncation_waits_for_a_complete_epoch():
    model = eager_model()
    recorder = record(model, epochs=3)
    with recording.warns("holds 3 epochs .* at epoch 1"):
        with pytest.raises(KeyboardInterrupt, match="batch_end"):
            record(
                model,
                recorder=recorder,
                epochs=4,
                initial_epoch=1,
                callbacks=[Interruption("on_train_batch_end", 1, 1)],
            )
    curves = recorder.loss_curves
    assert curves.num_epochs in (1, 3)
    assert np.isfinite(curves.values).all()


class FailingModel(testing_utils.TinyClassifier):
    """Fails in the given training step, counted over all epochs."""

    def __init__(self, failing_step, **kwargs):
        super().__init__([keras.layers.Dense(3)], **kwargs)
        self.failing_step = failing_step
        self.steps = 0

    def train_step(self, data):
        self.steps += 1
        if self.steps == self.failing_step:
            raise RuntimeError("failing step")
        return super().train_step(data)


def test_failing_training_step():
    model = FailingModel(failing_step=5)  # Of 3 steps an epoch.
    model.compile("sgd", testing_utils.sparse_loss(), run_eagerly=True)
    recorder = kcn.LossCurveRecorder()
    with pytest.raises(RuntimeError, match="failing step"):
        record(model, recorder=recorder, epochs=3)
    assert recorder.loss_curves.num_epochs == 1
    assert not {"train_step", "compute_loss"} & set(vars(model))
    recording.assert_usable(model)


def test_step_that_cannot_be_traced():
    model = FailingModel(failing_step=1)
    model.compile("sgd", testing_utils.sparse_loss())
    with pytest.raises(RuntimeError, match="failing step"):
        record(model)
    recording.assert_usable(model)


@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_data_that_fail_on_the_way(steps_per_execution):
    def check(x, y, sample_weight, sample_id):
        with tf.control_dependencies(
            [tf.debugging.assert_less(sample_id, np.int64(9))]
        ):
            return tf.identity(x), y, sample_weight, sample_id

    model = recording.compiled_model(steps_per_execution=steps_per_execution)
    recorder = kcn.LossCurveRecorder()
    with pytest.raises(tf.errors.InvalidArgumentError, match="assert"):
        record(model, train_data().map(check).batch(3), recorder)
    with pytest.raises(ValueError, match="Received: 0 epochs"):
        _ = recorder.loss_curves
    recording.assert_usable(model)

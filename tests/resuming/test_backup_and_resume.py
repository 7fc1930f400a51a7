"""Training that was interrupted ends as if it never had been."""

import errno
import functools
import os

import interrupted
import keras
import numpy as np
import pytest
import tensorflow as tf
import testing_utils
from interrupted import STEPS
from interrupted import EpochsTrained
from interrupted import InterruptAfter
from interrupted import Interrupted
from interrupted import allocate
from interrupted import assert_same
from interrupted import copy_of_whole
from interrupted import never_interrupted
from interrupted import probe

import keras_curvenet as kcn
from keras_curvenet.probing import whole_files

# The tiny data has too few samples for a whole meta set, and tells little.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Class.es. .* have fewer",
    "ignore:.* do not tell how many",
    "ignore:The network predicts hardly any",
    "ignore:All samples of class",
)

STAGES = pytest.mark.parametrize("train", [probe, allocate])


@pytest.mark.parametrize(
    ("train", "save_freq", "steps"),
    [
        (probe, "epoch", STEPS + 4),
        (probe, "epoch", 2 * STEPS),
        (probe, 2, 2),
        (allocate, "epoch", STEPS + 4),
        (allocate, 2, 2),
    ],
)
def test_interrupted_and_uninterrupted_are_equal(
    train, save_freq, steps, tmp_path
):
    whole = never_interrupted(train)
    with pytest.raises(Interrupted):
        train(tmp_path, InterruptAfter(steps), save_freq=save_freq)
    began = EpochsTrained()
    assert_same(train(tmp_path, began, save_freq=save_freq), whole)
    # The step that an epoch ends with is saved with it, after all callbacks.
    complete = (steps - 1) // STEPS
    assert began.epochs == list(range(complete, interrupted.NUM_EPOCHS))


@pytest.mark.parametrize(
    "train", [probe, pytest.param(allocate, marks=pytest.mark.slow)]
)
def test_traced_steps_are_equal_too(train, tmp_path):
    options = {"save_freq": 2, "run_eagerly": False}
    whole = train(tmp_path / "whole", **options)
    with pytest.raises(Interrupted):
        train(tmp_path / "cut", InterruptAfter(STEPS + 3), **options)
    assert_same(train(tmp_path / "cut", **options), whole)


def shuffled_numbers():
    return kcn.shuffle_by_epoch(tf.data.Dataset.range(20), 20, seed=5)


def orders_of(dataset, count):
    return [[int(number) for number in dataset] for _ in range(count)]


@pytest.mark.parametrize(
    "train",
    [probe, functools.partial(allocate, meta_epochs=0)],
    ids=["probe", "allocate"],
)
def test_data_of_another_fit_keeps_its_order(train, tmp_path):
    other, orders = shuffled_numbers(), []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: orders.extend(orders_of(other, 2))
    )
    train(tmp_path, look)
    expected = orders_of(shuffled_numbers(), 2 * interrupted.NUM_EPOCHS)
    assert orders == expected


def test_validation_data_keeps_its_order(tmp_path):
    x, y = map(tf.constant, testing_utils.tiny_data())
    numbers = shuffled_numbers()
    orders_of(numbers, 2)  # Its passes are no longer the epochs.
    validation_data = numbers.map(lambda i: (x[i], y[i])).batch(4)
    interrupted.network().fit(
        interrupted.data(),
        epochs=3,
        validation_data=validation_data,
        callbacks=[kcn.LossCurveRecorder(), kcn.BackupAndResume(tmp_path)],
        verbose=0,
    )
    assert orders_of(numbers, 1) == orders_of(shuffled_numbers(), 6)[5:]


@pytest.mark.slow
@STAGES
def test_interrupted_many_times(train, tmp_path):
    whole = never_interrupted(train)
    for steps in (3, STEPS + 1, 2):
        with pytest.raises(Interrupted):
            train(tmp_path / "cut", InterruptAfter(steps), save_freq=1)
    assert_same(train(tmp_path / "cut"), whole)


@pytest.mark.slow
def test_arrays_are_shuffled_by_the_epoch(tmp_path):
    whole = allocate(tmp_path / "whole", arrays=True)
    with pytest.raises(Interrupted):
        allocate(tmp_path / "cut", InterruptAfter(STEPS + 2), arrays=True)
    assert_same(allocate(tmp_path / "cut", arrays=True), whole)


@pytest.mark.slow
def test_only_a_part_of_the_epochs_learns_weights(tmp_path):
    whole = allocate(tmp_path / "whole", meta_epochs=1)
    with pytest.raises(Interrupted):
        allocate(tmp_path / "cut", InterruptAfter(2 * STEPS), meta_epochs=1)
    assert_same(allocate(tmp_path / "cut", meta_epochs=1), whole)


@STAGES
def test_a_stage_that_had_ended_is_passed_over(train, tmp_path):
    copy_of_whole(train, tmp_path)
    whole, began = never_interrupted(train), EpochsTrained()
    assert_same(train(tmp_path, began), whole)
    assert began.epochs == []


def test_nothing_is_changed_by_it():
    keras.utils.set_random_seed(3)
    model, recorder = interrupted.network(), kcn.LossCurveRecorder()
    model.fit(
        interrupted.data(),
        epochs=interrupted.NUM_EPOCHS,
        verbose=0,
        callbacks=[recorder],
    )
    left = never_interrupted(probe)
    np.testing.assert_array_equal(left["losses"], recorder.loss_curves.values)
    for index, variable in enumerate(model.variables):
        np.testing.assert_array_equal(left[f"model/{index}"], variable)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [STEPS + 1, 3 * STEPS + 1])
def test_two_fits_of_one_probe(steps, tmp_path):
    """The probe's phases, with another optimizer in the second."""

    def train(folder, interrupt):
        keras.utils.set_random_seed(3)
        model, recorder = interrupted.network(), kcn.LossCurveRecorder()
        callbacks = [recorder, kcn.BackupAndResume(folder), interrupt]
        model.fit(interrupted.data(), epochs=2, callbacks=callbacks, verbose=0)
        model.compile(
            keras.optimizers.SGD(0.1, momentum=0.9),
            testing_utils.sparse_loss(),
            run_eagerly=True,
        )
        model.fit(
            interrupted.data(),
            epochs=4,
            initial_epoch=2,
            callbacks=callbacks,
            verbose=0,
        )
        variables = [*model.variables, *model.optimizer.variables]
        return [recorder.loss_curves.values, *map(np.asarray, variables)]

    never = InterruptAfter(0)
    whole = train(tmp_path / "whole", never)
    with pytest.raises(Interrupted):
        train(tmp_path / "cut", InterruptAfter(steps))
    for left, right in zip(train(tmp_path / "cut", never), whole, strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_probing_schedule_finds_the_compiled_rate(tmp_path):
    def train(folder, *callbacks):
        keras.utils.set_random_seed(3)
        model = interrupted.network(keras.optimizers.SGD(0.5))
        schedule = kcn.ProbingSchedule(1, 1, high=0.2, low=0.1)
        backup = kcn.BackupAndResume(folder)
        recorder = kcn.LossCurveRecorder()
        model.fit(
            interrupted.data(),
            epochs=4,
            callbacks=[backup, recorder, schedule, *callbacks],
            verbose=0,
        )
        return [float(model.optimizer.learning_rate), *model.get_weights()]

    whole = train(tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(tmp_path / "cut", InterruptAfter(2 * STEPS + 1))
    resumed = train(tmp_path / "cut")
    assert resumed[0] == 0.5
    for left, right in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_order_of_callbacks_does_not_matter(tmp_path):
    """The backup before the recorder; other tests have it after."""

    def train(*interrupt):
        keras.utils.set_random_seed(3)
        model, recorder = interrupted.network(), kcn.LossCurveRecorder()
        model.fit(
            interrupted.data(),
            epochs=interrupted.NUM_EPOCHS,
            callbacks=[kcn.BackupAndResume(tmp_path), recorder, *interrupt],
            verbose=0,
        )
        return recorder.loss_curves.values

    with pytest.raises(Interrupted):
        train(InterruptAfter(STEPS + 1))
    expected = never_interrupted(probe)["losses"]
    np.testing.assert_array_equal(train(), expected)


@pytest.mark.parametrize("name", ["curves.npz", "curves"])
def test_a_recorder_with_a_place_of_its_own(name, tmp_path):
    def train(*callbacks):
        recorder = kcn.LossCurveRecorder(tmp_path / name)
        return probe(tmp_path, *callbacks, recorder=recorder)

    with pytest.raises(Interrupted):
        train(InterruptAfter(STEPS + 1))
    assert_same(train(), never_interrupted(probe))


def test_early_stopping_ends_a_stage(tmp_path):
    def train(*callbacks):
        stop = keras.callbacks.EarlyStopping("loss", min_delta=9.0)
        return probe(tmp_path, stop, *callbacks)

    stopped = train()
    assert stopped["epochs"].tolist() == [0, 1]
    began = EpochsTrained()
    assert_same(train(began), stopped)
    assert began.epochs == []


def test_a_model_without_recorder(tmp_path):
    def train(folder, *callbacks):
        keras.utils.set_random_seed(3)
        model = interrupted.network()
        x, y = testing_utils.tiny_data()
        samples = kcn.shuffle_by_epoch(kcn.with_sample_ids((x, y)), 20)
        samples = samples.map(lambda x, y, w, sample_id: (x, y)).batch(4)
        callbacks = [kcn.BackupAndResume(folder, 3), *callbacks]
        model.fit(samples, epochs=3, callbacks=callbacks, verbose=0)
        return model.get_weights()

    whole = train(tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(tmp_path / "cut", InterruptAfter(STEPS + 4))
    for left, right in zip(train(tmp_path / "cut"), whole, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.slow
def test_several_steps_in_one_execution(tmp_path):
    def train(folder, *callbacks):
        keras.utils.set_random_seed(3)
        model = interrupted.network()
        model.compile(
            "adam",
            testing_utils.sparse_loss(),
            metrics=["accuracy"],
            steps_per_execution=2,
        )
        return probe(folder, *callbacks, model=model, save_freq=2)

    whole = train(tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(tmp_path / "cut", InterruptAfter(4))  # Of 3 in an epoch.
    resumed = train(tmp_path / "cut")
    assert_same(resumed, whole)


def test_a_later_fit_starts_where_it_is_told(tmp_path):
    """Keras keeps `_initial_epoch`, which would let it start late."""
    with pytest.raises(Interrupted):
        probe(tmp_path, InterruptAfter(STEPS + 1))
    model = interrupted.network()
    probe(tmp_path, model=model)
    began = EpochsTrained()
    model.fit(*testing_utils.tiny_data(), callbacks=[began], verbose=0)
    assert began.epochs == [0]


# Files.


def test_the_two_newest_are_kept(tmp_path):
    copy_of_whole(probe, tmp_path)
    names = sorted(n for n in os.listdir(tmp_path) if n.startswith("backup"))
    assert names == ["backup-00000001.npz", "backup-00000002.npz"]


def test_a_damaged_newest_falls_back(tmp_path):
    whole = never_interrupted(probe)
    with pytest.raises(Interrupted):
        probe(tmp_path / "cut", InterruptAfter(2 * STEPS + 1))
    path = tmp_path / "cut" / "backup-00000001.npz"
    path.write_bytes(path.read_bytes()[:-100])
    began = EpochsTrained()
    with pytest.warns(UserWarning, match="backup-00000001.npz' is damaged"):
        resumed = probe(tmp_path / "cut", began)
    assert_same(resumed, whole)
    assert began.epochs[0] == 1


def test_all_damaged(tmp_path):
    copy_of_whole(probe, tmp_path)
    for path in tmp_path.glob("backup-*.npz"):
        path.write_bytes(b"none")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(ValueError, match="Remove the folder to start anew"),
    ):
        probe(tmp_path)


def test_a_backup_of_another_model(tmp_path):
    copy_of_whole(probe, tmp_path)
    model = testing_utils.tiny_model("functional")
    model.compile(
        "adam",
        testing_utils.sparse_loss(),
        metrics=["accuracy"],
        run_eagerly=True,
    )
    weights = model.get_weights()
    with pytest.raises(ValueError, match="backups of this model"):
        probe(tmp_path, model=model)
    for left, right in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_backup_of_the_other_stage(tmp_path):
    copy_of_whole(probe, tmp_path)
    with pytest.raises(ValueError, match="Use a folder of its own"):
        allocate(tmp_path)


def test_a_backup_of_other_curves(tmp_path):
    copy_of_whole(allocate, tmp_path)
    keras.utils.set_random_seed(3)
    weighted = kcn.CurveWeightedModel(interrupted.network())
    curves = interrupted.curves()
    other = kcn.LossCurves(curves.values[::-1], curves.labels)
    with pytest.raises(ValueError, match="argument `backup_dir`"):
        weighted.fit(
            interrupted.data(),
            loss_curves=other,
            callbacks=[kcn.BackupAndResume(tmp_path)],
            verbose=0,
        )


def test_curves_that_are_missing(tmp_path):
    copy_of_whole(probe, tmp_path)
    (tmp_path / "curves" / "curves.json").unlink()
    with pytest.raises(ValueError, match="a folder that a LossCurveRecorder"):
        probe(tmp_path)


def test_curves_of_fewer_epochs(tmp_path):
    copy_of_whole(probe, tmp_path / "long")
    with pytest.raises(Interrupted):
        probe(tmp_path / "short", InterruptAfter(STEPS + 1))
    os.rename(tmp_path / "long" / "curves", tmp_path / "aside")
    os.rename(tmp_path / "short" / "curves", tmp_path / "long" / "curves")
    with pytest.raises(ValueError, match="curves of 3 epochs"):
        probe(tmp_path / "long")


# Faults.


def test_keyboard_interrupt(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == STEPS + 2:
                raise KeyboardInterrupt

    whole = never_interrupted(probe)
    with pytest.raises(KeyboardInterrupt):
        probe(tmp_path / "cut", Interrupt())
    assert_same(probe(tmp_path / "cut"), whole)


@pytest.mark.slow
def test_an_exception_in_another_callback_at_an_epochs_end(tmp_path):
    class Fail(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise Interrupted

    whole = never_interrupted(allocate)
    with pytest.raises(Interrupted):
        allocate(tmp_path / "cut", Fail())
    assert_same(allocate(tmp_path / "cut"), whole)


def test_a_full_disk(tmp_path, monkeypatch):
    whole = never_interrupted(probe)
    is_full = False

    def fsync(descriptor):
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")

    class Fill(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            nonlocal is_full
            is_full = epoch == 1

    monkeypatch.setattr(whole_files.os, "fsync", fsync)
    with (
        pytest.raises(Interrupted),
        pytest.warns(UserWarning, match="No backup could be saved.*No space"),
    ):
        probe(tmp_path / "cut", Fill(), InterruptAfter(2 * STEPS + 2))
    assert not [n for n in os.listdir(tmp_path / "cut") if "tmp" in n]
    is_full = False
    began = EpochsTrained()
    assert_same(probe(tmp_path / "cut", began), whole)
    assert began.epochs[0] == 1


def test_a_full_disk_warns_once_and_training_goes_on(tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    whole = never_interrupted(allocate)
    monkeypatch.setattr(whole_files.os, "fsync", fsync)
    with pytest.warns(UserWarning, match="No backup") as record:
        left = allocate(tmp_path / "full")
    assert [str(w.message)[:9] for w in record].count("No backup") == 1
    assert_same(left, whole)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    steps = EpochsTrained()
    with pytest.raises(ValueError, match=r"argument `backup_dir`.*written"):
        allocate(tmp_path / "file", steps)
    assert steps.epochs == []


def test_a_second_process_is_refused(tmp_path):
    with (
        testing_utils.locked_by_another_process(tmp_path / ".lock"),
        pytest.raises(ValueError, match="another process trains"),
    ):
        probe(tmp_path)


def test_losses_that_are_not_finite(tmp_path):
    def train(folder, *callbacks):
        keras.utils.set_random_seed(3)
        model = interrupted.network(keras.optimizers.SGD(float("inf")))
        return probe(folder, *callbacks, model=model)

    with pytest.warns(UserWarning, match="not finite"):
        whole = train(tmp_path / "whole")
    with (
        pytest.raises(Interrupted),
        pytest.warns(UserWarning, match="not finite"),
    ):
        train(tmp_path / "cut", InterruptAfter(2 * STEPS))
    with pytest.warns(UserWarning, match="not finite"):
        assert_same(train(tmp_path / "cut"), whole)


# Arguments.


@pytest.mark.parametrize("save_freq", [0, -1, True, 1.5, "step", None])
def test_save_freq(save_freq):
    with pytest.raises(ValueError, match="argument `save_freq`"):
        kcn.BackupAndResume("folder", save_freq)


def test_a_model_that_is_not_built(tmp_path):
    model = testing_utils.tiny_model(built=False)
    model.compile("sgd", testing_utils.sparse_loss())
    with pytest.raises(ValueError, match="needs a built model"):
        model.fit(
            *testing_utils.tiny_data(),
            callbacks=[kcn.BackupAndResume(tmp_path / "none")],
            verbose=0,
        )
    assert not (tmp_path / "none").exists()

"""Trainings of both stages that are interrupted and started again."""

import functools
import pathlib
import shutil
import tempfile

import keras
import numpy as np
import testing_utils

import keras_curvenet as kcn

NUM_EPOCHS = 3
STEPS = 5  # Of an epoch.


class Interrupted(Exception):
    """What an interrupted training ends with."""


class InterruptAfter(keras.callbacks.Callback):
    """Raises after so many steps of a `fit`, or within an epoch's end."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch, logs=None):
        self.steps -= 1
        if self.steps == 0:
            raise Interrupted


class EpochsTrained(keras.callbacks.Callback):
    """The epochs that began."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append(epoch)


def data():
    """A dataset with ids, 20 samples in batches of 4 (`STEPS` of them)."""
    x, y = testing_utils.tiny_data()
    train = kcn.with_sample_ids((x, y))
    return kcn.shuffle_by_epoch(train, buffer_size=20).batch(4)


def network(optimizer="adam", run_eagerly=True):
    """A compiled classifier with Dropout."""
    model = keras.Sequential(
        [
            keras.Input((testing_utils.NUM_INPUTS,)),
            keras.layers.Dense(6, activation="tanh"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(testing_utils.NUM_CLASSES),
        ]
    )
    model.compile(
        optimizer,
        testing_utils.sparse_loss(),
        metrics=["accuracy"],
        run_eagerly=run_eagerly,
    )
    return model


def probe(
    folder,
    *callbacks,
    recorder=None,
    model=None,
    save_freq="epoch",
    run_eagerly=True,
):
    """A probe from the beginning, or on from the folder; all it leaves."""
    keras.utils.set_random_seed(3)
    model = model or network(run_eagerly=run_eagerly)
    if recorder is None:
        recorder = kcn.LossCurveRecorder()
    backup = kcn.BackupAndResume(folder, save_freq)
    history = model.fit(
        data(),
        epochs=NUM_EPOCHS,
        verbose=0,
        shuffle=False,  # It is a dataset.
        callbacks=[recorder, backup, *callbacks],
    )
    curves = recorder.loss_curves
    left = {"losses": curves.values, "margins": curves.margins}
    left |= {"labels": curves.labels}
    left |= {"predicted_classes": curves.predicted_classes}
    return {**left, **_of_training(model, history)}


def curves():
    """Loss curves with margins of the samples of `data`."""
    _, y = testing_utils.tiny_data()
    rng = np.random.default_rng(1)
    values = rng.uniform(size=(20, 6))
    return kcn.LossCurves(values, y, margins=rng.normal(size=(20, 6)))


def allocate(
    folder,
    *callbacks,
    save_freq="epoch",
    run_eagerly=True,
    arrays=False,
    **kwargs,
):
    """The same of a `CurveWeightedModel`."""
    keras.utils.set_random_seed(3)
    weighted = kcn.CurveWeightedModel(network(run_eagerly=run_eagerly))
    backup = kcn.BackupAndResume(folder, save_freq)
    samples = (data(),)
    if arrays:
        samples, kwargs = testing_utils.tiny_data(), {"batch_size": 4, **kwargs}
    history = weighted.fit(
        *samples,
        epochs=NUM_EPOCHS,
        loss_curves=curves(),
        verbose=0,
        callbacks=[backup, *callbacks],
        **kwargs,
    )
    variables = weighted.resumable_variables()
    left = {
        f"{group}/{index}": np.asarray(variable)
        for group in (
            "meta_optimizer",
            "running_predictions",
            "class_frequencies",
        )
        for index, variable in enumerate(variables[group])
    }
    left["weights"] = weighted.sample_weights()
    return {**left, **_of_training(weighted, history)}


@functools.cache
def _whole(train):
    """What a training that is never interrupted leaves, and its folder."""
    folder = tempfile.TemporaryDirectory()  # Removed when the process ends.
    return train(pathlib.Path(folder.name) / "whole"), folder


def never_interrupted(train):
    """What a training (`probe` or `allocate`) leaves that was never killed."""
    return _whole(train)[0]


def copy_of_whole(train, folder):
    """Makes a folder as a training to the end would leave it."""
    whole = pathlib.Path(_whole(train)[1].name) / "whole"
    shutil.copytree(whole, folder, dirs_exist_ok=True)


def _of_training(model, history):
    variables = {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
    }
    left = {
        f"{group}/{index}": np.asarray(variable)
        for group, variables in variables.items()
        for index, variable in enumerate(variables)
    }
    left["epochs"] = np.array(history.epoch)
    for name, values in history.history.items():
        left[f"history/{name}"] = np.array(values)
    return left


def assert_same(left, right):
    """Asserts that two trainings left the same, bit for bit."""
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)

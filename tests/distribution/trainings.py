"""Trains both stages under a strategy; run in a process of its own.

    python trainings.py FOLDER devices 4
    TF_CONFIG=... python trainings.py FOLDER worker   # Of two.
    TF_CONFIG=... python trainings.py FOLDER interrupted

The last is killed as worker 1 in its second epoch, and goes on the next time.
"""

import contextlib
import functools
import os
import pathlib
import sys
import tempfile

import keras
import numpy as np
import tensorflow as tf

import keras_curvenet as kcn

NUM_EPOCHS = 3
EVEN = 60, 12  # Samples, and samples in a batch.
UNEVEN = 58, 14  # Two replicas of four get nothing of the last batch.


def data(num_samples, batch_size):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(num_samples, 4)).astype("float32")
    y = (np.arange(num_samples) % 3).astype("int32")
    train = kcn.with_sample_ids((x, y))
    train = kcn.shuffle_by_epoch(train, num_samples).batch(batch_size)
    curves = kcn.LossCurves(
        rng.uniform(size=(num_samples, 6)),
        y,
        margins=rng.normal(size=(num_samples, 6)),
    )
    return train, curves, (x[:15], y[:15]), (x, y)


def network():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6, activation="tanh", kernel_regularizer="l2"),
            keras.layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"]
    )
    return model


@functools.cache  # Collectives of two strategies would mix, too.
def scope_of(num_devices):
    if "TF_CONFIG" in os.environ:
        return tf.distribute.MultiWorkerMirroredStrategy().scope
    if num_devices == 1:
        return contextlib.nullcontext
    devices = [f"CPU:{index}" for index in range(num_devices)]
    return tf.distribute.MirroredStrategy(devices).scope


def probed(num_devices, filepath=None):
    # Keras takes means of means, which differ where parts are not even.
    train, _, _, validation_data = data(*EVEN)
    keras.utils.set_random_seed(1)
    with scope_of(num_devices)():
        model = network()
    recorder = kcn.LossCurveRecorder(filepath)
    if num_devices > 1:
        recorder.set_model(model)
    model.fit(
        train,
        epochs=NUM_EPOCHS,
        callbacks=[recorder],
        validation_data=validation_data,
        verbose=0,
    )
    curves = recorder.loss_curves
    return {
        "losses": curves.values,
        "margins": curves.margins,
        "labels": curves.labels,
        "predicted_classes": curves.predicted_classes,
    }


def allocated(num_devices, soft_labels, folder=None, callbacks=()):
    train, curves, meta_data, _ = data(*UNEVEN)
    keras.utils.set_random_seed(2)
    with scope_of(num_devices)():
        weighted = kcn.CurveWeightedModel(network(), soft_labels=soft_labels)
        weighted.compile(
            keras.optimizers.SGD(0.1, momentum=0.9),
            weighted.base_model.loss,
            metrics=["accuracy"],
            meta_optimizer=keras.optimizers.SGD(1.0),
        )
    history = weighted.fit(
        train,
        epochs=NUM_EPOCHS,
        loss_curves=curves,
        meta_data=meta_data,
        validation_data=data(*UNEVEN)[0],  # With passes of its own.
        callbacks=[
            *callbacks,
            *([] if folder is None else [kcn.BackupAndResume(folder)]),
        ],
        verbose=0,
    )
    variables = [*weighted.variables, *weighted.optimizer.variables]
    for group in ("running_predictions", "class_frequencies"):
        variables += weighted.resumable_variables()[group]
    left = {
        str(index): variable.numpy() for index, variable in enumerate(variables)
    }
    left["weights"] = weighted.sample_weights()
    left["scores"] = weighted.label_quality_scores()
    for name in ("loss", "meta_loss", "mean_weight", "val_accuracy"):
        left[name] = history.history[name]
    return left


def message_of(fit, *args, **kwargs):
    try:
        fit(*args, verbose=0, **kwargs)
    except ValueError as error:
        return str(error)
    raise AssertionError("nothing was raised")


def check_refusals(num_devices):
    """Asserts what is said of models that can't be trained here."""
    train, curves, meta_data, _ = data(*EVEN)
    scope = scope_of(num_devices)

    outside = network()
    with scope():
        weighted = kcn.CurveWeightedModel(outside)
    given = {"loss_curves": curves, "meta_data": meta_data}
    assert "made outside" in message_of(weighted.fit, train, **given)
    for name, value in (("jit_compile", True), ("steps_per_execution", 2)):
        with scope():
            model = network()
            model.compile("sgd", model.loss, **{name: value})
        recorder = kcn.LossCurveRecorder()
        recorder.set_model(model)
        message = message_of(model.fit, train, callbacks=[recorder])
        assert f"argument `{name}`" in message
    with scope(), tempfile.TemporaryDirectory() as folder:
        model, backup = network(), kcn.BackupAndResume(folder)
        without_ids = train.map(lambda x, y, weight, sample_id: (x, y))
        message = message_of(model.fit, without_ids, callbacks=[backup])
        assert "`set_model(model)`" in message


def check_refusals_of_workers(index):
    """Asserts what is said of workers that don't fit together."""
    train, curves, meta_data, (x, y) = data(*EVEN)
    other = kcn.with_sample_ids((x, np.roll(y, index))).batch(12)
    with scope_of(2)():
        model, weighted = network(), kcn.CurveWeightedModel(network())
    recorder = kcn.LossCurveRecorder()
    recorder.set_model(model)
    message = message_of(model.fit, other, callbacks=[recorder])
    assert "workers that differ in its first batch" in message, message
    part = kcn.with_sample_ids((x, y)).shard(2, index).batch(12)
    message = message_of(model.fit, part, callbacks=[recorder])
    assert "workers that differ in its first batch" in message, message
    given = {"loss_curves": curves, "meta_data": meta_data}
    message = message_of(weighted.fit, other, **given)
    assert "workers that differ in its first batch" in message, message
    given["meta_data"] = meta_data[0], np.roll(meta_data[1], index)
    message = message_of(weighted.fit, train, **given)
    assert "workers that differ in its first batch" in message, message


class Death(keras.callbacks.Callback):
    """Kills worker 1 within its second epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations.numpy() == 7:
            os._exit(1)


def train_as_worker(folder, is_interrupted):
    with scope_of(2)():  # Made before any other operation.
        strategy = tf.distribute.get_strategy()
    index = strategy.cluster_resolver.task_id
    backup_dir = folder / "backup_of_workers"
    if is_interrupted:
        dies = index == 1 and not backup_dir.exists()
        callbacks = [Death()] if dies else []
        left = allocated(2, None, backup_dir, callbacks)
        np.savez(folder / f"resumed-worker-{index}.npz", **left)
        return
    left = probed(2, folder / "curves")
    np.savez(folder / f"probe-worker-{index}.npz", **left)
    left = allocated(2, None)
    np.savez(folder / f"allocate-None-worker-{index}.npz", **left)
    check_refusals_of_workers(index)


def train_on_devices(folder, num_devices):
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * num_devices,
    )
    np.savez(folder / f"probe-{num_devices}.npz", **probed(num_devices))
    backup_dir = folder / "backup" if num_devices == 2 else None
    left = allocated(num_devices, None, backup_dir)
    np.savez(folder / f"allocate-None-{num_devices}.npz", **left)
    if num_devices <= 2:
        without = allocated(num_devices, soft_labels=False)
        np.savez(folder / f"allocate-False-{num_devices}.npz", **without)
    if num_devices == 2:
        check_refusals(num_devices)
        # Resumed at its end: nothing is trained again.
        again = allocated(num_devices, None, backup_dir)
        for name in left:
            np.testing.assert_array_equal(again[name], left[name])


if __name__ == "__main__":
    output = pathlib.Path(sys.argv[1])
    if sys.argv[2] == "devices":
        train_on_devices(output, int(sys.argv[3]))
    else:
        train_as_worker(output, is_interrupted=sys.argv[2] == "interrupted")

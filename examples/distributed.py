"""Both stages on several devices of one machine, by MirroredStrategy.

    python examples/distributed.py --devices=2

On a machine with GPUs the devices are those; without, the processor is split
into logical ones, which is no faster and shows that the result is the same.

Digits of scikit-learn, of which 30 % have wrong labels: accuracy on held-out
ones, of plain training and of `CurveWeightedModel`. What is not the usual:

- models are made and compiled in the strategy's scope;
- the recorder is told of its model before `fit`;
- the batch size is that of all devices together.

Killed and started again, it goes on where it was (`--backup_dir`).
"""

import os

import keras
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from sklearn.datasets import load_digits

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_integer("devices", 2, "Number of devices.", lower_bound=1)
flags.DEFINE_integer("epochs", 20, "Epochs of every training.", lower_bound=1)
flags.DEFINE_string("backup_dir", None, "Folder to resume from, or None.")

NUM_TEST = 500


def mirrored_strategy(num_devices):
    """A strategy of GPUs, or of parts of the processor."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        names = [f"GPU:{index}" for index in range(num_devices)]
    else:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * num_devices,
        )
        names = [f"CPU:{index}" for index in range(num_devices)]
    return tf.distribute.MirroredStrategy(names)


def make_model():
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.1),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def callbacks(stage):
    """What lets a stage go on after it was killed."""
    if FLAGS.backup_dir is None:
        return []
    return [kcn.BackupAndResume(os.path.join(FLAGS.backup_dir, stage))]


def main(argv):
    del argv
    keras.utils.set_random_seed(0)
    strategy = mirrored_strategy(FLAGS.devices)
    x, y = load_digits(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(x))
    x, y = x[rows].astype("float32"), y[rows]
    test = x[:NUM_TEST], y[:NUM_TEST]
    x, y = x[NUM_TEST:], kcn.datasets.corrupt_labels(y[NUM_TEST:], 0.3)
    train = kcn.with_sample_ids((x, y))
    train = kcn.shuffle_by_epoch(train, len(x)).batch(32)

    with strategy.scope():
        probed = make_model()
    recorder = kcn.LossCurveRecorder()
    recorder.set_model(probed)
    probed.fit(
        train,
        epochs=FLAGS.epochs,
        callbacks=[recorder, *callbacks("probe")],
        verbose=0,
    )
    _, plain = probed.evaluate(*test, verbose=0)

    with strategy.scope():
        weighted = kcn.CurveWeightedModel(make_model())
    weighted.fit(
        train,
        epochs=FLAGS.epochs,
        loss_curves=recorder.loss_curves,
        callbacks=callbacks("allocate"),
        verbose=0,
    )
    _, accuracy = weighted.evaluate(*test, verbose=0)
    print(f"On {strategy.num_replicas_in_sync} devices:")
    print(f"  plain               {plain:.3f}")
    print(f"  CurveWeightedModel  {accuracy:.3f}")


if __name__ == "__main__":
    app.run(main)

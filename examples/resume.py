"""
Title: Go on where training was killed
Description: Training is killed in each stage, goes on, and loses nothing.

`BackupAndResume` writes down after every epoch all that decides the next step.
The same command, started again, goes on from there:

    python examples/resume.py

Here the command kills itself (SIGKILL, which no program can catch) once in the
probe and once in the allocating stage, and is started again each time. Then the
same training runs undisturbed, and all that the two leave behind is compared.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import keras
import numpy as np
from absl import app
from absl import flags
from sklearn import datasets

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_integer("epochs", 8, "Epochs of each stage.")
flags.DEFINE_string("folder", None, "Where to train, and nothing else.")
flags.DEFINE_string("kill_in", None, "Stage in which to kill itself.")

"""
## The training

An ordinary script, but for three things: the random seed is set,
`shuffle_by_epoch` shuffles, and `BackupAndResume` is the last callback of each
stage, with a folder of its own.
"""


def make_model():
    layers = [keras.Input((64,)), keras.layers.Rescaling(1 / 16)]
    layers += [keras.layers.Dense(64, "relu"), keras.layers.Dropout(0.2)]
    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def train(folder, kill_in=None):
    """Trains both stages; returns all they leave behind, as arrays."""
    keras.utils.set_random_seed(0)
    x, y = datasets.load_digits(return_X_y=True)
    y = kcn.datasets.corrupt_labels(y, 0.3)
    samples = kcn.with_sample_ids((x, y))
    samples = kcn.shuffle_by_epoch(samples, buffer_size=len(x)).batch(32)

    def callbacks(stage):
        backup = kcn.BackupAndResume(os.path.join(folder, stage))
        return [KillAndSay(stage, stage == kill_in), backup]

    probed, recorder = make_model(), kcn.LossCurveRecorder()
    probed.fit(
        samples,
        epochs=FLAGS.epochs,
        callbacks=[recorder, *callbacks("probe")],
        shuffle=False,  # The dataset shuffles itself.
        verbose=0,
    )
    weighted = kcn.CurveWeightedModel(make_model())
    history = weighted.fit(
        samples,
        epochs=FLAGS.epochs,
        loss_curves=recorder.loss_curves,
        callbacks=callbacks("allocate"),
        shuffle=False,
        verbose=0,
    )
    return {
        "variables of the probe": probed.get_weights(),
        "variables of the model": weighted.get_weights(),
        "the optimizer's": [v.numpy() for v in weighted.optimizer.variables],
        "loss curves": [recorder.loss_curves.values],
        "margins": [recorder.loss_curves.margins],
        "sample weights": [weighted.sample_weights()],
        "history": [np.array(v) for v in history.history.values()],
    }


"""
## Power failures

In the middle of the second epoch, the process is gone.
"""


class KillAndSay(keras.callbacks.Callback):
    """Says which epochs begin; kills the process in the second, if asked."""

    def __init__(self, stage, kills):
        super().__init__()
        self.stage, self.kills = stage, kills

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        print(f"  {self.stage}, epoch {epoch + 1}", flush=True)

    def on_train_batch_end(self, batch, logs=None):
        if self.kills and self.epoch == 1 and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def train_and_be_killed(folder, stage):
    command = [sys.executable, __file__, f"--epochs={FLAGS.epochs}"]
    command += [f"--folder={folder}", f"--kill_in={stage}"]
    code = subprocess.run(command, stderr=subprocess.DEVNULL).returncode
    if code != -signal.SIGKILL:
        raise RuntimeError(
            f"Expected to be killed. Received: exit code {code}."
        )
    print("  killed", flush=True)


"""
## Compared byte by byte
"""


def as_bytes(arrays):
    return np.frombuffer(b"".join(a.tobytes() for a in arrays), np.uint8)


def main(argv):
    del argv
    if FLAGS.folder:
        train(FLAGS.folder, FLAGS.kill_in)
        return
    with tempfile.TemporaryDirectory() as folder:
        interrupted = pathlib.Path(folder, "interrupted")
        for stage in ("probe", "allocate"):
            print("Started", flush=True)
            train_and_be_killed(interrupted, stage)
        print("Started")
        resumed = train(interrupted)
        print("Another one, undisturbed")
        undisturbed = train(pathlib.Path(folder, "undisturbed"))
    print(f"\n{'':24}{'bytes':>9}{'that differ':>13}")
    for name, arrays in undisturbed.items():
        left, right = as_bytes(arrays), as_bytes(resumed[name])
        print(f"{name:24}{left.size:>9,}{(left != right).sum():>13}")


if __name__ == "__main__":
    app.run(main)

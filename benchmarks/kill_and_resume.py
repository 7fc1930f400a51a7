"""Kills training processes at random moments, and starts them again.

    python benchmarks/kill_and_resume.py --kills=50 \
        --output=benchmarks/results/kill_and_resume.json

Every trial trains both stages in a process of its own, which is killed once
(SIGKILL; every fourth with SIGTERM) at a random moment of the stage it is
for, and started again with the same command. All that it leaves (variables,
optimizers, curves, weights, history) is compared with a process that was never
interrupted. The disk is slowed down, so that many kills hit a save.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import keras
import numpy as np
from absl import app
from absl import flags

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_integer("kills", 50, "Trials of each stage.")
flags.DEFINE_integer("seed", 0, "Of the moments.")
flags.DEFINE_string("output", None, "JSON file for the table.")
flags.DEFINE_string("train", None, "A folder: train in it, and nothing else.")

STAGES = ("probe", "allocate")
NUM_SAMPLES, NUM_EPOCHS = 400, 6
SLOWNESS = 0.03  # Seconds that bringing a file to the disk takes more.
RESULT = "result.npz"


class Progress(keras.callbacks.Callback):
    """Appends a line for each epoch that begins to a file."""

    def __init__(self, path, stage):
        super().__init__()
        self.path, self.stage = path, stage

    def _say(self, *words):
        with open(self.path, "a", encoding="utf-8") as file:
            print(self.stage, *words, file=file)

    def on_epoch_begin(self, epoch, logs=None):
        self._say("epoch", epoch)

    def on_train_end(self, logs=None):
        self._say("end")


def network():
    """A small compiled classifier with Dropout."""
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(4),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


def train(folder):
    """The script of a user, with both stages."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(NUM_SAMPLES, 8)).astype("float32")
    y = kcn.datasets.corrupt_labels(x[:, :4].argmax(axis=1), 0.3)
    samples = kcn.shuffle_by_epoch(kcn.with_sample_ids((x, y)), NUM_SAMPLES)
    samples = samples.batch(20)

    model, recorder = network(), kcn.LossCurveRecorder()
    probed = model.fit(
        samples,
        epochs=NUM_EPOCHS,
        verbose=0,
        callbacks=[
            recorder,
            Progress(folder / "progress", "probe"),
            kcn.BackupAndResume(folder / "probe", save_freq=7),
        ],
    )
    weighted = kcn.CurveWeightedModel(network())
    allocated = weighted.fit(
        samples,
        epochs=NUM_EPOCHS,
        loss_curves=recorder.loss_curves,
        verbose=0,
        callbacks=[
            Progress(folder / "progress", "allocate"),
            kcn.BackupAndResume(folder / "allocate", save_freq=7),
        ],
    )
    variables = [*model.variables, *model.optimizer.variables]
    variables += [*weighted.variables, *weighted.optimizer.variables]
    for group in weighted.resumable_variables().values():
        variables += group
    np.savez(
        folder / RESULT,
        *map(np.asarray, variables),
        losses=recorder.loss_curves.values,
        margins=recorder.loss_curves.margins,
        predicted_classes=recorder.loss_curves.predicted_classes,
        weights=weighted.sample_weights(),
        probe_loss=probed.history["loss"],
        allocate_loss=allocated.history["loss"],
    )


def slow_down():
    """Makes bringing a file to the disk slow."""
    fsync = os.fsync

    def slow_fsync(descriptor):
        time.sleep(SLOWNESS)
        fsync(descriptor)

    os.fsync = slow_fsync


def start(folder):
    """A process that trains in a folder."""
    command = [sys.executable, __file__, f"--train={folder}"]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def lines_of(folder, stage):
    """What a stage said of its progress so far."""
    path = folder / "progress"
    if not path.exists():
        return []
    lines = [line.split() for line in path.read_text().splitlines()]
    return [line[1:] for line in lines if line and line[0] == stage]


def durations_of(folder):
    """Trains once, uninterrupted; seconds of each stage after its start."""
    process, begun, ended = start(folder), {}, {}
    while process.poll() is None:
        for stage in STAGES:
            lines = lines_of(folder, stage)
            if lines:
                begun.setdefault(stage, time.monotonic())
            if ["end"] in lines:
                ended.setdefault(stage, time.monotonic())
        time.sleep(0.005)
    return {stage: ended[stage] - begun[stage] for stage in STAGES}


def trial(folder, stage, delay, kind):
    """Kills a training once; a row of the table."""
    process = start(folder)
    while not lines_of(folder, stage):
        if process.poll() is not None:
            raise RuntimeError("The training ended before its stage began.")
        time.sleep(0.002)
    time.sleep(delay)
    process.send_signal(kind)
    was_killed = process.wait() == -kind
    before = lines_of(folder, stage)
    in_save = any(folder.rglob("*.tmp"))
    again = start(folder)
    again.wait()
    epochs = [line[1] for line in lines_of(folder, stage) if line[0] == "epoch"]
    return {
        "stage": stage,
        "signal": kind.name,
        "moment": f"epoch {before[-1][-1]}" if was_killed else "ended before",
        "seconds": round(delay, 3),
        "in a save": in_save,
        "epochs begun twice": len(epochs) - len(set(epochs)),
        "exit code": again.returncode,
    }


def differing(folder, reference):
    """Names of the arrays that are not those of the reference."""
    with np.load(folder / RESULT) as left, np.load(reference) as right:
        names = set(left.files) | set(right.files)
        return [
            name
            for name in sorted(names)
            if name not in left.files
            or name not in right.files
            or not np.array_equal(left[name], right[name], equal_nan=True)
        ]


def main(argv):
    del argv
    if FLAGS.train:
        slow_down()
        folder = pathlib.Path(FLAGS.train)
        folder.mkdir(parents=True, exist_ok=True)
        train(folder)
        return
    generator, rows = random.Random(FLAGS.seed), []
    with tempfile.TemporaryDirectory() as root:
        root = pathlib.Path(root)
        durations = durations_of(root / "reference")
        for number in range(FLAGS.kills):
            for stage in STAGES:
                folder = root / f"{stage}-{number}"
                delay = generator.uniform(0.0, durations[stage])
                kind = signal.SIGTERM if number % 4 == 3 else signal.SIGKILL
                row = trial(folder, stage, delay, kind)
                row["differing arrays"] = differing(
                    folder, root / "reference" / RESULT
                )
                print(row, flush=True)
                rows.append(row)
                if FLAGS.output:
                    path = pathlib.Path(FLAGS.output)
                    path.write_text(json.dumps(rows, indent=1) + "\n")
    if any(row["differing arrays"] or row["exit code"] for row in rows):
        sys.exit("A resumed training ended otherwise.")


if __name__ == "__main__":
    app.run(main)

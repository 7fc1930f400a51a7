"""What both stages cost where samples are many and cheap.

Epochs of a linear model on rows of 4 features, as ratios to plain `fit` on the
same batches, measured in turns in one process; the median over the rounds:

    python benchmarks/scale.py --what=epochs --samples=1000000

Label quality, the meta set, CurveNet's input and class votes from curves in a
folder, with the resident memory that they need beyond what the process had
before:

    python benchmarks/scale.py --what=curves --samples=1280000 --epochs=90

Both say what a million rows take, linear where it stays the same; here in
seconds of the processor, which other work on the machine changes less:

    for million in 1 2 5 10; do
        python benchmarks/scale.py --what=curves --samples=${million}000000
    done

What a backup costs, of whole trainings and of running predictions alone, which
grow with the samples:

    python benchmarks/scale.py --what=backup --samples=100000
    python benchmarks/scale.py --what=predictions --samples=10000000
"""

import json
import os
import pathlib
import resource
import statistics
import tempfile
import threading
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags

import keras_curvenet as kcn
from keras_curvenet.allocating.prepared_fit import prepared_curves
from keras_curvenet.allocating.running_predictions import RunningPredictions
from keras_curvenet.inspecting.class_votes import class_votes
from keras_curvenet.probing.curve_folder import CurveFolder
from keras_curvenet.probing.curve_folder import RecordedColumns
from keras_curvenet.resuming.backup_folder import Backup
from keras_curvenet.resuming.backup_folder import BackupFolder

FLAGS = flags.FLAGS
flags.DEFINE_enum(
    "what", "epochs", ["epochs", "curves", "backup", "predictions"], "Measured."
)
flags.DEFINE_integer("samples", 1_000_000, "Rows.")
flags.DEFINE_integer("epochs", 30, "Recorded epochs, for curves and backup.")
flags.DEFINE_integer("batch_size", 4096, "Rows in a batch.")
flags.DEFINE_integer("rounds", 5, "Turns of every way to train.")
flags.DEFINE_string("output", None, "JSON file that the figures are added to.")

NUM_CLASSES = 10
EPOCHS = 3  # Of every turn of a way to train.


def linear_model():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(NUM_CLASSES)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss)
    return model


def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(FLAGS.samples, 4)).astype("float32")
    return x, rng.integers(NUM_CLASSES, size=FLAGS.samples).astype("int32")


def random_columns(num_epochs):
    """All columns of 30 % wrong labels, an epoch at a time."""
    rng = np.random.default_rng(0)
    labels = rng.integers(NUM_CLASSES, size=FLAGS.samples)
    is_wrong = rng.random(FLAGS.samples) < 0.3
    for _ in range(num_epochs):
        noise = rng.normal(size=FLAGS.samples).astype(np.float32)
        margins = noise + np.where(is_wrong, -2, 2).astype(np.float32)
        others = rng.integers(NUM_CLASSES, size=FLAGS.samples)
        predicted = np.where(margins > 0.0, labels, others).astype(np.int16)
        yield np.log1p(np.exp(-margins)), margins, predicted, labels


def epoch_ratios():
    """Dict from ways to train to ratios to plain `fit`."""
    x, y = rows()
    size = FLAGS.batch_size
    plain_data = tf.data.Dataset.from_tensor_slices((x, y)).batch(size)
    data = kcn.with_sample_ids((x, y)).batch(size)
    columns = list(random_columns(8))
    curves = kcn.LossCurves(
        np.stack([column[0] for column in columns], axis=1),
        y,
        NUM_CLASSES,
        np.stack([column[1] for column in columns], axis=1),
    )
    plain, probed = linear_model(), linear_model()
    recorder = kcn.LossCurveRecorder()
    weighted = kcn.CurveWeightedModel(linear_model())
    meta_data = (x[:200], y[:200])

    def fit_plain(epoch):
        plain.fit(plain_data.prefetch(2), epochs=EPOCHS, verbose=0)

    def fit_recorded(epoch):
        probed.fit(
            data.prefetch(2),
            epochs=epoch + EPOCHS,
            initial_epoch=epoch,
            callbacks=[recorder],
            verbose=0,
        )

    def fit_weighted(epoch, meta_epochs):
        weighted.fit(
            data.prefetch(2),
            epochs=epoch + EPOCHS,
            initial_epoch=epoch,
            loss_curves=curves if epoch == 0 else None,
            meta_data=meta_data,
            meta_epochs=meta_epochs,
            verbose=0,
        )

    ways = {
        "plain fit": fit_plain,
        "ids and recorder": fit_recorded,
        "learning weights": lambda epoch: fit_weighted(epoch, epoch + EPOCHS),
        "frozen weights": lambda epoch: fit_weighted(epoch + 1000, 0),
    }
    seconds = {name: [] for name in ways}
    for turn in range(FLAGS.rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way(turn * EPOCHS)
            if turn > 0:  # The first one traces.
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(seconds[name]) for name in ways}
    plain_seconds = medians["plain fit"]
    return {
        name: round(medians[name] / plain_seconds, 2) for name in medians
    } | {
        "seconds of a plain epoch": round(plain_seconds / EPOCHS, 2),
        "seconds per million rows, recorded": round(
            _per_million(medians["ids and recorder"]) / EPOCHS, 2
        ),
    }


def _per_million(seconds):
    return seconds * 1e6 / FLAGS.samples


class PeakMemory:
    """The most resident memory in MB, beyond that at the start."""

    def __enter__(self):
        self._start, self.peak, self._ends = _resident_mb(), 0, False
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._ends = True
        self._thread.join()

    def _watch(self):
        while not self._ends:
            self.peak = max(self.peak, _resident_mb() - self._start)
            time.sleep(0.01)


def _resident_mb():
    """Anonymous memory; pages of mapped files can be dropped at any time."""
    status = pathlib.Path("/proc/self/status").read_text()
    line = next(x for x in status.splitlines() if x.startswith("RssAnon"))
    return int(line.split()[1]) // 1024


def curve_costs():
    """Dict of seconds and MB of what is read from curves in a folder."""
    figures = {}
    with tempfile.TemporaryDirectory() as path:
        folder, stored = CurveFolder(path), ([], [], [])
        start, last = time.perf_counter(), 0.0
        for *columns, labels in random_columns(FLAGS.epochs):
            begin = time.perf_counter()
            columns = [
                [*earlier, column]
                for earlier, column in zip(stored[:3], columns, strict=True)
            ]
            stored = folder.save(RecordedColumns(*columns, labels, NUM_CLASSES))
            last = time.perf_counter() - begin
        figures["seconds of the last epoch's end"] = round(last, 2)
        for name, read in (
            ("label quality", kcn.label_quality_scores),
            ("meta set", kcn.select_meta_samples),
            ("CurveNet's input", prepared_curves),
            ("class votes", class_votes),
        ):
            with PeakMemory() as memory:
                start, busy = time.perf_counter(), time.process_time()
                result = read(kcn.LossCurves.load(path))
                seconds = time.perf_counter() - start
                busy = time.process_time() - busy
            figures[f"{name}, seconds"] = round(seconds, 1)
            figures[f"{name}, processor seconds per million rows"] = round(
                _per_million(busy), 2
            )
            figures[f"{name}, MB"] = memory.peak
            del result
    figures["most MB of the process"] = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    )
    return figures


def backup_costs():
    """Dict of the seconds that a backup takes, by stage."""
    x, y = rows()
    figures = {}
    with tempfile.TemporaryDirectory() as path:
        data = kcn.with_sample_ids((x, y)).batch(FLAGS.batch_size)
        for name in ("probe", "allocate"):
            folder = os.path.join(path, name)
            backup, seconds = kcn.BackupAndResume(folder), []
            save = backup._save

            def timed_save(*args, save=save, seconds=seconds):
                start = time.perf_counter()
                save(*args)
                seconds.append(time.perf_counter() - start)

            backup._save = timed_save
            if name == "probe":
                recorder = kcn.LossCurveRecorder()
                linear_model().fit(
                    data, epochs=4, callbacks=[recorder, backup], verbose=0
                )
            else:
                kcn.CurveWeightedModel(linear_model()).fit(
                    data,
                    epochs=4,
                    loss_curves=recorder.loss_curves,
                    callbacks=[backup],
                    verbose=0,
                )
            median = statistics.median(seconds)
            figures[f"{name}, seconds of a backup"] = round(median, 3)
            size = max(p.stat().st_size for p in pathlib.Path(folder).iterdir())
            figures[f"{name}, MB of a backup"] = round(size / 1e6, 1)
    return figures


def prediction_costs():
    """Dict of what a backup of the running predictions alone takes."""
    running, seconds = RunningPredictions(FLAGS.samples, NUM_CLASSES), []
    with tempfile.TemporaryDirectory() as path:
        folder = BackupFolder(path)
        folder.open()
        for number in range(FLAGS.rounds):
            start = time.perf_counter()
            arrays = {
                f"running_predictions/{index}": variable.numpy()
                for index, variable in enumerate(running.variables)
            }
            folder.save(Backup(number, 0, arrays, {}))
            seconds.append(time.perf_counter() - start)
        size = max(p.stat().st_size for p in pathlib.Path(path).iterdir())
    return {
        "seconds of a backup": round(statistics.median(seconds), 2),
        "MB of a backup": round(size / 1e6, 1),
    }


def main(argv):
    del argv
    measure = {
        "predictions": prediction_costs,
        "epochs": epoch_ratios,
        "curves": curve_costs,
        "backup": backup_costs,
    }[FLAGS.what]
    names = ("what", "samples", "epochs", "batch_size", "rounds")
    row = {name: FLAGS[name].value for name in names} | measure()
    print(json.dumps(row, indent=1))
    if FLAGS.output:
        path = pathlib.Path(FLAGS.output)
        rows = json.loads(path.read_text()) if path.exists() else []
        path.write_text(json.dumps([*rows, row], indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)

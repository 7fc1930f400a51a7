"""What recording and weighting cost, as ratios to plain Keras training.

Every way of training steps through the same batches with the same network, in
blocks that take turns in one run, through `fit`. A block's first epoch (with
the tracing) is left out; of the others the median of the process's CPU time
counts, and of wall time for comparison. Peak memory comes from a process of
its own for each way.

    python benchmarks/step_cost.py --networks=resnet32 \
        --ways="plain,recorder,defaults,all layers" \
        --output=benchmarks/results/step_cost.json
"""

import json
import pathlib
import re
import subprocess
import sys
import time

import keras
import networks
import numpy as np
from absl import app
from absl import flags

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_list("networks", ["resnet32", "cnn", "text"], "Which to measure.")
flags.DEFINE_list("ways", None, "Ways to train; all by default.")
flags.DEFINE_integer("steps", 8, "Steps of an epoch.")
flags.DEFINE_integer("rounds", 5, "Blocks of every way.")
flags.DEFINE_integer("batch_size", 128, "Samples in a batch.")
flags.DEFINE_bool("memory", True, "Whether to measure peak memory as well.")
flags.DEFINE_string("only", None, "Internal: NETWORK/WAY to measure memory of.")
flags.DEFINE_string("output", None, "JSON file for the figures.")

NUM_CLASSES = 10
EPOCHS_OF_A_BLOCK = 3


def image_data(size):
    rng = np.random.default_rng(0)
    return rng.normal(size=(size, 32, 32, 3)).astype("float32")


def token_data(size):
    return np.random.default_rng(0).integers(5000, size=(size, 100))


NETWORKS = {
    "resnet32": (
        lambda: networks.resnet32((32, 32, 3), NUM_CLASSES),
        image_data,
    ),
    "cnn": (lambda: networks.small_cnn((32, 32, 3), NUM_CLASSES), image_data),
    "text": (lambda: networks.text_classifier(100, NUM_CLASSES), token_data),
}


class EpochTimes(keras.callbacks.Callback):
    """CPU and wall time of every epoch but the first."""

    def __init__(self):
        super().__init__()
        self.cpu, self.wall = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.process_time(), time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        if epoch > 0:
            self.cpu.append(time.process_time() - self._start[0])
            self.wall.append(time.perf_counter() - self._start[1])


class Way:
    """One way of training a network, ready to run blocks of epochs."""

    def __init__(self, network, way):
        make_model, make_data = NETWORKS[network]
        keras.utils.set_random_seed(0)
        size = FLAGS.steps * FLAGS.batch_size
        self.x = make_data(size)
        self.y = np.arange(size) % NUM_CLASSES
        self.recorder = way == "recorder"
        self.model = make_model()
        self.arguments = {}
        if way not in ("plain", "recorder"):
            options = WAYS[way](self.model)
            self.model = kcn.CurveWeightedModel(self.model, **options)
            rng = np.random.default_rng(0)
            curves = kcn.LossCurves(
                rng.uniform(size=(size, 40)),
                self.y,
                margins=rng.normal(size=(size, 40)),
            )
            self.arguments = {
                "loss_curves": curves,
                "meta_data": (self.x[:1000], self.y[:1000]),
                "meta_epochs": EPOCHS_OF_A_BLOCK,
            }
        self.model.compile(
            keras.optimizers.SGD(0.01, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        self.times = EpochTimes()

    def run_block(self):
        callbacks = [self.times]
        if self.recorder:
            callbacks.append(kcn.LossCurveRecorder())
        train = kcn.with_sample_ids((self.x, self.y)).batch(FLAGS.batch_size)
        if not (self.recorder or self.arguments):
            train = train.map(lambda x, y, weight, sample_id: (x, y))
        self.model.fit(
            train,
            epochs=EPOCHS_OF_A_BLOCK,
            callbacks=callbacks,
            verbose=0,
            **self.arguments,
        )


def equal_batch(**options):
    """Options for a meta batch as large as that of training.

    The ways below are measured at equal settings, whatever the defaults are.
    """
    return {"meta_batch_size": FLAGS.batch_size, **options}


WAYS = {
    "plain": None,
    "recorder": None,
    "defaults": lambda model: {},
    "two layers": lambda model: {"top_layers": 2},
    "top_layers=1": lambda model: equal_batch(top_layers=1),
    "last stage": lambda model: equal_batch(
        top_layers=networks.last_stage(model)
        if model.name.startswith("functional")
        else 2
    ),
    "all layers": lambda model: equal_batch(top_layers=None),
}


def peak_memory(network, way):
    """Peak resident memory in MiB of a process that trains this way."""
    arguments = [f"--only={network}/{way}", f"--steps={FLAGS.steps}"]
    arguments += [f"--batch_size={FLAGS.batch_size}"]
    finished = subprocess.run(
        [sys.executable, __file__, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(finished.stdout.split()[-1])


def peak_of_this_process():
    """Peak resident memory in MiB, since this program was started."""
    # getrusage would count the parent process, from before the exec.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


def measure(network):
    """A list with the figures of each way of training a network."""
    names = FLAGS.ways or list(WAYS)
    ways = {name: Way(network, name) for name in names}
    for _ in range(FLAGS.rounds):
        for way in ways.values():
            way.run_block()
    plain = ways["plain"].times
    rows = []
    for name, way in ways.items():
        row = {"network": network, "way": name}
        row["cpu"] = np.median(way.times.cpu) / np.median(plain.cpu)
        row["wall"] = np.median(way.times.wall) / np.median(plain.wall)
        row["fastest"] = min(way.times.wall) / min(plain.wall)
        row["seconds a step"] = np.median(way.times.wall) / FLAGS.steps
        if FLAGS.memory:
            row["peak MiB"] = peak_memory(network, name)
            row["memory"] = row["peak MiB"] / rows[0]["peak MiB"] if rows else 1
        row = {
            key: round(float(value), 3)
            if key not in ("network", "way")
            else value
            for key, value in row.items()
        }
        rows.append(row)
        print(row, flush=True)
    return rows


def main(argv):
    del argv
    if FLAGS.only:
        Way(*FLAGS.only.split("/")).run_block()
        print(peak_of_this_process())
        return
    rows = [row for network in FLAGS.networks for row in measure(network)]
    print("| network | trained | CPU time | wall time | peak memory |")
    print("|---|---|---|---|---|")
    for row in rows:
        memory = f"{row['memory']:.2f}" if FLAGS.memory else ""
        print(
            f"| {row['network']} | {row['way']} | {row['cpu']:.2f} "
            f"| {row['wall']:.2f} | {memory} |"
        )
    if FLAGS.output:
        path = pathlib.Path(FLAGS.output)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)

"""Test accuracy of ways to train on noisy, long-tailed images.

All methods get the same network, schedule, batch size and number of epochs on
the same corrupted samples; those that need loss curves get them from the same
probe. For example, the table in RESULTS.md:

    python benchmarks/accuracy.py --output=benchmarks/results/accuracy.json
"""

import ast
import functools
import json
import pathlib
import time

import keras
import numpy as np
from absl import app
from absl import flags
from biased_images import load
from networks import small_cnn

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", "fashion_mnist", "Name of a TFDS dataset.")
flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of data and training.")
flags.DEFINE_list(
    "methods",
    ["plain", "CurveWeightedModel", "true labels"],
    "Methods to run, by name; a wrapper's arguments after it, as key=value.",
)
flags.DEFINE_integer("max_per_class", 2000, "Samples of the largest class.")
flags.DEFINE_float("imbalance_factor", 0.05, "Smallest class over largest.")
flags.DEFINE_float("noise_rate", 0.4, "Probability of a redrawn label.")
flags.DEFINE_string("noise_kind", "uniform", "uniform, symmetric or pair.")
flags.DEFINE_integer("meta_per_class", 20, "Clean meta samples of a class.")
flags.DEFINE_enum("optimizer", "sgd", ["sgd", "adamw"], "Of every training.")
flags.DEFINE_integer("probe_epochs", 40, "Epochs of the probe.")
flags.DEFINE_integer("constant_epochs", 16, "Of them, before the wave starts.")
flags.DEFINE_bool("on_validation", False, "Validation split, for choices.")
flags.DEFINE_string("curves_dir", None, "Folder that keeps the probes' curves.")
flags.DEFINE_string(
    "output", None, "JSON file for the figures; runs it holds are not repeated."
)

EPOCHS = 30
BATCH_SIZE = 64
LEARNING_RATES = {"sgd": 0.05, "adamw": 1e-3}


def compiled(model):
    """The model with the optimizer and loss that all methods use."""
    model.compile(**compile_arguments())
    return model


def compile_arguments():
    rate = LEARNING_RATES[FLAGS.optimizer]
    if FLAGS.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=5e-4)
    else:
        optimizer = keras.optimizers.SGD(
            rate, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
    return {
        "optimizer": optimizer,
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "metrics": ["accuracy"],
    }


def new_model(data, seed):
    keras.utils.set_random_seed(seed)
    return small_cnn(data.images.shape[1:], data.num_classes)


def step_schedule():
    """Multiplies the learning rate by 0.1 after half and 3/4 of the epochs."""

    def rate(epoch):
        drops = (epoch >= EPOCHS // 2) + (epoch >= 3 * EPOCHS // 4)
        return LEARNING_RATES[FLAGS.optimizer] * 0.1**drops

    return keras.callbacks.LearningRateScheduler(rate)


def batches(data, labels, batch_size=BATCH_SIZE):
    train = kcn.with_sample_ids((data.images, labels))
    return train.shuffle(len(labels)).batch(batch_size)


def probe(data, seed):
    """The loss curves of the corrupted samples, recorded or read back."""
    path = None
    if FLAGS.curves_dir:
        parts = [FLAGS.dataset, FLAGS.max_per_class, FLAGS.imbalance_factor]
        parts += [FLAGS.noise_kind, FLAGS.noise_rate, FLAGS.optimizer]
        parts += [FLAGS.probe_epochs, FLAGS.constant_epochs, seed]
        name = "-".join(map(str, parts))
        path = pathlib.Path(FLAGS.curves_dir) / f"{name}.npz"
        if path.exists():
            return kcn.LossCurves.load(path)
    model = compiled(new_model(data, seed))
    recorder = kcn.LossCurveRecorder()
    rate = LEARNING_RATES[FLAGS.optimizer]
    schedule = kcn.ProbingSchedule(
        FLAGS.constant_epochs, cycle_epochs=3, high=rate / 5, low=rate / 50
    )
    for first, last, size in (
        (0, FLAGS.constant_epochs, BATCH_SIZE),
        (FLAGS.constant_epochs, FLAGS.probe_epochs, BATCH_SIZE // 4),
    ):
        if first == last:
            continue
        model.fit(
            batches(data, data.labels, size),
            epochs=last,
            initial_epoch=first,
            callbacks=[recorder, schedule],
            verbose=0,
        )
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        recorder.loss_curves.save(path)
    return recorder.loss_curves


def train_plain(data, labels, seed):
    model = compiled(new_model(data, seed))
    return model.fit(
        batches(data, labels).map(lambda x, y, weight, sample_id: (x, y)),
        epochs=EPOCHS,
        callbacks=[step_schedule()],
        validation_data=evaluation(data),
        verbose=0,
    )


def train_weighted(data, seed, **arguments):
    curves = probe(data, seed)
    weighted = kcn.CurveWeightedModel(new_model(data, seed), **arguments)
    weighted.compile(**compile_arguments())
    history = weighted.fit(
        batches(data, data.labels),
        epochs=EPOCHS,
        loss_curves=curves,
        meta_data=data.meta,
        callbacks=[step_schedule()],
        validation_data=evaluation(data),
        verbose=0,
    )
    is_wrong = data.labels != data.true_labels
    is_tail = data.labels >= data.num_classes // 2
    weights = weighted.sample_weights()
    return history, {
        "mean weight, right labels": float(weights[~is_wrong].mean()),
        "mean weight, wrong labels": float(weights[is_wrong].mean()),
        "the same in the tail half": float(weights[is_wrong & is_tail].mean()),
    }


def evaluation(data):
    return data.validation if FLAGS.on_validation else data.test


def method_of(name):
    """The function of data and seed that a method's name stands for.

    "CurveWeightedModel top_layers=None meta_every=1" has arguments after it.
    """
    if name in LABELS:
        return lambda data, seed: train_plain(data, LABELS[name](data), seed)
    kind, *settings = name.split()
    if kind != "CurveWeightedModel":
        raise app.UsageError(f"Unknown method: {name}.")
    pairs = [setting.split("=") for setting in settings]
    arguments = {key: ast.literal_eval(value) for key, value in pairs}
    return functools.partial(train_weighted, **arguments)


LABELS = {
    "plain": lambda data: data.labels,
    "true labels": lambda data: data.true_labels,
}


def run(method, seed):
    """Figures of one method with one seed."""
    data = load(
        FLAGS.dataset,
        FLAGS.max_per_class,
        FLAGS.imbalance_factor,
        FLAGS.noise_rate,
        FLAGS.noise_kind,
        FLAGS.meta_per_class,
        seed,
    )
    start = time.perf_counter()
    result = method_of(method)(data, seed)
    history, extra = result if isinstance(result, tuple) else (result, {})
    accuracy = history.history["val_accuracy"]
    return {
        "method": method,
        "seed": seed,
        "last": round(accuracy[-1], 4),
        "best": round(max(accuracy), 4),
        "seconds": round(time.perf_counter() - start),
        **{name: round(value, 3) for name, value in extra.items()},
    }


def print_table(rows):
    """A Markdown table: last epoch by seed, means, and the gap closed."""
    seeds = sorted({row["seed"] for row in rows})
    names = list(dict.fromkeys(row["method"] for row in rows))

    def mean(method, epoch):
        return np.mean([row[epoch] for row in rows if row["method"] == method])

    header = ["trained with", *[f"seed {seed}" for seed in seeds]]
    header += ["mean, last epoch", "mean, best epoch", "gap closed"]
    print("|", " | ".join(header), "|")
    print("|" + "---|" * len(header))
    for method in names:
        cells = [
            f"{row['last']:.3f}"
            for seed in seeds
            for row in rows
            if row["method"] == method and row["seed"] == seed
        ]
        cells += [f"{mean(method, epoch):.3f}" for epoch in ("last", "best")]
        if {"plain", "true labels"} <= set(names):
            plain = mean("plain", "last")
            gap = mean("true labels", "last") - plain
            cells.append(f"{(mean(method, 'last') - plain) / gap:.2f}")
        print("|", " | ".join([method, *cells]), "|")


def recorded_runs(path):
    """The runs that a results file holds already; none where there is none."""
    if path is None or not path.exists():
        return []
    content = json.loads(path.read_text())
    if content["configuration"] != configuration():
        raise app.UsageError(
            f"{path} holds runs of another configuration: "
            f"{content['configuration']}. Name another --output."
        )
    return content["runs"]


def configuration():
    names = ("dataset", "max_per_class", "imbalance_factor", "noise_rate")
    names += ("noise_kind", "meta_per_class", "optimizer", "probe_epochs")
    names += ("constant_epochs", "on_validation")
    return {name: FLAGS[name].value for name in names}


def main(argv):
    del argv
    path = FLAGS.output and pathlib.Path(FLAGS.output)
    names = FLAGS.methods
    runs = recorded_runs(path)
    for seed in map(int, FLAGS.seeds):
        for method in names:
            runs = recorded_runs(path) or runs
            if any((r["method"], r["seed"]) == (method, seed) for r in runs):
                continue
            row = run(method, seed)
            print(row, flush=True)
            # Another process may have added runs meanwhile.
            runs = [*(recorded_runs(path) or runs), row]
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                content = {"configuration": configuration(), "runs": runs}
                path.write_text(json.dumps(content, indent=1) + "\n")
    print_table(runs)


if __name__ == "__main__":
    app.run(main)

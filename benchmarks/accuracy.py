"""Test accuracy of ways to train on noisy, long-tailed data.

All methods get the same network, schedule, batch size and number of epochs on
the same corrupted samples; those that need loss curves get them from the same
probe. For example, the table in RESULTS.md:

    python benchmarks/accuracy.py --output=benchmarks/results/accuracy.json
"""

import ast
import dataclasses
import functools
import json
import pathlib
import time

import docstrings
import keras
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from biased_data import load
from networks import bag_of_tokens
from networks import small_cnn
from sklearn.mixture import GaussianMixture

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", "fashion_mnist", "Name in TFDS, or docstrings.")
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


def compile_arguments(class_counts=None):
    """What every training is compiled with.

    Args:
        class_counts: Counts for the logit-adjusted loss, or None for plain
            crossentropy.
    """
    rate = LEARNING_RATES[FLAGS.optimizer]
    if FLAGS.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=5e-4)
    else:
        optimizer = keras.optimizers.SGD(
            rate, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if class_counts is not None:
        loss = kcn.LogitAdjustedCrossentropy(class_counts, from_logits=True)
    return {"optimizer": optimizer, "loss": loss, "metrics": ["accuracy"]}


def new_model(data, seed):
    keras.utils.set_random_seed(seed)
    if FLAGS.dataset == "docstrings":
        return bag_of_tokens(data.inputs.shape[1], data.num_classes)
    return small_cnn(data.inputs.shape[1:], data.num_classes)


def step_schedule():
    """Multiplies the learning rate by 0.1 after half and 3/4 of the epochs."""

    def rate(epoch):
        drops = (epoch >= EPOCHS // 2) + (epoch >= 3 * EPOCHS // 4)
        return LEARNING_RATES[FLAGS.optimizer] * 0.1**drops

    return keras.callbacks.LearningRateScheduler(rate)


def batches(data, labels, batch_size=BATCH_SIZE, sample_weight=None):
    train = kcn.with_sample_ids((data.inputs, labels, sample_weight))
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
    model = new_model(data, seed)
    model.compile(**compile_arguments())
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


def train(data, labels, seed, adjusted, sample_weight=None):
    """Ordinary training; an adjusted loss counts labels by their weights."""
    if sample_weight is None:
        sample_weight = np.ones(len(labels), np.float32)
    counts = np.bincount(labels, sample_weight, minlength=data.num_classes)
    model = new_model(data, seed)
    model.compile(**compile_arguments(counts if adjusted else None))
    samples = (data.inputs, labels, sample_weight)
    dataset = tf.data.Dataset.from_tensor_slices(samples)
    return model.fit(
        dataset.shuffle(len(labels)).batch(BATCH_SIZE),
        epochs=EPOCHS,
        callbacks=[step_schedule()],
        validation_data=evaluation(data),
        verbose=0,
    )


def train_plain(data, seed, adjusted=False):
    return train(data, data.labels, seed, adjusted)


def train_on_true_labels(data, seed, adjusted=False):
    return train(data, data.true_labels, seed, adjusted)


def train_on_right_labels(data, seed, adjusted=False):
    """A perfect filter: only the samples whose labels are right."""
    is_right = data.labels == data.true_labels
    filtered = dataclasses.replace(data, inputs=data.inputs[is_right])
    return train(filtered, data.labels[is_right], seed, adjusted)


def train_filtered(data, seed, adjusted=False):
    """The simple rule to beat: a mixture model on the mean curves."""
    curves = probe(data, seed)
    means = curves.class_centered(skip_epochs=0).mean(axis=1, keepdims=True)
    mixture = GaussianMixture(2, random_state=0).fit(means)
    low = mixture.means_.argmin()
    weights = mixture.predict_proba(means)[:, low].astype(np.float32)
    return train(data, data.labels, seed, adjusted, weights)


def train_weighted(
    data,
    seed,
    adjusted=False,
    clean=True,
    filtered=False,
    samples_per_class=20,
    meta_epochs=None,
    **arguments,
):
    """CurveWeightedModel, with a clean meta set or one from the curves.

    Args:
        adjusted: Whether the training loss is the logit-adjusted one.
        clean: Whether the meta set is the clean one, or comes from the curves.
        filtered: Whether label issues get a sample weight of 0 beforehand.
        samples_per_class: Of a meta set from the curves.
        meta_epochs, **arguments: `CurveWeightedModel`'s.
    """
    curves = probe(data, seed)
    sample_weight = np.ones(len(data.labels), np.float32)
    if filtered:
        sample_weight[kcn.find_label_issues(curves)] = 0.0
    weighted = kcn.CurveWeightedModel(new_model(data, seed), **arguments)
    counts = kcn.estimate_class_counts(curves) if adjusted else None
    weighted.compile(**compile_arguments(counts))
    meta_data = data.meta
    if not clean:
        chosen = kcn.select_meta_samples(curves, samples_per_class)
        meta_data = data.inputs[chosen], data.labels[chosen]
    history = weighted.fit(
        batches(data, data.labels, sample_weight=sample_weight),
        epochs=EPOCHS,
        loss_curves=curves,
        meta_data=meta_data,
        meta_epochs=meta_epochs,
        callbacks=[step_schedule()],
        validation_data=evaluation(data),
        verbose=0,
    )
    is_wrong = data.labels != data.true_labels
    if not is_wrong.any():
        return history
    is_tail = data.labels >= data.num_classes // 2
    weights = weighted.sample_weights()
    means = {
        "mean weight, right labels": weights[~is_wrong].mean(),
        "mean weight, wrong labels": weights[is_wrong].mean(),
        "the same in the tail half": weights[is_wrong & is_tail].mean(),
    }
    return history, {name: round(float(x), 3) for name, x in means.items()}


def evaluation(data):
    return data.validation if FLAGS.on_validation else data.test


METHODS = {
    "plain": train_plain,
    "true labels": train_on_true_labels,
    "right labels": train_on_right_labels,
    "mixture filter": train_filtered,
    "CurveWeightedModel": train_weighted,
}


def method_of(name):
    """The function of data and seed that a method's name stands for.

    Arguments may follow: "CurveWeightedModel top_layers=None meta_every=1".
    """
    words = name.split()
    kind = " ".join(word for word in words if "=" not in word)
    if kind not in METHODS:
        raise app.UsageError(f"Unknown method: {name}.")
    pairs = [word.split("=") for word in words if "=" in word]
    arguments = {key: ast.literal_eval(value) for key, value in pairs}
    return functools.partial(METHODS[kind], **arguments)


def load_data(seed):
    """The corrupted data that the flags ask for."""
    return load(
        FLAGS.dataset,
        FLAGS.max_per_class,
        FLAGS.imbalance_factor,
        FLAGS.noise_rate,
        FLAGS.noise_kind,
        FLAGS.meta_per_class,
        seed,
    )


def run(method, seed):
    """Figures of one method with one seed."""
    data = load_data(seed)
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
        **extra,
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
        cells.append(gap_closed(rows, method))
        print("|", " | ".join([method, *cells]), "|")


def gap_closed(rows, method):
    """What the method gains, over what the true labels do, on common seeds."""
    last = {
        name: {
            row["seed"]: row["last"] for row in rows if row["method"] == name
        }
        for name in (method, "plain", "true labels")
    }
    seeds = set.intersection(*(set(runs) for runs in last.values()))
    gains = {
        name: sum(last[name][seed] - last["plain"][seed] for seed in seeds)
        for name in last
    }
    whole = gains["true labels"]
    return f"{gains[method] / whole:.2f}" if whole > 0.0 else ""


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
    values = {name: FLAGS[name].value for name in names}
    if FLAGS.dataset == "docstrings":
        values["versions"] = docstrings.versions()
    return values


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

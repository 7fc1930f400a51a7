"""Makes the probes of real data that label quality is measured on.

People's and rules' labels, images, digits, a table and text, with wrong labels
and with none; each is recorded as a user would. All of them take some twenty
minutes of two cores:

    python benchmarks/real_probes.py --folder=real_probes --human_labels=... \
        --frozen_features=... --noisy_text=...

The files are like those of `probe_zoo.py`; `label_quality.py` measures on them.
Data that this repository does not hold is left out where its flag is.
"""

import csv
import dataclasses
import functools
import gzip
import pathlib

import keras
import numpy as np
import training
from absl import app
from absl import flags
from absl.testing import flagsaver
from sklearn.feature_extraction.text import TfidfVectorizer

import keras_curvenet as kcn
from keras_curvenet.probing.whole_files import whole_file

FLAGS = flags.FLAGS  # human_labels of training.py, and:
flags.DEFINE_string(
    "folder", "real_probes", "Where probes are; those there are kept."
)
flags.DEFINE_string(
    "frozen_features",
    None,
    "An .npz file with a pre-trained network's features and people's labels.",
)
flags.DEFINE_string(
    "noisy_text", None, "Folder of texts that people and rules labelled."
)

_NEEDED_FLAGS = {
    "frozen": "frozen_features",
    "ag_news": "noisy_text",
    "hausa": "noisy_text",
    "cifar": "human_labels",
}


def benchmark(values, none_wrong=False):
    """A network of the benchmarks, of two or ten classes, text or images.

    Args:
        values: Dict with values of `training.py`'s flags.
        none_wrong: Bool, whether the given labels are the true ones.
    """
    with flagsaver.flagsaver(**values):
        data = training.load_data(seed=0)
        if none_wrong:
            data = dataclasses.replace(data, labels=data.true_labels)
        return training.probe(data, seed=0).curves, data.true_labels


def frozen(kind):
    """A head on fixed features of images.

    Args:
        kind: String, whose labels: `"worse"`, `"random"`, `"aggregate"`, or
            `"true"`.
    """
    with np.load(FLAGS.frozen_features) as file:
        inputs = file["train"].astype(np.float32)
        given, true = file[f"{kind}_label"], file["true_label"].astype(int)
    inputs = (inputs - inputs.mean(axis=0)) / (inputs.std(axis=0) + 1e-6)
    layers = [
        keras.layers.Dropout(0.3),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dropout(0.3),
    ]
    return recorded(layers, inputs, given.astype(int), 20), true


def texts(filename):
    """A small network on frequencies of words."""
    path = pathlib.Path(FLAGS.noisy_text) / filename
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    given, true = (
        np.array([int(row[column]) for row in rows])
        for column in ("given_label", "true_label")
    )
    words = TfidfVectorizer(
        max_features=5000, sublinear_tf=True, dtype=np.float32
    )
    inputs = words.fit_transform([row["text"] for row in rows]).toarray()
    layers = [
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dropout(0.3),
    ]
    return recorded(layers, inputs, given, 15), true


def recorded(layers, inputs, labels, epochs):
    """The `LossCurves` of a classifier that ends in one more Dense layer."""
    keras.utils.set_random_seed(0)
    head = keras.layers.Dense(int(labels.max()) + 1)
    model = keras.Sequential([*layers, head])
    model.compile(
        keras.optimizers.AdamW(1e-3, weight_decay=1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    samples = kcn.with_sample_ids((inputs, labels))
    recorder = kcn.LossCurveRecorder()
    model.fit(
        samples.shuffle(len(labels)).batch(64),
        epochs=epochs,
        callbacks=[recorder],
        verbose=0,
    )
    return recorder.loss_curves


_FASHION = {
    "dataset": "fashion_mnist",
    "imbalance_factor": 0.05,
    "max_per_class": 1500,
}
_CIFAR = {"dataset": "human", "max_per_class": 1200, "probe_augments": False}
_right = functools.partial(benchmark, none_wrong=True)

PROBES = {  # Functions and what they are called with, the cheap ones first.
    "digits_uniform": (
        benchmark,
        {"dataset": "digits", "imbalance_factor": 0.1},
    ),
    "digits_none": (_right, {"dataset": "digits"}),
    "odd_digits_none": (_right, {"dataset": "odd_digits"}),
    "breast_cancer_uniform": (benchmark, {"dataset": "breast_cancer"}),
    "breast_cancer_none": (_right, {"dataset": "breast_cancer"}),
    "hausa_rules": (texts, "hausa_distant_train.csv.gz"),
    "ag_news_people": (texts, "ag_news_people_train.csv.gz"),
    "frozen_worse": (frozen, "worse"),
    "frozen_random": (frozen, "random"),
    "frozen_aggregate": (frozen, "aggregate"),
    "frozen_none": (frozen, "true"),
    "docstrings_uniform": (benchmark, {"dataset": "docstrings"}),
    "fashion_uniform": (benchmark, _FASHION),
    "fashion_pair": (
        benchmark,
        _FASHION | {"noise_kind": "pair", "noise_rate": 0.2},
    ),
    "fashion_none": (_right, _FASHION),
    "cifar_worse": (benchmark, _CIFAR),
    "cifar_random": (benchmark, _CIFAR | {"noise_kind": "random"}),
    "cifar_none": (_right, _CIFAR),
}


def record(name):
    """A probe, as a dict of what its file has."""
    of, argument = PROBES[name]
    curves, true = of(argument)
    task, kind = name.rsplit("_", 1)
    return {
        "losses": curves.values,
        "margins": curves.margins,
        "predicted": curves.predicted_classes,
        "given": curves.labels,
        "true": true,
        "num_classes": curves.num_classes,
        "task": task,
        "kind": kind,
    }


def missing_flag(name):
    """The flag that would say where a probe's data is, or None."""
    flag = _NEEDED_FLAGS.get(name.rsplit("_", 1)[0])
    return None if flag is None or FLAGS[flag].value else flag


def main(argv):
    del argv
    for name in PROBES:
        path = pathlib.Path(FLAGS.folder) / f"{name}.npz"
        if path.exists():
            continue
        if flag := missing_flag(name):
            print(f"{name} is skipped: it needs --{flag}.", flush=True)
            continue
        made = record(name)
        with whole_file(str(path)) as file:
            np.savez(file, **made)
        print(f"{name} is there.", flush=True)


if __name__ == "__main__":
    app.run(main)

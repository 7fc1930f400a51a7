"""Small noisy tasks, on which a training takes seconds.

Validation samples are clean, and no test sets; they and the clean meta set are
held out by seed.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import clean_data
import docstrings
import keras
import numpy as np
from sklearn.datasets import make_classification
from sklearn.feature_extraction.text import TfidfVectorizer

import keras_curvenet as kcn

_MOST_SAMPLES = 3000
_NUM_WORDS = 3000


class Samples(NamedTuple):
    """Samples as they are found.

    Attributes:
        inputs: Float32 `(num_samples, num_features)`.
        labels: Int64 `(num_samples,)`, the true ones.
        given: Int64 `(num_samples,)`, what people said, or None.
        meta: Clean `(inputs, labels)` apart from these, or None.
    """

    inputs: np.ndarray
    labels: np.ndarray
    given: np.ndarray | None = None
    meta: tuple | None = None


@functools.cache
def frozen_features(given):
    """MobileNet's features of CIFAR-10 images, and what people said."""
    data = clean_data.frozen_features(given)
    rows, rest = np.split(np.arange(len(data.labels)), [len(data.for_training)])
    meta = data.inputs[rest], data.labels[rest]
    return Samples(
        data.inputs[rows], data.labels[rows], data.given_labels[rows], meta
    )


@functools.cache
def ag_news():
    """News whose topics people named."""
    data = clean_data.ag_news()
    return Samples(data.inputs, data.labels, data.given_labels)


@functools.cache
def paragraphs(most_per_class=1500):
    """Paragraphs of docstrings that are not test paragraphs."""
    texts, labels = [], []
    for label, package in enumerate(docstrings.PACKAGES):
        own = docstrings.paragraphs(package)
        order = np.random.default_rng(0).permutation(len(own))
        order = order[docstrings.TEST_PER_CLASS :][:most_per_class]
        texts += [own[i] for i in order]
        labels += [label] * len(order)
    return Samples(_tf_idf(texts), np.array(labels))


def _tf_idf(texts):
    vectorizer = TfidfVectorizer(max_features=_NUM_WORDS, dtype=np.float32)
    return vectorizer.fit_transform(texts).toarray()


@functools.cache
def fashion():
    """Clothes, as pixels."""
    data = clean_data.images("fashion_mnist")
    inputs = clean_data.scaled(data.inputs[:20000]).reshape(-1, 784)
    return Samples(inputs, data.labels[:20000])


@functools.cache
def made_up():
    """A table of ten classes."""
    inputs, labels = make_classification(
        9000,
        n_features=30,
        n_informative=12,
        n_classes=10,
        n_clusters_per_class=1,
        class_sep=1.2,
        random_state=0,
    )
    return Samples(inputs.astype(np.float32), labels.astype(np.int64))


def small(name):
    """Digits, or breast cancer, but for the test samples."""
    data = getattr(clean_data, name)()
    return Samples(data.inputs, data.labels)


@dataclasses.dataclass(frozen=True)
class Task:
    """Where samples come from, how they are corrupted, and what learns them.

    Attributes:
        load: Function that makes `Samples`.
        noise: Kind and rate of `corrupt_labels`, or None with given labels.
        max_per_class, imbalance_factor: As of `long_tailed_indices`; a factor
            of None leaves classes as they are.
        most_clean, validation: Ints, samples of each class that are held out.
        units, dropout: Of the hidden layer.
        optimizer: Function that makes an optimizer.
        batch_size, epochs: Ints, of the probe and of each training.
    """

    load: Callable
    noise: tuple | None = None
    max_per_class: int | None = None
    imbalance_factor: float | None = None
    most_clean: int = 100
    validation: int = 300
    units: int = 64
    dropout: float = 0.0
    optimizer: Callable = functools.partial(
        keras.optimizers.AdamW, 1e-3, weight_decay=1e-3
    )
    batch_size: int = 64
    epochs: int = 15


_SGD = functools.partial(
    keras.optimizers.SGD, 0.05, momentum=0.9, nesterov=True, weight_decay=5e-4
)
_HEAD = {"units": 128, "dropout": 0.3}
_SMALL = {"optimizer": _SGD, "batch_size": 32, "epochs": 20, "most_clean": 20}
TASKS = {
    "worse": Task(functools.partial(frozen_features, "worse"), **_HEAD),
    "random": Task(functools.partial(frozen_features, "random"), **_HEAD),
    "ag_news": Task(ag_news, validation=1000),
    "docstrings": Task(paragraphs, ("uniform", 0.4), 1000, 0.1),
    "fashion": Task(fashion, ("pair", 0.4), 1000, 0.05, optimizer=_SGD),
    "table": Task(made_up, ("pair", 0.3)),
    "digits": Task(
        functools.partial(small, "digits"),
        ("uniform", 0.4),
        70,
        0.1,
        validation=45,
        **_SMALL,
    ),
    "breast_cancer": Task(
        functools.partial(small, "breast_cancer"),
        ("uniform", 0.3),
        validation=60,
        **_SMALL,
    ),
}


class Data(NamedTuple):
    """The corrupted samples of a seed; `meta` has each class in turn."""

    inputs: np.ndarray
    labels: np.ndarray
    true_labels: np.ndarray
    meta: tuple
    validation: tuple

    @property
    def num_classes(self):
        return int(self.meta[1].max()) + 1

    def meta_of(self, per_class):
        """The first clean samples of each class."""
        rows = slice(per_class * self.num_classes)
        return tuple(part[rows] for part in self.meta)


@functools.cache
def load_data(name, seed):
    """The `Data` of a task: each seed draws anew what is held out."""
    task = TASKS[name]
    samples = task.load()
    rng = np.random.default_rng(seed)
    meta, rest = samples.meta, np.arange(len(samples.labels))
    if meta is None:
        rows, rest = _held_out(samples.labels, rest, task.most_clean, rng)
        meta = samples.inputs[rows], samples.labels[rows]
    else:
        rows, _ = _held_out(
            meta[1], np.arange(len(meta[1])), task.most_clean, rng
        )
        meta = tuple(part[rows] for part in meta)
    rows, rest = _held_out(samples.labels, rest, task.validation, rng)
    labels = samples.labels[rows]
    weights = len(labels) / np.bincount(labels)[labels]
    validation = samples.inputs[rows], labels, weights.astype(np.float32)
    if task.imbalance_factor is not None:
        kept = kcn.datasets.long_tailed_indices(
            samples.labels[rest],
            task.imbalance_factor,
            task.max_per_class,
            seed,
        )
        rest = rest[kept]
    rest = rng.permutation(rest)[:_MOST_SAMPLES]
    if samples.given is not None:
        given = samples.given[rest]
    else:
        kind, rate = task.noise
        given = kcn.datasets.corrupt_labels(
            samples.labels[rest], rate, kind, seed=seed
        )
    return Data(
        samples.inputs[rest], given, samples.labels[rest], meta, validation
    )


def _held_out(labels, rows, per_class, rng):
    """As many rows of each class, one class after the other; and the others.

    No more than half of a class is held out.
    """
    order = rng.permutation(rows)
    of_classes = [order[labels[order] == k] for k in np.unique(labels)]
    chosen = [own[: min(per_class, len(own) // 2)] for own in of_classes]
    fewest = min(map(len, chosen))
    in_turn = np.stack([own[:fewest] for own in chosen], axis=1).ravel()
    more = np.concatenate([own[fewest:] for own in chosen])
    held_out = np.concatenate([in_turn, more])
    return held_out, np.setdiff1d(rows, held_out)

"""The data that the benchmarks make noisy and long-tailed, as it is found."""

import dataclasses
import functools
from collections.abc import Callable

import docstrings
import numpy as np
import tensorflow_datasets as tfds
from sklearn.datasets import load_breast_cancer
from sklearn.datasets import load_digits

_CIFAR_MEAN = np.array([0.4914, 0.4822, 0.4465], np.float32)
_CIFAR_DEVIATION = np.array([0.247, 0.2435, 0.2616], np.float32)
_DIGIT_TEST, _DIGIT_HELD_OUT = 40, 25  # Images of each digit.
_TRAIN_PAIRS, _TEST_PAIRS, _HELD_OUT_PAIRS = 100, 20, 40  # Of each class.
_CANCER_TEST = 60  # Of each class.


def scaled(images):
    return images.astype(np.float32) / 255.0


def standardized(images):
    return (scaled(images) - _CIFAR_MEAN) / _CIFAR_DEVIATION


@dataclasses.dataclass(frozen=True)
class CleanData:
    """Samples with their true labels.

    Attributes:
        inputs: Array `(num_samples, ...)`.
        labels: Int64 `(num_samples,)`, the true ones.
        test: Balanced `(inputs, labels)`.
        for_training: Rows that may be trained on, the others being for choices,
            or None: any row may be either.
        given_labels: Int64 `(num_samples,)`, what people said, or None.
        prepared: Function from rows of inputs to what a network gets.
    """

    inputs: np.ndarray
    labels: np.ndarray
    test: tuple
    for_training: np.ndarray | None = None
    given_labels: np.ndarray | None = None
    prepared: Callable = lambda inputs: inputs


def load(dataset, noise_kind=None, human_labels=None):
    """The clean data of a name: of `LOADERS`, or of a TFDS image dataset.

    Args:
        dataset: String.
        noise_kind, human_labels: See `human`, whose they are.
    """
    if dataset == "human":
        return human(noise_kind, human_labels)
    if dataset in LOADERS:
        return LOADERS[dataset]()
    return images(dataset)


@functools.cache
def images(name):
    """An image dataset of TFDS that has a training and a test split."""
    train, test = (
        tfds.as_numpy(
            tfds.load(name, split=split, as_supervised=True, batch_size=-1)
        )
        for split in ("train", "test")
    )
    return CleanData(
        inputs=train[0],
        labels=train[1].astype(np.int64),
        test=(test[0], test[1].astype(np.int64)),
        prepared=scaled,
    )


def half_of_classes(data, remainder):
    """The even classes (remainder 0) or the odd ones (1), from 0 upward."""
    arrays = (data.inputs, data.labels), data.test
    (inputs, labels), test = (
        (inputs[labels % 2 == remainder], labels[labels % 2 == remainder] // 2)
        for inputs, labels in arrays
    )
    return dataclasses.replace(data, inputs=inputs, labels=labels, test=test)


@functools.cache
def human(kind, path):
    """CIFAR-10 with what people said half of its training images show.

    Reference: [Wei et al., 2022](https://arxiv.org/abs/2110.12088), whose
    labels are CC BY-NC 4.0 and not part of this repository.

    Args:
        kind: `"worse"` (40 % wrong), `"random"` (17 %), `"aggregate"` (9 %).
        path: Path of an `.npz` with `row`, the images' places in TFDS's
            training split, `true_label`, and `worse_label` and the like.
    """
    data = images("cifar10_jpeg")
    with np.load(path) as file:
        rows = file["row"]
        true, given = file["true_label"], file[f"{kind}_label"]
    if (data.labels[rows] != true).any():
        raise ValueError(f"The rows of {path} are not those of cifar10_jpeg.")
    given_labels = data.labels.copy()
    given_labels[rows] = given
    return dataclasses.replace(
        data,
        for_training=rows,
        given_labels=given_labels,
        prepared=standardized,
    )


def breast_cancer():
    """A table of 30 features; class 0 is benign, the frequent one."""
    table = load_breast_cancer()
    labels = 1 - table.target.astype(np.int64)
    rng = np.random.default_rng(0)
    test, rest = _split(labels, _CANCER_TEST, rng)
    mean, deviation = table.data[rest].mean(0), table.data[rest].std(0)
    inputs = ((table.data - mean) / deviation).astype(np.float32)
    return CleanData(inputs[rest], labels[rest], (inputs[test], labels[test]))


def digits(num_classes=10):
    """Small images of digits; or, with two classes, even ones and odd ones."""
    data = load_digits()
    inputs = (data.data / 16.0).astype(np.float32)
    labels = data.target.astype(np.int64) % num_classes
    test, rest = _split(data.target, _DIGIT_TEST, np.random.default_rng(0))
    return CleanData(inputs[rest], labels[rest], (inputs[test], labels[test]))


@functools.cache
def digit_pairs():
    """Two digits side by side: 100 classes, no digit image in two splits."""
    digits = load_digits()
    rng = np.random.default_rng(0)
    test, rest = _split(digits.target, _DIGIT_TEST, rng)
    held_out, train = _split(digits.target[rest], _DIGIT_HELD_OUT, rng)
    train_pairs, held_out_pairs, test_pairs = (
        _pairs(digits.images[rows], digits.target[rows], size, rng)
        for rows, size in (
            (rest[train], _TRAIN_PAIRS),
            (rest[held_out], _HELD_OUT_PAIRS),
            (test, _TEST_PAIRS),
        )
    )
    inputs, labels = map(
        np.concatenate, zip(train_pairs, held_out_pairs, strict=True)
    )
    return CleanData(
        inputs, labels, test_pairs, for_training=np.arange(len(train_pairs[1]))
    )


def _pairs(images, digits, size, rng):
    """As many different pairs of each class, 10 * left + right."""
    inputs, labels = [], np.repeat(np.arange(100), size)
    for left, right in (divmod(label, 10) for label in range(100)):
        first, second = images[digits == left], images[digits == right]
        chosen = rng.choice(len(first) * len(second), size, replace=False)
        a, b = np.divmod(chosen, len(second))
        inputs.append(np.concatenate([first[a], second[b]], axis=2))
    inputs = np.concatenate(inputs)[..., np.newaxis] / 16.0
    return inputs.astype(np.float32), labels


def _split(labels, per_class, rng):
    """Rows with as many of each class, drawn at random, and the other rows."""
    order = rng.permutation(len(labels))
    chosen = np.concatenate(
        [order[labels[order] == k][:per_class] for k in np.unique(labels)]
    )
    return chosen, np.setdiff1d(order, chosen)


def paragraphs():
    """Paragraphs of docstrings; the class is the package."""
    (inputs, labels), test = (docstrings.load()[s] for s in ("train", "test"))
    return CleanData(inputs, labels, test)


LOADERS = {
    "docstrings": paragraphs,
    "breast_cancer": breast_cancer,
    "digits": digits,
    "odd_digits": functools.partial(digits, num_classes=2),
    "digit_pairs": digit_pairs,
}

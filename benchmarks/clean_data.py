"""The data that the benchmarks make noisy and long-tailed, as it is found."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import docstrings
import numpy as np
import pandas as pd
import tensorflow_datasets as tfds
from absl import flags
from sklearn.datasets import load_breast_cancer
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "people_labels",
    None,
    "Folder of what people labelled: cifar10_human.npz, mobilenet_human.npz, "
    "and the like. RESULTS.md says where to get them.",
)

_CIFAR_MEAN = np.array([0.4914, 0.4822, 0.4465], np.float32)
_CIFAR_DEVIATION = np.array([0.247, 0.2435, 0.2616], np.float32)
_DIGIT_TEST, _DIGIT_HELD_OUT = 40, 25  # Images of each digit.
_TRAIN_PAIRS, _TEST_PAIRS, _HELD_OUT_PAIRS = 100, 20, 40  # Of each class.
_CANCER_TEST = 60  # Of each class.
_NUM_WORDS = 3000


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


@functools.cache
def images(name, is_standardized=False):
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
        prepared=standardized if is_standardized else scaled,
    )


@functools.cache
def cifar10_n(kind="worse_label"):
    """CIFAR-10 with what people said of its training images, by TFDS."""
    train, test = (
        tfds.as_numpy(tfds.load("cifar10_n", split=split, batch_size=-1))
        for split in ("train", "test")
    )
    return CleanData(
        inputs=train["image"],
        labels=train["label"].astype(np.int64),
        test=(test["image"], test["label"].astype(np.int64)),
        given_labels=train[kind].astype(np.int64),
        prepared=standardized,
    )


def half_of_classes(data, remainder):
    """The even classes (remainder 0) or the odd ones (1), from 0 upward."""
    arrays = (data.inputs, data.labels), data.test
    (inputs, labels), test = (
        (inputs[labels % 2 == remainder], labels[labels % 2 == remainder] // 2)
        for inputs, labels in arrays
    )
    return dataclasses.replace(data, inputs=inputs, labels=labels, test=test)


def people_file(name):
    """Path of a file in the folder of people's labels."""
    if FLAGS.people_labels is None:
        raise ValueError(f"{name} is needed: give --people_labels=FOLDER.")
    (path,) = pathlib.Path(FLAGS.people_labels).glob(f"**/{name}")
    return path


@functools.cache
def human(kind):
    """CIFAR-10 with what people said half of its training images show.

    Reference: [Wei et al., 2022](https://arxiv.org/abs/2110.12088), whose
    labels are CC BY-NC 4.0 and not part of this repository.

    Args:
        kind: `"worse"` (40 % wrong), `"random"` (17 %), `"aggregate"` (9 %).
    """
    data = images("cifar10_jpeg")
    with np.load(people_file("cifar10_human.npz")) as file:
        rows = file["row"]
        true, given = file["true_label"], file[f"{kind}_label"]
    if (data.labels[rows] != true).any():
        raise ValueError("The rows of people's labels are of other images.")
    given_labels = data.labels.copy()
    given_labels[rows] = given
    return dataclasses.replace(
        data,
        for_training=rows,
        given_labels=given_labels,
        prepared=standardized,
    )


@functools.cache
def frozen_features(kind):
    """What a MobileNet makes of images that people labelled, as of `human`.

    The training images are long-tailed already.
    """
    with np.load(people_file("mobilenet_human.npz")) as file:
        mean, deviation = file["train"].mean(0), file["train"].std(0) + 1e-6
        train, clean, test = (
            ((file[name] - mean) / deviation).astype(np.float32)
            for name in ("train", "clean", "test")
        )
        true, given, of_clean, of_test = (
            file[name].astype(np.int64)
            for name in (
                "true_label",
                f"{kind}_label",
                "clean_label",
                "test_label",
            )
        )
    return CleanData(
        np.concatenate([train, clean]),
        np.concatenate([true, of_clean]),
        (test, of_test),
        for_training=np.arange(len(train)),
        given_labels=np.concatenate([given, of_clean]),
    )


@functools.cache
def ag_news():
    """News whose topics people named."""
    return _texts("ag_news_people_train.csv.gz", "ag_news_test.csv.gz")


@functools.cache
def hausa():
    """Titles of Hausa news whose topics rules named."""
    return _texts("hausa_distant_train.csv.gz", "hausa_test.csv.gz")


def _texts(train, test):
    """Texts as the weights of their words."""
    train, test = (pd.read_csv(people_file(name)) for name in (train, test))
    vectorizer = TfidfVectorizer(max_features=_NUM_WORDS, dtype=np.float32)
    inputs = vectorizer.fit_transform(train["text"]).toarray()
    true, given, of_test = (
        column.to_numpy(np.int64)
        for column in (
            train["true_label"],
            train["given_label"],
            test["true_label"],
        )
    )
    test_inputs = vectorizer.transform(test["text"]).toarray()
    return CleanData(inputs, true, (test_inputs, of_test), given_labels=given)


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

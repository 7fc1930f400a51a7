"""Noisy, long-tailed images and texts of the benchmarks."""

import dataclasses

import docstrings
import numpy as np
import tensorflow_datasets as tfds

import keras_curvenet as kcn


@dataclasses.dataclass(frozen=True)
class BiasedData:
    """A corrupted training set, and what a benchmark knows about it.

    Attributes:
        inputs: Float32 `(num_samples, height, width, channels)` in [0, 1], or
            int32 token ids `(num_samples, sequence_length)`.
        labels: Int64 `(num_samples,)`, the observed ones.
        true_labels: Int64 `(num_samples,)`.
        meta: Clean `(inputs, labels)`, apart from the training samples.
        validation: Clean, balanced `(inputs, labels)`, for choices.
        test: Clean, balanced `(inputs, labels)`, for figures.
        num_classes: Int.
    """

    inputs: np.ndarray
    labels: np.ndarray
    true_labels: np.ndarray
    meta: tuple
    validation: tuple
    test: tuple
    num_classes: int


def load(
    dataset,
    max_per_class,
    imbalance_factor,
    noise_rate,
    noise_kind,
    meta_per_class,
    seed,
    validation_per_class=200,
):
    """Makes a TFDS image dataset, or "docstrings", noisy and long-tailed."""
    inputs, labels = _arrays(dataset, "train")
    test = _arrays(dataset, "test")
    num_classes = int(labels.max()) + 1
    order = np.random.default_rng(seed).permutation(len(labels))
    held_out, start = [], 0
    for size in (meta_per_class, validation_per_class):
        rows = [
            order[labels[order] == label][start : start + size]
            for label in range(num_classes)
        ]
        held_out.append(np.concatenate(rows))
        start += size
    rest = np.setdiff1d(order, np.concatenate(held_out))
    kept = rest[
        kcn.datasets.long_tailed_indices(
            labels[rest], imbalance_factor, max_per_class, seed=seed
        )
    ]
    kept = np.random.default_rng(seed).permutation(kept)
    noisy = kcn.datasets.corrupt_labels(
        labels[kept], noise_rate, noise_kind, num_classes, seed=seed
    )
    meta, validation = (
        (scaled(inputs[rows]), labels[rows]) for rows in held_out
    )
    return BiasedData(
        inputs=scaled(inputs[kept]),
        labels=noisy,
        true_labels=labels[kept],
        meta=meta,
        validation=validation,
        test=(scaled(test[0]), test[1]),
        num_classes=num_classes,
    )


def scaled(inputs):
    """Uint8 images as float32 in [0, 1]; token ids as they are."""
    if inputs.dtype != np.uint8:
        return inputs
    return inputs.astype("float32") / 255.0


def _arrays(dataset, split):
    if dataset == "docstrings":
        return docstrings.load()[split]
    data = tfds.load(dataset, split=split, as_supervised=True, batch_size=-1)
    images, labels = tfds.as_numpy(data)
    return images, labels.astype(np.int64)

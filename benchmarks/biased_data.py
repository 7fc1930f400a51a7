"""Noisy, long-tailed image data of the benchmarks."""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

import keras_curvenet as kcn


@dataclasses.dataclass(frozen=True)
class BiasedImages:
    """A corrupted training set, and what a benchmark knows about it.

    Attributes:
        images: Float32 `(num_samples, height, width, channels)` in [0, 1].
        labels: Int64 `(num_samples,)`, the observed ones.
        true_labels: Int64 `(num_samples,)`.
        meta: Clean `(images, labels)`, apart from the training samples.
        validation: Clean, balanced `(images, labels)`, for choices.
        test: Clean, balanced `(images, labels)`, for figures.
        num_classes: Int.
    """

    images: np.ndarray
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
    """Loads a TFDS image dataset and makes it noisy and long-tailed."""
    images, labels = _arrays(dataset, "train")
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
        (scaled(images[rows]), labels[rows]) for rows in held_out
    )
    return BiasedImages(
        images=scaled(images[kept]),
        labels=noisy,
        true_labels=labels[kept],
        meta=meta,
        validation=validation,
        test=(scaled(test[0]), test[1]),
        num_classes=num_classes,
    )


def scaled(images):
    """Uint8 images as float32 in [0, 1]."""
    return images.astype("float32") / 255.0


def _arrays(dataset, split):
    data = tfds.load(dataset, split=split, as_supervised=True, batch_size=-1)
    images, labels = tfds.as_numpy(data)
    return images, labels.astype(np.int64)

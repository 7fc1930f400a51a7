"""Noisy, long-tailed data of the benchmarks."""

import dataclasses

import numpy as np

import keras_curvenet as kcn


@dataclasses.dataclass(frozen=True)
class BiasedData:
    """A corrupted training set, and what a benchmark knows about it.

    Attributes:
        inputs: Array `(num_samples, ...)`, as the network gets it.
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

    @property
    def is_wrong(self):
        """Bool `(num_samples,)`: whose label is not the true one."""
        return self.labels != self.true_labels

    @property
    def in_tail(self):
        """Bool `(num_samples,)`: whose label is of the rarer half."""
        return self.labels >= self.num_classes // 2

    @property
    def num_outputs(self):
        """Int: outputs of a network; one where there are two classes."""
        return 1 if self.num_classes == 2 else self.num_classes


def biased(data, settings, imbalance_by, meta_per_class, seed):
    """Makes data noisy and long-tailed.

    Args:
        data: `CleanData`.
        settings: `Settings`, for how noisy and how long-tailed.
        imbalance_by: `"true"` or `"given"`: whose labels' classes are
            long-tailed. Those of people where there are such.
        meta_per_class: Int, clean meta samples of each class.
        seed: Int.
    """
    labels = data.labels
    num_classes = int(labels.max()) + 1
    rows = np.arange(len(labels))
    trainable, held_out_from = rows, rows
    if data.for_training is not None:
        trainable = data.for_training
        held_out_from = np.setdiff1d(rows, trainable)
    order = np.random.default_rng(seed).permutation(held_out_from)
    held_out, start = [], 0
    for size in (meta_per_class, settings.validation_per_class):
        of_classes = [
            order[labels[order] == label][start : start + size]
            for label in range(num_classes)
        ]
        held_out.append(np.concatenate(of_classes))
        start += size
    rest = np.setdiff1d(trainable, np.concatenate(held_out))
    of_tail = data.given_labels if imbalance_by == "given" else labels
    kept = rest[
        kcn.datasets.long_tailed_indices(
            of_tail[rest],
            settings.imbalance_factor,
            settings.max_per_class,
            seed=seed,
        )
    ]
    kept = np.random.default_rng(seed).permutation(kept)
    if data.given_labels is not None:
        noisy = data.given_labels[kept]
    else:
        noisy = kcn.datasets.corrupt_labels(
            labels[kept],
            settings.noise_rate,
            settings.noise_kind,
            num_classes,
            seed=seed,
        )
    meta, validation = (
        (data.prepared(data.inputs[rows]), labels[rows]) for rows in held_out
    )
    return BiasedData(
        inputs=data.prepared(data.inputs[kept]),
        labels=noisy,
        true_labels=labels[kept],
        meta=meta,
        validation=validation,
        test=(data.prepared(data.test[0]), data.test[1]),
        num_classes=num_classes,
    )

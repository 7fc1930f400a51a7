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
    def is_rare(self):
        """Bool `(num_classes,)`: the rarest third of the true classes."""
        counts = np.bincount(self.true_labels, minlength=self.num_classes)
        return counts.argsort().argsort() < max(1, self.num_classes // 3)


def biased(data, task, seed):
    """Makes data noisy and long-tailed.

    Args:
        data: `CleanData`.
        task: `Task`, for how noisy and how long-tailed.
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
    for size in (task.meta_per_class, task.validation_per_class):
        of_classes = [
            order[labels[order] == label][start : start + size]
            for label in range(num_classes)
        ]
        held_out.append(np.concatenate(of_classes))
        start += size
    rest = np.setdiff1d(trainable, np.concatenate(held_out))
    if task.imbalance_factor is not None:
        rest = rest[
            kcn.datasets.long_tailed_indices(
                labels[rest],
                task.imbalance_factor,
                task.max_per_class,
                seed=seed,
            )
        ]
    kept = np.random.default_rng(seed).permutation(rest)
    if data.given_labels is not None:
        noisy = data.given_labels[kept]
    else:
        noisy = kcn.datasets.corrupt_labels(
            labels[kept],
            task.noise_rate,
            task.noise_kind,
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

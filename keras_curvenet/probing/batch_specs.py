"""Checks of what batches with sample ids hold, before a step is traced."""

import keras
import tensorflow as tf


def check_batch_spec(spec, argument="x"):
    """Raises ValueError unless batches with ids can be trained on."""
    x, y, _, sample_id = spec
    if not sample_id.dtype.is_integer:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected int sample "
            f"ids, as `with_sample_ids` gives them. Received: ids of dtype "
            f"{sample_id.dtype.name}. Keep names in an array of your own, "
            "which the ids index."
        )
    if sample_id.shape.rank == 0 or any(
        leaf.shape.rank == 0 for leaf in keras.tree.flatten(x)
    ):
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected a batched "
            f"dataset. Received: elements of {spec}. Call `batch` on it."
        )
    for target in keras.tree.flatten(y):
        if target.dtype.name == "string":
            raise ValueError(
                f"Invalid value for argument `{argument}`. Expected numbers as "
                "targets. Received: targets of dtype string. Number the "
                "classes, for example by `np.unique(labels, "
                "return_inverse=True)` or `keras.layers.StringLookup`."
            )


def refuse_endless_epoch(dataset, steps_per_epoch):
    """Raises ValueError where an epoch has no end, which Keras accepts."""
    endless = tf.data.INFINITE_CARDINALITY
    if steps_per_epoch is None and int(dataset.cardinality()) == endless:
        raise ValueError(
            "Invalid value for argument `x`. Expected a dataset that ends, or "
            "`fit(..., steps_per_epoch=...)`. Received: one that repeats "
            "without end, and steps_per_epoch=None. Leave `repeat` out, or "
            "give the number of steps."
        )

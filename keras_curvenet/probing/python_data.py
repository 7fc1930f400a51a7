"""Batches of a `keras.utils.PyDataset` as a `tf.data.Dataset`."""

import keras
import tensorflow as tf

from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.probing.array_rows import rows_of_arrays


def dataset_of_python(py_dataset):
    """A `tf.data.Dataset` of a `PyDataset`'s batches, in their order."""
    num_batches = py_dataset.num_batches
    if getattr(py_dataset, "shuffle", None) is True or num_batches is None:
        raise invalid_value(
            "dataset",
            "a PyDataset whose batches end, and come in one order",
            f"a {type(py_dataset).__name__} with shuffle=True, or without "
            "end. Make it with `shuffle=False`, and call `shuffle` after "
            "`with_sample_ids`.",
        )
    if num_batches == 0:
        raise invalid_value(
            "dataset", "at least one batch", "an empty PyDataset."
        )

    def batch_at(index):
        batch = py_dataset[index]
        if not isinstance(batch, (tuple, list)):
            raise invalid_value(
                "dataset",
                "batches (x, y) or (x, y, sample_weight)",
                f"a batch of type {type(batch).__name__}.",
            )
        return rows_of_arrays(batch, "dataset")

    def batches():
        py_dataset.on_epoch_begin()
        for index in range(num_batches):
            yield batch_at(index)
        py_dataset.on_epoch_end()

    def spec(first, last):
        sizes = zip(first.shape[1:], last.shape[1:], strict=True)
        shape = [None, *(one if one == other else None for one, other in sizes)]
        return tf.TensorSpec(shape, first.dtype)

    signature = keras.tree.map_structure(
        spec, batch_at(0), batch_at(num_batches - 1)
    )
    dataset = tf.data.Dataset.from_generator(
        batches, output_signature=signature
    )
    return dataset.apply(tf.data.experimental.assert_cardinality(num_batches))

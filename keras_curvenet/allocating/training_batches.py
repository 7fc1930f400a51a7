"""What `CurveWeightedModel.fit` is given, as batches that it can train on."""

import math
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.checked_arguments import as_int
from keras_curvenet.probing.distributed_data import check_batch_spec
from keras_curvenet.probing.epoch_order import shuffle_by_epoch
from keras_curvenet.probing.sample_ids import num_samples_of
from keras_curvenet.probing.sample_ids import rows_of_arrays
from keras_curvenet.probing.sample_ids import with_row_weights
from keras_curvenet.workers import sharded_by_data


class TrainingBatches(NamedTuple):
    """Training data of either form.

    Attributes:
        dataset: Batches `(x, y, sample_weight, sample_id)`.
        num_samples: Int, the number of sample ids.
        validation_data: What Keras takes as such, or None.
    """

    dataset: tf.data.Dataset
    num_samples: int
    validation_data: Any


def training_batches(
    x, y, sample_weight, batch_size, shuffle, validation_split, validation_data
):
    """Batches with ids from the arguments of `fit`.

    Raises:
        ValueError: If `x` is neither arrays nor a dataset with ids, or an
            argument for arrays comes with a dataset.
    """
    if isinstance(x, tf.data.Dataset):
        for_arrays = {
            "y": y,
            "sample_weight": sample_weight,
            "batch_size": batch_size,
            "validation_split": validation_split or None,
        }
        given = [name for name in for_arrays if for_arrays[name] is not None]
        if given:
            raise ValueError(
                f"Invalid value for argument `{given[0]}`. Expected it only "
                "with arrays. Received: `x` as a dataset, together with "
                f"{given}. Put targets and weights into the dataset, batch it, "
                "and pass `validation_data`."
            )
        num_samples = num_samples_of(x)
        check_batch_spec(x.element_spec)
        if int(x.cardinality()) == 0:
            raise ValueError(
                "Invalid value for argument `x`. Expected at least one batch. "
                "Received: a dataset without any, as of `drop_remainder=True` "
                "with batches larger than the dataset. Make them smaller."
            )
        return TrainingBatches(x, num_samples, validation_data)
    if x is None or y is None:
        raise ValueError(
            "Invalid value for arguments `x` and `y`. Expected a dataset made "
            "with `keras_curvenet.with_sample_ids`, or arrays x and y. "
            f"Received: x of type {type(x).__name__} and y of type "
            f"{type(y).__name__}. Of a generator or `PyDataset`, make a "
            "dataset by `tf.data.Dataset.from_generator` first."
        )
    arrays = (x, y) if sample_weight is None else (x, y, sample_weight)
    if validation_split and validation_data is None:
        arrays, validation_data = _split_off(arrays, validation_split)
    batch_size = 32 if batch_size is None else batch_size
    as_int("batch_size", batch_size, 1)
    dataset, num_samples = _batches_of_arrays(arrays, batch_size, shuffle)
    check_batch_spec(dataset.element_spec)
    return TrainingBatches(dataset, num_samples, validation_data)


def with_curves(dataset, prepared, held_out=()):
    """Batches `(x, y, sample_weight, sample_id, prepared, is_held_out)`.

    The look-up runs on the host, inside tf.data, where an id without a curve
    is an error. Curves are read from where they are, memory or disk, and never
    become a part of the graph.

    Args:
        dataset: Batches `(x, y, sample_weight, sample_id)`.
        prepared: `PreparedCurves` of all samples.
        held_out: Ids of samples that are not trained on while weights are
            learned.
    """
    is_held_out = np.zeros(len(prepared.labels), bool)
    is_held_out[np.asarray(held_out, np.int64)] = True
    tables = (*prepared.tables, is_held_out)

    def rows_of(sample_ids):
        if (sample_ids < 0).any():
            raise IndexError(f"sample ids such as {sample_ids.min()}")
        return tuple(np.asarray(table[sample_ids]) for table in tables)

    def look_up(x, y, sample_weight, sample_ids):
        ids = tf.cast(sample_ids, tf.int64)
        rows = tf.numpy_function(
            rows_of, [ids], [table.dtype for table in tables], stateful=False
        )
        for row, table in zip(rows, tables, strict=True):
            row.set_shape([sample_ids.shape[0], *table.shape[1:]])
        *of_batch, held_out = rows
        return x, y, sample_weight, sample_ids, tuple(of_batch), held_out

    return dataset.map(look_up, tf.data.AUTOTUNE)


def _batches_of_arrays(arrays, batch_size, shuffle):
    """Batches `(x, y, sample_weight, sample_id)` of arrays; the id is the row.

    Args:
        arrays: Tuple `(x, y)` or `(x, y, sample_weight)`.
        batch_size: Int >= 1.
        shuffle: Bool, whether to shuffle the rows anew in every epoch.

    Returns:
        A tuple of the batched `tf.data.Dataset` and the number of rows.
    """
    arrays = with_row_weights(rows_of_arrays(arrays))
    num_samples = len(keras.tree.flatten(arrays)[0])
    tensors = keras.tree.map_structure(tf.convert_to_tensor, arrays)
    rows = tf.data.Dataset.range(num_samples)
    if shuffle:
        rows = shuffle_by_epoch(rows, num_samples, seed=None)

    def gather(ids):
        x, y, sample_weight = keras.tree.map_structure(
            lambda tensor: tf.gather(tensor, ids), tensors
        )
        return x, y, sample_weight, ids

    dataset = rows.batch(batch_size).map(gather, tf.data.AUTOTUNE)
    return sharded_by_data(dataset), num_samples


def _split_off(arrays, validation_split):
    """Splits the last rows off for validation, as Keras does."""
    if not 0.0 < validation_split < 1.0:
        raise ValueError(
            "Invalid value for argument `validation_split`. Expected a float "
            f"in (0, 1). Received: validation_split={validation_split}."
        )
    num_samples = len(keras.tree.flatten(arrays)[0])
    start = math.floor(num_samples * (1.0 - validation_split))
    train = keras.tree.map_structure(lambda array: array[:start], arrays)
    validation = keras.tree.map_structure(lambda array: array[start:], arrays)
    return train, validation

"""The arguments of `CurveWeightedModel.fit`: checked, and as batches."""

import math
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.checked_arguments import as_float
from keras_curvenet.checked_arguments import as_int
from keras_curvenet.checked_arguments import invalid_type
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.probing.array_rows import rows_of_arrays
from keras_curvenet.probing.array_rows import with_row_weights
from keras_curvenet.probing.distributed_data import build_from_spec
from keras_curvenet.probing.distributed_data import build_with
from keras_curvenet.probing.distributed_data import check_batch_spec
from keras_curvenet.probing.epoch_order import passes_unchanged
from keras_curvenet.probing.epoch_order import shuffle_by_epoch
from keras_curvenet.probing.loss_curve_recorder import LossCurveRecorder
from keras_curvenet.probing.sample_ids import is_weighted
from keras_curvenet.probing.sample_ids import num_samples_of
from keras_curvenet.replicas import has_strategy
from keras_curvenet.workers import sharded_by_data


class TrainingBatches(NamedTuple):
    """Training data: batches `(x, y, sample_weight, sample_id)`."""

    dataset: tf.data.Dataset
    num_samples: int
    validation_data: Any


def training_batches(
    x, y, sample_weight, batch_size, shuffle, validation_split, validation_data
):
    """`TrainingBatches` of the arguments of `fit`, or a ValueError."""
    if isinstance(x, tf.data.Dataset):
        for_arrays = {
            "y": y,
            "sample_weight": sample_weight,
            "batch_size": batch_size,
            "validation_split": validation_split or None,
        }
        given = [name for name in for_arrays if for_arrays[name] is not None]
        if given:
            raise invalid_value(
                given[0],
                "it only with arrays",
                f"`x` as a dataset, together with {given}. Put targets and "
                "weights into it, batch it, and pass `validation_data`.",
            )
        dataset, num_samples = x, num_samples_of(x)
    elif x is None or y is None:
        raise ValueError(
            "Invalid value for arguments `x` and `y`. Expected a dataset made "
            "with `keras_curvenet.with_sample_ids`, or arrays. Received: x of "
            f"type {type(x).__name__} and y of type {type(y).__name__}. Give a "
            "`PyDataset` to `with_sample_ids` too; make a generator a dataset "
            "by `tf.data.Dataset.from_generator`."
        )
    else:
        arrays = rows_of_arrays((x, y, sample_weight))
        if validation_split and validation_data is None:
            arrays, validation_data = _split_off(arrays, validation_split)
        batch_size = 32 if batch_size is None else batch_size
        as_int("batch_size", batch_size, 1)
        dataset, num_samples = _batches_of_arrays(arrays, batch_size, shuffle)
    check_batch_spec(dataset.element_spec)
    if int(dataset.cardinality()) == 0:
        received = "none. Make batches smaller, or keep the remainder."
        raise invalid_value("x", "at least one batch", received)
    return TrainingBatches(dataset, num_samples, validation_data)


def _split_off(arrays, share):
    """Arrays without their last rows, and these rows, as Keras splits them."""
    is_share, expected = lambda share: 0.0 < share < 1.0, "a float in (0, 1)"
    as_float("validation_split", share, is_share, expected)
    num_samples = len(keras.tree.flatten(arrays)[0])
    start = math.floor(num_samples * (1.0 - share))
    first = keras.tree.map_structure(lambda array: array[:start], arrays)
    return first, keras.tree.map_structure(lambda array: array[start:], arrays)


def _batches_of_arrays(arrays, batch_size, shuffle):
    """Batches of arrays, whose rows are the ids, and the number of rows."""
    arrays = with_row_weights(arrays)
    num_samples = len(keras.tree.flatten(arrays)[0])
    tensors = keras.tree.map_structure(tf.convert_to_tensor, arrays)
    ids = tf.data.Dataset.range(num_samples)
    if shuffle:
        ids = shuffle_by_epoch(ids, num_samples, seed=None)

    def rows_of(ids):
        rows = keras.tree.map_structure(lambda t: tf.gather(t, ids), tensors)
        return *rows, ids

    dataset = ids.batch(batch_size).map(rows_of, tf.data.AUTOTUNE)
    return sharded_by_data(dataset), num_samples


def own_weights(train, x, sample_weight):
    """Float64 `(num_samples,)`: the user's weight of every sample.

    Those of a dataset are read in one pass, unless the first batch has none
    but 1.

    Args:
        train: `TrainingBatches`.
        x, sample_weight: As of `fit`.
    """
    own = np.ones(train.num_samples)

    def note(sample_weight, rows):
        weights = np.asarray(keras.tree.flatten(sample_weight)[0])[: len(own)]
        own[rows] = weights.reshape(len(weights), -1).mean(axis=1)
        return bool((weights != 1.0).any())

    if not isinstance(x, tf.data.Dataset):
        if sample_weight is not None:
            note(sample_weight, slice(None))
    elif is_weighted(train.dataset):
        weights, num_read = train.dataset.map(lambda *batch: batch[2:]), 0
        with passes_unchanged(train.dataset):
            for sample_weight, ids in weights.as_numpy_iterator():
                differ, num_read = note(sample_weight, ids), num_read + len(ids)
                is_first = num_read == len(ids)
                if is_first and not differ or num_read >= len(own):
                    break
    if not (own > 0.0).any():
        raise invalid_value(
            "sample_weight",
            "a weight above 0 for some samples",
            "none, so that there is nothing to train on.",
        )
    return np.maximum(own, 0.0)


def check_fit_arguments(callbacks, class_weight, validation_data):
    """Raises TypeError or ValueError for what `fit` does not support."""
    for callback in keras.tree.flatten(callbacks or []):
        is_list = isinstance(callback, keras.callbacks.CallbackList)
        if is_list or not isinstance(callback, keras.callbacks.Callback):
            raise invalid_type(
                "callbacks",
                "a list of `keras.callbacks.Callback`",
                f"{callback!r} in it. Pass the callbacks themselves.",
            )
        if isinstance(callback, LossCurveRecorder):
            raise invalid_value(
                "callbacks",
                "a LossCurveRecorder only in the `fit` of the probed model",
                "one in CurveWeightedModel.fit. Leave it out.",
            )
    if class_weight is not None:
        raise invalid_value(
            "class_weight",
            "None, because CurveNet learns weights by curve and class, and "
            "classes are balanced already (`balance_classes`)",
            f"class_weight={class_weight}. Leave it out; where "
            "it means costs, multiply it into `sample_weight`.",
        )
    is_tuple = isinstance(validation_data, (tuple, list))
    if is_tuple and len(validation_data) not in (2, 3):
        raise invalid_value(
            "validation_data",
            "(x, y), (x, y, sample_weight) or a dataset",
            f"a {type(validation_data).__name__} of {len(validation_data)}.",
        )


def as_meta_epochs(meta_epochs, epochs):
    """The number of epochs that learn weights: half of all by default."""
    if meta_epochs is None:
        return math.ceil(epochs / 2)
    return as_int("meta_epochs", meta_epochs, 0)


def check_scope(weighted):
    """Raises ValueError where a strategy does not have the base model too."""
    strategy, base_model = weighted.distribute_strategy, weighted.base_model
    is_shared = base_model.distribute_strategy is strategy
    if strategy.num_replicas_in_sync > 1 and not is_shared:
        raise invalid_value(
            "base_model",
            "a model made in the scope of the strategy of CurveWeightedModel",
            f"'{base_model.name}', made outside. Make both in one `with "
            "strategy.scope():`.",
        )


def prepare_for_strategy(model):
    """Lets Keras's `fit` and `evaluate` take data with ids under a strategy."""
    if has_strategy(model):
        build_with(
            model,
            lambda iterator: build_from_spec(
                model, iterator.data_adapter.get_tf_dataset()
            ),
        )


def with_curves(dataset, prepared, held_out):
    """Batches `(x, y, sample_weight, sample_id, prepared, is_held_out)`.

    The look-up of `PreparedCurves` runs on the host, inside tf.data, where an
    id without a curve is an error. They are read from where they are, memory or
    disk, and never become a part of the graph.
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

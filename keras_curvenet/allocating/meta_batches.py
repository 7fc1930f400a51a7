"""The meta set as an endless stream of batches beside the training batches."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.probing.sample_ids import rows_of_arrays


def meta_batches(meta_data, batch_size, meta_every, num_classes):
    """Turns a meta set into batches `(x, y, sample_weight)` without end.

    Args:
        meta_data: Tuple of arrays `(x, y)` or `(x, y, sample_weight)`, or a
            batched `tf.data.Dataset` of such elements.
        batch_size: Int >= 1: samples in a batch of arrays, or to batch a
            dataset anew; or None to keep a dataset's batches.
        meta_every: Int >= 1. A batch comes at every `meta_every`-th step of an
            epoch, from its first; the batches between are empty.
        num_classes: Int, the number of classes that the meta set must have.

    Raises:
        TypeError: If `meta_data` is of another type.
        ValueError: If it is empty, not batched, or has no sample of a class.
    """
    if isinstance(meta_data, tuple):
        dataset = _shuffled_rows(meta_data, batch_size, num_classes)
    elif isinstance(meta_data, tf.data.Dataset):
        dataset = _repeated(meta_data, batch_size, num_classes)
    else:
        raise TypeError(
            "Invalid value for argument `meta_data`. Expected arrays (x, y), "
            "or a `tf.data.Dataset` of batches (x, y) or (x, y, "
            f"sample_weight). Received: {type(meta_data).__name__}."
        )
    dataset = dataset.map(_with_sample_weight, tf.data.AUTOTUNE)
    if meta_every > 1:
        dataset = dataset.flat_map(
            lambda *batch: _followed_by_empty(batch, meta_every - 1)
        )
        endless = tf.data.INFINITE_CARDINALITY
        dataset = dataset.apply(
            tf.data.experimental.assert_cardinality(endless)
        )
    return dataset


def _shuffled_rows(arrays, batch_size, num_classes):
    arrays = rows_of_arrays(arrays, "meta_data")
    _refuse_missing_classes([arrays[1]], num_classes)
    num_samples = len(keras.tree.flatten(arrays)[0])
    dataset = tf.data.Dataset.from_tensor_slices(arrays)
    # Repeating before batching keeps batches full where the set is small.
    return dataset.shuffle(num_samples).repeat().batch(batch_size)


def _repeated(dataset, batch_size, num_classes):
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise ValueError(
            "Invalid value for argument `meta_data`. Expected a dataset of "
            "batches (x, y) or (x, y, sample_weight). Received: elements of "
            f"{spec}. Sample ids are for the training data only."
        )
    if any(leaf.shape.rank == 0 for leaf in keras.tree.flatten(spec)):
        raise ValueError(
            "Invalid value for argument `meta_data`. Expected a batched "
            f"dataset. Received: elements of {spec}. Call `batch` on it."
        )
    size = int(dataset.cardinality())
    if size != tf.data.INFINITE_CARDINALITY:
        labels = dataset.map(lambda *batch: batch[1])
        _refuse_missing_classes(labels.as_numpy_iterator(), num_classes)
        dataset = dataset.repeat()
    if batch_size is not None:
        dataset = dataset.unbatch().batch(batch_size)
    return dataset


def _refuse_missing_classes(batches_of_targets, num_classes):
    """Raises ValueError where integer or one-hot targets miss a class."""
    found, is_empty = set(), True
    for targets in batches_of_targets:
        is_empty = False
        if keras.tree.is_nested(targets):
            return
        targets = np.asarray(targets)
        shape = targets.shape[1:]
        if shape in ((), (1,)):
            labels = targets.reshape(-1)
            if num_classes == 2:
                labels = labels > 0.5
        elif shape == (num_classes,):
            labels = targets.argmax(axis=-1)
        else:
            return
        found.update(np.unique(labels).astype(int).tolist())
    if is_empty:
        raise ValueError(
            "Invalid value for argument `meta_data`. Expected at least one "
            "batch. Received: an empty dataset."
        )
    missing = sorted(set(range(num_classes)) - found)
    if missing and num_classes > 1:
        raise ValueError(
            "Invalid value for argument `meta_data`. Expected samples of each "
            f"of the {num_classes} classes of the loss curves. Received: none "
            f"of class(es) {missing[:10]}. Add some: a class that the meta set "
            "lacks loses its weight in training."
        )


def _with_sample_weight(*batch):
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    if sample_weight is None:
        size = tf.shape(keras.tree.flatten(x)[0])[:1]
        sample_weight = tf.ones(size, keras.config.floatx())
    return x, y, sample_weight


def _followed_by_empty(batch, count):
    """A dataset of one batch and `count` batches of no samples."""
    empty = tf.data.Dataset.from_tensors(
        keras.tree.map_structure(lambda tensor: tensor[:0], batch)
    )
    return tf.data.Dataset.from_tensors(batch).concatenate(empty.repeat(count))

"""The meta set as an endless stream of batches beside the training batches."""

from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_curvenet.inspecting.label_quality import estimate_class_counts
from keras_curvenet.inspecting.meta_selection import select_meta_samples
from keras_curvenet.probing.epoch_order import remade_each_pass
from keras_curvenet.probing.sample_ids import has_sample_ids
from keras_curvenet.probing.sample_ids import rows_of_arrays

# Batches of a meta dataset that are looked at for classes, and shuffled. One
# that has more is taken for endless.
_MOST_BATCHES = 1000

# How often a dataset that repeats without end is read for the meta samples.
_MOST_PASSES = 10

# Samples in a batch of a meta set that comes as arrays. Exact meta steps on
# larger ones were no better: `benchmarks/EARLIER.md`, "Cheaper meta steps".
_BATCH_SIZE = 32

# At most one in so many right labels of a class is held out.
_HELD_OUT_OF = 10


class MetaSet(NamedTuple):
    """The trusted samples.

    Attributes:
        sample_ids: Int64 `(n,)`, where they were chosen by their curves, or
            None.
        held_out: Those of them that are not trained on while they judge; none,
            otherwise.
        batches: Batches `(x, y, sample_weight)` without end.
    """

    sample_ids: npt.NDArray[np.int64] | None
    held_out: npt.NDArray[np.int64]
    batches: tf.data.Dataset


def meta_set(
    meta_data, train, loss_curves, batch_size, meta_every, num_classes
):
    """The meta set that is given, or the samples that the curves trust.

    Args:
        meta_data: As of `meta_batches`, or None.
        train: `TrainingBatches`.
        loss_curves: `LossCurves` of them, and perhaps of more.
        batch_size, meta_every, num_classes: As of `meta_batches`.

    Returns:
        `MetaSet`.
    """
    sample_ids, held_out = None, np.array([], np.int64)
    if meta_data is None:
        size = train.num_samples
        curves = loss_curves.first(size)
        sample_ids = select_meta_samples(curves)
        held_out = held_out_of(sample_ids, curves)
        meta_data = rows_of_ids(train.dataset, sample_ids, size)
        num_classes = None
    batches = meta_batches(meta_data, batch_size, meta_every, num_classes)
    return MetaSet(sample_ids, held_out, batches)


def held_out_of(sample_ids, curves):
    """Which chosen meta samples are not trained on while weights are learned.

    Samples that are trained on as well judge badly: their own labels are known
    by heart soon, and what else a network learns of their class makes no
    difference to them. No more than a tenth of a class's right labels are held
    out, since rare classes need theirs. How much that matters:
    `benchmarks/RESULTS.md`, "What did not help".

    Args:
        sample_ids: Int64 `(n,)`, ascending by class.
        curves: Their `LossCurves`.

    Returns:
        Int64 ids, a part of `sample_ids`.
    """
    most = estimate_class_counts(curves) // _HELD_OUT_OF
    labels = curves.labels[sample_ids]
    rank = np.arange(len(labels)) - np.searchsorted(labels, labels)
    return sample_ids[rank < most[labels]]


def meta_batches(meta_data, batch_size, meta_every, num_classes):
    """Turns a meta set into batches `(x, y, sample_weight)` without end.

    Args:
        meta_data: Tuple (or list) of arrays `(x, y)` or `(x, y,
            sample_weight)`, or a batched `tf.data.Dataset` of such elements.
        batch_size: Int >= 1, samples in a batch. Or None: a dataset's own
            batches, and for arrays 32, or all rows where there are fewer.
        meta_every: Int >= 1. A batch comes at every `meta_every`-th step of an
            epoch, from its first; the batches between are empty.
        num_classes: Int, the number of classes that the meta set must have, or
            None where its targets are not the classes of the curves.

    Raises:
        TypeError: If `meta_data` is of another type.
        ValueError: If it is empty, not batched, has no sample of a class, or
            has labels out of range.
    """
    if isinstance(meta_data, (tuple, list)):
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


def rows_of_ids(dataset, sample_ids, num_samples):
    """Reads the rows with certain sample ids, once through the dataset.

    Args:
        dataset: Batches `(x, y, sample_weight, sample_id)`.
        sample_ids: Int `(n,)`, distinct.
        num_samples: Int, the number of sample ids there are.

    Returns:
        Tuple of structures of arrays `(x, y, sample_weight)` with one row for
        each id, in their order.

    Raises:
        ValueError: If an id does not come, or the rows' shapes differ.
    """
    is_wanted = np.zeros(num_samples, bool)
    is_wanted[sample_ids] = True

    def only_wanted(*batch):
        wanted = tf.gather(is_wanted, batch[3])
        rows = keras.tree.map_structure(
            lambda tensor: tf.boolean_mask(tensor, wanted), batch
        )
        return rows, tf.size(wanted)

    missing, num_read, parts = set(np.asarray(sample_ids).tolist()), 0, []
    for rows, size in dataset.map(only_wanted).as_numpy_iterator():
        parts.append(rows)
        missing -= set(rows[3].tolist())
        num_read += size
        if not missing or num_read > _MOST_PASSES * num_samples:
            break
    if missing:
        raise ValueError(
            "Invalid value for argument `x`. Expected a dataset that holds "
            "all samples of the loss curves, for the meta set to be chosen "
            f"from. Received: one without sample id(s) {sorted(missing)[:5]}. "
            "Pass `meta_data`, or the whole dataset."
        )
    try:
        x, y, sample_weight, ids = keras.tree.map_structure(
            lambda *arrays: np.concatenate(arrays), *parts
        )
    except ValueError as error:
        raise ValueError(
            "Invalid value for argument `meta_data`. Expected meta_data=None "
            "only with samples of one shape. Received: batches whose samples "
            f"differ in shape ({error}). Pass `meta_data`, or pad all batches "
            "to one shape."
        ) from error
    _, first = np.unique(ids, return_index=True)
    order = first[np.searchsorted(ids[first], sample_ids)]
    return keras.tree.map_structure(
        lambda array: array[order], (x, y, sample_weight)
    )


def _shuffled_rows(arrays, batch_size, num_classes):
    arrays = rows_of_arrays(tuple(arrays), "meta_data")
    _refuse_missing_classes([arrays[1]], num_classes)
    num_samples = len(keras.tree.flatten(arrays)[0])
    if batch_size is None:
        batch_size = min(_BATCH_SIZE, num_samples)
    dataset = tf.data.Dataset.from_tensor_slices(arrays)
    # Repeating before batching keeps batches full where the set is small.
    return _endless(dataset, num_samples).batch(batch_size)


def _endless(dataset, buffer_size):
    """Repeats a dataset, shuffled anew each time, in the same way by epoch."""
    return remade_each_pass(
        lambda seed: dataset.shuffle(
            buffer_size, seed=seed, reshuffle_each_iteration=True
        ).repeat(),
        like=dataset.repeat(),
        seed=None,
    )


def _repeated(dataset, batch_size, num_classes):
    spec = dataset.element_spec
    if has_sample_ids(spec):
        dataset = dataset.map(lambda *batch: batch[:3])
        spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise ValueError(
            "Invalid value for argument `meta_data`. Expected a dataset of "
            "batches (x, y) or (x, y, sample_weight). Received: elements of "
            f"{spec}."
        )
    if any(leaf.shape.rank == 0 for leaf in keras.tree.flatten(spec)):
        raise ValueError(
            "Invalid value for argument `meta_data`. Expected a batched "
            f"dataset. Received: elements of {spec}. Call `batch` on it."
        )
    if int(dataset.cardinality()) != tf.data.INFINITE_CARDINALITY:
        labels = dataset.map(lambda *batch: batch[1]).take(_MOST_BATCHES)
        seen = _refuse_missing_classes(labels.as_numpy_iterator(), num_classes)
        # Every epoch starts the dataset anew: without shuffling, the batches
        # past an epoch's number of steps would never be used.
        whole = seen < _MOST_BATCHES
        dataset = _endless(dataset, seen) if whole else dataset.repeat()
    if batch_size is not None:
        dataset = dataset.unbatch().batch(batch_size)
    return dataset


def _refuse_missing_classes(batches_of_targets, num_classes):
    """Raises ValueError where targets miss a class; returns their number."""
    found, size, is_known = set(), 0, num_classes is not None
    for targets in batches_of_targets:
        size += 1
        flat = keras.tree.flatten(targets)
        is_known = is_known and len(flat) == 1
        if not is_known:
            continue
        targets = np.asarray(flat[0])
        if targets.shape[1:] in ((), (1,)):
            found.update(np.unique(targets).tolist())
        elif targets.shape[1:] == (num_classes,):
            found.update(np.unique(targets.argmax(axis=-1)).tolist())
        else:
            is_known = False
    if size == 0:
        raise ValueError(
            "Invalid value for argument `meta_data`. Expected at least one "
            "batch. Received: an empty dataset."
        )
    if not is_known or num_classes == 1:
        return size
    if num_classes == 2:  # Binary targets may be smoothed.
        found = {
            int(label > 0.5) if 0 < label < 1 else label for label in found
        }
    expected = set(range(num_classes))
    if found - expected:
        raise ValueError(
            "Invalid value for argument `meta_data`. Expected labels from 0 to "
            f"{num_classes - 1}, the classes of the loss curves. Received: "
            f"labels such as {sorted(found - expected)[:5]}."
        )
    if expected - found:
        raise ValueError(
            "Invalid value for argument `meta_data`. Expected samples of each "
            f"of the {num_classes} classes of the loss curves. Received: none "
            f"of class(es) {sorted(expected - found)[:10]}. Add some: a class "
            "that the meta set lacks loses its weight in training."
        )
    return size


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

"""The meta set: which samples, and their batches without end."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.inspecting.label_quality import estimate_class_counts
from keras_curvenet.inspecting.meta_selection import select_meta_samples
from keras_curvenet.probing.epoch_order import remade_each_pass
from keras_curvenet.probing.sample_ids import has_sample_ids
from keras_curvenet.probing.sample_ids import rows_of_arrays

# Batches of a meta dataset that are looked at; one with more may be endless.
_MOST_BATCHES = 1000

# How often a dataset that repeats without end is read for the meta samples.
_MOST_PASSES = 10

# Samples in a batch of arrays. Larger batches cost more, and are no better.
_BATCH_SIZE = 32

# At most one in so many right labels of a class is held out.
_HELD_OUT_OF = 10


def meta_set(meta_data, train, loss_curves, batch_size, num_classes):
    """The meta set that is given, or the samples that the curves trust.

    Returns:
        Tuple of int64 sample ids, if they were chosen by the curves of `train`,
        or None; those of them that are not trained on while they judge; and
        `meta_batches`.
    """
    if meta_data is not None:
        return None, [], meta_batches(meta_data, batch_size, num_classes)
    curves = loss_curves.first(train.num_samples)
    sample_ids = select_meta_samples(curves)
    rows = _rows_of_ids(train, sample_ids)
    batches = meta_batches(rows, batch_size, num_classes=None)
    return sample_ids, _held_out_of(sample_ids, curves), batches


def _held_out_of(sample_ids, curves):
    """Those of the ids, which are by class, that are not trained on meanwhile.

    Samples that are trained on as well judge badly: their own labels are
    memorized soon, and what else a network learns of their class makes no
    difference to them. No more than a tenth of a class's right labels are held
    out, since rare classes need theirs.
    """
    most = estimate_class_counts(curves) // _HELD_OUT_OF
    labels = curves.labels[sample_ids]
    rank = np.arange(len(labels)) - np.searchsorted(labels, labels)
    return sample_ids[rank < most[labels]]


def _rows_of_ids(train, sample_ids):
    """Arrays `(x, y, sample_weight)`, read in one pass, of distinct ids."""
    is_wanted = np.zeros(train.num_samples, bool)
    is_wanted[sample_ids] = True

    def only_wanted(*batch):
        wanted = tf.gather(is_wanted, batch[3])
        rows = keras.tree.map_structure(
            lambda tensor: tf.boolean_mask(tensor, wanted), batch
        )
        return rows, tf.size(wanted)

    missing, num_read, parts = set(sample_ids.tolist()), 0, []
    for rows, size in train.dataset.map(only_wanted).as_numpy_iterator():
        parts.append(rows)
        missing -= set(rows[3].tolist())
        num_read += size
        if not missing or num_read > _MOST_PASSES * train.num_samples:
            break
    if missing:
        ids = sorted(missing)[:5]
        raise invalid_value(
            "x",
            "all samples of the loss curves, to choose the meta set from",
            f"data without sample id(s) {ids}. Pass all, or `meta_data`.",
        )
    try:
        *arrays, ids = keras.tree.map_structure(
            lambda *arrays: np.concatenate(arrays), *parts
        )
    except ValueError as error:
        raise invalid_value(
            "meta_data",
            "meta_data=None only with samples of one shape",
            f"batches whose samples differ in shape ({error}). Pass it.",
        ) from error
    _, first = np.unique(ids, return_index=True)
    order = first[np.searchsorted(ids[first], sample_ids)]
    return keras.tree.map_structure(lambda array: array[order], tuple(arrays))


def meta_batches(meta_data, batch_size, num_classes):
    """Batches `(x, y, sample_weight)` without end, of arrays or a dataset.

    A `batch_size` of None leaves a dataset's batches as they are. The targets
    must have all classes, unless `num_classes` is None.
    """
    if isinstance(meta_data, tf.data.Dataset):
        dataset = _batches_of_dataset(meta_data, batch_size, num_classes)
    elif isinstance(meta_data, (tuple, list)):
        arrays = rows_of_arrays(meta_data, "meta_data")
        _check_targets([arrays[1]], num_classes)
        num_rows = len(keras.tree.flatten(arrays)[0])
        dataset = tf.data.Dataset.from_tensor_slices(arrays)
        # Repeating before batching keeps batches full where there are few rows.
        dataset = _endless(dataset, num_rows)
        dataset = dataset.batch(batch_size or min(_BATCH_SIZE, num_rows))
    else:
        raise TypeError(
            "Invalid value for argument `meta_data`. Expected arrays (x, y), "
            "or a `tf.data.Dataset` of batches (x, y) or (x, y, "
            f"sample_weight). Received: {type(meta_data).__name__}."
        )
    return dataset.map(_with_sample_weight, tf.data.AUTOTUNE)


def _batches_of_dataset(dataset, batch_size, num_classes):
    """The batches of a dataset, or others of a size, without end."""
    if has_sample_ids(dataset.element_spec):
        dataset = dataset.map(lambda *batch: batch[:3])
    spec = dataset.element_spec
    is_pair = isinstance(spec, tuple) and len(spec) in (2, 3)
    if not is_pair or 0 in {s.shape.rank for s in keras.tree.flatten(spec)}:
        raise invalid_value(
            "meta_data",
            "a dataset of batches (x, y) or (x, y, sample_weight)",
            f"elements of {spec}. Call `batch` on it, if that is missing.",
        )
    if int(dataset.cardinality()) != tf.data.INFINITE_CARDINALITY:
        targets = dataset.map(lambda *batch: batch[1]).take(_MOST_BATCHES)
        num_seen = _check_targets(targets.as_numpy_iterator(), num_classes)
        # Every epoch starts the dataset anew: without shuffling, the batches
        # past an epoch's number of steps would never be used.
        is_whole = num_seen < _MOST_BATCHES
        dataset = _endless(dataset, num_seen) if is_whole else dataset.repeat()
    if batch_size is not None:
        dataset = dataset.unbatch().batch(batch_size)
    return dataset


def _endless(dataset, buffer_size):
    """Repeats a dataset, shuffled anew each time, in the same way by epoch."""
    return remade_each_pass(
        lambda seed: dataset.shuffle(
            buffer_size, seed=seed, reshuffle_each_iteration=True
        ).repeat(),
        like=dataset.repeat(),
        seed=None,
    )


def _check_targets(batches, num_classes):
    """The number of batches of targets; ValueError if they lack a class.

    Classes are not looked at where some targets are no class labels.
    """
    found = [_labels_in(targets, num_classes) for targets in batches]
    if not found:
        raise invalid_value(
            "meta_data", "at least one batch", "an empty dataset."
        )
    if None in found:
        return len(found)
    labels, classes = set().union(*found), set(range(num_classes))
    if labels == classes:
        return len(found)
    received = f"labels such as {sorted(labels - classes)[:5]}."
    if labels < classes:
        received = (
            f"none of class(es) {sorted(classes - labels)[:10]}. Add some: a "
            "class that the meta set lacks loses its weight in training."
        )
    expected = f"labels of all classes of the curves, 0 to {num_classes - 1}"
    raise invalid_value("meta_data", expected, received)


def _labels_in(targets, num_classes):
    """Set of the labels in a batch of targets; None if they are no classes."""
    targets = keras.tree.flatten(targets)
    if num_classes in (None, 1) or len(targets) != 1:
        return None
    labels = np.asarray(targets[0])
    if labels.shape[1:] == (num_classes,):
        labels = labels.argmax(axis=1)
    elif labels.shape[1:] not in ((), (1,)):
        return None
    elif num_classes == 2 and labels.dtype.kind not in "OSU":  # No strings.
        is_smoothed = (labels > 0) & (labels < 1)
        labels = np.where(is_smoothed, labels > 0.5, labels)
    return set(np.unique(labels).tolist())


def _with_sample_weight(*batch):
    """A batch with weights, which are 1 where there are none."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    if sample_weight is None:
        size = tf.shape(keras.tree.flatten(x)[0])[:1]
        sample_weight = tf.ones(size, keras.config.floatx())
    return x, y, sample_weight

"""The meta set: which samples, and their batches without end."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.checked_arguments import invalid_type
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.inspecting.label_quality import estimate_class_counts
from keras_curvenet.inspecting.meta_selection import select_meta_samples
from keras_curvenet.probing.array_rows import refuse_sparse_spec
from keras_curvenet.probing.array_rows import rows_of_arrays
from keras_curvenet.probing.epoch_order import remade_each_pass
from keras_curvenet.probing.sample_ids import has_sample_ids

# Batches of a meta dataset that are looked at; one with more may be endless.
_MOST_BATCHES = 1000

# How often a dataset is read for the meta samples, if need be.
_MOST_PASSES = 10

# Samples in a batch of arrays. Larger batches cost more, and are no better.
_BATCH_SIZE = 32

# At most one in so many right labels of a class is held out.
_HELD_OUT_OF = 10


def meta_set(meta_data, train, loss_curves, checked, batch_size, num_classes):
    """The meta set that is given, or the samples that the curves trust.

    Returns:
        Tuple of int64 sample ids, if they were chosen by the curves of `train`,
        or None; those of them that are not trained on while they judge; and
        `meta_batches`.
    """
    if meta_data is not None:
        needed = set(np.unique(loss_curves.labels).tolist()) - {-1}
        batches = meta_batches(meta_data, batch_size, num_classes, needed)
        return None, [], batches
    curves = loss_curves.first(train.num_samples)
    if checked is not None:
        checked = checked.first(train.num_samples)
    sample_ids, rows = _chosen_rows(train, curves, checked)
    batches = meta_batches(rows, batch_size, num_classes=None)
    return sample_ids, _held_out_of(sample_ids, curves), batches


def _chosen_rows(train, curves, checked):
    """Ids of trusted samples that the data has, and their arrays.

    Data may lack samples of the curves for good (filtered, or in a last batch
    that is always dropped): then others are chosen.
    """
    wanted = select_meta_samples(curves, checked=checked)
    rows, comes = _rows_of_ids(train, wanted)
    sample_ids = wanted
    if not comes[wanted].all():
        sample_ids = select_meta_samples(curves, among=comes, checked=checked)
        rows, comes = _rows_of_ids(train, sample_ids)
        sample_ids = sample_ids[comes[sample_ids]]
    absent = np.setdiff1d(curves.labels[wanted], curves.labels[sample_ids])
    if absent.size:
        raise invalid_value(
            "x",
            "samples of all classes of the loss curves, for the meta set",
            f"data without class(es) {absent[:10].tolist()}. Pass some of "
            "each, or `meta_data`.",
        )
    return sample_ids, rows


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
    """What is read from the data of distinct ids, in their order.

    Passes may differ in what they drop, so that another one is made as long
    as it has samples that those before did not have.

    Returns:
        Tuple of arrays `(x, y, sample_weight)` of the ids that come, and bool
        `(num_samples,)`: which samples come.
    """
    is_wanted = np.zeros(train.num_samples, bool)
    is_wanted[sample_ids] = True

    def only_wanted(*batch):
        wanted = tf.gather(is_wanted, batch[3])
        rows = keras.tree.map_structure(
            lambda tensor: tf.boolean_mask(tensor, wanted), batch
        )
        return rows, batch[3]

    dataset = train.dataset.map(only_wanted)
    comes, parts = np.zeros(train.num_samples, bool), []
    num_read, most = 0, _MOST_PASSES * train.num_samples

    def passes():
        for _ in range(_MOST_PASSES):
            num_known = np.count_nonzero(comes)
            yield from dataset.as_numpy_iterator()
            if np.count_nonzero(comes) == num_known:
                break

    for rows, ids in passes():
        parts.append(rows)
        comes[ids] = True
        num_read += len(ids)
        if comes[sample_ids].all() or num_read >= most:
            break
    if not parts:
        raise invalid_value("x", "at least one batch", "an empty dataset.")
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
    order = first[np.searchsorted(ids[first], sample_ids[comes[sample_ids]])]
    arrays = keras.tree.map_structure(lambda a: a[order], tuple(arrays))
    return arrays, comes


def meta_batches(meta_data, batch_size, num_classes, needed=None):
    """Batches `(x, y, sample_weight)` without end, of arrays or a dataset.

    A `batch_size` of None leaves a dataset's batches as they are. The targets
    must have the set of classes that is `needed` (None: all), unless
    `num_classes` is None.
    """
    if isinstance(meta_data, tf.data.Dataset):
        dataset = _batches_of_dataset(
            meta_data, batch_size, num_classes, needed
        )
    elif isinstance(meta_data, (tuple, list)):
        arrays = rows_of_arrays(meta_data, "meta_data")
        _check_targets([arrays[1]], num_classes, needed)
        num_rows = len(keras.tree.flatten(arrays)[0])
        dataset = tf.data.Dataset.from_tensor_slices(arrays)
        # Repeating before batching keeps batches full where there are few rows.
        dataset = _endless(dataset, num_rows)
        dataset = dataset.batch(batch_size or min(_BATCH_SIZE, num_rows))
    else:
        raise invalid_type(
            "meta_data",
            "arrays (x, y), or a `tf.data.Dataset` of batches (x, y) or (x, y, "
            "sample_weight)",
            f"{type(meta_data).__name__}.",
        )
    return dataset.map(_with_sample_weight, tf.data.AUTOTUNE)


def _batches_of_dataset(dataset, batch_size, num_classes, needed):
    """The batches of a dataset, or others of a size, without end."""
    if has_sample_ids(dataset.element_spec):
        dataset = dataset.map(lambda *batch: batch[:3])
    spec = dataset.element_spec
    refuse_sparse_spec(spec, "meta_data")
    is_pair = isinstance(spec, tuple) and len(spec) in (2, 3)
    if not is_pair or 0 in {s.shape.rank for s in keras.tree.flatten(spec)}:
        raise invalid_value(
            "meta_data",
            "a dataset of batches (x, y) or (x, y, sample_weight)",
            f"elements of {spec}. Call `batch` on it, if that is missing.",
        )
    if int(dataset.cardinality()) != tf.data.INFINITE_CARDINALITY:
        targets = dataset.map(lambda *batch: batch[1]).take(_MOST_BATCHES)
        num_seen = _check_targets(
            targets.as_numpy_iterator(), num_classes, needed
        )
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


def _check_targets(batches, num_classes, needed=None):
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
    others, needed = labels - classes, classes if needed is None else needed
    if needed <= labels and not others:
        return len(found)
    received = f"labels such as {sorted(others)[:5]}."
    if not others:
        received = (
            f"none of class(es) {sorted(needed - labels)[:10]}. Add some: a "
            "class that the meta set lacks loses its weight in training."
        )
    expected = (
        f"labels from 0 to {num_classes - 1}, of all classes of the curves"
    )
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

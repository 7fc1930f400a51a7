"""Sample ids: the one place that knows how an id travels with its sample."""

import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.checked_arguments import as_rows
from keras_curvenet.checked_arguments import invalid_type
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.probing.array_rows import refuse_sparse_spec
from keras_curvenet.probing.array_rows import rows_of_arrays
from keras_curvenet.probing.array_rows import with_row_weights
from keras_curvenet.probing.dataset_graph import all_behind
from keras_curvenet.probing.dataset_graph import counts_a_shuffled_order
from keras_curvenet.probing.dataset_graph import inputs_of
from keras_curvenet.probing.dataset_graph import is_deterministic
from keras_curvenet.probing.dataset_graph import note_source
from keras_curvenet.probing.dataset_graph import refuse_changing_order
from keras_curvenet.probing.python_data import dataset_of_python
from keras_curvenet.workers import sharded_by_data

# The number of ids is carried by the dataset object itself, and found again
# by walking from a derived dataset (shuffled, batched, ...) to its origin:
# elements hold nothing but x, y, sample_weight and the id.
_NUM_SAMPLES = "_keras_curvenet_num_samples"
_IS_WEIGHTED = "_keras_curvenet_is_weighted"
_MAY_CHANGE_ORDER = "_keras_curvenet_may_change_order"

# Curves are kept for ids that are never seen: a table may have more rows than
# are trained on, but not as many as there are, say, telephone numbers.
_MOST_IDS_PER_SAMPLE = 10

# Ids that are read from a dataset at once.
_READ_AT_ONCE = 1024

# Transformations that keep one element one element, whatever is inside it.
_ELEMENTWISE = (
    "Filter",
    "Map",
    "ParallelMap",
    "Prefetch",
    "Cache",
    "Shuffle",
    "Take",
    "Skip",
    "Options",
    "Repeat",
)
_BATCHING = "BatchDataset", "ParallelBatchDataset", "PaddedBatchDataset"


def with_sample_ids(dataset, ids=None):
    """Gives every sample of a dataset its own number, its *sample id*.

    It names the sample that a loss belongs to after the dataset was shuffled.
    Apply it after everything that makes samples (reading, decoding, augmenting)
    and before `shuffle`, `batch`, `repeat` and `prefetch`. The order of
    `dataset` has to be the same in every epoch.

    What is mapped later takes ids too:
    `train.map(lambda x, y, w, i: (augment(x), y, w, i))`. `fit` takes no
    `validation_split` or `class_weight` beside ids: give `data.skip(1000)` ids
    and validate on `data.take(1000)`; class weights are sample weights.

    Args:
        dataset: A finite `tf.data.Dataset` of `(x, y)` or
            `(x, y, sample_weight)`, a `keras.utils.PyDataset` of such batches,
            or a tuple of arrays of the same form, such as `(x_train, y_train)`.
            Where its size is not known, it is counted in one pass. Batches
            (`keras.utils.image_dataset_from_directory` with `shuffle=False`)
            are kept; an unbatched dataset is better shuffled.
        ids: By default samples are counted in the order they come in. Or ids of
            yours, such as rows of a table, all different: an array of ints in
            that order, or a function such as `lambda x, y: x["row"]`, which
            takes samples or batches as they come, in any order.

    Returns:
        A `tf.data.Dataset` of `(x, y, sample_weight, sample_id)`. Weights are
        1 (float32) where none were given; ids are int64, by default 0 to
        `num_samples - 1` in the dataset's own order. Its cardinality is known.
        `file_paths` and `class_names` of a folder of images are there still.

    Raises:
        TypeError: If `dataset` is none of these.
        ValueError: If the dataset is empty or infinite, already has ids, or
            has elements of another form, or if `ids` are not all different;
            where it is fitted, if its order changes.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    x = np.zeros((100, 8), "float32")
    y = np.zeros(100, "int32")
    train = kcn.with_sample_ids((x, y)).shuffle(100).batch(32)
    ```
    """
    if isinstance(dataset, (tuple, list)):
        arrays = rows_of_arrays(dataset, "dataset")
        if not callable(ids):
            return _rows_with_ids(arrays, ids)
        dataset = tf.data.Dataset.from_tensor_slices(arrays)
    is_python = isinstance(dataset, keras.utils.PyDataset)
    if is_python:
        dataset = dataset_of_python(dataset)
    if not isinstance(dataset, tf.data.Dataset):
        raise invalid_type(
            "dataset",
            "a `tf.data.Dataset` of (x, y) or (x, y, sample_weight), a "
            "`keras.utils.PyDataset`, or such a tuple of arrays",
            f"dataset of type {type(dataset).__name__}. Make a generator a "
            "dataset by `tf.data.Dataset.from_generator`.",
        )
    if any(hasattr(node, _NUM_SAMPLES) for node in all_behind(dataset)):
        raise invalid_value(
            "dataset",
            "a dataset without sample ids",
            f"dataset={dataset}, which `with_sample_ids` made already. Use it "
            "as it is.",
        )
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise invalid_value(
            "dataset",
            "elements (x, y) or (x, y, sample_weight)",
            f"elements of {spec}. Use `dataset.map` to bring them into this "
            "form.",
        )
    refuse_sparse_spec(spec, "dataset")
    if callable(ids):
        return _with_ids_of_elements(dataset, ids)
    if ids is None and counts_a_shuffled_order(dataset):
        warnings.warn(
            "The dataset was shuffled before `with_sample_ids` (as by "
            "`shuffle(n).cache()`): ids count that order, and index nothing "
            "else. Call `shuffle` after it, or give your own `ids`.",
            stacklevel=2,
        )
    batching = dataset if is_python else _batching(dataset)
    if batching is None:
        return _elements_with_ids(dataset, ids)
    return _batches_with_ids(dataset, batching, ids)


def _rows_with_ids(arrays, ids):
    """Slices of arrays, the id beside them."""
    ids = _as_ids(ids, len(keras.tree.flatten(arrays)[0]))
    rows = (*with_row_weights(arrays), ids)
    dataset = tf.data.Dataset.from_tensor_slices(rows)
    return _as_origin(dataset, ids, len(arrays) == 3)


def _elements_with_ids(dataset, ids):
    """An unbatched dataset beside its numbers, without a function for each."""
    num_samples = _num_elements(dataset)
    ids = _as_ids(ids, num_samples)
    is_weighted = len(dataset.element_spec) == 3
    parts = [dataset]
    if not is_weighted:
        one = tf.ones((), keras.config.floatx())
        parts.append(tf.data.Dataset.from_tensors(one).repeat(num_samples))
    parts.append(tf.data.Dataset.from_tensor_slices(ids))
    zipped = tf.data.Dataset.zip(tuple(parts))
    zipped = zipped.apply(tf.data.experimental.assert_cardinality(num_samples))
    first, *others = zipped.element_spec
    with_ids = tf.data.experimental.from_variant(
        tf.data.experimental.to_variant(zipped), (*first, *others)
    )
    note_source(with_ids, dataset)
    return _as_origin(with_ids, ids, is_weighted, dataset)


def _batches_with_ids(dataset, batching, ids):
    """A batched dataset, the ids of a batch beside it."""
    num_batches = _num_elements(dataset)
    ids = _as_ids(ids, _num_rows(dataset, batching, num_batches))
    all_ids = tf.constant(ids)

    def add_ids(first, batch):
        size = tf.shape(keras.tree.flatten(batch)[0], tf.int64)[0]
        of_batch = all_ids[first : first + size]
        return first + size, _with_weights_and_ids(batch, of_batch)

    with_ids = dataset.scan(np.int64(0), add_ids)
    with_ids = with_ids.apply(
        tf.data.experimental.assert_cardinality(num_batches)
    )
    is_weighted = len(dataset.element_spec) == 3
    return _as_origin(with_ids, ids, is_weighted, dataset)


def _with_ids_of_elements(dataset, id_of):
    """A dataset of samples or batches, each beside what a function says."""
    read = dataset.map(id_of, tf.data.AUTOTUNE)
    spec = read.element_spec
    if (
        not isinstance(spec, tf.TensorSpec)
        or not spec.dtype.is_integer
        or spec.shape.rank not in (0, 1)
    ):
        raise invalid_value(
            "ids",
            "a function of (x, y) to an int id, or of a batch to int ids",
            f"a function to {spec}.",
        )
    num_elements = _num_elements(dataset)
    if spec.shape.rank == 0:
        read = read.batch(_READ_AT_ONCE)
    ids = np.concatenate(list(read.as_numpy_iterator()))
    ids = _as_ids(ids, len(ids))

    def add_ids(*element):
        of_element = tf.cast(id_of(*element), tf.int64)
        return _with_weights_and_ids(element, of_element)

    with_ids = dataset.map(add_ids, tf.data.AUTOTUNE)
    with_ids = with_ids.apply(
        tf.data.experimental.assert_cardinality(num_elements)
    )
    is_weighted = len(dataset.element_spec) == 3
    with_ids = _as_origin(with_ids, ids, is_weighted, dataset)
    setattr(with_ids, _MAY_CHANGE_ORDER, True)
    return with_ids


def _with_weights_and_ids(element, ids):
    """`(x, y, sample_weight, ids)` of a sample or a batch, and its ids."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(element)
    if sample_weight is None:
        sample_weight = tf.ones_like(ids, keras.config.floatx())
    return x, y, sample_weight, ids


def _as_ids(ids, num_samples):
    """Int64 ids of so many samples, by default their number."""
    if ids is None:
        return np.arange(num_samples)
    ids = as_rows("ids", ids, num_samples)
    most = _MOST_IDS_PER_SAMPLE * num_samples
    if ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= most:
        received = f"dtype {ids.dtype}, such as {ids[0]}."
        if ids.dtype.kind in "iu":
            received = f"ids from {ids.min()} to {ids.max()}."
        raise invalid_value(
            "ids",
            f"ints from 0 to {most - 1}, which index rows of a table",
            f"{received} Number the rows: `np.arange(len(table))`.",
        )
    values, counts = np.unique(ids, return_counts=True)
    if len(values) < num_samples:
        raise invalid_value(
            "ids",
            "another id for each sample",
            f"id {values[counts.argmax()]} for {counts.max()} samples.",
        )
    return ids.astype(np.int64)


def _as_origin(dataset, ids, is_weighted, source=None):
    """A dataset on which is noted what is known of its ids."""
    dataset = sharded_by_data(dataset)
    setattr(dataset, _NUM_SAMPLES, int(ids.max()) + 1)
    setattr(dataset, _IS_WEIGHTED, is_weighted)
    for name in ("file_paths", "class_names"):  # Of a folder of images.
        if hasattr(source, name):
            setattr(dataset, name, getattr(source, name))
    return dataset


def num_samples_of(dataset, argument="x"):
    """Number of sample ids in a dataset made from a `with_sample_ids` one."""
    origins = [n for n in all_behind(dataset) if hasattr(n, _NUM_SAMPLES)]
    sizes = [getattr(origin, _NUM_SAMPLES) for origin in origins]
    spec = dataset.element_spec
    if not origins or not isinstance(spec, tuple) or len(spec) != 4:
        raise invalid_value(
            argument,
            "a dataset with sample ids, whose elements are (x, y, "
            "sample_weight, sample_id)",
            f"elements of {spec}. Wrap the unbatched dataset (or the arrays, "
            "or the `PyDataset`) in `keras_curvenet.with_sample_ids` before "
            "shuffling and batching it.",
        )
    if len(origins) > 1:
        raise invalid_value(
            argument,
            "ids that come from one call of `with_sample_ids`",
            f"a dataset made of {len(origins)} of them, with {sorted(sizes)} "
            "samples, so that different samples share an id. Put the parts "
            "together first and call `with_sample_ids` once, on the whole.",
        )
    if not hasattr(origins[0], _MAY_CHANGE_ORDER):
        refuse_changing_order(origins[0], is_deterministic(dataset), argument)
    return sizes[0]


def is_weighted(dataset):
    """Bool: whether the weights may be other than those `with_sample_ids` made.

    They are where a dataset came with weights, or was mapped afterwards.
    """
    for node in all_behind(dataset):
        if hasattr(node, _IS_WEIGHTED):
            return getattr(node, _IS_WEIGHTED)
        if "Map" in type(node).__name__:
            return True
    return True


def has_sample_ids(data):
    """Bool: whether a batch is (x, y, sample_weight, sample_id)."""
    return isinstance(data, tuple) and len(data) == 4


def split_sample_ids(data):
    """`(x, y, sample_weight)` and int64 ids `(batch,)` of a batch with ids."""
    return data[:3], tf.cast(data[3], tf.int64)


def without_sample_ids(data):
    """A batch as Keras's own steps take it."""
    return data[:3] if has_sample_ids(data) else data


def _batching(dataset):
    """The node that batches a dataset whose elements are batches, or None."""
    node = dataset
    while type(node).__name__.lstrip("_").startswith(_ELEMENTWISE):
        (node,) = inputs_of(node)
    shapes = [leaf.shape for leaf in keras.tree.flatten(dataset.element_spec)]
    are_batches = all(shape.rank for shape in shapes)
    are_batches = are_batches and len(_sizes(dataset)) <= 1
    is_batching = type(node).__name__.lstrip("_") in _BATCHING
    return node if is_batching and are_batches else None


def _sizes(dataset):
    """Set of the sizes that the first dimensions of elements are known to be.

    Batches that may end with a smaller one have none.
    """
    shapes = [leaf.shape for leaf in keras.tree.flatten(dataset.element_spec)]
    return {shape[0] for shape in shapes} - {None}


def _num_rows(dataset, batching, num_batches):
    """Number of samples in a dataset of so many batches.

    It is known where batches have one size, or every element goes into one;
    else rows are counted.
    """
    for size in _sizes(dataset) or _sizes(batching):
        return size * num_batches
    (elements,) = inputs_of(batching)
    size = int(elements.cardinality())
    if size >= 0 and int(batching.cardinality()) == num_batches:
        return size
    return int(
        dataset.reduce(
            np.int64(0),
            lambda count, *batch: (
                count + tf.shape(keras.tree.flatten(batch)[0], tf.int64)[0]
            ),
        )
    )


def _num_elements(dataset):
    """Size of a finite, non-empty dataset, counted where it is not known."""
    size = int(dataset.cardinality())
    if size == tf.data.INFINITE_CARDINALITY:
        raise invalid_value(
            "dataset",
            "a finite dataset",
            "an infinite one. Call `repeat` after `with_sample_ids`.",
        )
    if size == tf.data.UNKNOWN_CARDINALITY:
        size = int(dataset.reduce(np.int64(0), lambda count, _: count + 1))
    if size == 0:
        raise invalid_value(
            "dataset", "at least one sample", "an empty dataset."
        )
    return size

"""Sample ids: the one place that knows how an id travels with its sample."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.probing.dataset_graph import all_behind
from keras_curvenet.probing.dataset_graph import inputs_of
from keras_curvenet.probing.dataset_graph import is_deterministic
from keras_curvenet.probing.dataset_graph import note_source
from keras_curvenet.probing.dataset_graph import refuse_changing_order
from keras_curvenet.workers import sharded_by_data

# The number of ids is carried by the dataset object itself, and found again
# by walking from a derived dataset (shuffled, batched, ...) to its origin:
# elements hold nothing but x, y, sample_weight and the id.
_NUM_SAMPLES = "_keras_curvenet_num_samples"
_IS_WEIGHTED = "_keras_curvenet_is_weighted"

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


def with_sample_ids(dataset):
    """Gives every sample of a dataset its own number, its *sample id*.

    It names the sample that a loss belongs to after the dataset was shuffled.
    Apply it after everything that makes samples (reading, decoding, augmenting)
    and before `shuffle`, `batch`, `repeat` and `prefetch`. The order of
    `dataset` has to be the same in every epoch.

    Args:
        dataset: A finite `tf.data.Dataset` of `(x, y)` or
            `(x, y, sample_weight)`, or a tuple of arrays of the same form,
            such as `(x_train, y_train)`. Where TensorFlow does not know its
            size, it is counted in one pass. A dataset in batches
            (`keras.utils.image_dataset_from_directory` with `shuffle=False`)
            keeps them; an unbatched one is better shuffled.

    Returns:
        A `tf.data.Dataset` of `(x, y, sample_weight, sample_id)`. Weights are
        1 (float32) where none were given; ids are int64, 0 to
        `num_samples - 1` in the dataset's own order. Its cardinality is known.
        `file_paths` and `class_names` of a folder of images are there still.

    Raises:
        TypeError: If `dataset` is neither a dataset nor a tuple of arrays.
        ValueError: If the dataset is empty or infinite, already has ids, or
            has elements of another form; where it is fitted, if its order
            changes.

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
        return _rows_with_ids(rows_of_arrays(tuple(dataset), "dataset"))
    if not isinstance(dataset, tf.data.Dataset):
        raise TypeError(
            "Invalid value for argument `dataset`. Expected a "
            "`tf.data.Dataset` of (x, y) or (x, y, sample_weight), or such a "
            f"tuple of arrays. Received: dataset of type "
            f"{type(dataset).__name__}."
        )
    if any(hasattr(node, _NUM_SAMPLES) for node in all_behind(dataset)):
        raise ValueError(
            "Invalid value for argument `dataset`. Expected a dataset without "
            f"sample ids. Received: dataset={dataset}, which `with_sample_ids` "
            "made already. Use it as it is."
        )
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise ValueError(
            "Invalid value for argument `dataset`. Expected elements (x, y) "
            f"or (x, y, sample_weight). Received: elements of {spec}. Use "
            "`dataset.map` to bring them into this form."
        )
    batching = _batching(dataset)
    if batching is None:
        return _elements_with_ids(dataset)
    return _batches_with_ids(dataset, batching)


def _rows_with_ids(arrays):
    """Slices of arrays, the id beside them."""
    num_samples = len(keras.tree.flatten(arrays)[0])
    ids = np.arange(num_samples, dtype=np.int64)
    rows = (*with_row_weights(arrays), ids)
    dataset = tf.data.Dataset.from_tensor_slices(rows)
    return _as_origin(dataset, num_samples, len(arrays) == 3)


def _elements_with_ids(dataset):
    """An unbatched dataset beside its numbers, without a function for each."""
    num_samples = _num_elements(dataset)
    is_weighted = len(dataset.element_spec) == 3
    ids = tf.data.Dataset.range(num_samples)
    parts = [dataset]
    if not is_weighted:
        one = tf.ones((), keras.config.floatx())
        parts.append(tf.data.Dataset.from_tensors(one).repeat(num_samples))
    zipped = tf.data.Dataset.zip((*parts, ids))
    zipped = zipped.apply(tf.data.experimental.assert_cardinality(num_samples))
    first, *others = zipped.element_spec
    with_ids = tf.data.experimental.from_variant(
        tf.data.experimental.to_variant(zipped), (*first, *others)
    )
    note_source(with_ids, dataset)
    return _as_origin(with_ids, num_samples, is_weighted)


def _batches_with_ids(dataset, batching):
    """A batched dataset, the ids of a batch beside it."""
    num_batches = _num_elements(dataset)
    num_samples = _num_rows(dataset, batching, num_batches)
    is_weighted = len(dataset.element_spec) == 3

    def add_ids(first_id, batch):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        size = tf.shape(keras.tree.flatten(x)[0], tf.int64)[0]
        if sample_weight is None:
            sample_weight = tf.ones([size], keras.config.floatx())
        ids = tf.range(first_id, first_id + size)
        return first_id + size, (x, y, sample_weight, ids)

    with_ids = dataset.scan(np.int64(0), add_ids)
    with_ids = with_ids.apply(
        tf.data.experimental.assert_cardinality(num_batches)
    )
    with_ids = _as_origin(with_ids, num_samples, is_weighted)
    for name in ("file_paths", "class_names"):  # Of a folder of images.
        if hasattr(dataset, name):
            setattr(with_ids, name, getattr(dataset, name))
    return with_ids


def _as_origin(dataset, num_samples, is_weighted):
    """A dataset on which is noted what is known of its ids."""
    dataset = sharded_by_data(dataset)
    setattr(dataset, _NUM_SAMPLES, num_samples)
    setattr(dataset, _IS_WEIGHTED, is_weighted)
    return dataset


def num_samples_of(dataset, argument="x"):
    """Number of sample ids in a dataset made from a `with_sample_ids` one."""
    origins = [n for n in all_behind(dataset) if hasattr(n, _NUM_SAMPLES)]
    sizes = [getattr(origin, _NUM_SAMPLES) for origin in origins]
    spec = dataset.element_spec
    if not origins or not isinstance(spec, tuple) or len(spec) != 4:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected a dataset with "
            "sample ids, whose elements are (x, y, sample_weight, sample_id). "
            f"Received: elements of {spec}. Wrap the unbatched dataset (or the "
            "arrays) in `keras_curvenet.with_sample_ids` before shuffling and "
            "batching it."
        )
    if len(origins) > 1:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected ids that come "
            "from one call of `with_sample_ids`. Received: a dataset made of "
            f"{len(origins)} of them, with {sorted(sizes)} samples, "
            "so that different samples share an id. Put the parts together "
            "first and call `with_sample_ids` once, on the whole."
        )
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


def rows_of_arrays(arrays, argument="x"):
    """Structures of arrays with one row a sample; ValueError if they aren't."""
    arrays = tuple(part for part in arrays if part is not None)
    if len(arrays) not in (2, 3):
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected arrays (x, y) "
            f"or (x, y, sample_weight). Received: a tuple of {len(arrays)}."
        )

    def as_array(value):
        try:
            value = np.asarray(value)
        except ValueError as error:  # Rows of different lengths.
            raise ValueError(
                f"Invalid value for argument `{argument}`. Expected arrays. "
                f"Received: {type(value).__name__}, which is none ({error})."
            ) from error
        if value.dtype == object:
            raise ValueError(
                f"Invalid value for argument `{argument}`. Expected arrays of "
                "numbers or strings. Received: an array of Python objects, "
                f"such as {value.ravel()[:1].tolist()}."
            )
        if value.dtype == np.float64:
            value = value.astype(keras.config.floatx())
        return value

    arrays = keras.tree.map_structure(as_array, arrays)
    shapes = [value.shape for value in keras.tree.flatten(arrays)]
    lengths = {shape[0] if shape else None for shape in shapes}
    if len(lengths) != 1 or not lengths.isdisjoint({None, 0}):
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected arrays with "
            "one row a sample, at least one, all of the same length. "
            f"Received: shapes {shapes}."
        )
    return keras.tree.lists_to_tuples(arrays)


def with_row_weights(arrays):
    """Arrays `(x, y, sample_weight)`; weights are 1 where none were given."""
    if len(arrays) == 3:
        return arrays
    num_samples = len(keras.tree.flatten(arrays)[0])
    return (*arrays, np.ones(num_samples, keras.config.floatx()))


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
        raise ValueError(
            "Invalid value for argument `dataset`. Expected a finite dataset. "
            "Received: an infinite one. Call `repeat` after `with_sample_ids`."
        )
    if size == tf.data.UNKNOWN_CARDINALITY:
        size = int(dataset.reduce(np.int64(0), lambda count, _: count + 1))
    if size == 0:
        raise ValueError(
            "Invalid value for argument `dataset`. Expected at least one "
            "sample. Received: an empty dataset."
        )
    return size

"""Sample ids: the one place that knows how an id travels with its sample."""

import collections

import keras
import numpy as np
import tensorflow as tf

# The number of ids is carried by the dataset object itself, and found again
# by walking from a derived dataset (shuffled, batched, ...) to its origin:
# elements hold nothing but x, y, sample_weight and the id.
_NUM_SAMPLES = "_keras_curvenet_num_samples"
_IS_WEIGHTED = "_keras_curvenet_is_weighted"
_MADE_FROM = "_keras_curvenet_made_from"

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


def with_sample_ids(dataset):
    """Gives every sample of a dataset its own number, its *sample id*.

    The probing stage records one loss per sample and epoch, so it has to know
    which sample a loss belongs to after the dataset was shuffled. Apply it
    after everything that makes samples (reading, decoding, augmenting) and
    before `shuffle`, `batch`, `repeat` and `prefetch`.

    The order of `dataset` has to be the same in every epoch. One that comes
    from a `shuffle` that reshuffles is refused where it is fitted.

    Args:
        dataset: An unbatched, finite `tf.data.Dataset` of `(x, y)` or
            `(x, y, sample_weight)`, or a tuple of arrays of the same form,
            such as `(x_train, y_train)`. As in Keras, lists and dicts inside
            hold several inputs or outputs. Where the dataset's size is not
            known to TensorFlow, it is counted in one pass over it.

    Returns:
        A `tf.data.Dataset` of `(x, y, sample_weight, sample_id)`. Weights are
        1 (float32) where none were given; ids are int64, 0 to
        `num_samples - 1` in the dataset's own order. Its cardinality is known.

    Raises:
        TypeError: If `dataset` is neither a dataset nor a tuple of arrays.
        ValueError: If the dataset is empty, infinite, already batched,
            already has ids, or has elements of another form.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    x = np.zeros((100, 8), "float32")
    y = np.zeros(100, "int32")
    train = kcn.with_sample_ids((x, y)).shuffle(100).batch(32)
    ```
    """
    if isinstance(dataset, tf.data.Dataset):
        if any(hasattr(node, _NUM_SAMPLES) for node in _graph(dataset)):
            raise ValueError(
                "Invalid value for argument `dataset`. Expected a dataset "
                "without sample ids. Received: dataset="
                f"{dataset}, which `with_sample_ids` made already. Use it as "
                "it is."
            )
        _refuse_batched(dataset)
    elif isinstance(dataset, (tuple, list)):
        dataset = tf.data.Dataset.from_tensor_slices(
            rows_of_arrays(tuple(dataset), "dataset")
        )
    else:
        raise TypeError(
            "Invalid value for argument `dataset`. Expected a "
            "`tf.data.Dataset` of (x, y) or (x, y, sample_weight), or such a "
            f"tuple of arrays. Received: dataset of type "
            f"{type(dataset).__name__}."
        )
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise ValueError(
            "Invalid value for argument `dataset`. Expected elements (x, y) "
            f"or (x, y, sample_weight). Received: elements of {spec}. Use "
            "`dataset.map` to bring them into this form."
        )
    num_samples = _num_elements(dataset)

    def add_id(sample_id, element):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(element)
        if sample_weight is None:
            sample_weight = tf.ones((), keras.config.floatx())
        return x, y, sample_weight, sample_id

    with_ids = dataset.enumerate().map(
        add_id, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    with_ids = with_ids.apply(
        tf.data.experimental.assert_cardinality(num_samples)
    )
    setattr(with_ids, _NUM_SAMPLES, num_samples)
    setattr(with_ids, _IS_WEIGHTED, len(spec) == 3)
    return with_ids


def num_samples_of(dataset, argument="x"):
    """Number of sample ids in a dataset made from a `with_sample_ids` one."""
    origins = [n for n in _graph(dataset) if hasattr(n, _NUM_SAMPLES)]
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
    _refuse_reshuffled(origins[0], argument)
    return sizes[0]


def dataset_behind(iterator):
    """The dataset that `model.fit` steps through."""
    # No public name leads from an iterator back to its dataset.
    dataset = getattr(iterator, "_dataset", None)
    if dataset is None:
        raise ValueError(
            "Invalid value for argument `x`. Expected `model.fit` to be given "
            "a `tf.data.Dataset` with sample ids. Received: data that is read "
            f"through a {type(iterator).__name__}. Use "
            "`keras_curvenet.with_sample_ids((x, y)).batch(...)`."
        )
    return dataset


def is_weighted(dataset):
    """Bool: whether the weights may be other than those `with_sample_ids` made.

    They are where a dataset came with weights, or was mapped afterwards.
    """
    for node in _graph(dataset):
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


def rows_of_arrays(arrays, argument="x"):
    """A tuple of structures of arrays with one row a sample, checked.

    Raises:
        ValueError: If the arrays have no rows or not the same number of them.
    """
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


def order_changes(dataset, made_from):
    """Notes that a dataset has the elements of another in a changing order.

    TensorFlow does not know of it where a function makes the dataset.
    """
    setattr(dataset, _MADE_FROM, made_from)
    dataset._reshuffle_each_iteration = True  # As of TensorFlow's `shuffle`.


def _inputs(dataset):
    """The datasets that a dataset is made from."""
    if hasattr(dataset, _MADE_FROM):
        return [getattr(dataset, _MADE_FROM)]
    return dataset._inputs()  # TensorFlow has no public name.


def _graph(dataset):
    """The dataset and all datasets it is made from, nearest first."""
    queue = collections.deque([dataset])
    seen = set()
    while queue:
        node = queue.popleft()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            queue.extend(_inputs(node))


def _refuse_batched(dataset):
    """Raises ValueError where the dataset is known to hold batches."""
    node = dataset
    while type(node).__name__.lstrip("_").startswith(_ELEMENTWISE):
        (node,) = node._inputs()
    name = type(node).__name__
    size = getattr(node, "_batch_size", None)
    if size is None or "Batch" not in name:
        return
    size = int(tf.get_static_value(size))
    shapes = [leaf.shape for leaf in keras.tree.flatten(dataset.element_spec)]
    if all(shape.rank and shape[0] in (None, size) for shape in shapes):
        raise ValueError(
            "Invalid value for argument `dataset`. Expected an unbatched "
            f"dataset. Received: one in batches of {size}. Call "
            "`with_sample_ids` first and `batch` after it, or pass "
            "`dataset.unbatch()`."
        )


def _refuse_reshuffled(dataset, argument):
    """Raises ValueError where ids would name other samples in each epoch."""
    queue = [dataset]
    while queue:
        node = queue.pop()
        if type(node).__name__ == "CacheDataset":
            continue  # A cache is filled once: its order is settled.
        if getattr(node, "_reshuffle_each_iteration", False):
            raise ValueError(
                f"Invalid value for argument `{argument}`. Expected sample ids "
                "that name the same samples in every epoch. Received: a "
                "dataset that is shuffled anew in every epoch before "
                "`with_sample_ids`, so that an id's label changes. Call "
                "`with_sample_ids` first and `shuffle` after it (for "
                "`tfds.load`: `shuffle_files=False`)."
            )
        queue.extend(_inputs(node))


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

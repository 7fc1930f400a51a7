"""What users hold in their hands as arrays with one row for each sample."""

import numbers

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.checked_arguments import invalid_value

_TO_DENSE = "by `tf.sparse.to_dense` in `dataset.map`"


def rows_of_arrays(arrays, argument="x"):
    """Structures of arrays with one row a sample; ValueError if they aren't.

    Texts become string tensors: an array of a fixed width would give each the
    size of the longest.
    """
    arrays = tuple(part for part in arrays if part is not None)
    if len(arrays) not in (2, 3):
        raise invalid_value(
            argument,
            "arrays (x, y) or (x, y, sample_weight)",
            f"a tuple of {len(arrays)}.",
        )
    arrays = tuple(_as_arrays(part, argument) for part in arrays)
    shapes = [tuple(value.shape) for value in keras.tree.flatten(arrays)]
    lengths = {shape[0] if shape else None for shape in shapes}
    if len(lengths) != 1 or not lengths.isdisjoint({None, 0}):
        raise invalid_value(
            argument,
            "arrays with one row a sample, at least one, all of the same "
            "length",
            f"shapes {shapes}.",
        )
    return arrays


def with_row_weights(arrays):
    """Arrays `(x, y, sample_weight)`; weights are 1 where none were given."""
    if len(arrays) == 3:
        return arrays
    num_samples = len(keras.tree.flatten(arrays)[0])
    return (*arrays, np.ones(num_samples, keras.config.floatx()))


def refuse_sparse_spec(spec, argument):
    """Raises ValueError for a dataset of sparse or ragged tensors."""
    for leaf in keras.tree.flatten(spec):
        if isinstance(leaf, tf.RaggedTensorSpec):
            way = "by `.to_tensor()` in `dataset.map`, or by `padded_batch`"
        elif isinstance(leaf, tf.SparseTensorSpec):
            way = _TO_DENSE
        else:
            continue
        raise invalid_value(
            argument,
            "dense tensors",
            f"a {leaf}. Make it dense {way}.",
        )


def _as_arrays(value, argument):
    """Dicts and tuples of arrays, made of dicts, tuples and lists of them."""
    if isinstance(value, dict):
        return {key: _as_arrays(value[key], argument) for key in value}
    if isinstance(value, (list, tuple)) and _holds_arrays(value):
        return tuple(_as_arrays(part, argument) for part in value)
    return _as_array(value, argument)


def _holds_arrays(value):
    """Bool: whether a list or tuple is of arrays; else it is one array.

    As in tf.data, lists in a tuple are arrays, and lists in a list are rows.
    """
    nested = (dict, list, tuple) if isinstance(value, tuple) else dict
    return any(
        isinstance(part, nested) or len(getattr(part, "shape", ()))
        for part in value
    )


def _as_array(value, argument):
    """An array of numbers, or a tensor of strings."""
    way = None
    if isinstance(value, tf.RaggedTensor):
        way = "by `.to_tensor()`"
    elif isinstance(value, tf.SparseTensor):
        way = f"by `tf.sparse.to_dense`, or a dataset of it {_TO_DENSE}"
    elif hasattr(value, "toarray"):  # A matrix of scipy.
        way = "by `.toarray()`, or batches of it, in a `keras.utils.PyDataset`"
    if way is not None:
        raise invalid_value(
            argument,
            "dense arrays",
            f"a {type(value).__name__}. Make it dense {way}.",
        )
    first = value
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    try:
        array = np.asarray(
            value, object if isinstance(first, (str, bytes)) else None
        )
    except (TypeError, ValueError) as error:  # Rows of different lengths.
        raise invalid_value(
            argument,
            "arrays",
            f"{type(value).__name__}, which is none ({error}).",
        ) from error
    if array.dtype.kind in "OUST":
        return _as_strings_or_numbers(array, argument)
    if array.dtype == np.float64:
        return array.astype(keras.config.floatx())
    return array


def _as_strings_or_numbers(array, argument):
    """What an array of Python objects, or of strings, is if all are alike."""
    objects = array.astype(object)
    kinds = set(map(type, objects.ravel().tolist()))
    if all(issubclass(kind, (str, bytes)) for kind in kinds):
        return tf.convert_to_tensor(objects, tf.string)
    if all(issubclass(kind, (numbers.Real, np.bool_)) for kind in kinds):
        return objects.astype(keras.config.floatx())
    names = sorted(kind.__name__ for kind in kinds)
    raise invalid_value(
        argument,
        "arrays of numbers or strings",
        f"an array of Python objects, of {names}. Fill what is "
        "missing. Columns of both kinds can be given by name: `dict(table)`.",
    )

"""What a report is made of, checked before anything is written."""

import collections.abc
import importlib
import os

import numpy as np

from keras_curvenet.checked_arguments import as_path


def require_packages():
    """Raises ImportError where a report can't be made."""
    for module in ("jinja2", "pandas", "PIL", "matplotlib"):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ImportError(
                f"A report needs {module}, which is not installed. Run "
                "`pip install jinja2 matplotlib pandas pillow`."
            ) from error


def checked_folder(folder):
    """The path as a string; ValueError where something else is there."""
    folder = as_path("folder", folder)
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise ValueError(
            "Invalid value for argument `folder`. Expected the path of a "
            f"folder. Received: folder='{folder}', which is a file. Pass "
            "another path."
        )
    return folder


def checked_class_names(class_names, num_classes):
    """List of strings, or None; an error where classes have no name."""
    if class_names is None:
        return None
    names = _strings("class_names", class_names, "a name for each class")
    if len(names) < num_classes:
        raise ValueError(
            "Invalid value for argument `class_names`. Expected a name for "
            f"each of {num_classes} classes. Received: {len(names)} names."
        )
    return names.tolist()


def checked_file_paths(file_paths, num_samples):
    """Strings `(num_samples,)`, or None; an error where they are not that."""
    if file_paths is None:
        return None
    what = "a path for each sample"
    if not isinstance(file_paths, (str, bytes)) and _is_sized(file_paths):
        file_paths = [
            path if isinstance(path, str) else _as_text(path)
            for path in file_paths
        ]
    paths = _strings("file_paths", file_paths, what)
    return _for_each_sample("file_paths", paths, num_samples)


def checked_rows(rows, images, num_samples):
    """Strings `(num_samples,)`, a `pandas.DataFrame`, or None."""
    import pandas as pd

    if rows is None:
        return None
    if images is not None:
        raise ValueError(
            "Invalid value for argument `rows`. Expected rows or images. "
            "Received: both. Leave one of them out."
        )
    if not isinstance(rows, pd.DataFrame):
        what = "a string for each sample, or a pandas.DataFrame"
        rows = _strings("rows", rows, what)
    return _for_each_sample("rows", rows, num_samples)


def checked_images(images, num_samples):
    """The images, or None; an error where no id leads to one of them."""
    if images is None or isinstance(images, collections.abc.Mapping):
        return images
    is_array = hasattr(images, "__getitem__") and _is_sized(images)
    if not is_array or isinstance(images, (str, bytes)):
        raise TypeError(
            "Invalid value for argument `images`. Expected an array of images "
            "by sample id, or a dict. Received: "
            f"{type(images).__name__}."
        )
    return _for_each_sample("images", images, num_samples)


def checked_weights(sample_weights, num_samples):
    """Float `(num_samples,)`, or None; ValueError where they are not that."""
    if sample_weights is None:
        return None
    weights = np.asarray(sample_weights)
    if weights.shape != (num_samples,) or weights.dtype.kind not in "iuf":
        raise ValueError(
            "Invalid value for argument `sample_weights`. Expected one weight "
            f"for each of {num_samples} samples. Received: an array of shape "
            f"{weights.shape} and dtype {weights.dtype}."
        )
    return weights


def _strings(argument, values, expected):
    """Object array of strings; TypeError where they are something else."""
    is_sequence = _is_sized(values) and not isinstance(
        values, (str, bytes, collections.abc.Mapping, collections.abc.Set)
    )
    # One look at each type, not at each value.
    kinds = set(map(type, values)) if is_sequence else {type(values)}
    if not is_sequence or not all(issubclass(kind, str) for kind in kinds):
        received = sorted(kind.__name__ for kind in kinds)
        raise TypeError(
            f"Invalid value for argument `{argument}`. Expected {expected}. "
            f"Received: {type(values).__name__}"
            f"{' of ' + ', '.join(received) if is_sequence else ''}."
        )
    strings = np.empty(len(values), object)
    strings[:] = values
    return strings


def _for_each_sample(argument, values, num_samples):
    if len(values) != num_samples:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected one for each "
            f"of {num_samples} samples. Received: {len(values)}."
        )
    return values


def _is_sized(values):
    try:
        len(values)
    except TypeError:
        return False
    return True


def _as_text(path):
    """A path as a string; what is no path is returned as it is."""
    return os.fspath(path) if isinstance(path, os.PathLike) else path

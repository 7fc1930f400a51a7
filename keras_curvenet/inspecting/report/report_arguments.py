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


def as_folder(folder):
    """The path as a string; ValueError where something else is there."""
    folder = as_path("folder", folder)
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise ValueError(
            "Invalid value for argument `folder`. Expected the path of a "
            f"folder. Received: folder='{folder}', which is a file. Pass "
            "another path."
        )
    return folder


def as_class_names(class_names, num_classes):
    """List of strings; an error where classes have no name."""
    names = _strings("class_names", class_names, "a name for each class")
    if len(names) < num_classes:
        raise ValueError(
            "Invalid value for argument `class_names`. Expected a name for "
            f"each of {num_classes} classes. Received: {len(names)} names."
        )
    return names.tolist()


def as_file_paths(file_paths, num_samples):
    """Strings `(num_samples,)`; an error where they are not that."""
    if not isinstance(file_paths, (str, bytes)) and _is_sized(file_paths):
        file_paths = [
            os.fspath(path) if isinstance(path, os.PathLike) else path
            for path in file_paths
        ]
    paths = _strings("file_paths", file_paths, "a path for each sample")
    _check_for_each_sample("file_paths", paths, num_samples)
    return paths


def as_shown_rows(rows, images, num_samples):
    """Strings `(num_samples,)`, or a `pandas.DataFrame` as it is."""
    import pandas as pd

    if images is not None:
        raise ValueError(
            "Invalid value for argument `rows`. Expected rows or images. "
            "Received: both. Leave one of them out."
        )
    if not isinstance(rows, pd.DataFrame):
        what = "a string for each sample, or a pandas.DataFrame"
        rows = _strings("rows", rows, what)
    _check_for_each_sample("rows", rows, num_samples)
    return rows


def check_images(images, num_samples):
    """Raises an error where no sample id leads to an image."""
    if isinstance(images, collections.abc.Mapping):
        return
    is_array = hasattr(images, "__getitem__") and _is_sized(images)
    if not is_array or isinstance(images, (str, bytes)):
        raise TypeError(
            "Invalid value for argument `images`. Expected an array of images "
            "by sample id, or a dict. Received: "
            f"{type(images).__name__}."
        )
    _check_for_each_sample("images", images, num_samples)


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


def _check_for_each_sample(argument, values, num_samples):
    # Not `as_rows`, which would read all images to make an array of them.
    if len(values) != num_samples:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected one for each "
            f"of {num_samples} samples. Received: {len(values)}."
        )


def _is_sized(values):
    try:
        len(values)
    except TypeError:
        return False
    return True

"""What a report is made of, checked before anything is written."""

import collections.abc
import os

from keras_curvenet.checked_arguments import as_path
from keras_curvenet.checked_arguments import imported
from keras_curvenet.checked_arguments import invalid_type
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.inspecting.given_values import as_strings
from keras_curvenet.inspecting.given_values import is_sized
from keras_curvenet.inspecting.sample_images import by_position


def require_packages():
    """Raises ImportError where a report can't be made."""
    for module in ("jinja2", "pandas", "PIL", "matplotlib"):
        imported(module, "A report", "jinja2 matplotlib pandas pillow")


def as_folder(folder):
    """The path as a string; ValueError where something else is there."""
    folder = as_path("folder", folder)
    if os.path.exists(folder) and not os.path.isdir(folder):
        received = f"folder='{folder}', which is a file. Pass another path."
        raise invalid_value("folder", "the path of a folder", received)
    return folder


def as_file_paths(file_paths, num_samples):
    """Strings `(num_samples,)`; an error where they are not that."""
    if not isinstance(file_paths, (str, bytes)) and is_sized(file_paths):
        file_paths = [
            os.fspath(path) if isinstance(path, os.PathLike) else path
            for path in file_paths
        ]
    paths = as_strings("file_paths", file_paths, "a path for each sample")
    _check_for_each_sample("file_paths", paths, num_samples)
    return paths


def as_shown_rows(rows, images, num_samples):
    """Strings `(num_samples,)`, or a `pandas.DataFrame` as it is."""
    import pandas as pd

    if images is not None:
        received = "both. Leave one of them out."
        raise invalid_value("rows", "rows or images", received)
    if not isinstance(rows, pd.DataFrame):
        what = "a string for each sample, or a pandas.DataFrame"
        rows = as_strings("rows", rows, what)
    _check_for_each_sample("rows", rows, num_samples)
    return rows


def as_images(images, num_samples):
    """The images; an error where no sample id leads to one."""
    images = by_position(images)
    if isinstance(images, collections.abc.Mapping):
        return images
    is_array = hasattr(images, "__getitem__") and is_sized(images)
    if not is_array or isinstance(images, (str, bytes)):
        expected = "an array of images by sample id, or a dict"
        raise invalid_type("images", expected, f"{type(images).__name__}.")
    _check_for_each_sample("images", images, num_samples)
    return images


def _check_for_each_sample(argument, values, num_samples):
    # Not `as_rows`, which would read all images to make an array of them.
    if len(values) != num_samples:
        expected = f"one for each of {num_samples} samples"
        raise invalid_value(argument, expected, f"{len(values)}.")

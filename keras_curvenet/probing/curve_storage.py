"""Where a recorder keeps its curves: one file, or a folder."""

import os
import tempfile

from keras_curvenet.probing.curve_folder import CurveFolder
from keras_curvenet.probing.loss_curves import LossCurves
from keras_curvenet.probing.recorded_columns import RecordedColumns


def storage_at(filepath, dtype="float32"):
    """Where curves are kept, of what `LossCurveRecorder` is given.

    Args:
        filepath: Path, or None.
        dtype: "float32", or "float16" with the path of a folder.

    Returns:
        A `CurveFile` where the path ends with `.npz`, a `CurveFolder`, or None.

    Raises:
        ValueError: If `dtype` is another, or does not go with the path.
    """
    path = None if filepath is None else os.fspath(filepath)
    is_file = path and (path.endswith(".npz") or os.path.isfile(path))
    has_folder = path and not is_file
    if dtype not in ("float32", "float16"):
        raise ValueError(
            "Invalid value for argument `dtype`. Expected 'float32' or "
            f"'float16'. Received: dtype={dtype!r}."
        )
    if dtype == "float16" and not has_folder:
        raise ValueError(
            "Invalid value for argument `dtype`. Expected 'float16' only with "
            "`filepath`, the path of a folder. Received: dtype='float16', "
            f"filepath={filepath!r}. Pass a path that does not end with '.npz'."
        )
    if path is None:
        return None
    return CurveFile(path) if is_file else CurveFolder(path, dtype)


class CurveFile:
    """One `.npz` file, written anew after every epoch, as `CurveFolder` is.

    Args:
        path: Path of the file.
    """

    def __init__(self, path):
        self.path = path

    def exists(self):
        """Bool: whether curves were written here."""
        return os.path.exists(self.path)

    def open(self):
        """Raises ValueError where the file can't be written."""
        folder = os.path.dirname(self.path) or "."
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise ValueError(
                "Invalid value for argument `filepath`. Expected a file in a "
                "folder that can be written into. Received: filepath="
                f"'{self.path}' ({error}). Make the folder, or pass another "
                "path."
            ) from error

    def close(self):
        """There is nothing to close."""

    def load(self):
        """The `RecordedColumns`; ValueError where the file is damaged."""
        curves = LossCurves.load(self.path)
        margins = curves.margins
        return RecordedColumns(
            list(curves.values.T),
            None if margins is None else list(margins.T),
            curves.labels,
            curves.num_classes,
        )

    def save(self, recorded):
        """Writes `RecordedColumns`, and returns them."""
        LossCurves.of_columns(recorded).save(self.path)
        return recorded

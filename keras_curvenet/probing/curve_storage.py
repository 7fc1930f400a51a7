"""Where a recorder keeps its curves: one file, or a folder."""

import os
import tempfile

from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.probing.curve_folder import CurveFolder
from keras_curvenet.probing.curve_folder import RecordedColumns
from keras_curvenet.probing.loss_curves import LossCurves


def storage_at(filepath):
    """Where curves are kept: what `LossCurveRecorder(filepath)` stands for.

    Returns:
        A `CurveFile` where the path ends with `.npz`, a `CurveFolder`, or None.
    """
    if filepath is None:
        return None
    path = os.fspath(filepath)
    is_file = path.endswith(".npz") or os.path.isfile(path)
    return CurveFile(path) if is_file else CurveFolder(path)


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
        """Makes the folder; ValueError where the file can't be written."""
        folder = os.path.dirname(self.path) or "."
        try:
            os.makedirs(folder, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise invalid_value(
                "filepath",
                "a file in a folder that can be written into",
                f"filepath='{self.path}' ({error}). Pass another path.",
            ) from error

    def close(self):
        """There is nothing to close."""

    def load(self):
        """The `RecordedColumns`; ValueError where the file is damaged."""
        curves = LossCurves.load(self.path)
        return RecordedColumns(
            curves.loss_columns,
            curves.margin_columns,
            curves.predicted_columns,
            curves.labels,
            curves.num_classes,
        )

    def save(self, recorded):
        """Writes `RecordedColumns`, and returns them."""
        LossCurves.of_columns(recorded).save(self.path)
        return recorded

"""Loss curves: what the probing stage leaves behind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from typing import Any
from typing import Self

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import as_int
from keras_curvenet.checked_arguments import as_path
from keras_curvenet.checked_arguments import imported
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.probing.checked_curves import as_labels
from keras_curvenet.probing.checked_curves import as_margins
from keras_curvenet.probing.checked_curves import as_num_classes
from keras_curvenet.probing.checked_curves import as_numbers
from keras_curvenet.probing.checked_curves import as_predicted_classes
from keras_curvenet.probing.checked_curves import refuse_other_classes
from keras_curvenet.probing.checked_curves import refuse_predictions_of_unseen
from keras_curvenet.probing.curve_folder import CurveFolder
from keras_curvenet.probing.curve_folder import RecordedColumns
from keras_curvenet.probing.filled_curves import ColumnStatistics
from keras_curvenet.probing.filled_curves import column_statistics
from keras_curvenet.probing.filled_curves import never_seen
from keras_curvenet.probing.whole_files import DAMAGED
from keras_curvenet.probing.whole_files import whole_file

if TYPE_CHECKING:
    import pandas

# Without and with predicted classes: so one notices where these are lost.
_FORMAT_VERSIONS = 2, 3
_ARRAYS = {"format_version", "labels", "num_classes", "values"}
_OPTIONAL_ARRAYS = {"margins", "predicted_classes"}

# A class's mean curve counts as this many more samples of the mean over all
# classes, so that a class of one or two samples still has curves that differ
# from zero.
_SHRINKAGE = 2.0


class LossCurves:
    """Every sample's loss, and predictions, in every epoch; its observed class.

    `LossCurveRecorder` makes them while `model.fit` runs; people with their
    own training loop make them from arrays.

    Reference: [Jiang et al., 2022](https://arxiv.org/abs/2201.00849); margins:
    [Pleiss et al., 2020](https://arxiv.org/abs/2001.10528).

    Args:
        values: Float `(num_samples, num_epochs)`. NaN where a sample was not
            seen in an epoch, +inf where its loss was not finite.
        labels: Int `(num_samples,)`: the observed class, 0 to
            `num_classes - 1`, or -1 for a sample that was never seen.
        num_classes: Int >= 1, or None for the largest label plus one.
        margins: Float `(num_samples, num_epochs)`, or None: the observed
            class's logit (or log-probability) minus the largest one of the
            other classes. NaN where a sample was not seen, -inf where its
            predictions were not finite.
        predicted_classes: Int `(num_samples, num_epochs)`, or None: the
            likeliest class, 0 to `num_classes - 1`. -1 where a sample was not
            seen or its predictions were not finite.

    Attributes:
        labels: Int64 `(num_samples,)`, read-only.
        num_classes: Int.
        loss_columns: List of float32 `(num_samples,)`, one for each epoch, on
            the disk where a recorder wrote them into a folder. `values` puts
            them together, in memory.
        margin_columns: The same for margins, or None.
        predicted_columns: The same for predicted classes, int16 (int32 where
            there are more than 32,767 classes), or None.

    Raises:
        TypeError: If `predicted_classes` are no ints.
        ValueError: If an argument holds anything else.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    values = np.random.default_rng(0).uniform(size=(6, 10))
    curves = kcn.LossCurves(values, labels=[0, 0, 0, 1, 1, 1])
    curves.save("curves.npz")
    curves = kcn.LossCurves.load("curves.npz")
    ```
    """

    _values: npt.NDArray[np.float32] | None
    _margins: npt.NDArray[np.float32] | None
    _predicted: npt.NDArray[np.signedinteger[Any]] | None

    def __init__(
        self,
        values: npt.ArrayLike,
        labels: npt.ArrayLike,
        num_classes: int | None = None,
        margins: npt.ArrayLike | None = None,
        predicted_classes: npt.ArrayLike | None = None,
    ) -> None:
        values = as_numbers(values, "values")
        if values.ndim != 2 or 0 in values.shape:
            raise invalid_value(
                "values",
                "an array of shape (num_samples, num_epochs) with at least one "
                "of each",
                f"values of shape {values.shape}.",
            )
        values.setflags(write=False)
        losses = list(values.T)
        labels = as_labels(labels, losses)
        num_classes = as_num_classes(num_classes, labels)
        margin_columns = predicted_columns = None
        if margins is not None:
            margins = as_margins(margins, values)
            margins.setflags(write=False)
            margin_columns = list(margins.T)
        if predicted_classes is not None:
            predicted_classes = as_predicted_classes(
                predicted_classes, values, num_classes
            )
            predicted_classes.setflags(write=False)
            predicted_columns = list(predicted_classes.T)
        self._set(
            losses, labels, num_classes, margin_columns, predicted_columns
        )
        self._values, self._margins = values, margins
        self._predicted = predicted_classes

    def _set(
        self,
        losses: list[npt.NDArray[np.float32]],
        labels: npt.NDArray[np.int64],
        num_classes: int,
        margins: list[npt.NDArray[np.float32]] | None,
        predicted: list[npt.NDArray[np.signedinteger[Any]]] | None,
    ) -> None:
        """Takes over columns, a `(num_samples,)` for each epoch."""
        num_refused = sum(np.count_nonzero(np.isneginf(c)) for c in losses)
        if num_refused:
            raise invalid_value(
                "values",
                "losses, NaN (not seen) or +inf (not finite)",
                f"-inf for {num_refused} value(s).",
            )
        refuse_predictions_of_unseen(margins, predicted, labels)
        labels.setflags(write=False)
        self.labels, self.num_classes = labels, num_classes
        self.loss_columns, self.margin_columns = losses, margins
        self.predicted_columns = predicted
        self._values = self._margins = self._predicted = None

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """Float32 `(num_samples, num_epochs)`, read-only."""
        if self._values is None:
            self._values = _as_rows(self.loss_columns)
        return self._values

    @property
    def margins(self) -> npt.NDArray[np.float32] | None:
        """Float32 `(num_samples, num_epochs)`, read-only, or None."""
        if self._margins is None and self.margin_columns is not None:
            self._margins = _as_rows(self.margin_columns)
        return self._margins

    @property
    def predicted_classes(self) -> npt.NDArray[np.signedinteger[Any]] | None:
        """Int `(num_samples, num_epochs)`, read-only, or None."""
        if self._predicted is None and self.predicted_columns is not None:
            self._predicted = _as_rows(self.predicted_columns)
        return self._predicted

    @property
    def num_samples(self) -> int:
        """Int: number of samples."""
        return len(self.labels)

    @property
    def num_epochs(self) -> int:
        """Int: number of recorded epochs."""
        return len(self.loss_columns)

    def class_centered(
        self, skip_epochs: int | None = None
    ) -> npt.NDArray[np.float32]:
        """The curves as CurveNet reads them: relative to their class.

        The mean curve of the observed class is subtracted, so that a hard
        class does not look like a mislabelled one. The mean of a class of few
        samples is shrunk toward the mean over all. Gaps are filled.

        Reference: Jiang et al., 2022, section "CurveNet".

        Args:
            skip_epochs: Int >= 0. Number of leading epochs to leave out, where
                losses tell little. Defaults to `min(5, num_epochs // 16)`.

        Returns:
            Float32 `(num_samples, num_epochs - skip_epochs)`, all finite.

        Raises:
            ValueError: If fewer than two epochs were recorded or are left.
        """
        skip_epochs = self.checked_skip_epochs(skip_epochs)
        columns = self.loss_columns[skip_epochs:]
        centered = np.empty((self.num_samples, len(columns)), np.float32)
        for index, column in enumerate(columns):
            statistics = self.statistics_of(column)
            centered[:, index] = statistics.centered(column, self.labels)
        return centered

    def checked_skip_epochs(self, skip_epochs: int | None = None) -> int:
        """Int: leading epochs to leave out, of which two or more are left."""
        if skip_epochs is None:
            skip_epochs = min(5, self.num_epochs // 16)
        as_int("skip_epochs", skip_epochs, 0)
        if self.num_epochs - skip_epochs < 2:
            raise ValueError(
                "Expected loss curves of at least two epochs, without the "
                f"leading ones to skip. Received: {self.num_epochs} recorded "
                f"epoch(s) and skip_epochs={skip_epochs}. Record more epochs."
            )
        return skip_epochs

    def statistics_of(
        self, column: npt.NDArray[np.float32]
    ) -> ColumnStatistics:
        """What the classes have in an epoch of losses, or of minus margins."""
        return column_statistics(
            column, self.labels, self.num_classes, _SHRINKAGE
        )

    def first(self, num_samples: int) -> Self:
        """The curves of the first samples."""
        if num_samples == self.num_samples:
            return self
        margins, predicted = self.margin_columns, self.predicted_columns
        curves = type(self).__new__(type(self))
        curves._set(
            [column[:num_samples] for column in self.loss_columns],
            self.labels[:num_samples],
            self.num_classes,
            margins and [column[:num_samples] for column in margins],
            predicted and [column[:num_samples] for column in predicted],
        )
        return curves

    def to_dataframe(self) -> pandas.DataFrame:
        """The curves as a pandas table, for other tools.

        Returns:
            A `pandas.DataFrame` with a row for each sample and the columns
            `sample_id`, `label`, `loss_1`, `loss_2`, ... of the epochs, and
            where there are such `margin_1`, `margin_2`, ... and
            `predicted_class_1`, `predicted_class_2`, ...
        """
        pd = imported("pandas", "A table")
        columns = {
            "loss": self.values,
            "margin": self.margins,
            "predicted_class": self.predicted_classes,
        }
        epochs = range(1, self.num_epochs + 1)
        table = pd.concat(
            [
                pd.DataFrame(rows, columns=[f"{name}_{e}" for e in epochs])
                for name, rows in columns.items()
                if rows is not None
            ],
            axis=1,
        )
        table.insert(0, "label", self.labels)
        table.insert(0, "sample_id", np.arange(self.num_samples))
        return table

    def save(self, filepath: str | os.PathLike[str]) -> None:
        """Writes the curves to one file, usually named `.npz`.

        It takes its place when it is complete: a crash leaves an earlier one.
        Its folder is made where it is not there.
        """
        filepath = as_path("filepath", filepath)
        optional: dict[str, Any] = {}
        if self.margins is not None:
            optional["margins"] = self.margins
        if self.predicted_classes is not None:
            optional["predicted_classes"] = self.predicted_classes
        with whole_file(filepath) as file:
            # A damaged list of arrays may swallow the later ones. It is
            # noticed, since margins come first.
            np.savez(
                file,
                **optional,
                format_version=np.int64(
                    _FORMAT_VERSIONS["predicted_classes" in optional]
                ),
                values=self.values,
                labels=self.labels,
                num_classes=np.int64(self.num_classes),
            )

    @classmethod
    def load(
        cls, filepath: str | os.PathLike[str], until_damage: bool = False
    ) -> Self:
        """Reads curves that `save` or a recorder wrote. Runs no code from it.

        Args:
            filepath: Path of the file, or of a recorder's folder.
            until_damage: Bool, whether to read from a damaged folder the
                epochs before the first damaged one, with a warning. Defaults
                to False.

        Raises:
            ValueError: If they are damaged or of another version.
        """
        filepath = as_path("filepath", filepath)
        if os.path.isdir(filepath):
            return cls.of_columns(CurveFolder(filepath).load(until_damage))
        with open(filepath, "rb") as file:
            try:
                content = dict(np.load(file, allow_pickle=False))
                _refuse_other_content(content)
                version = content.pop("format_version").item()
                num_classes = content.pop("num_classes").item()
            except DAMAGED as error:
                raise invalid_value(
                    "filepath",
                    "a file that `LossCurves.save` wrote",
                    f"filepath='{filepath}', which is truncated, damaged or of "
                    f"another kind ({error}). Record the curves again, or use "
                    "a backup.",
                ) from error
        if version != _FORMAT_VERSIONS["predicted_classes" in content]:
            raise invalid_value(
                "filepath",
                "loss curves of format version 2, or 3 with predicted classes",
                f"filepath='{filepath}' of version {version} with {[*content]}."
                " Read it with the version of keras_curvenet that wrote it.",
            )
        try:
            return cls(**content, num_classes=num_classes)
        except (TypeError, ValueError) as error:
            raise invalid_value(
                "filepath",
                "arrays as `LossCurves.save` writes them",
                f"filepath='{filepath}', where this does not hold: {error}",
            ) from error

    @classmethod
    def of_columns(cls, recorded: RecordedColumns) -> Self:
        """The curves of `RecordedColumns`."""
        losses = list(recorded.losses)
        labels = np.where(never_seen(losses), -1, recorded.labels)
        labels = as_labels(labels, losses)
        num_classes = as_num_classes(recorded.num_classes, labels)
        if recorded.predicted is not None:
            refuse_other_classes(recorded.predicted, num_classes)
        curves = cls.__new__(cls)
        curves._set(
            losses, labels, num_classes, recorded.margins, recorded.predicted
        )
        return curves

    def __repr__(self) -> str:
        margins = "" if self.margin_columns is None else ", with margins"
        classes = "" if self.predicted_columns is None else ", with classes"
        return (
            f"<LossCurves num_samples={self.num_samples}, num_epochs="
            f"{self.num_epochs}, num_classes={self.num_classes}"
            f"{margins}{classes}>"
        )


def _refuse_other_content(content: dict[str, npt.NDArray[Any]]) -> None:
    """Raises ValueError where a file's arrays are not those of `save`."""
    if set(content) - _OPTIONAL_ARRAYS != _ARRAYS:
        raise ValueError(
            f"expected {sorted(_ARRAYS)} and perhaps "
            f"{sorted(_OPTIONAL_ARRAYS)}, found a file with {sorted(content)}"
        )


def _as_rows(columns: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Read-only `(num_samples, num_epochs)` of columns."""
    shape = len(columns[0]), len(columns)
    rows = np.empty(shape, columns[0].dtype, order="F")
    for index, column in enumerate(columns):
        rows[:, index] = column
    rows.setflags(write=False)
    return rows

"""Loss curves: what the probing stage leaves behind."""

import os
import zipfile
import zlib

import numpy as np

from keras_curvenet.checked_arguments import checked_int
from keras_curvenet.checked_arguments import checked_path
from keras_curvenet.probing.curve_folder import CurveFolder
from keras_curvenet.probing.filled_curves import filled_curves
from keras_curvenet.probing.whole_files import whole_file

_FORMAT_VERSION = 2  # Version 1 had no margins.
_ARRAYS = {"format_version", "labels", "num_classes", "values"}

# What NumPy and zipfile raise on files that are not what they should be.
_DAMAGED = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OSError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)

# A class's mean curve counts as this many more samples of the mean over all
# classes, so that a class of one or two samples still has curves that differ
# from zero.
_SHRINKAGE = 2.0


class LossCurves:
    """Every sample's loss (and margin) in every epoch, with its observed class.

    `LossCurveRecorder` makes them while `model.fit` runs; people with their
    own training loop make them from arrays. All that comes later (sample
    weights, label quality) reads nothing else.

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

    Attributes:
        values: Float32 `(num_samples, num_epochs)`, read-only.
        labels: Int64 `(num_samples,)`, read-only.
        num_classes: Int.
        margins: Float32 `(num_samples, num_epochs)`, read-only, or None.

    Raises:
        ValueError: If shapes do not match, labels are out of range or not
            integral, values or margins are no numbers, values hold -inf, or
            margins hold +inf.

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

    def __init__(self, values, labels, num_classes=None, margins=None):
        values = _as_numbers(values, "values")
        if values.ndim != 2 or 0 in values.shape:
            raise ValueError(
                "Invalid value for argument `values`. Expected an array of "
                "shape (num_samples, num_epochs) with at least one of each. "
                f"Received: values of shape {values.shape}."
            )
        if np.isneginf(values).any():
            raise ValueError(
                "Invalid value for argument `values`. Expected losses, NaN "
                "(not seen) or +inf (not finite). Received: -inf for "
                f"{int(np.isneginf(values).sum())} value(s)."
            )
        self.values = values
        self.labels = _checked_labels(labels, values)
        self.num_classes = _checked_num_classes(num_classes, self.labels)
        self.margins = None
        if margins is not None:
            self.margins = _checked_margins(margins, values)
            self.margins.setflags(write=False)
        self.values.setflags(write=False)
        self.labels.setflags(write=False)

    @property
    def num_samples(self):
        """Int: number of samples."""
        return self.values.shape[0]

    @property
    def num_epochs(self):
        """Int: number of recorded epochs."""
        return self.values.shape[1]

    def class_centered(self, skip_epochs=None):
        """The curves as CurveNet reads them: relative to their class.

        The mean curve of the observed class is subtracted, so that a hard
        class does not look like a mislabelled one. The mean of a class of few
        samples is shrunk toward the mean over all samples. Gaps are filled as
        `filled` says.

        Reference: Jiang et al., 2022, section "CurveNet"; the reference code
        subtracts the plain class mean.

        Args:
            skip_epochs: Int >= 0. Number of leading epochs to leave out, where
                losses tell little. Defaults to `min(5, num_epochs // 16)`.

        Returns:
            Float32 `(num_samples, num_epochs - skip_epochs)`, all finite.

        Raises:
            ValueError: If fewer than two epochs were recorded or are left.
        """
        if skip_epochs is None:
            skip_epochs = min(5, self.num_epochs // 16)
        checked_int("skip_epochs", skip_epochs, 0)
        if self.num_epochs - skip_epochs < 2:
            raise ValueError(
                "Expected loss curves of at least two epochs, without the "
                f"leading ones to skip. Received: {self.num_epochs} recorded "
                f"epoch(s) and skip_epochs={skip_epochs}. Record more epochs."
            )
        values, means, _ = self.filled()
        centered = values - means[np.maximum(self.labels, 0)]
        return centered[:, skip_epochs:].astype(np.float32)

    def filled(self):
        """The curves without gaps, and their mean curves.

        Epochs in which a sample was not seen are filled with the mean of its
        class in that epoch, and losses that were not finite with its largest
        finite one (that of all classes, where it has none).

        Returns:
            Tuple of float64 arrays: the curves `(num_samples, num_epochs)`, the
            classes' means `(num_classes, num_epochs)`, each shrunk toward the
            overall mean, and the overall mean `(num_epochs,)`.
        """
        return filled_curves(
            self.values, self.labels, self.num_classes, _SHRINKAGE
        )

    def filled_margins(self):
        """The margins without gaps, and their mean curves.

        Gaps are filled as `filled` does; margins that were not finite with the
        smallest finite one of the class (or of all classes).

        Returns:
            Tuple of float64 arrays as of `filled`: the margins, the classes'
            means, and the overall mean.

        Raises:
            ValueError: If there are no margins.
        """
        if self.margins is None:
            raise ValueError(
                "Expected loss curves with margins. Received: margins=None. "
                "Record them with a LossCurveRecorder, from a classifier with "
                "one output and one of Keras's crossentropies as its loss."
            )
        negated = filled_curves(
            -self.margins, self.labels, self.num_classes, _SHRINKAGE
        )
        return tuple(-part for part in negated)

    def to_dataframe(self):
        """The curves as a pandas table, for other tools.

        Returns:
            A `pandas.DataFrame` with a row for each sample and the columns
            `sample_id`, `label` and, for each epoch, `loss_1`, `loss_2`, ...;
            then, where there are margins, `margin_1`, `margin_2`, ...

        Raises:
            ImportError: If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "A table needs pandas, which is not installed. Run "
                "`pip install pandas`."
            ) from error
        epochs = range(1, self.num_epochs + 1)
        table = pd.DataFrame(self.values, columns=[f"loss_{e}" for e in epochs])
        if self.margins is not None:
            names = [f"margin_{e}" for e in epochs]
            margins = pd.DataFrame(self.margins, columns=names)
            table = pd.concat([table, margins], axis=1)
        table.insert(0, "label", self.labels)
        table.insert(0, "sample_id", np.arange(self.num_samples))
        return table

    def save(self, filepath):
        """Writes the curves to one `.npz` file.

        The file is written beside its place and moved there when complete, so
        that a crash leaves the earlier one untouched.

        Args:
            filepath: Path of the file. `.npz` is the usual ending.
        """
        filepath = checked_path("filepath", filepath)
        margins = {} if self.margins is None else {"margins": self.margins}
        with whole_file(filepath) as file:
            # A damaged list of arrays may swallow the later ones. It is
            # noticed, since the optional ones come first.
            np.savez(
                file,
                **margins,
                format_version=np.int64(_FORMAT_VERSION),
                values=self.values,
                labels=self.labels,
                num_classes=np.int64(self.num_classes),
            )

    @classmethod
    def load(cls, filepath):
        """Reads curves that `save` or a recorder wrote. Runs no code from it.

        Args:
            filepath: Path of the file, or of a recorder's folder.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is truncated, of another version, or holds
                anything but the arrays that `save` writes.
        """
        filepath = checked_path("filepath", filepath)
        if os.path.isdir(filepath):
            return cls.of_columns(CurveFolder(filepath).load())
        with open(filepath, "rb") as file:
            try:
                content = dict(np.load(file, allow_pickle=False))
                _refuse_other_content(content)
                version = content.pop("format_version").item()
                num_classes = content.pop("num_classes").item()
            except _DAMAGED as error:
                raise ValueError(
                    "Invalid value for argument `filepath`. Expected a file "
                    "that `LossCurves.save` wrote. Received: filepath="
                    f"'{filepath}', which is truncated, damaged or of another "
                    f"kind ({error}). Record the curves again, or use a backup."
                ) from error
        if version not in range(1, _FORMAT_VERSION + 1):
            raise ValueError(
                "Invalid value for argument `filepath`. Expected loss curves "
                f"of format version 1 to {_FORMAT_VERSION}. Received: filepath="
                f"'{filepath}' of version {version}. Read it with the version "
                "of keras_curvenet that wrote it."
            )
        try:
            return cls(**content, num_classes=num_classes)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "Invalid value for argument `filepath`. Expected arrays as "
                "`LossCurves.save` writes them. Received: filepath="
                f"'{filepath}', where this does not hold: {error}"
            ) from error

    @classmethod
    def of_columns(cls, recorded):
        """The curves of `RecordedColumns`."""
        values = np.stack(recorded.losses, axis=1)
        labels = np.where(np.isnan(values).all(axis=1), -1, recorded.labels)
        margins = recorded.margins
        if margins is not None:
            margins = np.stack(margins, axis=1)
        return cls(values, labels, recorded.num_classes, margins)

    def __repr__(self):
        margins = "" if self.margins is None else ", with margins"
        return (
            f"<LossCurves num_samples={self.num_samples}, num_epochs="
            f"{self.num_epochs}, num_classes={self.num_classes}{margins}>"
        )


def _refuse_other_content(content):
    """Raises ValueError where a file's arrays are not those of `save`."""
    names = set(content) - {"margins"}
    is_version_1 = names == _ARRAYS and content["format_version"].item() == 1
    if names != _ARRAYS or (is_version_1 and "margins" in content):
        raise ValueError(
            f"expected {sorted(_ARRAYS)} and, from version 2 on, perhaps "
            f"margins, found a file with {sorted(content)}"
        )


def _as_numbers(curves, argument):
    """Float32 copy; ValueError where an argument holds anything but numbers."""
    try:
        given = np.asarray(curves)
        items = given.flat if given.dtype == object else ()
        is_text = any(isinstance(item, (str, bytes)) for item in items)
        if is_text or given.dtype.kind in "SUcMm":
            raise TypeError(f"an array of dtype {given.dtype}")
        return np.array(given, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected an array of "
            "numbers, of shape (num_samples, num_epochs). Received: "
            f"{argument} of another kind ({error}). Use NaN where a sample was "
            "not seen."
        ) from error


def _checked_margins(margins, values):
    """Float32 margins of the shape of `values`; ValueError where not."""
    margins = _as_numbers(margins, "margins")
    if margins.shape != values.shape:
        raise ValueError(
            "Invalid value for argument `margins`. Expected the shape of "
            f"`values`, {values.shape}. Received: margins of shape "
            f"{margins.shape}. Give one margin for each loss, or None."
        )
    if np.isposinf(margins).any():
        raise ValueError(
            "Invalid value for argument `margins`. Expected margins, NaN (not "
            "seen) or -inf (not finite). Received: +inf for "
            f"{int(np.isposinf(margins).sum())} value(s)."
        )
    return margins


def _checked_labels(labels, values):
    """Int64 labels `(num_samples,)`; ValueError where they are not that."""
    labels = np.array(labels)
    if labels.shape != values.shape[:1]:
        raise ValueError(
            "Invalid value for argument `labels`. Expected one label for each "
            f"of {values.shape[0]} samples. Received: labels of shape "
            f"{labels.shape}."
        )
    if labels.dtype.kind not in "iub":
        is_float = labels.dtype.kind == "f" and np.isfinite(labels).all()
        if not is_float or (labels % 1 != 0).any():
            raise ValueError(
                "Invalid value for argument `labels`. Expected int class "
                f"labels. Received: labels of dtype {labels.dtype}, such as "
                f"{labels.ravel()[:3].tolist()}."
            )
    labels = labels.astype(np.int64)
    bad = (labels < -1) | ((labels == -1) & ~np.isnan(values).all(axis=1))
    if bad.any():
        raise ValueError(
            "Invalid value for argument `labels`. Expected labels >= 0 (-1 "
            "only for samples never seen, whose values are all NaN). "
            f"Received: {labels[bad][:3].tolist()} for sample id(s) "
            f"{np.flatnonzero(bad)[:3].tolist()}."
        )
    return labels


def _checked_num_classes(num_classes, labels):
    """Int number of classes; ValueError where labels do not fit into it."""
    largest = int(labels.max())
    if num_classes is None:
        return max(largest + 1, 1)
    num_classes = checked_int("num_classes", num_classes, 1)
    if largest >= num_classes:
        raise ValueError(
            "Invalid value for argument `labels`. Expected labels from 0 to "
            f"num_classes - 1 = {num_classes - 1}. Received: a label of "
            f"{largest}, for sample id {int(labels.argmax())}."
        )
    return num_classes

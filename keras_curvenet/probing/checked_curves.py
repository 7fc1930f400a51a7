"""Checks of the arrays that `LossCurves` are made from."""

from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import as_int
from keras_curvenet.checked_arguments import as_rows
from keras_curvenet.checked_arguments import invalid_type
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.probing.filled_curves import never_seen


def as_numbers(curves: npt.ArrayLike, argument: str) -> npt.NDArray[np.float32]:
    """Float32 copy; ValueError where an argument holds anything but numbers."""
    try:
        given = np.asarray(curves)
        items = given.flat if given.dtype == object else ()
        is_text = any(isinstance(item, (str, bytes)) for item in items)
        if is_text or given.dtype.kind in "SUcMm":
            raise TypeError(f"an array of dtype {given.dtype}")
        # Columns are what is read.
        return np.array(given, dtype=np.float32, order="F")
    except (TypeError, ValueError) as error:
        raise invalid_value(
            argument,
            "an array of numbers, of shape (num_samples, num_epochs)",
            f"{argument} of another kind ({error}). Use NaN where a sample was "
            "not seen.",
        ) from error


def as_margins(
    margins: npt.ArrayLike, values: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Float32 margins of the shape of `values`; ValueError where not."""
    margins = as_numbers(margins, "margins")
    if margins.shape != values.shape:
        raise invalid_value(
            "margins",
            f"the shape of `values`, {values.shape}",
            f"margins of shape {margins.shape}. Give one margin for each loss, "
            "or None.",
        )
    if np.isposinf(margins).any():
        raise invalid_value(
            "margins",
            "margins, NaN (not seen) or -inf (not finite)",
            f"+inf for {int(np.isposinf(margins).sum())} value(s).",
        )
    return margins


def class_dtype(num_classes: int) -> type[np.int16] | type[np.int32]:
    """The dtype in which predicted classes are kept."""
    return np.int16 if num_classes <= np.iinfo(np.int16).max else np.int32


def as_predicted_classes(
    predicted: npt.ArrayLike,
    values: npt.NDArray[np.float32],
    num_classes: int,
) -> npt.NDArray[np.signedinteger[Any]]:
    """Predicted classes of the shape of `values`; an error where not."""
    given = as_rows("predicted_classes", predicted, len(values), rank=2)
    if given.dtype.kind not in "iub":
        raise invalid_type(
            "predicted_classes",
            "int classes, -1 where a sample was not seen",
            f"predicted_classes of dtype {given.dtype}. Give the likeliest "
            "class, not its probability.",
        )
    if given.shape != values.shape:
        raise invalid_value(
            "predicted_classes",
            f"the shape of `values`, {values.shape}",
            f"predicted_classes of shape {given.shape}. Give one class for "
            "each loss, or None.",
        )
    refuse_other_classes(given.T, num_classes)
    return np.array(given, class_dtype(num_classes), order="F")


def refuse_other_classes(
    predicted: Iterable[npt.NDArray[Any]], num_classes: int
) -> None:
    """Raises ValueError where columns hold anything but classes and -1."""
    for column in predicted:
        if column.min() < -1 or column.max() >= num_classes:
            bad = (column < -1) | (column >= num_classes)
            raise invalid_value(
                "predicted_classes",
                f"classes from 0 to num_classes - 1 = {num_classes - 1}, or "
                "-1 where a sample was not seen",
                f"{column[bad][:3].tolist()} for sample id(s) "
                f"{np.flatnonzero(bad)[:3].tolist()}. Give `num_classes` where "
                "labels lack the last classes.",
            )


def as_labels(
    labels: npt.ArrayLike, losses: list[npt.NDArray[np.float32]]
) -> npt.NDArray[np.int64]:
    """Int64 labels `(num_samples,)`; ValueError where they are not that."""
    labels = as_rows("labels", labels, len(losses[0]))
    if labels.dtype.kind not in "iub":
        is_float = labels.dtype.kind == "f" and np.isfinite(labels).all()
        if not is_float or (labels % 1 != 0).any():
            raise invalid_value(
                "labels",
                "int class labels",
                f"labels of dtype {labels.dtype}, such as "
                f"{labels[:3].tolist()}.",
            )
    labels = labels.astype(np.int64)
    bad = (labels < -1) | ((labels == -1) & ~never_seen(losses))
    if bad.any():
        raise invalid_value(
            "labels",
            "labels >= 0 (-1 only for samples never seen, whose values are all "
            "NaN)",
            f"{labels[bad][:3].tolist()} for sample id(s) "
            f"{np.flatnonzero(bad)[:3].tolist()}.",
        )
    return labels


def refuse_predictions_of_unseen(
    margins: Sequence[npt.NDArray[np.float32]] | None,
    predicted: Sequence[npt.NDArray[Any]] | None,
    labels: npt.NDArray[np.int64],
) -> None:
    """Raises ValueError where samples without a label have predictions."""
    unseen = np.flatnonzero(labels == -1)
    for argument, columns, nothing in (
        ("margins", margins, np.nan),
        ("predicted_classes", predicted, -1),
    ):
        bad = np.zeros(len(unseen), bool)
        for column in columns or ():
            found = column[unseen]
            bad |= ~np.isnan(found) if argument == "margins" else found != -1
        if bad.any():
            raise invalid_value(
                argument,
                f"{nothing} for samples never seen, whose label is -1",
                f"{argument} of sample id(s) {unseen[bad][:3].tolist()}. Give "
                f"these a label, or {nothing}.",
            )


def as_num_classes(
    num_classes: int | None, labels: npt.NDArray[np.int64]
) -> int:
    """Int number of classes; ValueError where labels do not fit into it."""
    largest = int(labels.max())
    if num_classes is None:
        return max(largest + 1, 1)
    num_classes = as_int("num_classes", num_classes, 1)
    if largest >= num_classes:
        raise invalid_value(
            "labels",
            f"labels from 0 to num_classes - 1 = {num_classes - 1}",
            f"a label of {largest}, for sample id {int(labels.argmax())}.",
        )
    return num_classes

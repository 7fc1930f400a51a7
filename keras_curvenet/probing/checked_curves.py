"""Checks of the arrays that `LossCurves` are made from."""

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import as_int
from keras_curvenet.checked_arguments import as_rows
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


def refuse_margins_of_unseen(
    margins: list[npt.NDArray[np.float32]], labels: npt.NDArray[np.int64]
) -> None:
    """Raises ValueError where samples without a label have margins."""
    unseen = np.flatnonzero(labels == -1)
    bad = ~never_seen([column[unseen] for column in margins])
    if bad.any():
        raise invalid_value(
            "margins",
            "NaN for samples never seen, whose label is -1",
            f"margins of sample id(s) {unseen[bad][:3].tolist()}. Give these a "
            "label, or NaN.",
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

"""What is known of every sample before weights are learned."""

import dataclasses
import tempfile

import numpy as np

from keras_curvenet.inspecting.label_quality import label_quality_scores
from keras_curvenet.inspecting.label_quality import quality_logits
from keras_curvenet.inspecting.memorization import memorized_share
from keras_curvenet.inspecting.memorization import wrong_labels_stayed_unlearned
from keras_curvenet.probing.filled_curves import never_seen
from keras_curvenet.probing.loss_curves import LossCurves

# Rows that are worked on at a time.
_BLOCK = 65536

# Curves that take more are kept on the disk.
_MOST_BYTES = 2**28

# How far weights start below the label quality, in logits, where wrong labels
# are known by heart. Chosen of 2, 3 and 4: `benchmarks/RESULTS.md`, "What a
# wrong label kept costs, and a right one lost".
_MOST_CAUTION = 2.0

# Margins of diverged networks would outweigh all else.
_LARGEST_MARGIN = 20.0


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedCurves:
    """What CurveNet reads, a row for each sample, and what curves say of all.

    Args:
        curves: Float32 `(num_samples, curve_length)`: losses relative to the
            class, and margins beside them where there are any.
        labels: Int64 `(num_samples,)`, the observed class; -1 for a sample
            that was never seen.
        start: Float32 `(num_samples,)`, the logit at which weights start: that
            of the label quality, 0 for a sample that was never seen, and less
            where wrong labels are known by heart.
        may_know_wrong_labels: Bool, whether the network that was probed may
            know wrong labels by heart: the curves don't show that such labels
            stayed unlearned.
    """

    curves: np.ndarray
    labels: np.ndarray
    start: np.ndarray
    may_know_wrong_labels: bool

    @property
    def tables(self):
        """Tuple `(curves, labels, start)`."""
        return self.curves, self.labels, self.start

    def first(self, num_samples):
        """The rows of the first samples."""
        rows = (table[:num_samples] for table in self.tables)
        return PreparedCurves(*rows, self.may_know_wrong_labels)


def prepared_curves(loss_curves):
    """Loss curves as CurveNet reads them.

    Args:
        loss_curves: `LossCurves` of two epochs or more.

    Returns:
        `PreparedCurves`.

    Raises:
        TypeError: If `loss_curves` is not a `LossCurves`.
        ValueError: If there are none, or none of a sample that was seen.
    """
    if loss_curves is None:
        raise ValueError(
            "Invalid value for argument `loss_curves`. Expected the "
            "`LossCurves` of the training samples in the first `fit`. "
            "Received: loss_curves=None. Probe first, with "
            "`LossCurveRecorder`."
        )
    if not isinstance(loss_curves, LossCurves):
        raise TypeError(
            "Invalid value for argument `loss_curves`. Expected a "
            "`LossCurves`, such as `recorder.loss_curves`. Received: "
            f"{type(loss_curves).__name__}."
        )
    if never_seen(loss_curves.loss_columns).all():
        raise ValueError(
            "Invalid value for argument `loss_curves`. Expected the losses of "
            f"samples that were seen. Received: {loss_curves}, all NaN."
        )
    curves = _centered_rows(loss_curves)
    scores = label_quality_scores(loss_curves)
    looks_wrong = scores < 0.5
    caution = _MOST_CAUTION * memorized_share(loss_curves, looks_wrong)
    start = quality_logits(scores, lowered_by=caution)
    may_know = not wrong_labels_stayed_unlearned(loss_curves, looks_wrong)
    return PreparedCurves(curves, loss_curves.labels, start, may_know)


def _centered_rows(loss_curves):
    """Float32 `(num_samples, curve_length)`: losses, and margins beside them.

    Rows of many samples are in a file without a name, which is mapped into
    memory and goes with the array.
    """
    skip_epochs = loss_curves.checked_skip_epochs()
    columns = [(1.0, c) for c in loss_curves.loss_columns[skip_epochs:]]
    margins = loss_curves.margin_columns
    if margins is not None:  # Wrong labels have large losses, and low margins.
        columns += [(-1.0, column) for column in margins[skip_epochs:]]
    statistics = [
        loss_curves.statistics_of(sign * column) for sign, column in columns
    ]
    labels = loss_curves.labels
    rows = _empty_rows(len(labels), len(columns))
    for start in range(0, len(labels), _BLOCK):
        block = slice(start, start + _BLOCK)
        for index, (sign, column) in enumerate(columns):
            centered = statistics[index].centered(
                sign * column[block], labels[block]
            )
            if sign < 0.0:
                centered = np.clip(-centered, -_LARGEST_MARGIN, _LARGEST_MARGIN)
            rows[block, index] = centered
    return rows


def _empty_rows(num_rows, length):
    if num_rows * length * 4 <= _MOST_BYTES:
        return np.empty((num_rows, length), np.float32)
    file = tempfile.TemporaryFile()
    return np.memmap(file, np.float32, "w+", shape=(num_rows, length))


def refuse_missing_curves(prepared, num_samples):
    """Raises ValueError where samples have no curve."""
    if len(prepared.curves) < num_samples:
        raise ValueError(
            "Invalid value for argument `loss_curves`. Expected a curve "
            f"for each of the {num_samples} samples of `x`. Received: "
            f"{len(prepared.curves)} curves. Pass the curves that were "
            "recorded on this dataset."
        )


def refuse_other_curves(curve_net, loss_curves, curve_length):
    """Raises ValueError where a network was made for other curves."""
    received = {
        "curve_length": curve_length,
        "num_classes": loss_curves.num_classes,
    }
    for size, value in received.items():
        expected = getattr(curve_net, size, value)
        if expected != value:
            raise ValueError(
                "Invalid value for argument `loss_curves`. Expected curves for "
                f"a CurveNet with {size}={expected}. Received: {loss_curves}, "
                f"which needs {size}={value}. Pass curves of the same probe, "
                "or make a new CurveWeightedModel."
            )

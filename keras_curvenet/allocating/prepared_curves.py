"""What is known of every sample before weights are learned."""

from typing import NamedTuple

import numpy as np

from keras_curvenet.inspecting.label_quality import label_quality_scores
from keras_curvenet.probing.loss_curves import LossCurves

# Margins of diverged networks would outweigh all else.
_LARGEST_MARGIN = 20.0


class PreparedCurves(NamedTuple):
    """What CurveNet reads, a row for each sample.

    Attributes:
        curves: Float32 `(num_samples, curve_length)`: losses relative to the
            class, and margins beside them where there are any.
        labels: Int64 `(num_samples,)`, the observed class; -1 for a sample
            that was never seen.
        quality: Float32 `(num_samples,)`, the logit of the label quality; 0
            for a sample that was never seen.
    """

    curves: np.ndarray
    labels: np.ndarray
    quality: np.ndarray

    def first(self, num_samples):
        """The rows of the first samples."""
        return PreparedCurves(*(rows[:num_samples] for rows in self))


def prepared_curves(loss_curves):
    """Loss curves as CurveNet reads them.

    Args:
        loss_curves: `LossCurves` of two epochs or more.

    Returns:
        `PreparedCurves`.

    Raises:
        TypeError: If `loss_curves` is not a `LossCurves`.
    """
    if not isinstance(loss_curves, LossCurves):
        raise TypeError(
            "Invalid value for argument `loss_curves`. Expected a "
            "`LossCurves`, such as `recorder.loss_curves`. Received: "
            f"{type(loss_curves).__name__}."
        )
    if np.isnan(loss_curves.values).all():
        raise ValueError(
            "Invalid value for argument `loss_curves`. Expected the losses of "
            f"samples that were seen. Received: {loss_curves}, all NaN."
        )
    curves = loss_curves.class_centered()
    if loss_curves.margins is not None:
        margins, means, _ = loss_curves.filled_margins()
        # A sample that was never seen has no class, and no curve but zeros.
        margins = margins - means[np.maximum(loss_curves.labels, 0)]
        margins = margins[:, -curves.shape[1] :]
        margins = np.clip(margins, -_LARGEST_MARGIN, _LARGEST_MARGIN)
        curves = np.concatenate([curves, margins.astype(np.float32)], axis=1)
    scores = np.clip(label_quality_scores(loss_curves), 1e-4, 1.0 - 1e-4)
    quality = np.log(scores / (1.0 - scores))
    quality = np.nan_to_num(quality, nan=0.0).astype(np.float32)
    return PreparedCurves(curves, loss_curves.labels, quality)


def refuse_missing_curves(prepared, num_samples):
    """Raises ValueError where samples have no curve; `prepared` may be None."""
    if prepared is None:
        raise ValueError(
            "Invalid value for argument `loss_curves`. Expected the "
            "`LossCurves` of the training samples in the first `fit`. "
            "Received: loss_curves=None. Probe first, with "
            "`LossCurveRecorder`."
        )
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

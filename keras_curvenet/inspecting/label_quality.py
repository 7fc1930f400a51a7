"""Which labels are probably wrong, from the curves alone."""

import numpy as np
import numpy.typing as npt

from keras_curvenet.inspecting.label_suspicion import LabelSuspicion
from keras_curvenet.inspecting.label_suspicion import label_suspicion
from keras_curvenet.probing.loss_curves import LossCurves

# Typical scores are then about 0.02 and 0.98. Sample weights start there: with
# 4, accuracy was 0.9 points lower (`benchmarks/RESULTS.md`, "What did not
# help").
_LOGIT_GAP = 8.0


def label_quality_scores(curves: LossCurves) -> npt.NDArray[np.float64]:
    """How probably each sample's label is right.

    Margins are averaged over those epochs that tell most, and compared with
    the mean of the observed class; losses are, where there are no margins.
    Scores are below 0.5 for the samples that `find_label_issues` finds.

    Scores rank samples; they are not calibrated probabilities. How well they
    rank: `benchmarks/RESULTS.md`, "What the curves find". Of fewer than some
    hundred samples, several are below 0.5 although all labels are right.

    Args:
        curves: `LossCurves` of two epochs or more.

    Returns:
        Float64 `(num_samples,)` in [0, 1], by sample id: low where the label
        is probably wrong, NaN for samples that were never seen.

    Raises:
        TypeError: If `curves` is not a `LossCurves`.
        ValueError: If it has fewer than two epochs.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    losses = np.array([[2.0, 0.2], [2.1, 0.3], [2.0, 1.9], [1.9, 0.2]])
    curves = kcn.LossCurves(losses, labels=[0, 0, 0, 0])
    kcn.label_quality_scores(curves).argmin()  # 2
    ```
    """
    return _scores(label_suspicion(curves))


def find_label_issues(
    curves: LossCurves, noise_rate: npt.ArrayLike | None = None
) -> npt.NDArray[np.int64]:
    """Ids of the samples whose labels are probably wrong, worst first.

    How many there are is estimated: samples fall into two groups, the typical
    and the suspect ones, so that each group is most alike within. With margins,
    there are at most as many as the network's early predictions allow: where
    it is nearly sure of many labels, or contradicts few where it is sure, few
    are wrong. With losses alone, where the groups are only the halves of one,
    the suspects are those that lie far out of it. A warning says where margins
    do not tell how many are wrong.

    Reference: Otsu, "A threshold selection method from gray-level
    histograms", 1979, for the two groups; Tukey, "Exploratory data analysis",
    1977, for what is far out.

    Args:
        curves: `LossCurves` of two epochs or more.
        noise_rate: None to estimate. Or a float in [0, 1], the share of
            samples to find among all; or floats `(num_classes,)`, the shares to
            find in each observed class.

    Returns:
        Int64 ids.

    Raises:
        TypeError: If `curves` is not a `LossCurves`.
        ValueError: If it has fewer than two epochs, or `noise_rate` is of
            another shape or range.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    losses = np.array([[2.0, 0.2], [2.1, 0.3], [2.0, 1.9], [1.9, 0.2]])
    curves = kcn.LossCurves(losses, labels=[0, 0, 0, 0])
    kcn.find_label_issues(curves)  # [2]
    kcn.find_label_issues(curves, noise_rate=0.5)  # [2, 1]
    ```
    """
    suspicion = label_suspicion(curves)
    order = np.argsort(-suspicion.values, kind="stable")  # NaN comes last.
    order = order[: np.count_nonzero(~np.isnan(suspicion.values))]
    if noise_rate is None:
        return order[_scores(suspicion)[order] < 0.5]
    rates = np.asarray(noise_rate, dtype=np.float64)
    if (
        rates.shape not in ((), (curves.num_classes,))
        or not ((rates >= 0.0) & (rates <= 1.0)).all()
    ):
        raise ValueError(
            "Invalid value for argument `noise_rate`. Expected a float in "
            f"[0, 1], or {curves.num_classes} of them, one for each class. "
            f"Received: noise_rate={noise_rate}."
        )
    if rates.ndim == 0:
        return order[: round(float(rates) * len(order))]
    found = [
        members[: round(rate * len(members))]
        for label, rate in enumerate(rates)
        for members in [order[curves.labels[order] == label]]
    ]
    return order[np.isin(order, np.concatenate(found))]


def estimate_noise_rates(curves: LossCurves) -> npt.NDArray[np.float64]:
    """Share of probably wrong labels in each observed class.

    Args:
        curves: `LossCurves` of two epochs or more.

    Returns:
        Float64 `(num_classes,)`: the share of the class's samples that
        `find_label_issues` finds, 0 for classes without samples.

    Raises:
        TypeError: If `curves` is not a `LossCurves`.
        ValueError: If it has fewer than two epochs.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    losses = np.array([[2.0, 0.2], [2.1, 0.3], [2.0, 1.9], [1.9, 0.2]])
    curves = kcn.LossCurves(losses, labels=[1, 1, 0, 0])
    kcn.estimate_noise_rates(curves)  # [0.5, 0.0]
    ```
    """
    scores = label_quality_scores(curves)
    return _counts(curves, scores < 0.5) / np.maximum(
        _counts(curves, ~np.isnan(scores)), 1
    )


def estimate_class_counts(curves: LossCurves) -> npt.NDArray[np.int64]:
    """Number of probably right labels of each observed class.

    Args:
        curves: `LossCurves` of two epochs or more.

    Returns:
        Int64 `(num_classes,)`.

    Raises:
        TypeError: If `curves` is not a `LossCurves`.
        ValueError: If it has fewer than two epochs.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    losses = np.array([[2.0, 0.2], [2.1, 0.3], [2.0, 1.9], [1.9, 0.2]])
    curves = kcn.LossCurves(losses, labels=[1, 1, 0, 0])
    kcn.estimate_class_counts(curves)  # [1, 2]
    ```
    """
    return right_label_counts(curves, label_quality_scores(curves))


def right_label_counts(
    curves: LossCurves, scores: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Int64 `(num_classes,)`: samples of each class with scores >= 0.5."""
    return _counts(curves, scores >= 0.5)


def quality_logits(
    scores: npt.NDArray[np.float64], lowered_by: float = 0.0
) -> npt.NDArray[np.float32]:
    """Float32 `(num_samples,)`: logits of scores, less `lowered_by`.

    They are 0 for samples that were never seen.
    """
    scores = np.clip(scores, 1e-4, 1.0 - 1e-4)
    logits = np.log(scores / (1.0 - scores)).astype(np.float32)
    logits -= lowered_by
    logits[np.isnan(logits)] = 0.0
    return logits


def _scores(suspicion: LabelSuspicion) -> npt.NDArray[np.float64]:
    """Label quality, from 1 for the least suspicion to 0 for the most.

    Between the means of the two groups, the logit falls by `_LOGIT_GAP`.
    """
    values, num_suspects = suspicion
    seen = ~np.isnan(values)
    scores = np.full(values.size, np.nan)
    if seen.any():
        ranked = np.sort(values[seen])[::-1]
        threshold, slope = _decision(ranked, num_suspects)
        # Beyond 700, the exponential would not be finite.
        logits = np.minimum(slope * (values[seen] - threshold), 700.0)
        scores[seen] = 1.0 / (1.0 + np.exp(logits))
    return scores


def _decision(
    ranked: npt.NDArray[np.float64], num_suspects: int
) -> tuple[float, float]:
    """Threshold of suspicion, and slope of the scores' logistic function.

    Args:
        ranked: Float `(n,)`, suspicion from the most to the least.
        num_suspects: Int, how many of them are above the threshold.
    """
    upper, lower = ranked[:num_suspects], ranked[num_suspects:]
    if not upper.size or not lower.size:
        spread = max(np.ptp(ranked), 1e-12)
        threshold = ranked[0] if lower.size else ranked[-1] - spread
        return threshold, _LOGIT_GAP / spread
    threshold = (upper[-1] + lower[0]) / 2.0
    gap = max(upper.mean() - lower.mean(), 1e-12)
    return threshold, _LOGIT_GAP / gap


def _counts(
    curves: LossCurves, chosen: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Int64 `(num_classes,)`: how many of the chosen samples each class has."""
    return np.bincount(
        curves.labels[chosen & (curves.labels >= 0)],
        minlength=curves.num_classes,
    )

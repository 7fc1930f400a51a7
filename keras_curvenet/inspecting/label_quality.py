"""Which labels are probably wrong, from the loss curves alone."""

import numpy as np

from keras_curvenet.probing.loss_curves import LossCurves

# How much of the curve a sample is compared with is that of its class; the
# rest is that of all samples. The class alone hides wrong labels where they are
# most of it; all samples alone make a rare class look wrong.
_CLASS_SHARE = 2.0 / 3.0

# Share of the variance that lies between two groups, from which on they count
# as two. The best two groups of one normal or exponential distribution have
# 0.64 and 0.65, of a uniform one 0.75.
_LEAST_SEPARATION = 0.7

# Where there is one group only, a sample is far out this many interquartile
# ranges above the third quartile.
_FAR_OUT = 3.0

# Only the look of the scores: typical ones are then about 0.1 and 0.9.
_LOGIT_GAP = 4.0


def label_quality_scores(curves):
    """How probably each sample's label is right.

    A sample's losses are compared with the mean curve of its observed class
    and that of all samples, and averaged over all epochs. An epoch counts by
    its median loss: once most samples are fitted, so are wrong labels, and
    their losses tell little. Scores are below 0.5 for the samples that
    `find_label_issues` finds.

    Scores rank samples; they are not calibrated probabilities. How well they
    rank: `benchmarks/RESULTS.md`, "Finding wrong labels". Of fewer than some
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


def find_label_issues(curves, noise_rate=None):
    """Ids of the samples whose labels are probably wrong, worst first.

    How many there are is estimated: samples fall into two groups, the typical
    and the suspect ones, so that each group is most alike within. Where these
    are only the halves of one group, as with few wrong labels, the suspects
    are those that lie far out of it.

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
    order = np.argsort(-suspicion, kind="stable")  # NaN comes last.
    order = order[: np.count_nonzero(~np.isnan(suspicion))]
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


def estimate_noise_rates(curves):
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


def estimate_class_counts(curves):
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


def right_label_counts(curves, scores):
    """Int64 `(num_classes,)`: samples of each class with scores >= 0.5."""
    return _counts(curves, scores >= 0.5)


def label_suspicion(curves):
    """How far each sample's losses are above those that it is compared with.

    Args:
        curves: `LossCurves` of two epochs or more.

    Returns:
        Float64 `(num_samples,)`, in the unit of the loss; NaN for samples that
        were never seen.
    """
    if not isinstance(curves, LossCurves):
        raise TypeError(
            "Invalid value for argument `curves`. Expected a "
            "`keras_curvenet.LossCurves`, such as `recorder.loss_curves`. "
            f"Received: {type(curves).__name__}."
        )
    if curves.num_epochs < 2:
        raise ValueError(
            "Invalid value for argument `curves`. Expected loss curves of at "
            f"least two epochs. Received: {curves}. Record more epochs."
        )
    values, class_means, overall_mean = curves.filled()
    seen = ~np.isnan(curves.values).all(axis=1)
    expected = _CLASS_SHARE * class_means[np.maximum(curves.labels, 0)]
    expected += (1.0 - _CLASS_SHARE) * overall_mean
    if not seen.any():
        return np.full(curves.num_samples, np.nan)
    lowest = min(0.0, values[seen].min())  # Of losses that may be negative.
    importance = np.median(values[seen], axis=0) - lowest
    importance = np.maximum(importance, np.finfo(np.float64).tiny)
    excess = np.average(values - expected, axis=1, weights=importance)
    return np.where(seen, excess, np.nan)


def _scores(suspicion):
    """Label quality, from 1 for the least suspicion to 0 for the most."""
    seen = ~np.isnan(suspicion)
    scores = np.full(suspicion.size, np.nan)
    if seen.any():
        threshold, slope = _decision(suspicion[seen])
        logits = slope * (suspicion[seen] - threshold)
        # Beyond this, the exponential would not be finite.
        scores[seen] = 1.0 / (1.0 + np.exp(np.minimum(logits, 700.0)))
    return scores


def _decision(suspicion):
    """Threshold of suspicion, and slope of the scores' logistic function.

    Between the means of the two groups, the logit rises by `_LOGIT_GAP`.
    """
    threshold, separation = _two_groups(suspicion)
    if separation < _LEAST_SEPARATION:
        first, third = np.quantile(suspicion, [0.25, 0.75])
        threshold = third + _FAR_OUT * (third - first)
    is_upper = suspicion > threshold
    if not is_upper.any():
        return threshold, _LOGIT_GAP / max(threshold - suspicion.min(), 1e-12)
    upper, lower = suspicion[is_upper], suspicion[~is_upper]
    return threshold, _LOGIT_GAP / (upper.mean() - lower.mean())


def _two_groups(values):
    """The threshold with most variance between the two sides, and its share.

    Values above the threshold are the upper group; it is empty where all
    values are equal.
    """
    values = np.sort(values)
    if np.ptp(values) <= 1e-12 * max(1.0, abs(values[-1])):
        return values[-1], 0.0
    size = np.arange(1, values.size)
    sums = np.cumsum(values)
    lower = sums[:-1] / size
    upper = (sums[-1] - sums[:-1]) / (values.size - size)
    share = size * (values.size - size) / values.size**2
    between = share * (upper - lower) ** 2
    between[values[1:] == values[:-1]] = 0.0  # No threshold between equals.
    best = between.argmax()
    threshold = (values[best] + values[best + 1]) / 2.0
    return threshold, between[best] / values.var()


def _counts(curves, chosen):
    """Int64 `(num_classes,)`: how many of the chosen samples each class has."""
    return np.bincount(
        curves.labels[chosen & (curves.labels >= 0)],
        minlength=curves.num_classes,
    )

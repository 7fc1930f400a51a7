"""Which labels are probably wrong, from the curves alone."""

import reprlib
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.inspecting.checked_labels import as_answers
from keras_curvenet.inspecting.checked_scores import checked_noise_rates
from keras_curvenet.inspecting.checked_scores import checked_scores
from keras_curvenet.inspecting.class_members import members_of_classes
from keras_curvenet.inspecting.label_suspicion import LabelSuspicion
from keras_curvenet.inspecting.label_suspicion import label_suspicion
from keras_curvenet.probing.loss_curves import LossCurves

# Typical scores are then about 0.02 and 0.98.
_LOGIT_GAP = 8.0


def label_quality_scores(
    curves: LossCurves, checked: Any = None
) -> npt.NDArray[np.float64]:
    """How probably each sample's label is right.

    By the mean margin of each label (or the mean loss, where there are no
    margins), less a part of its class's mean. Scores are below 0.5 for the
    samples that `find_label_issues` finds. They rank samples and say where
    weights start, and are no calibrated probabilities.

    They become probabilities by answers on a few labels: a logistic regression
    on the ranking, in which the scores without answers count as four more. What
    was checked has 0 or 1.

    Args:
        curves: `LossCurves` of two epochs or more.
        checked: Dict or `pandas.Series` from sample ids, as `labels_to_check`
            gives them, to answers: whether the label is right (bool), or its
            right class (int), or None where nobody can tell. Or the path of a
            CSV file that a report's page saved. Or a list of these, or None.

    Returns:
        Float64 `(num_samples,)` in [0, 1], by sample id: low where the label
        is probably wrong, NaN for samples that were never seen.

    Raises:
        ImportError: If there are answers, and scikit-learn is not installed.
        TypeError: If `checked` is of another kind.
        ValueError: If it has fewer than two epochs, or `checked` holds no
            answers on these labels.

    Example:

    ```python
    import keras_curvenet as kcn

    losses = [[2.0, 0.2], [2.1, 0.3], [2.0, 1.9], [1.9, 0.2]]
    curves = kcn.LossCurves(losses, labels=[0, 0, 0, 0])
    kcn.label_quality_scores(curves).argmin()  # 2
    ```
    """
    scores = scores_of(label_suspicion(curves))
    if checked is None:
        return scores
    return checked_scores(scores, as_answers(checked, curves))


def find_label_issues(
    curves: LossCurves,
    noise_rate: npt.ArrayLike | None = None,
    checked: Any = None,
) -> npt.NDArray[np.int64]:
    """Ids of the samples whose labels are probably wrong, worst first.

    How many there are is read off the first half of the epochs, before wrong
    labels are memorized: off how many labels the network predicts another class
    for, and steadily. A warning says where the curves do not tell. With losses
    alone, samples fall into two groups, the typical and the suspect ones (Otsu,
    "A threshold selection method from gray-level histograms", 1979); where
    these are but halves of one group, none is suspect.

    Args:
        curves: `LossCurves` of two epochs or more.
        noise_rate: None to estimate how many there are. Or a float in [0, 1],
            the share of all samples to find; or floats `(num_classes,)`, the
            shares to find in each observed class.
        checked: Answers, as `label_quality_scores` takes them, or None. Those
            found wrong come first, and those found right last.

    Returns:
        Int64 ids.

    Raises:
        ValueError: If it has fewer than two epochs, or `noise_rate` is no
            such share.

    Example:

    ```python
    import keras_curvenet as kcn

    losses = [[2.0, 0.2], [2.1, 0.3], [2.0, 1.9], [1.9, 0.2]]
    curves = kcn.LossCurves(losses, labels=[0, 0, 0, 0])
    kcn.find_label_issues(curves)  # [2]
    kcn.find_label_issues(curves, noise_rate=0.5)  # [2, 1]
    ```
    """
    suspicion = label_suspicion(curves).values
    scores = label_quality_scores(curves, checked)
    # Where scores are equal, at 0 or 1, suspicion may still differ.
    order = np.lexsort([-suspicion, scores])
    order = order[: np.count_nonzero(~np.isnan(scores))]  # NaN comes last.
    if noise_rate is None:
        return order[scores[order] < 0.5]
    rates = np.asarray(noise_rate, dtype=np.float64)
    is_shape = rates.shape in ((), (curves.num_classes,))
    if not is_shape or not ((rates >= 0.0) & (rates <= 1.0)).all():
        raise invalid_value(
            "noise_rate",
            f"a float in [0, 1], or {curves.num_classes} of them, one for each "
            "class",
            f"noise_rate={reprlib.repr(noise_rate)}.",
        )
    if rates.ndim == 0:
        return order[: round(float(rates) * len(order))]
    is_found = np.zeros(len(order), bool)
    labels = curves.labels[order]
    for places in members_of_classes(labels):
        share = rates[labels[places[0]]]
        is_found[places[: round(share * len(places))]] = True
    return order[is_found]


def estimate_noise_rates(
    curves: LossCurves, checked: Any = None
) -> npt.NDArray[np.float64]:
    """Share of probably wrong labels in each observed class.

    Args:
        curves: `LossCurves` of two epochs or more.
        checked: Answers, as `label_quality_scores` takes them, or None.
            `share_of_wrong_labels` gives the share of all classes, with an
            interval.

    Returns:
        Float64 `(num_classes,)`: the share of the class's samples that
        `find_label_issues` finds; with answers the mean probability that they
        are wrong, corrected by the class's own answers as far as these are
        many. 0 for classes without samples.

    Raises:
        ImportError: If there are answers, and scikit-learn is not installed.
        ValueError: If it has fewer than two epochs, or `checked` holds no
            answers on these labels.

    Example:

    ```python
    import keras_curvenet as kcn

    losses = [[2.0, 0.2], [2.1, 0.3], [2.0, 1.9], [1.9, 0.2]]
    curves = kcn.LossCurves(losses, labels=[1, 1, 0, 0])
    kcn.estimate_noise_rates(curves)  # [0.5, 0.0]
    ```
    """
    scores = label_quality_scores(curves)
    if checked is not None:
        answers = as_answers(checked, curves)
        return checked_noise_rates(
            scores, answers, curves.labels, curves.num_classes
        )
    counts = class_counts(curves, ~np.isnan(scores))
    return class_counts(curves, scores < 0.5) / np.maximum(counts, 1)


def estimate_class_counts(curves: LossCurves) -> npt.NDArray[np.int64]:
    """Number of probably right labels of each observed class.

    Args:
        curves: `LossCurves` of two epochs or more.

    Returns:
        Int64 `(num_classes,)`.

    Raises:
        ValueError: If it has fewer than two epochs.

    Example:

    ```python
    import keras_curvenet as kcn

    losses = [[2.0, 0.2], [2.1, 0.3], [2.0, 1.9], [1.9, 0.2]]
    curves = kcn.LossCurves(losses, labels=[1, 1, 0, 0])
    kcn.estimate_class_counts(curves)  # [1, 2]
    ```
    """
    return class_counts(curves, label_quality_scores(curves) >= 0.5)


def class_counts(
    curves: LossCurves, chosen: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Int64 `(num_classes,)`: how many of the chosen samples each class has."""
    labels = curves.labels[chosen & (curves.labels >= 0)]
    return np.bincount(labels, minlength=curves.num_classes)


def scores_of(suspicion: LabelSuspicion) -> npt.NDArray[np.float64]:
    """Float64 `(num_samples,)`: from 1 for the least suspicion to 0.

    Between the means of the two groups, the logit falls by `_LOGIT_GAP`.
    """
    values, num_suspects = suspicion.values, suspicion.num_suspects
    ranked = np.sort(values)[::-1]
    ranked = ranked[~np.isnan(ranked)]
    upper, lower = ranked[:num_suspects], ranked[num_suspects:]
    if not ranked.size:
        return np.full(values.size, np.nan)
    if upper.size and lower.size:
        threshold = (upper[-1] + lower[0]) / 2.0
        gap = max(upper.mean() - lower.mean(), 1e-12)
    else:
        gap = max(np.ptp(ranked), 1e-12)
        threshold = ranked[0] if lower.size else ranked[-1] - gap
    # Beyond 700, the exponential would not be finite.
    logits = np.minimum(_LOGIT_GAP / gap * (values - threshold), 700.0)
    return np.asarray(1.0 / (1.0 + np.exp(logits)))


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

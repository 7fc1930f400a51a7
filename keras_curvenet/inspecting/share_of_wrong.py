"""How many labels are wrong, by answers on a few: a stratified estimate."""

import math
import warnings
from typing import Any
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keras_curvenet.inspecting.checked_labels import CheckedLabels
from keras_curvenet.inspecting.checked_labels import as_answers
from keras_curvenet.inspecting.label_quality import label_quality_scores
from keras_curvenet.inspecting.ranking_layers import NUM_LAYERS
from keras_curvenet.inspecting.ranking_layers import layer_counts
from keras_curvenet.inspecting.ranking_layers import layers_of_ranking
from keras_curvenet.probing.loss_curves import LossCurves

# A layer whose answers all agree is not taken for pure: its rate counts the
# share of all layers as this many more answers. The page's script has it, too.
_SHRINKAGE = 0.5

# Answers from layers with fewer of the samples are no sample of all.
_LEAST_COVERED = 0.5

# The quantile of a normal distribution that leaves 2.5 % above it.
_QUANTILE = 1.959964


class ShareOfWrong(NamedTuple):
    """A share of wrong labels, and the 95 % interval around it."""

    share: float
    lower: float
    upper: float


class AnswerCounts(NamedTuple):
    """How many samples and answers each layer of the ranking has."""

    num_samples: npt.NDArray[np.int64]
    num_answers: npt.NDArray[np.int64]
    num_wrong: npt.NDArray[np.int64]  # Of the answers.


def share_of_wrong_labels(curves: LossCurves, checked: Any) -> ShareOfWrong:
    """How many labels are wrong, by answers on a few of them.

    A stratified estimate, without bias if the answers are on all samples of
    `labels_to_check`, whatever the ranking is worth: the rates of its ten
    layers in the mean, weighted by their sizes. Those without an answer are
    taken together with the nearest that has one. The interval is Wilson's, with
    the number of answers that a simple random sample would need to vary as
    little.

    References: Cochran, "Sampling techniques", 1977, chapter 5; Korn and
    Graubard, "Confidence intervals for proportions with small expected number
    of positive counts estimated from survey data", 1998.

    Args:
        curves: `LossCurves` of two epochs or more.
        checked: The answers, as `label_quality_scores` takes them.

    Returns:
        A named tuple of floats: `share`, and the ends `lower` and `upper` of
        its 95 % interval.

    Raises:
        ValueError: If `checked` holds no answers on these labels.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    losses = np.random.default_rng(0).uniform(size=(200, 10))
    curves = kcn.LossCurves(losses, labels=np.arange(200) % 2)
    asked = kcn.labels_to_check(curves, num_labels=20)
    checked = {sample_id: sample_id % 4 > 0 for sample_id in asked}
    share, lower, upper = kcn.share_of_wrong_labels(curves, checked)
    ```
    """
    answers = as_answers(checked, curves)
    layers = layers_of_ranking(label_quality_scores(curves))
    counts = answer_counts(layers, answers)
    is_answered = counts.num_answers > 0
    covered = counts.num_samples[is_answered].sum() / counts.num_samples.sum()
    if covered < _LEAST_COVERED:
        warnings.warn(
            f"The answers are from {np.count_nonzero(is_answered)} of "
            f"{NUM_LAYERS} layers of the ranking, with {covered:.0%} of the "
            "samples. It is taken that the others are like the nearest of "
            "these. Ask `labels_to_check(curves, checked=checked)`, too.",
            stacklevel=2,
        )
    return stratified_share(counts)


def answer_counts(
    layers: npt.NDArray[np.int64], checked: CheckedLabels
) -> AnswerCounts:
    """What is known of each layer, of samples in these layers."""
    wrong = checked.sample_ids[~checked.is_right]
    return AnswerCounts(
        layer_counts(layers),
        layer_counts(layers[checked.sample_ids]),
        layer_counts(layers[wrong]),
    )


def stratified_share(counts: AnswerCounts) -> ShareOfWrong:
    """The share of wrong labels by one answer or more."""
    answered = np.flatnonzero(counts.num_answers)
    places = np.arange(len(counts.num_samples))[:, np.newaxis]
    nearest = np.abs(places - answered).argmin(axis=1)
    sizes = np.bincount(nearest, counts.num_samples)
    num_answers = counts.num_answers[answered]
    num_wrong = counts.num_wrong[answered]

    share = float(sum(sizes * num_wrong / num_answers) / sizes.sum())
    # Of the variance of an answer, what is left of it in the estimate.
    left = (sizes / sizes.sum()) ** 2 * (1.0 - num_answers / sizes)
    left /= num_answers
    if 0.0 < share < 1.0:
        rates = num_wrong + _SHRINKAGE * share
        rates /= num_answers + _SHRINKAGE
        left *= rates * (1.0 - rates) / (share * (1.0 - share))
    inverse_size = float(left.sum())
    lower = _lower_end(share, inverse_size)
    upper = 1.0 - _lower_end(1.0 - share, inverse_size)
    return ShareOfWrong(share, lower, upper)


def _lower_end(share: float, inverse_size: float) -> float:
    """Of Wilson's interval, by one over the number of answers."""
    square = _QUANTILE**2 * inverse_size
    variance = share * (1.0 - share) * square + square**2 / 4.0
    lower = max(share + square / 2.0 - math.sqrt(variance), 0.0)
    return lower / (1.0 + square)

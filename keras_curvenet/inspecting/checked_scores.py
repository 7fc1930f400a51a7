"""Label quality as a probability, by answers on a few labels."""

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import imported
from keras_curvenet.inspecting.checked_labels import CheckedLabels
from keras_curvenet.inspecting.ranking_layers import layer_counts
from keras_curvenet.inspecting.ranking_layers import layers_of_ranking

# The scores before any answer count as much as so many answers.
_NUM_PRIOR_ANSWERS = 4.0

# Without an answer, nothing is surer than this.
_LEAST_PROBABLE = 0.05

# Of a class with so many answers, the rate is half its own.
_NUM_ANSWERS_OF_CLASS = 10.0


def checked_scores(
    scores: npt.NDArray[np.float64], checked: CheckedLabels
) -> npt.NDArray[np.float64]:
    """How probably each label is right: 0 or 1 where it was checked.

    Args:
        scores: Float `(num_samples,)`, low where a label is probably wrong, NaN
            for samples that were never seen.
        checked: `CheckedLabels` with one answer or more.
    """
    weights = _sampling_weights(scores, checked)
    probabilities = _probabilities(scores, checked, weights)
    probabilities[checked.sample_ids] = checked.is_right
    return probabilities


def checked_noise_rates(
    scores: npt.NDArray[np.float64],
    checked: CheckedLabels,
    labels: npt.NDArray[np.int64],
    num_classes: int,
) -> npt.NDArray[np.float64]:
    """Share of wrong labels in each observed class, 0 for empty ones.

    The mean probability of its samples, and as far as a class has answers of
    its own, by how much more or fewer of them are wrong than that says.
    """

    def sums(classes: npt.NDArray[np.int64], values: Any) -> Any:
        return np.bincount(classes, values, minlength=num_classes)

    weights = _sampling_weights(scores, checked)
    wrong = 1.0 - _probabilities(scores, checked, weights)
    seen = ~np.isnan(scores)
    counts = np.bincount(labels[seen], minlength=num_classes)
    rates = sums(labels[seen], wrong[seen]) / np.maximum(counts, 1)
    ids = checked.sample_ids
    more = sums(labels[ids], weights * (~checked.is_right - wrong[ids]))
    more /= sums(labels[ids], weights) + _NUM_ANSWERS_OF_CLASS
    return np.asarray(np.clip(rates + more, 0.0, 1.0))


def _probabilities(
    scores: npt.NDArray[np.float64],
    checked: CheckedLabels,
    weights: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """How probably each label is right, in the order of the scores.

    A logistic regression of the answers on the logit of a sample's place in the
    ranking. An answer counts as much as the samples of its layer that it stands
    for, so that the probabilities add up to about the stratified share.
    """
    linear_model = imported(
        "sklearn.linear_model", "`checked`", packages="scikit-learn"
    )
    places = _logits_of_places(scores)
    ids, size = checked.sample_ids, len(checked.sample_ids)
    prior = scores[ids].clip(_LEAST_PROBABLE, 1.0 - _LEAST_PROBABLE)
    prior_weights = weights * _NUM_PRIOR_ANSWERS / size
    fit = linear_model.LogisticRegression(C=1e6, max_iter=1000).fit(
        np.tile(places[ids], 3)[:, np.newaxis],
        np.concatenate([checked.is_right, np.ones(size), np.zeros(size)]),
        np.concatenate(
            [weights, prior_weights * prior, prior_weights * (1.0 - prior)]
        ),
    )
    ((slope,),), (intercept,) = fit.coef_, fit.intercept_
    probabilities = 1.0 / (1.0 + np.exp(-intercept - slope * places))
    if slope < 0.0:  # The ranking is worth nothing.
        share = np.average(checked.is_right, weights=weights)
        return np.where(np.isnan(scores), np.nan, share)
    return np.asarray(probabilities)


def _logits_of_places(
    scores: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Logits of how far up the ranking samples are; NaN where not ranked."""
    order = np.argsort(scores, kind="stable")  # NaN comes last.
    order = order[: np.count_nonzero(~np.isnan(scores))]
    below = np.arange(len(order)) + 0.5
    places = np.full(len(scores), np.nan)
    places[order] = np.log(below / (len(order) - below))
    return places


def _sampling_weights(
    scores: npt.NDArray[np.float64], checked: CheckedLabels
) -> npt.NDArray[np.float64]:
    """How many samples an answer stands for, relative to the mean."""
    layers = layers_of_ranking(scores)
    answered = layers[checked.sample_ids]
    num_answers = np.maximum(layer_counts(answered), 1)
    weights = (layer_counts(layers) / num_answers)[answered]
    return np.asarray(weights / weights.mean())

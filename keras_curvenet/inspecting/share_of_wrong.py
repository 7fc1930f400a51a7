"""How many labels are wrong, by answers on a few: a stratified estimate."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# A layer whose answers all agree is not taken for pure: its rate counts the
# share of all layers as this many more answers.
_SHRINKAGE = 0.5

# The quantile of a normal distribution that leaves 2.5 % above it.
_QUANTILE = 1.959964


class ShareOfWrong(NamedTuple):
    """A share of wrong labels, and the 95 % interval that holds it."""

    share: float
    lower: float
    upper: float


def stratified_share(
    num_wrong: npt.NDArray[np.int64],
    num_answers: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
) -> ShareOfWrong:
    """The share of wrong labels by the answers in each layer of the ranking.

    The share is the layers' rates in the mean, weighted by size: unbiased, if
    answers are on a random sample of each layer. Layers without an answer are
    taken together with the nearest that has one. The interval is Wilson's, with
    the number of answers of a simple random sample that would vary as much.

    References: Cochran, "Sampling techniques", 1977, chapter 5; Korn and
    Graubard, "Confidence intervals for proportions with small expected number
    of positive counts estimated from survey data", 1998.

    Args:
        num_wrong: Int `(num_layers,)`, how many answers are "wrong".
        num_answers: Int `(num_layers,)`, at least one in some layer.
        sizes: Int `(num_layers,)`, how many samples there are.
    """
    answered = np.flatnonzero(num_answers)
    places = np.arange(len(sizes))[:, np.newaxis]
    nearest = np.abs(places - answered).argmin(axis=1)
    sizes = np.bincount(nearest, sizes)
    num_wrong, num_answers = num_wrong[answered], num_answers[answered]

    share = float(sum(sizes * num_wrong / num_answers) / sizes.sum())
    # Of the variance of an answer, what is left of it in the estimate.
    left = (sizes / sizes.sum()) ** 2 * (1.0 - num_answers / sizes)
    left /= num_answers
    if 0.0 < share < 1.0:
        rates = num_wrong + _SHRINKAGE * share
        rates /= num_answers + _SHRINKAGE
        left *= rates * (1.0 - rates) / (share * (1.0 - share))
    size = 1.0 / left.sum() if left.any() else math.inf
    lower, upper = _wilson(share, size), 1.0 - _wilson(1.0 - share, size)
    return ShareOfWrong(share, lower, upper)


def _wilson(share: float, size: float) -> float:
    """The lower end of Wilson's interval, by so many answers."""
    square = _QUANTILE**2 / size
    half = math.sqrt(share * (1.0 - share) * square + square**2 / 4.0)
    return max(share + square / 2.0 - half, 0.0) / (1.0 + square)

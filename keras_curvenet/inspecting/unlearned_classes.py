"""Classes that the probe has not learned look wrong as a whole."""

import warnings

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import listed

# A class is learned if its surest samples, this share of it, are as sure as
# right labels typically are.
_SUREST = 0.1

# Of a class that is not, at most so many times the share of suspects among all
# samples is taken for wrong.
_MOST_SUSPECTS = 1.2

# A class with more suspects than this share can't be told from one that is
# wrong as a whole: a warning names it.
_NEARLY_ALL = 0.9


def spare_unlearned_classes(
    values: npt.NDArray[np.float64],
    num_suspects: int,
    labels: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float64], int]:
    """Suspicion in which no class is suspect only because it was not learned.

    A network learns frequent classes first. Where the probe ends before it
    knows a rare one, all labels of that class seem wrong, the right ones too:
    the curves rank its samples, and do not tell how many are wrong. Then so
    much is subtracted from their suspicion that little more of the class is
    suspect than of all samples.

    Takes and returns what a `LabelSuspicion` holds, of samples that were seen.
    """
    ranked = np.sort(values)[::-1]
    upper, lower = ranked[:num_suspects], ranked[num_suspects:]
    if not upper.size or not lower.size:
        return values, num_suspects
    threshold = (upper[-1] + lower[0]) / 2.0
    least_sure = threshold - (upper.mean() - lower.mean()) / 2.0
    most = _MOST_SUSPECTS * num_suspects / len(values)
    values, look_wrong = values.copy(), []
    for members in members_of_classes(labels):
        own = np.sort(values[members])[::-1]
        allowed = int(np.ceil(most * len(own)))
        if allowed >= len(own) or own[allowed] <= threshold:
            continue  # No more are suspect.
        if np.quantile(own, _SUREST) > least_sure:
            excess = (own[allowed - 1] + own[allowed]) / 2.0 - threshold
            values[members] -= excess
            if np.mean(own > threshold) > _NEARLY_ALL:
                look_wrong.append(int(labels[members[0]]))
    if look_wrong:
        warnings.warn(
            f"Nearly all labels of class(es) {listed(look_wrong)} look wrong, "
            "which the network has not learned: it is taken that about as "
            "many are wrong there as elsewhere. If you know better, pass "
            "`noise_rate` by class. Probing for more epochs, or with a loss "
            "that counts rare classes more, tells.",
            stacklevel=5,
        )
    return values, int(np.count_nonzero(values > threshold))


def members_of_classes(
    labels: npt.NDArray[np.int64],
) -> list[npt.NDArray[np.int64]]:
    """The places of each class's samples, of the classes that have any."""
    if not labels.size:
        return []
    by_class = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[by_class]))
    return np.split(by_class, starts + 1)

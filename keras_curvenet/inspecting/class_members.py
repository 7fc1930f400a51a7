"""The samples of each class."""

import numpy as np
import numpy.typing as npt


def members_of_classes(
    labels: npt.NDArray[np.int64],
) -> list[npt.NDArray[np.int64]]:
    """The places of each class's samples, of the classes that have any."""
    if not labels.size:
        return []
    by_class = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[by_class]))
    return np.split(by_class, starts + 1)

"""What counts as an array of class labels."""

import numpy as np
import numpy.typing as npt


def checked_class_labels(labels: npt.ArrayLike) -> npt.NDArray[np.integer]:
    """The labels as an array; ValueError where they are not int `(n,)`."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise ValueError(
            "Invalid value for argument `labels`. Expected int labels of shape "
            f"(num_samples,). Received: {labels.dtype} of shape "
            f"{labels.shape}."
        )
    return labels

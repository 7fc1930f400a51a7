"""Rare or wrong: a verdict on every sample."""

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_curvenet.inspecting.label_quality import class_counts
from keras_curvenet.inspecting.label_quality import label_quality_scores
from keras_curvenet.probing.loss_curves import LossCurves

# A class is in the tail if it has fewer right labels than this share of the
# mean over the classes.
_TAIL_SHARE = 0.5


def sample_verdicts(
    curves: LossCurves, checked: Any = None
) -> npt.NDArray[np.str_]:
    """Tells samples with wrong labels from those of rare classes.

    Both have a large loss for most of the training. A sample is a suspect
    where its label quality is below 0.5. Otherwise it is of the tail, if its
    observed class has less than half as many probably right labels as classes
    have in the mean, or of the head.

    Reference: Jiang et al., 2022, introduction.

    Args:
        curves: `LossCurves` of two epochs or more.
        checked: Answers, as `label_quality_scores` takes them, or None.

    Returns:
        String array `(num_samples,)` of `"clean head"`, `"clean tail"`,
        `"suspect"`, and `"unseen"` for samples that were never seen.

    Raises:
        ValueError: If it has fewer than two epochs.

    Example:

    ```python
    import keras_curvenet as kcn

    losses = [[2.0, 0.2]] * 7 + [[2.0, 1.9], [2.0, 0.6]]
    curves = kcn.LossCurves(losses, labels=[0] * 8 + [1])
    kcn.sample_verdicts(curves)[-2:]  # ["suspect", "clean tail"]
    ```
    """
    scores = label_quality_scores(curves, checked)
    has_samples = class_counts(curves, curves.labels >= 0) > 0
    is_tail = tail_classes(class_counts(curves, scores >= 0.5), has_samples)
    return np.select(
        [np.isnan(scores), scores < 0.5, is_tail[curves.labels]],
        ["unseen", "suspect", "clean tail"],
        "clean head",
    )


def tail_classes(
    counts: npt.NDArray[np.int64], has_samples: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Bool `(num_classes,)`: those with few of the `counts` samples.

    The mean is of the classes that have samples.
    """
    if not has_samples.any():
        return np.zeros(len(counts), bool)
    return counts < _TAIL_SHARE * float(counts[has_samples].mean())

"""A meta set without clean data: samples whose labels are surely right."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import as_int
from keras_curvenet.checked_arguments import as_rows
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.checked_arguments import listed
from keras_curvenet.inspecting.checked_labels import as_checked_labels
from keras_curvenet.inspecting.class_members import members_of_classes
from keras_curvenet.inspecting.label_quality import label_quality_scores
from keras_curvenet.probing.loss_curves import LossCurves

# The share of a class's probably right labels, the best, that meta samples are
# drawn from: drawn, they are not only the easiest.
_DRAWN_FROM = 0.5


def select_meta_samples(
    curves: LossCurves,
    samples_per_class: int = 20,
    seed: int = 0,
    among: npt.ArrayLike | None = None,
    checked: Any = None,
) -> npt.NDArray[np.int64]:
    """Ids of a balanced set of samples whose labels are probably right.

    Of each observed class, samples are drawn from the better half of those
    whose label quality is at least 0.5, or the best are taken where that half
    is too small. Before all others come those that were checked and are right.
    A class with too few gives what it has; one with none, samples of its better
    half. A warning names such classes.

    Args:
        curves: `LossCurves` of two epochs or more.
        samples_per_class: Int >= 1. Defaults to 20.
        seed: Int >= 0, of the draw. Defaults to 0.
        among: Bool `(num_samples,)`: which samples may be chosen. None for all.
        checked: Answers, as `label_quality_scores` takes them, or None.

    Returns:
        Int64 ids, ascending by class.

    Raises:
        ValueError: If it has fewer than two epochs or no sample that was
            seen, or another argument is no such int.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    losses = np.random.default_rng(0).uniform(size=(200, 10))
    losses[::4] += 2.0
    curves = kcn.LossCurves(losses, labels=np.arange(200) % 2)
    kcn.select_meta_samples(curves, samples_per_class=5)  # 10 ids
    ```
    """
    as_int("samples_per_class", samples_per_class, 1)
    as_int("seed", seed, 0)
    scores = label_quality_scores(curves, checked)
    answers = as_checked_labels(checked, curves)
    is_sure = np.zeros(curves.num_samples, bool)
    is_sure[answers.sample_ids[answers.is_right]] = True
    if among is not None:
        among = as_rows("among", among, curves.num_samples)
        scores = np.where(among, scores, np.nan)
    best_first = np.argsort(-scores, kind="stable")
    best_first = best_first[: np.count_nonzero(~np.isnan(scores))]
    if best_first.size == 0:
        received = f"{curves}, in which no sample was seen."
        raise invalid_value("curves", "samples with a finite loss", received)
    rng = np.random.default_rng(seed)
    chosen, short, suspect = [], [], []
    for places in members_of_classes(curves.labels[best_first]):
        members = best_first[places]
        label = int(curves.labels[members[0]])
        num_right = np.count_nonzero(scores[members] >= 0.5)
        size = max(int(_DRAWN_FROM * num_right), samples_per_class)
        pool = members[: min(size, num_right)]
        if num_right == 0:
            suspect.append(label)
            pool = members[: -(-len(members) // 2)]
        if len(pool) < samples_per_class:
            short.append(label)
        sure, others = members[is_sure[members]], pool[~is_sure[pool]]
        num_sure = min(samples_per_class, len(sure))
        num_others = min(samples_per_class - num_sure, len(others))
        if num_sure:
            chosen.append(rng.choice(sure, num_sure, replace=False))
        if num_others:
            chosen.append(rng.choice(others, num_others, replace=False))
    if suspect:
        warnings.warn(
            f"All samples of class(es) {listed(suspect)} look wrongly "
            "labelled. Meta samples were drawn from the better half of each. "
            "Check these classes, or pass `meta_data` with samples you trust.",
            stacklevel=2,
        )
    if short:
        warnings.warn(
            f"Class(es) {listed(short)} have fewer than {samples_per_class} "
            "samples with probably right labels. The meta set has fewer of "
            "them.",
            stacklevel=2,
        )
    return np.concatenate(chosen).astype(np.int64)

"""Wrong labels, as the field makes them."""

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import as_float
from keras_curvenet.checked_arguments import as_int


def corrupt_labels(
    labels: npt.ArrayLike,
    noise_rate: float,
    kind: str = "frequency",
    num_classes: int | None = None,
    seed: int = 0,
) -> npt.NDArray[np.integer]:
    """Redraws each label with a probability of `noise_rate`.

    A redrawn label can be the true one again, except with `"pair"`.

    Args:
        labels: Int `(num_samples,)`, class labels 0 to C - 1.
        noise_rate: Float in [0, 1], probability that a label is redrawn.
        kind: `"frequency"` draws from the class frequencies of `labels`, so
            that class k of n_k among N samples is really changed at a rate of
            `noise_rate * (1 - n_k / N)`; `"symmetric"` draws uniformly from
            all C classes, so that labels are really changed at a rate of
            `noise_rate * (C - 1) / C`; `"pair"` takes class `(k + 1) % C`.
            `"uniform"` is the reference code's word for `"frequency"`;
            elsewhere it means `"symmetric"`. Defaults to `"frequency"`.
        num_classes: Int >= 1, or None for the largest label plus one.
        seed: Int >= 0, of the draw. Defaults to 0.

    Returns:
        Array like `labels`, a new one.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    labels = np.repeat(np.arange(4), 25)
    noisy = kcn.datasets.corrupt_labels(labels, 0.4, kind="symmetric")
    np.mean(noisy != labels)  # about 0.3
    ```
    """
    labels = as_class_labels(labels)
    as_int("seed", seed, 0)
    if num_classes is None:
        num_classes = int(labels.max()) + 1
    as_int("num_classes", num_classes, 1)
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            "Invalid value for argument `labels`. Expected labels from 0 to "
            f"{num_classes - 1}. Received: labels from {labels.min()} to "
            f"{labels.max()}, num_classes={num_classes}."
        )
    noise_rate = as_float(
        "noise_rate",
        noise_rate,
        lambda rate: 0.0 <= rate <= 1.0,
        "a float in [0, 1]",
    )
    rng = np.random.default_rng(seed)
    is_redrawn = rng.random(len(labels)) < noise_rate
    if kind in ("frequency", "uniform"):
        redrawn = rng.choice(labels, size=len(labels))
    elif kind == "symmetric":
        redrawn = rng.integers(num_classes, size=len(labels))
    elif kind == "pair":
        redrawn = (labels.astype(np.int64) + 1) % num_classes
    else:
        raise ValueError(
            "Invalid value for argument `kind`. Expected 'frequency', "
            f"'symmetric' or 'pair'. Received: kind={kind!r}."
        )
    return np.where(is_redrawn, redrawn, labels).astype(labels.dtype)


def as_class_labels(labels: npt.ArrayLike) -> npt.NDArray[np.integer]:
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

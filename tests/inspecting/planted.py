"""Loss curves with planted wrong labels, for the inspecting tests."""

import numpy as np

import keras_curvenet as kcn


def curves_of(sizes, noise_rate=0.25, seed=0, num_epochs=20):
    """Curves of classes of these sizes, the first of each with wrong labels.

    They fall where labels are right, and stay up where they are wrong.
    """
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    is_wrong = np.concatenate(
        [np.arange(size) < round(noise_rate * size) for size in sizes]
    )
    falling = np.linspace(2.0, 0.1, num_epochs)[:, np.newaxis]
    level = np.where(is_wrong, 2.0, falling).T
    noise = rng.normal(scale=0.3, size=level.shape)
    return kcn.LossCurves(np.abs(level + noise), labels), is_wrong


def unclear_curves():
    """Curves that do not tell how many labels are wrong.

    One group of margins, as from a network that is unsure early on and knows
    all labels at the end.
    """
    rng = np.random.default_rng(0)
    level = rng.normal(size=(1000, 1))
    margins = level + np.where(np.arange(20) < 10, 0.5, 8.0)
    losses = np.log1p(np.exp(-margins))
    return kcn.LossCurves(losses, np.arange(1000) % 2, 2, margins)

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

    Those of a network that is unsure: of ten classes, the label and another one
    are together about as likely as all the rest.
    """
    rng = np.random.default_rng(0)
    margins = rng.normal(0.0, 1.0, (1000, 1)) + np.zeros(20)
    losses = np.log1p(np.exp(-margins) + 4.0 * np.exp(-margins / 2.0))
    return kcn.LossCurves(losses, np.arange(1000) % 10, 10, margins)

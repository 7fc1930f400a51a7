"""Draws docs/idea.svg, the picture at the top of README.

    python docs/idea_picture.py

Scikit-learn's digits: classes from 100 samples down to 10, 40 % of the labels
redrawn. Seed 0, as in examples/quickstart.py.
"""

import pathlib

import keras
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import keras_curvenet as kcn

RIGHT, RARE, WRONG = "#0072B2", "#56B4E9", "#D55E00"
NUM_RARE = 5  # Classes, the last ones.


def make_model():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def trained():
    """Loss curves, sample weights, given and true labels."""
    keras.utils.set_random_seed(0)
    x, y = load_digits(return_X_y=True)
    rows = kcn.datasets.long_tailed_indices(y, 0.1, max_per_class=100)
    x, y = x[rows].reshape(-1, 8, 8, 1) / 16, y[rows]
    given = kcn.datasets.corrupt_labels(y, 0.4)
    train = kcn.with_sample_ids((x, given))
    train = kcn.shuffle_by_epoch(train, len(x)).batch(16)
    recorder = kcn.LossCurveRecorder()
    make_model().fit(train, epochs=20, callbacks=[recorder], verbose=0)
    weighted = kcn.CurveWeightedModel(make_model())
    curves = recorder.loss_curves
    weighted.fit(train, epochs=30, loss_curves=curves, verbose=0)
    return curves, weighted.sample_weights(), given, y


def draw(curves, weights, given, true):
    is_wrong, is_rare = given != true, true >= 10 - NUM_RARE
    groups = [
        ("right label", RIGHT, ~is_wrong & ~is_rare),
        ("right label, rare class", RARE, ~is_wrong & is_rare),
        ("wrong label", WRONG, is_wrong),
    ]
    figure = Figure(figsize=(8.4, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    epochs = np.arange(1, curves.num_epochs + 1)
    for name, color, members in groups:
        rows = curves.values[members]
        low, high = np.quantile(rows, [0.25, 0.75], axis=0)
        left.fill_between(epochs, low, high, color=color, alpha=0.2, lw=0)
        median = np.median(rows, axis=0)
        left.plot(epochs, median, color=color, lw=2, label=name)
        share = np.full(members.sum(), 100.0 / members.sum())
        right.hist(
            weights[members],
            np.linspace(0.0, 1.0, 21),
            weights=share,
            histtype="step",
            color=color,
            lw=2,
        )
    left.set_title("1. Probe: a wrong label's loss stays up", fontsize=11)
    left.set(xlabel="epoch", ylabel="loss of a sample", ylim=(0, None))
    left.xaxis.get_major_locator().set_params(integer=True)
    left.legend(frameon=False, fontsize=9)
    right.set_title("2. Allocate: so it loses its weight", fontsize=11)
    right.set(xlabel="sample weight", ylabel="% of the group")
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    matplotlib.rcParams["svg.hashsalt"] = "keras_curvenet"
    path = pathlib.Path(__file__).with_name("idea.svg")
    draw(*trained()).savefig(path, metadata={"Date": None})

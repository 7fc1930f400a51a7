"""
Title: Train on wrong labels and rare classes
Description: Two minutes on digits, 40 % of whose labels were redrawn.

Scikit-learn ships 1,797 digits of 8x8 pixels: nothing is downloaded. We spoil
them as collected data is spoilt, with classes from 100 samples down to 10 and
40 % of the labels redrawn, and train the same small network four times: as it
is, with a loss adjusted to rare classes alone, weighted by loss curves as well,
and on the true labels, which nobody has in practice but which shows what was to
be gained.

    python examples/quickstart.py
"""

import json
import pathlib

import keras
import numpy as np
from absl import app
from absl import flags
from sklearn import datasets
from sklearn import metrics
from sklearn import model_selection

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the data and networks.")
flags.DEFINE_float("noise_rate", 0.4, "Probability that a label is redrawn.")
flags.DEFINE_float("imbalance_factor", 0.1, "Smallest class over largest.")
flags.DEFINE_integer("probe_epochs", 20, "Epochs of the probing stage.")
flags.DEFINE_integer("epochs", 30, "Epochs of every other training.")
flags.DEFINE_string("output", None, "JSON file for the figures, if any.")

NUM_CLASSES = 10

"""
## Data

A quarter of the digits is kept for testing. The rest becomes long-tailed and
noisy.
"""


def load_digits(seed):
    """Returns (x, noisy labels, true labels) and the test set."""
    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16.0).astype("float32").reshape(-1, 8, 8, 1)
    x, x_test, y, y_test = model_selection.train_test_split(
        x, y, test_size=0.25, stratify=y, random_state=seed
    )
    rows = kcn.datasets.long_tailed_indices(
        y, FLAGS.imbalance_factor, max_per_class=100, seed=seed
    )
    x, y = x[rows], y[rows]
    noisy = kcn.datasets.corrupt_labels(y, FLAGS.noise_rate, seed=seed)
    return (x, noisy, y), (x_test, y_test)


"""
## Network

Any Keras classifier would do. Each training gets a fresh one, with the same
optimizer, batch size and number of epochs.
"""


def make_model(seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(NUM_CLASSES),
        ]
    )


def compile_arguments(class_counts=None):
    """With counts, the loss is adjusted to them."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if class_counts is not None:
        loss = kcn.LogitAdjustedCrossentropy(class_counts, from_logits=True)
    return {
        "optimizer": keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        "loss": loss,
        "metrics": ["accuracy"],
    }


"""
## Probe: every sample's loss curve

An ordinary `fit` of an ordinary model. `with_sample_ids` gives each sample a
number, and the recorder notes its loss in every epoch. The loss of a right
label falls, late if its class is rare; that of a wrong one stays up.
"""


def probe(x, y, seed):
    train = kcn.with_sample_ids((x, y))
    model = make_model(seed)
    model.compile(**compile_arguments())
    recorder = kcn.LossCurveRecorder()
    model.fit(
        train.shuffle(len(x)).batch(16),
        epochs=FLAGS.probe_epochs,
        callbacks=[recorder],
        shuffle=False,  # The dataset shuffles itself.
        verbose=0,
    )
    return recorder.loss_curves


"""
## Allocate: weights learned from the curves

`CurveWeightedModel` wraps a network, and goes on training it. Here it is a
fresh one: the probe's has memorized many wrong labels, of which `fit`
would warn. While it trains, CurveNet learns a weight for each sample from
its curve and its class, guided by a small *meta set*: samples whose curves say
that their labels are right. As far as a label is not trusted, the network is
trained on what it has come to believe of the sample instead; and rare classes
are balanced. All of that is on by default.
"""


def train_weighted(x, y, curves, test_data, seed):
    weighted = kcn.CurveWeightedModel(make_model(seed))
    weighted.compile(**compile_arguments())
    history = weighted.fit(
        kcn.with_sample_ids((x, y)).shuffle(len(x)).batch(32),
        epochs=FLAGS.epochs,
        loss_curves=curves,
        validation_data=test_data,
        verbose=0,
    )
    return weighted, history


def train_plain(x, y, test_data, seed, class_counts=None):
    model = make_model(seed)
    model.compile(**compile_arguments(class_counts))
    history = model.fit(
        x,
        y,
        batch_size=32,
        epochs=FLAGS.epochs,
        validation_data=test_data,
        verbose=0,
    )
    return model, history


"""
## What came of it

The test set is balanced. Accuracy is given at the last and at the best epoch,
and recall for the five rarest classes.
"""


def figures(model, history, test_data):
    x, y = test_data
    predicted = model.predict(x, verbose=0).argmax(axis=-1)
    recall = metrics.recall_score(y, predicted, average=None)
    accuracy = history.history["val_accuracy"]
    return accuracy[-1], max(accuracy), recall[NUM_CLASSES // 2 :].mean()


def main(argv):
    del argv
    results = {}
    for seed in map(int, FLAGS.seeds):
        (x, noisy, true), test_data = load_digits(seed)
        curves = probe(x, noisy, seed)
        runs = {
            "plain": train_plain(x, noisy, test_data, seed),
            "adjusted loss alone": train_plain(
                x, noisy, test_data, seed, np.bincount(noisy)
            ),
            "weighted by curves": train_weighted(
                x, noisy, curves, test_data, seed
            ),
            "true labels": train_plain(x, true, test_data, seed),
        }
        for name, run in runs.items():
            results.setdefault(name, []).append(figures(*run, test_data))
        weights = runs["weighted by curves"][0].sample_weights()
        is_wrong = noisy != true
        issues = kcn.find_label_issues(curves)
        print(
            f"seed {seed}: {len(x)} samples, {is_wrong.mean():.0%} of the "
            f"labels wrong; {len(issues)} label issues found, "
            f"{is_wrong[issues].mean():.0%} of them rightly\n"
            f"        mean weight {weights[~is_wrong].mean():.2f} of "
            f"right labels, {weights[is_wrong].mean():.2f} of wrong ones",
            flush=True,
        )
    print(f"\nTest accuracy, mean of {len(FLAGS.seeds)} seeds")
    print(f"{'':20}{'last epoch':>12}{'best epoch':>12}{'tail recall':>13}")
    for name, rows in results.items():
        last, best, tail = np.mean(rows, axis=0)
        print(f"{name:20}{last:>12.3f}{best:>12.3f}{tail:>13.3f}")
    if FLAGS.output:
        pathlib.Path(FLAGS.output).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    app.run(main)

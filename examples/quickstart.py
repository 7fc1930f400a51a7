"""
Title: Train on wrong labels and rare classes
Description: A minute on digits, 40 % of whose labels were redrawn.

Scikit-learn ships 1,797 digits of 8x8 pixels: nothing is downloaded. We spoil
them as collected data is spoilt, with classes from 100 samples down to 10 and
40 % of the labels redrawn, and train the same small network four times: as it
is, with a loss adjusted to rare classes alone, weighted by loss curves as well,
and on the true labels, which nobody has in practice but which shows what was to
be gained.

    python examples/quickstart.py

It prints how accurate each network is, and draws the loss curves, the weights
and the labels that look wrong into `quickstart.png`.
"""

import json
import logging
import os
import pathlib
import warnings

import numpy as np
from absl import app
from absl import flags
from matplotlib.figure import Figure
from sklearn import datasets
from sklearn import metrics
from sklearn import model_selection

# While it is loaded, TensorFlow writes about the machine to stderr. Part of
# that comes before any setting is read, so stderr leads nowhere meanwhile.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
stderr = os.dup(2)
with open(os.devnull, "w") as nowhere:
    os.dup2(nowhere.fileno(), 2)
try:
    import keras

    import keras_curvenet as kcn
finally:
    os.dup2(stderr, 2)
logging.getLogger("tensorflow").setLevel("ERROR")

FLAGS = flags.FLAGS
flags.DEFINE_list("seeds", ["0"], "Seeds of the data and networks.")
flags.DEFINE_float("noise_rate", 0.4, "Probability that a label is redrawn.")
flags.DEFINE_float("imbalance_factor", 0.1, "Smallest class over largest.")
flags.DEFINE_integer("probe_epochs", 20, "Epochs of the probing stage.")
flags.DEFINE_integer("epochs", 30, "Epochs of every other training.")
flags.DEFINE_string("picture", "quickstart.png", "What came of the last seed.")
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


def progress(name, epochs):
    """A callback that says on one line how far a training is."""

    def say(epoch, logs=None):
        line = f"  {name:20} epoch {epoch + 1} of {epochs}"
        print(f"\r{line}", end="", flush=True)

    return keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: say(-1),
        on_epoch_end=say,
        on_train_end=lambda logs: print(),
    )


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
        callbacks=[recorder, progress("probe", FLAGS.probe_epochs)],
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

Our rare classes have too few samples for a meta set of full size, of which
`fit` warns.
"""

warnings.filterwarnings("ignore", "Class.* have fewer than 20 samples")


def train_weighted(x, y, curves, test_data, seed):
    weighted = kcn.CurveWeightedModel(make_model(seed))
    weighted.compile(**compile_arguments())
    history = weighted.fit(
        kcn.with_sample_ids((x, y)).shuffle(len(x)).batch(32),
        epochs=FLAGS.epochs,
        loss_curves=curves,
        validation_data=test_data,
        validation_batch_size=len(test_data[0]),
        callbacks=[progress("weighted by curves", FLAGS.epochs)],
        verbose=0,
    )
    return weighted, history


def train_plain(name, x, y, test_data, seed, class_counts=None):
    model = make_model(seed)
    model.compile(**compile_arguments(class_counts))
    history = model.fit(
        x,
        y,
        batch_size=32,
        epochs=FLAGS.epochs,
        validation_data=test_data,
        validation_batch_size=len(test_data[0]),
        callbacks=[progress(name, FLAGS.epochs)],
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


"""
The picture shows what the curves say, with the true labels to compare: blue is
right and orange is wrong.
"""


def draw(x, noisy, true, curves, weights):
    figure = Figure(figsize=(12, 9), layout="constrained")
    panels = figure.add_gridspec(2, 2)
    left, right = (figure.add_subplot(panels[0, i]) for i in range(2))
    kcn.plots.plot_loss_curves(curves, true, ax=left)
    left.xaxis.get_major_locator().set_params(integer=True)
    kcn.plots.plot_sample_weights(weights, noisy, true, ax=right)
    below = figure.add_subplot(panels[1, :])
    kcn.plots.plot_label_issues(curves, x, max_images=16, ax=below)
    figure.savefig(FLAGS.picture)


"""
## All of it
"""


def run(seed):
    """Trains everything; returns the figures of each training."""
    (x, noisy, true), test_data = load_digits(seed)
    is_wrong = noisy != true
    print(
        f"Seed {seed}: {len(x)} samples, {is_wrong.mean():.0%} of the labels "
        "wrong",
        flush=True,
    )
    curves = probe(x, noisy, seed)
    plain = train_plain("plain", x, noisy, test_data, seed)
    adjusted = train_plain(
        "adjusted loss alone", x, noisy, test_data, seed, np.bincount(noisy)
    )
    weighted = train_weighted(x, noisy, curves, test_data, seed)
    on_truth = train_plain("true labels", x, true, test_data, seed)

    issues = kcn.find_label_issues(curves)
    weights = weighted[0].sample_weights()
    print(
        f"{len(issues)} labels look wrong, {is_wrong[issues].mean():.0%} of "
        f"them rightly. The mean weight is {weights[~is_wrong].mean():.2f} of "
        f"right labels, {weights[is_wrong].mean():.2f} of wrong ones.\n"
    )
    draw(x, noisy, true, curves, weights)
    trainings = {
        "plain": plain,
        "adjusted loss alone": adjusted,
        "weighted by curves": weighted,
        "true labels": on_truth,
    }
    return {
        name: figures(*training, test_data)
        for name, training in trainings.items()
    }


def main(argv):
    del argv
    results = {}
    for seed in map(int, FLAGS.seeds):
        for name, row in run(seed).items():
            results.setdefault(name, []).append(row)
    print(f"{'Test accuracy':20}{'last epoch':>12}{'best':>8}{'rare':>8}")
    for name, rows in results.items():
        last, best, tail = np.mean(rows, axis=0)
        print(f"{name:20}{last:>12.3f}{best:>8.3f}{tail:>8.3f}")
    print(f"\nA picture of it: {pathlib.Path(FLAGS.picture).absolute()}")
    if FLAGS.output:
        pathlib.Path(FLAGS.output).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    app.run(main)

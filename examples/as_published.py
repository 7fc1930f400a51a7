"""
Title: The method as published
Description: CurveNet as in the paper, beside Meta-Weight-Net and no weights.

`CurveWeightedModel` departs from the paper where that was found to help: label
quality from margins as a start, soft labels, logit adjustment, no clean data.
This guide trains the paper's own method (Jiang et al., AAAI 2022) with the same
class, for those who compare with it: a probe whose learning rate alternates, a
clean meta set, a CurveNet that reads losses and starts near a weight of 1, all
layers watched, and `sum(weight * loss) / n` as the training loss. Its ancestor
Meta-Weight-Net (Shu et al., NeurIPS 2019) is the same with the loss of the
present step in place of the curve.

    python examples/as_published.py
"""

import keras
import numpy as np
from absl import app
from absl import flags
from sklearn import datasets
from sklearn import model_selection

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the data and networks.")
flags.DEFINE_float("noise_rate", 0.4, "Probability that a label is redrawn.")
flags.DEFINE_float("imbalance_factor", 0.1, "Smallest class over largest.")
flags.DEFINE_integer("clean", 10, "Clean samples of each class: the meta set.")
flags.DEFINE_integer("probe_epochs", 40, "Epochs of the probing stage.")
flags.DEFINE_integer("epochs", 40, "Epochs of every other training.")

NUM_CLASSES = 10

"""
## Data

Scikit-learn's digits. A quarter is kept for testing, and a few samples of each
class stay clean: the meta set. The rest becomes long-tailed and noisy.
"""


def load_digits(seed):
    """Returns training data (x, y), the meta set and the test set."""
    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16.0).astype("float32").reshape(-1, 8, 8, 1)
    x, x_test, y, y_test = model_selection.train_test_split(
        x, y, test_size=0.25, stratify=y, random_state=seed
    )
    x, x_meta, y, y_meta = model_selection.train_test_split(
        x,
        y,
        test_size=FLAGS.clean * NUM_CLASSES,
        stratify=y,
        random_state=seed,
    )
    rows = kcn.datasets.long_tailed_indices(
        y, FLAGS.imbalance_factor, max_per_class=90, seed=seed
    )
    noisy = kcn.datasets.corrupt_labels(y[rows], FLAGS.noise_rate, seed=seed)
    return (x[rows], noisy), (x_meta, y_meta), (x_test, y_test)


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


def compile_arguments():
    return {
        "optimizer": keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "metrics": ["accuracy"],
    }


"""
## Probe

The reference schedule, made short: two fifths at a constant rate, then a square
wave, high first, in which samples are forgotten and learned again.
"""


def probe(x, y, seed):
    model = make_model(seed)
    model.compile(**compile_arguments())
    recorder = kcn.LossCurveRecorder()
    schedule = kcn.ProbingSchedule(
        constant_epochs=2 * FLAGS.probe_epochs // 5,
        cycle_epochs=3,
        high=1e-2,
        low=1e-3,
    )
    model.fit(
        kcn.with_sample_ids((x, y)).shuffle(len(x)).batch(16),
        epochs=FLAGS.probe_epochs,
        callbacks=[recorder, schedule],
        shuffle=False,  # The dataset shuffles itself.
        verbose=0,
    )
    return recorder.loss_curves


"""
## Allocate

`as_published` sets all of it together; the meta optimizer is then Adam at 1e-3,
as in the paper. In the reference schedule, weights are learned until the
learning rate falls for the first time, after two fifths of the epochs.
"""


def falling_rate(epoch, rate):
    """A tenth of the rate after two fifths, and again after a half."""
    falls = (2 * FLAGS.epochs // 5, FLAGS.epochs // 2)
    return rate * 0.1 if epoch in falls else rate


def fit(model, data, test_data, **kwargs):
    """Fits with the one schedule of all trainings."""
    model.compile(**compile_arguments())
    history = model.fit(
        *data,
        batch_size=32,
        epochs=FLAGS.epochs,
        callbacks=[keras.callbacks.LearningRateScheduler(falling_rate)],
        validation_data=test_data,
        verbose=0,
        **kwargs,
    )
    return history.history["val_accuracy"]


def as_published(curves, seed):
    return kcn.CurveWeightedModel.as_published(make_model(seed), curves)


"""
## Meta-Weight-Net

A weight from the present loss alone: a network of one hidden layer. A curve net
that says `reads_current_loss` is given that loss in place of the curve. It is
learned in all epochs, as published.
"""


class MetaWeightNet(keras.layers.Layer):
    """Loss `(batch, 1)` to weight `(batch,)`."""

    reads_current_loss = True

    def __init__(self, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.hidden = keras.layers.Dense(100, activation="relu")
        self.weight = keras.layers.Dense(1, activation="sigmoid")
        self.hidden.build((None, 1))
        self.weight.build((None, 100))
        self.built = True

    def call(self, inputs):
        losses, _ = inputs
        return keras.ops.squeeze(self.weight(self.hidden(losses)), axis=-1)


def meta_weight_net(seed):
    return kcn.CurveWeightedModel(
        make_model(seed),
        curve_net=MetaWeightNet(),
        top_layers=None,
        soft_labels=False,
        balance_classes=False,
    )


def main(argv):
    del argv
    results = {}
    for seed in map(int, FLAGS.seeds):
        data, meta_data, test_data = load_digits(seed)
        curves = probe(*data, seed)
        given = {"loss_curves": curves, "meta_data": meta_data}
        runs = {
            "plain": fit(make_model(seed), data, test_data),
            "Meta-Weight-Net": fit(
                meta_weight_net(seed),
                data,
                test_data,
                meta_epochs=FLAGS.epochs,
                **given,
            ),
            "CurveNet as published": fit(
                as_published(curves, seed),
                data,
                test_data,
                meta_epochs=2 * FLAGS.epochs // 5,
                **given,
            ),
        }
        for name, accuracy in runs.items():
            results.setdefault(name, []).append((accuracy[-1], max(accuracy)))
    print(f"\nTest accuracy, mean of {len(FLAGS.seeds)} seeds")
    print(f"{'':24}{'last epoch':>12}{'best epoch':>12}")
    for name, rows in results.items():
        last, best = np.mean(rows, axis=0)
        print(f"{name:24}{last:>12.3f}{best:>12.3f}")


if __name__ == "__main__":
    app.run(main)

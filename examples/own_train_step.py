"""
Title: Your own model and train_step
Description: A subclassed model with its own step, probed and weighted.

The recorder works with any `train_step` that calls `compute_loss`. The weights
are for any `fit` that takes a `sample_weight`. `CurveWeightedModel` has its own
step instead: it is given the network alone, to learn the weights.

    python examples/own_train_step.py

The data are scikit-learn's digits, 40 % of whose labels were redrawn.
"""

import keras
import tensorflow as tf
from absl import app
from absl import flags
from sklearn import datasets
from sklearn import model_selection

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_float("noise_rate", 0.4, "Probability that a label is redrawn.")
flags.DEFINE_integer("probe_epochs", 20, "Epochs of the probing stage.")
flags.DEFINE_integer("epochs", 30, "Epochs of every other training.")
flags.DEFINE_integer("seed", 0, "Of the data and the networks.")
flags.DEFINE_string("output", "own_train_step.png", "Picture of the curves.")

"""
## The model

It trains on two noisy views of each image: the label's loss on one, and how far
the predictions of the two are apart. Nothing in it knows of sample ids.
"""


class TwoViews(keras.Model):
    """A classifier whose predictions are to be alike on two views."""

    def __init__(self, network, consistency=1.0):
        super().__init__()
        self.network = network
        self.consistency = consistency

    def call(self, x, training=False):
        return self.network(x, training=training)

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        first, second = (
            x + tf.random.normal(tf.shape(x), 0, 0.1) for _ in "12"
        )
        with tf.GradientTape() as tape:
            y_pred = self(first, training=True)
            distance = tf.square(y_pred - self(second, training=True))
            loss = self.compute_loss(x, y, y_pred, sample_weight)
            loss += self.consistency * tf.reduce_mean(distance)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return self.compute_metrics(x, y, y_pred, sample_weight)


def make_network():
    keras.utils.set_random_seed(FLAGS.seed)
    return keras.Sequential(
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


def compiled(model):
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


"""
## Probe: with its own step
"""


def probe(x, y):
    recorder = kcn.LossCurveRecorder()
    train = kcn.with_sample_ids((x, y))
    compiled(TwoViews(make_network())).fit(
        kcn.shuffle_by_epoch(train, buffer_size=len(x)).batch(32),
        epochs=FLAGS.probe_epochs,
        callbacks=[recorder],
        shuffle=False,  # The dataset shuffles itself.
        verbose=0,
    )
    return recorder.loss_curves


"""
## Train: with its own step, and weights

The weights are the label quality, which costs nothing more, or those that
`CurveWeightedModel` learned while it trained the plain network.
"""


def train(x, y, sample_weight=None):
    model = compiled(TwoViews(make_network()))
    model.fit(x, y, epochs=FLAGS.epochs, sample_weight=sample_weight, verbose=0)
    return model


def main(argv):
    del argv
    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16.0).astype("float32").reshape(-1, 8, 8, 1)
    x, x_test, true, y_test = model_selection.train_test_split(
        x, y, test_size=0.5, stratify=y, random_state=FLAGS.seed
    )
    noisy = kcn.datasets.corrupt_labels(true, FLAGS.noise_rate, seed=FLAGS.seed)
    curves = probe(x, noisy)
    weighted = compiled(kcn.CurveWeightedModel(make_network()))
    weighted.fit(x, noisy, epochs=FLAGS.epochs, loss_curves=curves, verbose=0)
    quality = kcn.label_quality_scores(curves).clip(0.01)
    models = {
        "own step": train(x, noisy),
        "own step, label quality as weight": train(x, noisy, quality),
        "own step, learned weights": train(x, noisy, weighted.sample_weights()),
        "CurveWeightedModel, its own step": weighted,
        "own step, true labels": train(x, true),
    }
    print(f"{len(x)} samples, {(noisy != true).mean():.0%} of the labels wrong")
    print("Test accuracy, last epoch")
    for name, model in models.items():
        _, accuracy = model.evaluate(x_test, y_test, verbose=0)
        print(f"  {name:35}{accuracy:.3f}")
    figure = kcn.plots.plot_loss_curves(curves, true_labels=true)
    figure.savefig(FLAGS.output)
    print(f"\nThe curves of right and wrong labels: {FLAGS.output}")


if __name__ == "__main__":
    app.run(main)

"""
Title: Fine-tune a pre-trained network on wrong labels
Description: Both stages with a backbone: head first, then the whole network.

A backbone that was trained elsewhere, few samples of new classes, and wrong
labels among them. Nothing is downloaded: the backbone is trained here, on the
digits 0 to 4 of scikit-learn, and fine-tuned for the digits 5 to 9, 40 % of
whose labels were redrawn.

    python examples/fine_tuning.py

With your own backbone, such as one of `keras.applications`, only
`make_backbone` is another.
"""

import keras
import numpy as np
from absl import app
from absl import flags
from sklearn import datasets
from sklearn import model_selection

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_float("noise_rate", 0.4, "Probability that a label is redrawn.")
flags.DEFINE_integer("head_epochs", 20, "Epochs with a frozen backbone.")
flags.DEFINE_integer("epochs", 20, "Epochs of the whole network after them.")
flags.DEFINE_list("seeds", ["0", "1"], "Of noise, split and networks.")
flags.DEFINE_string("output", "fine_tuning.png", "Picture of the weights.")

"""
## Data

A third of the digits 5 to 9 is for fine-tuning, the others are for testing.
"""


def load_digits(seed):
    """Pairs (x, y): to pre-train on, to fine-tune on, to test on."""
    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16.0).astype("float32").reshape(-1, 8, 8, 1)
    is_new = y >= 5
    x_new, x_test, y_new, y_test = model_selection.train_test_split(
        x[is_new],
        y[is_new] - 5,
        train_size=0.33,
        stratify=y[is_new],
        random_state=seed,
    )
    return (x[~is_new], y[~is_new]), (x_new, y_new), (x_test, y_test)


"""
## The backbone
"""


def make_backbone(x, y, seed):
    """Trains a classifier, and returns it without its head."""
    keras.utils.set_random_seed(seed)
    backbone = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
        ]
    )
    head = keras.layers.Dense(5, activation="softmax")
    classifier = keras.Sequential([backbone, head])
    classifier.compile("adam", "sparse_categorical_crossentropy")
    classifier.fit(x, y, epochs=15, verbose=0)
    return backbone


def with_new_head(backbone, seed):
    """A copy of the backbone, frozen, under a fresh head."""
    keras.utils.set_random_seed(seed)
    copy = keras.models.clone_model(backbone)
    copy.set_weights(backbone.get_weights())
    copy.trainable = False
    head = keras.layers.Dense(5, activation="softmax")
    model = keras.Sequential([keras.Input((8, 8, 1)), copy, head])
    compile_for_tuning(model)
    return model


def compile_for_tuning(model):
    model.compile(
        keras.optimizers.SGD(0.02, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )


"""
## Probe: the head

A probe of the head alone costs next to nothing, and a head on frozen features
can't memorize wrong labels.
"""


def probe(model, train):
    recorder = kcn.LossCurveRecorder()
    model.fit(
        train,
        epochs=FLAGS.head_epochs,
        callbacks=[recorder],
        shuffle=False,  # The dataset shuffles itself.
        verbose=0,
    )
    return recorder.loss_curves


"""
## Head first, then all of it

Plain and weighted training have the same two steps. After layers were thawed,
`compile` has to be called again, as always in Keras. The curves are given once,
and learned weights are kept: CurveNet goes on from what it learned on the head.

So few samples want a low rate: at a high one, the weighted network may give
whole classes up.
"""


def train_plain(model, x, y):
    model.fit(x, y, epochs=FLAGS.head_epochs, verbose=0)
    model.trainable = True
    compile_for_tuning(model)
    model.fit(x, y, epochs=FLAGS.epochs, verbose=0)
    return model


def train_weighted(model, x, y, curves):
    weighted = kcn.CurveWeightedModel(model)
    weighted.fit(x, y, epochs=FLAGS.head_epochs, loss_curves=curves, verbose=0)
    model.trainable = True
    compile_for_tuning(weighted)
    weighted.fit(x, y, epochs=FLAGS.epochs, verbose=0)
    return weighted


def main(argv):
    del argv
    rows = []
    for seed in map(int, FLAGS.seeds):
        known, (x, true), test_data = load_digits(seed)
        y = kcn.datasets.corrupt_labels(true, FLAGS.noise_rate, seed=seed)
        backbone = make_backbone(*known, seed)
        train = kcn.with_sample_ids((x, y))
        train = kcn.shuffle_by_epoch(train, buffer_size=len(x)).batch(32)
        curves = probe(with_new_head(backbone, seed), train)
        models = {
            "plain": train_plain(with_new_head(backbone, seed), x, y),
            "CurveWeightedModel": train_weighted(
                with_new_head(backbone, seed), x, y, curves
            ),
            "true labels": train_plain(with_new_head(backbone, seed), x, true),
        }
        rows.append(
            [m.evaluate(*test_data, verbose=0)[1] for m in models.values()]
        )
        weights = models["CurveWeightedModel"].sample_weights()
        is_wrong = y != true
        print(
            f"seed {seed}: {len(x)} samples, {is_wrong.mean():.0%} of the "
            f"labels wrong; mean weight {weights[~is_wrong].mean():.2f} of "
            f"right labels, {weights[is_wrong].mean():.2f} of wrong ones"
        )
    print("\nTest accuracy, last epoch, by seed")
    for name, accuracies in zip(models, np.transpose(rows), strict=True):
        print(f"  {name:20}", *(f"{accuracy:.3f}" for accuracy in accuracies))
    figure = kcn.plots.plot_sample_weights(weights, y, true_labels=true)
    figure.savefig(FLAGS.output)
    print(f"\nThe last seed's weights: {FLAGS.output}")


if __name__ == "__main__":
    app.run(main)

"""
Title: Fine-tune a pre-trained network on wrong labels
Description: Both stages with a backbone: head first, then the whole network.

A backbone that was trained elsewhere, few samples of new classes, and wrong
labels among them. Nothing is downloaded: the backbone is trained here, on the
digits 0 to 4 of scikit-learn, and fine-tuned for the digits 5 to 9, 40 % of whose
labels were redrawn.

    python examples/fine_tuning.py

With your own backbone, such as one of `keras.applications`, only `make_backbone`
is another.
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
flags.DEFINE_list("seeds", ["0", "1", "2"], "Of noise, split and networks.")
flags.DEFINE_string("output", "fine_tuning.png", "Picture of the weights.")

"""
## Data

A third of the digits 5 to 9 is for fine-tuning, the others for testing.
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
        ],
        name="backbone",
    )
    head = keras.layers.Dense(5, activation="softmax")
    classifier = keras.Sequential([backbone, head])
    classifier.compile("adam", "sparse_categorical_crossentropy")
    classifier.fit(x, y, epochs=15, verbose=0)
    return backbone


def with_new_head(backbone, seed):
    """A copy of the backbone, with its weights, under a fresh head."""
    keras.utils.set_random_seed(seed)
    copy = keras.models.clone_model(backbone)
    copy.set_weights(backbone.get_weights())
    head = keras.layers.Dense(5, activation="softmax")
    return keras.Sequential([keras.Input((8, 8, 1)), copy, head])


"""
## Head first, then all of it

Plain and weighted training have the same two steps: the head is trained on the
frozen backbone, and then the whole network at a lower rate. After layers were
frozen or thawed, `compile` has to be called again, as always in Keras.
"""


def fine_tune(trained, backbone, data, **arguments):
    """Trains `trained`, a model or a `CurveWeightedModel` around it."""
    for is_whole, rate in ((False, 0.1), (True, 0.02)):
        backbone.trainable = is_whole
        trained.compile(
            keras.optimizers.SGD(rate, momentum=0.9),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        epochs = FLAGS.epochs if is_whole else FLAGS.head_epochs
        trained.fit(data, epochs=epochs, shuffle=False, verbose=0, **arguments)
    return trained

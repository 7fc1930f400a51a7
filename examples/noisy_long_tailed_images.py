"""
Title: Noisy, long-tailed images from TensorFlow Datasets
Description: Probe and allocate on any image classification dataset of TFDS.

Takes a clean dataset, makes it long-tailed and redraws labels, and trains a
small convolutional network as it is, weighted by loss curves, and on the true
labels. With the default flags about ten minutes on two cores:

    python examples/noisy_long_tailed_images.py --dataset=fashion_mnist \
        --noise_rate=0.4 --imbalance_factor=0.05 --output_dir=results

`--log_dir` (a flag that absl defines) is a folder for TensorBoard.
The data is streamed from disk into tf.data's cache; datasets that do not fit
into memory need no more than the `cache()` taken out.
"""

import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import app
from absl import flags

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", "fashion_mnist", "Name of a TFDS dataset.")
flags.DEFINE_integer("image_size", None, "Resizes images, where given.")
flags.DEFINE_integer("max_per_class", 2000, "Samples of the largest class.")
flags.DEFINE_float("imbalance_factor", 0.05, "Smallest class over largest.")
flags.DEFINE_float("noise_rate", 0.4, "Probability that a label is redrawn.")
flags.DEFINE_enum(
    "noise_kind", "uniform", ["uniform", "symmetric", "pair"], "Kind of noise."
)
flags.DEFINE_integer(
    "meta_per_class", 0, "Clean meta samples of each class; 0: by the curves."
)
flags.DEFINE_integer("probe_epochs", 20, "Epochs of the probing stage.")
flags.DEFINE_integer("epochs", 30, "Epochs of every other training.")
flags.DEFINE_integer("batch_size", 64, "Samples in a batch.")
flags.DEFINE_integer("seed", 0, "Seed of the data and the networks.")
flags.DEFINE_string(
    "output_dir", None, "Folder for curves, weights and figures, if any."
)

LEARNING_RATE = 0.05

"""
## Data

The labels alone are read first, to choose which images to keep and which
labels to redraw. The images follow in the order of the files, which is the
same in every epoch: a sample's id is its place in that order.
"""


def prepared(image, label):
    image = tf.image.convert_image_dtype(image, tf.float32)
    if FLAGS.image_size:
        image = tf.image.resize(image, [FLAGS.image_size] * 2)
    return image, label


def choose(labels):
    """Returns the rows of the training set and of the meta set."""
    rng = np.random.default_rng(FLAGS.seed)
    order = rng.permutation(len(labels))
    meta = np.concatenate(
        [
            order[labels[order] == label][: FLAGS.meta_per_class]
            for label in np.unique(labels)
        ]
    )
    rest = np.setdiff1d(order, meta)
    kept = kcn.datasets.long_tailed_indices(
        labels[rest],
        FLAGS.imbalance_factor,
        FLAGS.max_per_class,
        seed=FLAGS.seed,
    )
    return rest[kept], meta


def rows_of(dataset, rows, labels, size):
    """The given rows of a dataset, in its order, with labels of ours."""
    keep = np.zeros(size, bool)
    keep[rows] = True
    given = np.zeros(size, np.int64)
    given[rows] = labels
    keep, given = tf.constant(keep), tf.constant(given)
    dataset = dataset.enumerate().filter(lambda row, element: keep[row])
    dataset = dataset.map(
        lambda row, element: prepared(element[0], given[row]), tf.data.AUTOTUNE
    )
    return dataset.cache()


def load_data():
    """Returns noisy, true, meta and test datasets, and noisy, true labels."""
    source, test = tfds.load(
        FLAGS.dataset,
        split=["train", "test"],
        as_supervised=True,
        shuffle_files=False,
    )
    labels = np.array([int(y) for y in source.map(lambda x, y: y)])
    train_rows, meta_rows = choose(labels)
    true = labels[train_rows]
    noisy = kcn.datasets.corrupt_labels(
        true, FLAGS.noise_rate, FLAGS.noise_kind, seed=FLAGS.seed
    )
    size = len(labels)
    return (
        rows_of(source, train_rows, noisy, size),
        rows_of(source, train_rows, true, size),
        rows_of(source, meta_rows, labels[meta_rows], size),
        test.map(prepared, tf.data.AUTOTUNE).batch(250).cache(),
        noisy,
        true,
    )


"""
## Network and schedules

Each training gets a fresh network, the same optimizer and the same schedule.
"""


def compiled_arguments():
    return {
        "optimizer": keras.optimizers.SGD(
            LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4
        ),
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "metrics": ["accuracy"],
    }


def make_model(image_shape, num_classes):
    keras.utils.set_random_seed(FLAGS.seed)
    layers = [keras.Input(image_shape)]
    for filters in (16, 32, 64):
        layers += [
            keras.layers.Conv2D(filters, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
        ]
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(num_classes),
    ]
    return keras.Sequential(layers)


def callbacks(name):
    """The step schedule, and TensorBoard where it is wanted."""

    def rate(epoch):
        drops = (epoch >= FLAGS.epochs // 2) + (epoch >= 3 * FLAGS.epochs // 4)
        return LEARNING_RATE * 0.1**drops

    chosen = [keras.callbacks.LearningRateScheduler(rate)]
    if FLAGS.log_dir:
        folder = str(pathlib.Path(FLAGS.log_dir) / name)
        chosen.append(keras.callbacks.TensorBoard(folder))
    return chosen


"""
## Probe

An ordinary training at a constant learning rate. The loss curves are saved
after every epoch where an output folder is given, so that an interrupted probe
can go on.
"""


def probe(train, model):
    path = None
    if FLAGS.output_dir:
        path = pathlib.Path(FLAGS.output_dir) / "loss_curves.npz"
    recorder = kcn.LossCurveRecorder(filepath=path)
    model.compile(**compiled_arguments())
    model.fit(
        train.shuffle(int(train.cardinality())).batch(FLAGS.batch_size),
        epochs=FLAGS.probe_epochs,
        callbacks=[recorder],
    )
    return recorder.loss_curves


"""
## Train

Plainly, weighted, and on the true labels. As far as a label is not trusted, the
weighted network is trained on what it has come to believe of the image; and
rare classes are balanced. Both are on by default. Virtual and meta steps watch
the network's two Dense layers.
"""


def train_plain(name, dataset, size, model, test):
    model.compile(**compiled_arguments())
    return model.fit(
        dataset.shuffle(size).batch(FLAGS.batch_size),
        epochs=FLAGS.epochs,
        callbacks=callbacks(name),
        validation_data=test,
    )


def train_weighted(train, curves, meta, model, test):
    weighted = kcn.CurveWeightedModel(model)
    weighted.compile(**compiled_arguments())
    if FLAGS.meta_per_class:
        meta = meta.shuffle(10_000).repeat().batch(32)
    else:
        meta = None  # Chosen by the curves.
    history = weighted.fit(
        train.shuffle(int(train.cardinality())).batch(FLAGS.batch_size),
        epochs=FLAGS.epochs,
        loss_curves=curves,
        meta_data=meta,
        callbacks=callbacks("weighted"),
        validation_data=test,
    )
    return weighted, history


def main(argv):
    del argv
    if FLAGS.output_dir:
        pathlib.Path(FLAGS.output_dir).mkdir(parents=True, exist_ok=True)
    noisy_data, true_data, meta, test, noisy, true = load_data()
    image_shape = noisy_data.element_spec[0].shape
    num_classes = int(true.max()) + 1
    train = kcn.with_sample_ids(noisy_data)

    print("Probe")
    curves = probe(train, make_model(image_shape, num_classes))
    print("Train, weighted by loss curves")
    weighted, weighted_history = train_weighted(
        train, curves, meta, make_model(image_shape, num_classes), test
    )
    histories = {"weighted by curves": weighted_history}
    for name, dataset in (("plain", noisy_data), ("true labels", true_data)):
        print(f"Train, {name}")
        model = make_model(image_shape, num_classes)
        histories[name] = train_plain(name, dataset, len(true), model, test)

    weights = weighted.sample_weights()
    is_wrong = noisy != true
    figures = {
        "flags": {
            name: FLAGS[name].value
            for name in ("dataset", "noise_rate", "noise_kind", "seed")
            + ("imbalance_factor", "max_per_class", "meta_per_class")
            + ("probe_epochs", "epochs", "batch_size")
        },
        "samples": len(true),
        "wrong labels": float(is_wrong.mean()),
        "mean weight, right labels": float(weights[~is_wrong].mean()),
        "mean weight, wrong labels": float(weights[is_wrong].mean()),
        "test accuracy": {
            name: {
                "last epoch": history.history["val_accuracy"][-1],
                "best epoch": max(history.history["val_accuracy"]),
            }
            for name, history in histories.items()
        },
    }
    print(json.dumps(figures, indent=1))
    if FLAGS.output_dir:
        folder = pathlib.Path(FLAGS.output_dir)
        np.save(folder / "sample_weights.npy", weights)
        (folder / "figures.json").write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    app.run(main)

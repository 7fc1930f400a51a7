"""
Title: Find wrong labels
Description: Plants wrong labels in a dataset, and finds them again.

The loss curves of an ordinary training tell which labels are wrong. Here we
know which are, because we redraw some, and count how many come up among the
first. By default with the digits that scikit-learn ships, or with any image
dataset of TensorFlow Datasets whose images have one size:

    python examples/find_label_issues.py
    python examples/find_label_issues.py --dataset=fashion_mnist

`label_issues/` then holds `label_issues.csv`, a row for each sample, and
`label_issues.png`, a sheet of the worst.
"""

import pathlib

import keras
import numpy as np
from absl import app
from absl import flags
from sklearn import datasets

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", "digits", "digits, or a TFDS image dataset.")
flags.DEFINE_integer("max_samples", 10000, "Takes the first so many samples.")
flags.DEFINE_float("noise_rate", 0.1, "Probability that a label is redrawn.")
flags.DEFINE_integer("epochs", 20, "Epochs of the training.")
flags.DEFINE_integer("batch_size", 32, "Samples in a batch.")
flags.DEFINE_integer("seed", 0, "Seed of the data and the network.")
flags.DEFINE_string("output_dir", "label_issues", "Folder for the results.")

"""
## Data

Images in [0, 1] and labels, some of which we redraw.
"""


def load_images():
    """Float32 `(n, height, width, channels)` and int labels `(n,)`."""
    if FLAGS.dataset == "digits":
        digits = datasets.load_digits()
        images, labels = digits.images[..., np.newaxis] / 16.0, digits.target
    else:
        import tensorflow_datasets as tfds

        data = tfds.load(FLAGS.dataset, split="train", as_supervised=True)
        data = data.take(FLAGS.max_samples).batch(FLAGS.max_samples)
        images, labels = next(iter(tfds.as_numpy(data)))
        images = images / 255.0
    images = images[: FLAGS.max_samples].astype("float32")
    return images, labels[: FLAGS.max_samples].astype(int)


"""
## Probe

A small network, an ordinary `fit`. The recorder notes every sample's loss in
every epoch, and what the network took the sample for meanwhile.
"""


def make_model(input_shape, num_classes):
    keras.utils.set_random_seed(FLAGS.seed)
    layers = [keras.Input(input_shape)]
    for filters in (16, 32):
        layers += [
            keras.layers.Conv2D(filters, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
        ]
    layers += [keras.layers.Flatten(), keras.layers.Dense(64, "relu")]
    return keras.Sequential([*layers, keras.layers.Dense(num_classes)])


def probe(images, labels, num_classes):
    model = make_model(images.shape[1:], num_classes)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    recorder = kcn.LossCurveRecorder()
    train = kcn.with_sample_ids((images, labels))
    model.fit(
        train.shuffle(len(labels)).batch(FLAGS.batch_size),
        epochs=FLAGS.epochs,
        callbacks=[recorder],
        shuffle=False,  # The dataset shuffles itself.
        verbose=2,
    )
    return recorder.loss_curves


"""
## What was found

The report names every sample, worst first. We print how many of the planted
errors are among the first 10, the first 100 and all that are reported, and the
same for each class as it is labelled.
"""


def print_found(report, is_wrong, num_classes):
    wrong = is_wrong[report.sample_id]
    reported = int(report.is_issue.sum())
    print(f"\n{is_wrong.sum()} labels planted among {len(is_wrong)}")
    for first in (10, 100, reported):
        found = wrong[:first].sum()
        print(f"among the first {min(first, len(wrong)):>6}: {found:>6} found")
    print(f"\n{'class':>6}{'planted':>10}{'reported':>10}{'found':>8}")
    for label in range(num_classes):
        members = (report.label == label).to_numpy()
        issues = members & report.is_issue.to_numpy()
        counts = wrong[members].sum(), issues.sum(), wrong[issues].sum()
        print(f"{label:>6}{counts[0]:>10}{counts[1]:>10}{counts[2]:>8}")


def main(argv):
    del argv
    images, true_labels = load_images()
    num_classes = int(true_labels.max()) + 1
    labels = kcn.datasets.corrupt_labels(
        true_labels, FLAGS.noise_rate, "symmetric", num_classes, FLAGS.seed
    )
    curves = probe(images, labels, num_classes)
    report = kcn.label_report(curves)
    print_found(report, labels != true_labels, num_classes)
    issues = report[report.is_issue]
    suggested = issues.suggested_label == true_labels[issues.sample_id]
    planted = (labels != true_labels)[issues.sample_id]
    print(
        f"\nOf the {planted.sum()} planted errors found, the suggested label "
        f"is the true one for {(suggested & planted).sum()}."
    )
    folder = pathlib.Path(FLAGS.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["sample_id", "label", "score", "is_issue", "suggested_label"]
    report[columns].to_csv(folder / "label_issues.csv", index=False)
    sheet = kcn.plots.plot_label_issues(curves, images)
    sheet.savefig(folder / "label_issues.png", dpi=120)
    print(f"Written to {folder}/: label_issues.csv and label_issues.png")


if __name__ == "__main__":
    app.run(main)

"""
Title: Find the wrong labels in a folder of images
Description: From a folder for each class to a CSV of suspects with paths.

Images are often kept as files in a folder for each class, and some stand in the
wrong one. This trains a small network on such a folder and writes a table of
the files, worst first, with the class that each seems to be of:

    python examples/image_folder.py --folder=my_images --image_size=64

Without `--folder`, scikit-learn's digits are written as PNG files into a new
folder below the temporary one, one in ten with a label drawn anew, and we count
how many of the wrong ones are found.
"""

import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from sklearn import datasets

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_string("folder", None, "A folder for each class is in it.")
flags.DEFINE_integer("image_size", 16, "Height and width to train on.")
flags.DEFINE_integer("epochs", 20, "Epochs of the training.")
flags.DEFINE_float("validation_split", 0.0, "Share of the files to hold out.")
flags.DEFINE_string("output", "suspects.csv", "CSV file for the table.")

"""
## A folder to try it on

The name of a file tells which digit it is; its folder is the label.
"""


def write_digits(folder):
    """Returns bool by path: whether a digit is in the wrong class."""
    digits = datasets.load_digits()
    labels = kcn.datasets.corrupt_labels(digits.target, 0.1, "symmetric")
    is_wrong = {}
    for row, (image, label) in enumerate(
        zip(digits.images, labels, strict=True)
    ):
        path = folder / str(label) / f"{row:04}_is_{digits.target[row]}.png"
        path.parent.mkdir(exist_ok=True)
        image = 255 / 16 * image[..., np.newaxis]
        keras.utils.save_img(path, image, scale=False)
        is_wrong[str(path)] = label != digits.target[row]
    return is_wrong


"""
## Reading it

`shuffle=False` keeps the order of the files, so that sample id i is file i of
`file_paths`. Images are read one at a time (`batch_size=None`; of batches, call
`unbatch` after `with_sample_ids`), kept in memory, and shuffled anew in each
epoch.

Files to validate on are split off by their ids: Keras's own `validation_split`
needs `shuffle=True`, which loses the order of the files, or else takes the last
class. The curves of files that are held out are NaN.
"""


def read(folder):
    """Batches for training and to validate on, paths and class names."""
    images = keras.utils.image_dataset_from_directory(
        folder,
        image_size=(FLAGS.image_size, FLAGS.image_size),
        batch_size=None,
        shuffle=False,
        verbose=False,
    )
    samples = kcn.with_sample_ids(images).cache()
    paths = np.array(images.file_paths)
    draws = np.random.default_rng(0).uniform(size=len(paths))
    is_held_out = tf.constant(draws < FLAGS.validation_split)
    train = samples.filter(lambda x, y, weight, i: ~is_held_out[i])
    train = kcn.shuffle_by_epoch(train, buffer_size=len(paths)).batch(32)
    held_out = samples.filter(lambda x, y, weight, i: is_held_out[i])
    return train, held_out.batch(32), paths, images.class_names


"""
## Training

Any network would do. The recorder notes every file's loss in every epoch, and
what the network took it for.
"""


def probe(train, held_out, num_classes):
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((FLAGS.image_size, FLAGS.image_size, 3)),
        keras.layers.Rescaling(1 / 255),
    ]
    for filters in (16, 32, 64):
        layers += [
            keras.layers.Conv2D(filters, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
        ]
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(num_classes, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    recorder = kcn.LossCurveRecorder()
    model.fit(
        train,
        epochs=FLAGS.epochs,
        callbacks=[recorder],
        validation_data=held_out if FLAGS.validation_split else None,
        shuffle=False,  # The dataset shuffles itself.
        verbose=2,
    )
    return recorder


"""
## The suspects

`label_report` has a row for each sample, by id: the id is the way to the path.
How many are suspects is estimated with care: look further down the table if the
last of them are still wrong.
"""


def report_files(recorder, paths, class_names):
    """A pandas table of the files, the probably wrong ones first."""
    report = kcn.label_report(recorder.loss_curves)
    names = np.array([*class_names, ""])  # -1: not trained on.
    report.insert(0, "path", paths[report.sample_id])
    report["class"] = names[report.label]
    report["suggested_class"] = names[report.suggested_label]
    return report[["path", "class", "suggested_class", "score", "is_issue"]]


def print_found(report, recorder, paths, is_wrong):
    """Counts wrong files among the suspects, and among as many as are wrong.

    For comparison: among as many with the largest losses in the last epoch.
    """
    wrong = report.path.map(is_wrong)
    count = wrong.sum()
    last_losses = recorder.loss_curves.values[:, -1]
    largest = paths[(-last_losses).argsort()[:count]]  # NaN is last.
    print(
        f"\n{count} of {len(paths)} files are in a wrong class.\n"
        f"{report.is_issue.sum()} are suspected, "
        f"{wrong[report.is_issue].sum()} rightly.\n"
        f"Of the first {count} in the table {wrong[:count].sum()} are, of the "
        f"{count} with the largest last loss "
        f"{sum(is_wrong[path] for path in largest)}."
    )


def main(argv):
    del argv
    folder = FLAGS.folder or tempfile.mkdtemp(prefix="digits_")
    if not FLAGS.folder:
        is_wrong = write_digits(pathlib.Path(folder))
    train, held_out, paths, class_names = read(folder)
    recorder = probe(train, held_out, len(class_names))
    report = report_files(recorder, paths, class_names)
    if not FLAGS.folder:
        print_found(report, recorder, paths, is_wrong)
    report.to_csv(FLAGS.output, index=False)
    print(f"\n{report.head(10).to_string(index=False)}")
    print(f"\nAll {len(report)} files: {FLAGS.output}")


if __name__ == "__main__":
    app.run(main)

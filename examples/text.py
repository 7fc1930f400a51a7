"""
Title: Classify text with wrong labels
Description: Paragraphs of docstrings, 40 % of whose labels were redrawn.

Which package does a paragraph document? The text is on your disk already: it is
in packages that this one needs. A network with a vector for each word soon
memorizes wrong labels, so the probe is short: after seven epochs a warning
would say that its curves do not tell how many labels are wrong.

    python examples/text.py

The text, and so the figures, are those of the installed versions.
"""

import ast
import importlib.util
import pathlib

import keras
import numpy as np
from absl import app
from absl import flags

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_float("noise_rate", 0.4, "Probability that a label is redrawn.")
flags.DEFINE_integer("probe_epochs", 4, "Epochs of the probing stage.")
flags.DEFINE_integer("epochs", 12, "Epochs of every other training.")
flags.DEFINE_string("output", "text.csv", "CSV file for the paragraphs.")

PACKAGES = ("keras", "matplotlib", "numpy", "pandas", "sklearn")
TRAIN_PER_CLASS, TEST_PER_CLASS = 2000, 200
SEED = 0

"""
## Data

Docstrings are read without importing anything. Training and test set hold as
many paragraphs of each package.
"""


def paragraphs(package):
    """The paragraphs of a package's docstrings, each once, shuffled."""
    folder = pathlib.Path(importlib.util.find_spec(package).origin).parent
    found = {}
    for path in sorted(folder.rglob("*.py")):
        if "tests" in path.parts or len(found) > 2 * TRAIN_PER_CLASS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                for text in (ast.get_docstring(node) or "").split("\n\n"):
                    words = text.split()
                    if len(words) >= 8 and ">>>" not in words:
                        found[" ".join(words)] = None
    return np.random.default_rng(SEED).permutation(list(found))


def load_text():
    """Texts and classes `(train, test)`."""
    train, test = [], []
    for label, package in enumerate(PACKAGES):
        texts = paragraphs(package)[: TRAIN_PER_CLASS + TEST_PER_CLASS]
        test += [(text, label) for text in texts[:TEST_PER_CLASS]]
        train += [(text, label) for text in texts[TEST_PER_CLASS:]]
    return [map(np.array, zip(*rows, strict=True)) for rows in (train, test)]


"""
## Network

The text becomes tokens once, before training; the network reads tokens. AdamW
is usual for embeddings.
"""


def make_model(vocabulary_size):
    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int64"),
            keras.layers.Embedding(vocabulary_size, 32, mask_zero=True),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(len(PACKAGES), activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.AdamW(2e-3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


"""
## Probe, then train with weights

Under AdamW, CurveNet may unlearn what the curves know. `meta_epochs=0` leaves
it out: the weights stay at the label quality. Both are shown.
"""


def train_all(x, noisy, true, vocabulary_size):
    """A dict of trained models, and the recorder of the probe."""
    train = kcn.with_sample_ids((x, noisy))
    train = kcn.shuffle_by_epoch(train, buffer_size=len(x)).batch(64)
    recorder = kcn.LossCurveRecorder()
    make_model(vocabulary_size).fit(
        train,
        epochs=FLAGS.probe_epochs,
        callbacks=[recorder],
        shuffle=False,  # The dataset shuffles itself.
        verbose=0,
    )
    models = {}
    for name, labels in (("plain", noisy), ("true labels", true)):
        models[name] = make_model(vocabulary_size)
        models[name].fit(
            x, labels, batch_size=64, epochs=FLAGS.epochs, verbose=0
        )
    for name, meta_epochs in (("defaults", None), ("meta_epochs=0", 0)):
        weighted = kcn.CurveWeightedModel(make_model(vocabulary_size))
        weighted.fit(
            train,
            epochs=FLAGS.epochs,
            loss_curves=recorder.loss_curves,
            meta_epochs=meta_epochs,
            shuffle=False,
            verbose=0,
        )
        models[f"CurveWeightedModel, {name}"] = weighted
    return models, recorder


"""
## What came of it

Accuracy on the test set after the last epoch, how many of the issues are wrong
labels, and the paragraphs, worst first.
"""


def main(argv):
    del argv
    (texts, true), (test_texts, test_labels) = load_text()
    noisy = kcn.datasets.corrupt_labels(true, FLAGS.noise_rate, seed=SEED)
    is_wrong = noisy != true
    tokenize = keras.layers.TextVectorization(
        max_tokens=5000, output_sequence_length=40
    )
    tokenize.adapt(texts)
    x, x_test = np.array(tokenize(texts)), np.array(tokenize(test_texts))
    models, recorder = train_all(x, noisy, true, tokenize.vocabulary_size())

    report = kcn.label_report(recorder.loss_curves)
    names = np.array(PACKAGES)
    report["text"] = texts[report.sample_id]
    report["given"] = names[report.label]
    report["suggested"] = names[report.suggested_label]
    issues = report[report.is_issue]
    print(
        f"{len(x)} paragraphs, {is_wrong.mean():.0%} of the labels wrong; "
        f"{len(issues)} label issues found, "
        f"{is_wrong[issues.sample_id].mean():.0%} of them rightly\n"
    )
    print("Test accuracy")
    for name, model in models.items():
        _, accuracy = model.evaluate(x_test, test_labels, verbose=0)
        print(f"  {name:35}{accuracy:.3f}")
    columns = ["text", "given", "suggested", "score", "is_issue"]
    report[columns].to_csv(FLAGS.output, index=False)
    print(f"\nThe worst of them (all: {FLAGS.output})")
    for row in report.head(5).itertuples():
        print(f"  {row.given} (rather {row.suggested}): {row.text[:50]}...")


if __name__ == "__main__":
    app.run(main)

"""
Title: Labels from rules, checked in rounds
Description: Keywords label paragraphs; curves say which labels to check first.

Labels are cheap where rules give them, or a language model, and many are wrong.
Here is the loop that makes them better: train on them, list those that look
wrong, have people check the first few hundred, put what they say back in, and
train again. Which package a paragraph of a docstring documents is found by
keywords, as wrong as such rules are; the text is on your disk already.

    python examples/rule_labels.py

The text, and so the figures, are those of the installed versions.
"""

import ast
import importlib.util
import pathlib
import re

import keras
import numpy as np
import pandas as pd
from absl import app
from absl import flags

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_integer("rounds", 3, "How often people check labels.")
flags.DEFINE_integer("looked_at", 400, "Labels that they check in a round.")
flags.DEFINE_integer("probe_epochs", 4, "Epochs of the probing stage.")
flags.DEFINE_integer("epochs", 12, "Epochs of every other training.")
flags.DEFINE_string("output", "labels.csv", "CSV file for all labels.")

RULES = {
    "keras": "keras layer layers tensor tensors logits backend epoch",
    "matplotlib": "artist axes axis color colormap figure plot",
    "numpy": "broadcast dtype ndarray numpy scalar scalars ufunc ufuncs",
    "pandas": "column columns dataframe index pandas series",
    "sklearn": "classifier estimator estimators features fit regression",
}
PACKAGES = np.array(list(RULES))
TRAIN_PER_CLASS, TEST_PER_CLASS = 800, 200
SEED = 0

"""
## Weak labels in

A rule is a list of words. The package most of whose words are in a paragraph is
its label; where none is, or two are level, there is none, and the paragraph is
left out. A language model's answers would stand in the same place.
"""


def label_by_rules(text):
    """A class, or -1 where rules say nothing or are at odds."""
    words = re.findall("[a-z_]+", text.lower())
    votes = [
        sum(word in keywords.split() for word in words)
        for keywords in RULES.values()
    ]
    best = max(votes)
    return votes.index(best) if best and votes.count(best) == 1 else -1


def paragraphs(package):
    """Paragraphs of a package's docstrings, each once, shuffled."""
    root = pathlib.Path(importlib.util.find_spec(package).origin).parent
    found = set()
    for path in sorted(root.rglob("*.py")):
        if "tests" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                    for text in (ast.get_docstring(node) or "").split("\n\n"):
                        found.add(" ".join(text.split()))
    long = [text for text in sorted(found) if len(text.split()) >= 12]
    return np.random.default_rng(SEED).permutation(long)


def load_text():
    """Training data `(texts, labels by rules, true)`, test `(texts, true)`."""
    train, test = [], []
    for true, package in enumerate(PACKAGES):
        texts = paragraphs(package)
        test += [(text, true) for text in texts[:TEST_PER_CLASS]]
        labelled = [
            (text, label, true)
            for text in texts[TEST_PER_CLASS:]
            if (label := label_by_rules(text)) >= 0
        ]
        train += labelled[:TRAIN_PER_CLASS]
    return [map(np.array, zip(*rows, strict=True)) for rows in (train, test)]


"""
## Network

It reads all words, those of the rules and the others, and soon knows what the
paragraphs of a package share beyond the rules.
"""


def make_model():
    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int64"),
            keras.layers.Embedding(5000, 32, mask_zero=True),
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


def probe(x, labels):
    recorder = kcn.LossCurveRecorder()
    train = kcn.with_sample_ids((x, labels))
    make_model().fit(
        kcn.shuffle_by_epoch(train, buffer_size=len(x)).batch(64),
        epochs=FLAGS.probe_epochs,
        callbacks=[recorder],
        shuffle=False,  # The dataset shuffles itself.
        verbose=0,
    )
    return recorder


"""
## A list for people to check

The labels that look most wrong and were not checked yet, worst first, with what
they probably should be, and a column for people to fill in. Where a warning
says that curves do not tell how many labels are wrong, the order still does.
"""


def write_list(recorder, texts, is_checked, path):
    report = kcn.label_report(recorder.loss_curves)
    report = report[~is_checked[report.sample_id]].head(FLAGS.looked_at)
    pd.DataFrame(
        {
            "sample_id": report.sample_id,
            "text": texts[report.sample_id],
            "label": PACKAGES[report.label],
            "suggested": PACKAGES[report.suggested_label],
            "checked": "",
        }
    ).to_csv(path, index=False)


def check(path, true):
    """Stands in for people: they know the right labels."""
    table = pd.read_csv(path)
    table["checked"] = PACKAGES[true[table.sample_id]]
    table.to_csv(path, index=False)


"""
## Corrected labels back in

Ids lead from the list back to the labels. Those that were checked, changed or
not, are right: in the weighted training they are the meta set.
"""


def with_corrections(path, labels, is_checked):
    table = pd.read_csv(path)
    labels, is_checked = labels.copy(), is_checked.copy()
    labels[table.sample_id] = pd.Index(PACKAGES).get_indexer(table.checked)
    is_checked[table.sample_id] = True
    return labels, is_checked


def train_plain(x, labels):
    model = make_model()
    model.fit(x, labels, batch_size=64, epochs=FLAGS.epochs, verbose=0)
    return model


def train_weighted(x, labels, is_checked, curves):
    trusted = (x[is_checked], labels[is_checked])
    weighted = kcn.CurveWeightedModel(make_model())
    weighted.fit(
        x,
        labels,
        batch_size=64,
        epochs=FLAGS.epochs,
        loss_curves=curves,
        meta_data=trusted if is_checked.any() else None,
        verbose=0,
    )
    return weighted


"""
## What each round bought

Test accuracy of plain and of weighted training on the labels of each round;
for comparison, of plain training where as many labels, drawn at random, were
checked.
"""


def main(argv):
    del argv
    (texts, by_rules, true), (test_texts, test_labels) = load_text()
    tokenize = keras.layers.TextVectorization(
        max_tokens=5000, output_sequence_length=40
    )
    tokenize.adapt(texts)
    x, x_test = np.array(tokenize(texts)), np.array(tokenize(test_texts))

    def accuracy(model):
        return model.evaluate(x_test, test_labels, verbose=0)[1]

    of_rules = np.array([label_by_rules(text) for text in test_texts])
    print(
        f"Rules label {np.mean(of_rules >= 0):.0%} of the test set; "
        f"{np.mean(of_rules == test_labels):.0%} of it is labelled rightly.\n"
    )
    print("checked  labels right   plain  weighted  at random, plain")
    labels, is_checked = by_rules, np.zeros(len(x), bool)
    output = pathlib.Path(FLAGS.output)
    order = np.random.default_rng(SEED).permutation(len(x))
    for number in range(FLAGS.rounds + 1):
        recorder = probe(x, labels)
        weighted = train_weighted(x, labels, is_checked, recorder.loss_curves)
        drawn = order[: is_checked.sum()]
        at_random = by_rules.copy()
        at_random[drawn] = true[drawn]
        print(
            f"{is_checked.sum():7}{np.mean(labels == true):14.3f}"
            f"{accuracy(train_plain(x, labels)):8.3f}{accuracy(weighted):10.3f}"
            f"{accuracy(train_plain(x, at_random)):18.3f}",
            flush=True,
        )
        if number < FLAGS.rounds:
            path = output.with_name(f"{output.stem}_to_check_{number + 1}.csv")
            write_list(recorder, texts, is_checked, path)
            check(path, true)
            labels, is_checked = with_corrections(path, labels, is_checked)
    print(f"all right{accuracy(train_plain(x, true)):20.3f}")
    pd.DataFrame(
        {
            "text": texts,
            "by_rules": PACKAGES[by_rules],
            "label": PACKAGES[labels],
            "is_checked": is_checked,
            "quality": weighted.revised_label_quality_scores(),
        }
    ).to_csv(output, index=False)
    print(f"\nAll labels: {output}; lists that were checked: beside it.")


if __name__ == "__main__":
    app.run(main)

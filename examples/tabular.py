"""
Title: Tables: pandas in, pandas out
Description: Breast cancer with wrong diagnoses; a table with columns added.

A table with columns of numbers and of categories, and a label of two classes,
one in four of them flipped. Back comes the same table, and for each row how far
its label is to be trusted, its weight in training, and the label it should
rather have:

    python examples/tabular.py

Scikit-learn ships the data: 569 tumours, measured in cell images.
"""

import functools

import keras
import pandas as pd
from absl import app
from absl import flags
from sklearn import compose
from sklearn import datasets
from sklearn import model_selection
from sklearn import preprocessing

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_float("noise_rate", 0.25, "Probability that a label is flipped.")
flags.DEFINE_integer("probe_epochs", 10, "Epochs of the probing stage.")
flags.DEFINE_integer("epochs", 40, "Epochs of every other training.")
flags.DEFINE_list("seeds", ["0", "1", "2"], "Of noise, split and networks.")
flags.DEFINE_string("output", "tabular.csv", "CSV file for the table.")

"""
## Data

All columns are numbers; we make one of them a category of words, as real tables
have them. Half of the rows are for testing: their labels are right.
"""


def load_table(seed):
    """Training table with a column "given", and test table; "true" in both."""
    bunch = datasets.load_breast_cancer(as_frame=True)
    table = bunch.data
    table["texture"] = pd.qcut(
        table.pop("mean texture"), 3, labels=["smooth", "medium", "rough"]
    ).astype(str)
    table["true"] = 1 - bunch.target  # 1 is malignant.
    train, test = model_selection.train_test_split(
        table, test_size=0.5, stratify=table["true"], random_state=seed
    )
    train, test = train.reset_index(drop=True), test.reset_index(drop=True)
    train["given"] = kcn.datasets.corrupt_labels(
        train["true"].to_numpy(), FLAGS.noise_rate, "pair", seed=seed
    )
    return train, test


"""
## Preprocessing and network

Scikit-learn turns the table into numbers; the row's number in the table is the
sample id. One output with a sigmoid is enough for two classes.
"""


def preprocessor(table):
    features = table.drop(columns=["true", "given"])
    words = list(features.select_dtypes(exclude="number"))
    numbers = list(features.select_dtypes("number"))
    columns = compose.make_column_transformer(
        (preprocessing.StandardScaler(), numbers),
        (preprocessing.OneHotEncoder(sparse_output=False), words),
    )
    return columns.fit(features)


def make_model(num_features, seed):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((num_features,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        "binary_crossentropy",
        metrics=["accuracy"],
    )
    return model


"""
## Both stages

A few hundred rows are soon memorized, and curves from then on tell little:
so the probe is short (a warning says where it was too long).
"""


def probe(train, model):
    recorder = kcn.LossCurveRecorder()
    model.fit(
        train,
        epochs=FLAGS.probe_epochs,
        callbacks=[recorder],
        shuffle=False,  # The dataset shuffles itself.
        verbose=0,
    )
    return recorder


def train_weighted(train, model, curves):
    weighted = kcn.CurveWeightedModel(model)
    weighted.fit(
        train,
        epochs=FLAGS.epochs,
        loss_curves=curves,
        shuffle=False,
        verbose=0,
    )
    return weighted


def train_plain(x, y, model):
    model.fit(x, y, batch_size=16, epochs=FLAGS.epochs, verbose=0)
    return model


"""
## Pandas out

`label_report` is a table by sample id, so it joins with the one we began with.
"""


def with_findings(table, recorder, weights):
    report = kcn.label_report(
        recorder.loss_curves, sample_weights=weights
    ).set_index("sample_id")
    return table.assign(
        label_quality=report.score,
        sample_weight=report.sample_weight,
        suggested_label=report.suggested_label,
    )


def describe(table):
    """A row of figures on a table of which the true labels are known."""
    is_wrong = table["given"] != table["true"]
    issues = table["label_quality"] < 0.5
    return {
        "wrong labels": is_wrong.sum(),
        "issues": issues.sum(),
        "rightly": is_wrong[issues].sum(),
        "weight of right": table.sample_weight[~is_wrong].mean(),
        "of wrong": table.sample_weight[is_wrong].mean(),
        "suggested right": (table.suggested_label == table["true"]).mean(),
    }


def main(argv):
    del argv
    found, accuracies = [], []
    for seed in map(int, FLAGS.seeds):
        table, test = load_table(seed)
        to_numbers = preprocessor(table)
        x, y = to_numbers.transform(table), table["given"].to_numpy()
        train = kcn.with_sample_ids((x, y))
        train = kcn.shuffle_by_epoch(train, len(x), seed=seed).batch(16)
        new_model = functools.partial(make_model, x.shape[1], seed)
        recorder = probe(train, new_model())
        models = {
            "plain": train_plain(x, y, new_model()),
            "CurveWeightedModel": train_weighted(
                train, new_model(), recorder.loss_curves
            ),
            "plain, true labels": train_plain(x, table["true"], new_model()),
        }
        weights = models["CurveWeightedModel"].sample_weights()
        table = with_findings(table, recorder, weights)
        found.append(describe(table))
        x_test, y_test = to_numbers.transform(test), test["true"]
        accuracies.append(
            {
                name: model.evaluate(x_test, y_test, verbose=0)[1]
                for name, model in models.items()
            }
        )
    print(f"{len(table)} rows, by seed")
    print(pd.DataFrame(found, index=FLAGS.seeds).round(2).to_string())
    print("\nTest accuracy, last epoch, by seed and in the mean")
    accuracies = pd.DataFrame(accuracies, index=FLAGS.seeds).T
    accuracies["mean"] = accuracies.mean(axis=1)
    print(accuracies.round(3).to_string())
    table = table.sort_values("label_quality")
    table.to_csv(FLAGS.output)
    print(f"\nThe least trusted rows of the last seed (all: {FLAGS.output})")
    columns = [name for name in table if " " not in name]
    print(table[columns].head(8).round(2).to_string())


if __name__ == "__main__":
    app.run(main)

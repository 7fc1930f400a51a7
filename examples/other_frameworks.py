"""
Title: Curves from, and weights for, another framework
Description: Losses recorded in scikit-learn; files that any program reads.

Nothing but arrays goes in and comes out. Whatever trains your model, have it
write down each sample's loss in each epoch: `LossCurves` takes them. What the
curves say comes back as NumPy files, CSV and Parquet, and as a `sample_weight`,
which most learners take.

    python examples/other_frameworks.py

Here both sides are scikit-learn; with PyTorch or JAX they would look the same.
The data are its digits, 40 % of whose labels were redrawn.
"""

import importlib.util
import pathlib

import numpy as np
import pandas as pd
from absl import app
from absl import flags
from sklearn import datasets
from sklearn import ensemble
from sklearn import linear_model
from sklearn import model_selection
from sklearn import svm

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_float("noise_rate", 0.4, "Probability that a label is redrawn.")
flags.DEFINE_integer("epochs", 10, "Epochs of the recorded training.")
flags.DEFINE_string("output_dir", "other_frameworks", "Folder for the files.")

BATCH_SIZE, SEED = 32, 0

"""
## Another framework's loop

Before each step, the loss of the batch's samples is noted in their rows. So is
the margin, by how much the given label leads before the best of the others: it
tells more, where there is one.
"""


def recorded_training(x, y):
    """`LossCurves` of an ordinary loop over batches."""
    rng = np.random.default_rng(SEED)
    learner = linear_model.SGDClassifier(
        loss="log_loss", alpha=1e-3, random_state=SEED
    )
    learner.partial_fit(x[:1], y[:1], classes=np.unique(y))
    losses = np.full((len(x), FLAGS.epochs), np.nan, np.float32)
    margins = losses.copy()
    for epoch in range(FLAGS.epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            log_p = np.log(learner.predict_proba(x[rows]).clip(1e-7))
            is_given = np.eye(log_p.shape[1], dtype=bool)[y[rows]]
            losses[rows, epoch] = -log_p[is_given]
            others = np.where(is_given, -np.inf, log_p).max(axis=1)
            margins[rows, epoch] = log_p[is_given] - others
            learner.partial_fit(x[rows], y[rows])
    return kcn.LossCurves(losses, y, margins=margins)


"""
## Files

One row for each sample, in its order. Parquet needs pyarrow.
"""


def write_files(curves, weights, folder):
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "weights.npy", weights)
    table = curves.to_dataframe().assign(weight=weights)
    table.to_csv(folder / "curves.csv", index=False)
    if importlib.util.find_spec("pyarrow"):
        table.to_parquet(folder / "curves.parquet", index=False)
    else:
        print("No Parquet file: pyarrow is not installed.")


def read_curves(path):
    """The curves of a CSV file, whoever wrote it."""
    table = pd.read_csv(path)
    return kcn.LossCurves(
        table.filter(like="loss_"),
        table["label"],
        margins=table.filter(like="margin_"),
    )


"""
## Weights for any learner
"""

LEARNERS = {
    "logistic regression": linear_model.LogisticRegression(max_iter=1000),
    "support vector machine": svm.SVC(),
    "random forest": ensemble.RandomForestClassifier(random_state=SEED),
}


def main(argv):
    del argv
    x, y = datasets.load_digits(return_X_y=True)
    x, x_test, true, y_test = model_selection.train_test_split(
        x / 16.0, y, test_size=0.5, stratify=y, random_state=SEED
    )
    noisy = kcn.datasets.corrupt_labels(true, FLAGS.noise_rate, seed=SEED)
    curves = recorded_training(x, noisy)
    issues = kcn.find_label_issues(curves)
    print(
        f"{len(x)} samples, {(noisy != true).sum()} labels wrong; "
        f"{len(issues)} label issues, {(noisy != true)[issues].sum()} rightly"
    )
    folder = pathlib.Path(FLAGS.output_dir)
    write_files(curves, kcn.label_quality_scores(curves), folder)
    again = read_curves(folder / "curves.csv")
    is_same = np.array_equal(again.values, curves.values)
    print(f"The CSV file holds the same losses: {is_same}")

    weights = np.load(folder / "weights.npy")
    print(f"\n{'Test accuracy':24}{'plain':>8}{'weighted':>10}{'true':>8}")
    for name, learner in LEARNERS.items():
        scores = [
            learner.fit(x, labels, sample_weight).score(x_test, y_test)
            for labels, sample_weight in (
                (noisy, None),
                (noisy, weights),
                (true, None),
            )
        ]
        plain, weighted, on_truth = scores
        print(f"{name:24}{plain:>8.3f}{weighted:>10.3f}{on_truth:>8.3f}")
    print("\nWritten:")
    for path in sorted(folder.iterdir()):
        print(f"  {path}, {path.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    app.run(main)

"""
Title: Curves from, and weights for, another framework
Description: Losses recorded in scikit-learn; files that any program reads.

Nothing but arrays goes in and comes out. Whatever trains your model, have it
write down each sample's loss in each epoch: `LossCurves` takes them. What the
curves say comes back as a NumPy file, CSV or Parquet, and as a `sample_weight`
that most learners take.

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
from sklearn import neighbors

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_float("noise_rate", 0.4, "Probability that a label is redrawn.")
flags.DEFINE_integer("epochs", 20, "Epochs of the recorded training.")
flags.DEFINE_string("output_dir", "other_frameworks", "Folder for the files.")

BATCH_SIZE = 32
SEED = 0

"""
## Another framework's loop

A linear classifier that learns batch by batch. Before each step the loss of its
samples is noted at their row; so is the margin, by how much the given label
leads before the best of the others, which tells more where there is one.
"""


def recorded_training(x, y):
    """Losses and margins `(num_samples, num_epochs)` of an ordinary loop."""
    rng = np.random.default_rng(SEED)
    learner = linear_model.SGDClassifier(loss="log_loss", random_state=SEED)
    learner.partial_fit(x[:1], y[:1], classes=np.unique(y))
    losses = np.full((len(x), FLAGS.epochs), np.nan, np.float32)
    margins = losses.copy()
    for epoch in range(FLAGS.epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            log_p = np.log(learner.predict_proba(x[rows]).clip(1e-7))
            given = log_p[np.arange(len(rows)), y[rows]]
            log_p[np.arange(len(rows)), y[rows]] = -np.inf
            losses[rows, epoch] = -given
            margins[rows, epoch] = given - log_p.max(axis=1)
            learner.partial_fit(x[rows], y[rows])
    return losses, margins


"""
## Files

A row for each sample. Parquet needs pyarrow.
"""


def write_files(curves, folder):
    """Writes curves and label quality; says what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "label_quality.npy", kcn.label_quality_scores(curves))
    table = curves.to_dataframe()
    table.to_csv(folder / "curves.csv", index=False)
    if importlib.util.find_spec("pyarrow"):
        table.to_parquet(folder / "curves.parquet", index=False)
    else:
        print("No Parquet file: pyarrow is not installed.")
    for path in sorted(folder.iterdir()):
        print(f"{path}: {path.stat().st_size / 1024:.0f} kB")


def read_curves(path):
    """The curves of such a CSV file again."""
    table = pd.read_csv(path)
    return kcn.LossCurves(
        table.filter(like="loss_"), table.label, margins=table.filter(like="margin_")
    )

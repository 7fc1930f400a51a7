"""What some answers on labels are worth, on probes whose errors are known.

Answers are read from the true labels, some of them wrongly. On a folder of
`probe_zoo.py` or `real_probes.py`:

    python benchmarks/checked_labels.py --probes=zoo --draws=5 \
        --output=benchmarks/results/checked_labels_zoo.json
    python benchmarks/checked_labels.py --probes=real --draws=100 --each \
        --output=benchmarks/results/checked_labels_real.json
"""

import itertools
import json
import pathlib
import warnings
from typing import NamedTuple

import numpy as np
from absl import app
from absl import flags
from sklearn.metrics import log_loss

import keras_curvenet as kcn
from keras_curvenet.probing.whole_files import whole_file

FLAGS = flags.FLAGS
flags.DEFINE_string("probes", "zoo", "Folder of probes.")
flags.DEFINE_integer("draws", 20, "Draws of labels to check, of each probe.")
flags.DEFINE_bool("each", False, "Whether to print every probe's figures, too.")
flags.DEFINE_string("output", None, "JSON file for every probe's figures.")

NUM_ANSWERS = (50, 100)
WRONG_ANSWERS = (0.0, 0.05)

# Draws of which the log loss is measured, which takes longer.
NUM_LOG_LOSSES = 10


class Figures(NamedTuple):
    """What is measured of a probe, or means of it over some.

    Attributes:
        wrong: Float, share of wrong labels.
        off_unchecked: Float, by how much the share found without answers is
            off.
        off: Float, by how much the share by answers is, in the mean of draws.
        bias: Float, the same with its sign.
        held: Float, how many of the 95 % intervals hold the true share.
        width: Float, of the intervals.
        log_loss: Float, of the scores of unchecked samples.
        log_loss_of_share: Float, where all have the true share for a score.
        log_loss_of_estimate: Float, where all have the share by answers, with
            one right and one wrong answer more.
    """

    wrong: float
    off_unchecked: float
    off: float
    bias: float
    held: float
    width: float
    log_loss: float
    log_loss_of_share: float
    log_loss_of_estimate: float


def curves_of(probe):
    """`LossCurves` of a dict of arrays as of `probe_zoo.probe`."""
    return kcn.LossCurves(
        probe["losses"],
        probe["given"],
        num_classes=int(probe["num_classes"]),
        margins=probe["margins"],
        predicted_classes=probe["predicted"],
    )


def measured(curves, is_wrong, num_answers, wrong_answers, draws):
    """The `Figures` of a probe."""
    found = len(kcn.find_label_issues(curves)) / len(is_wrong)
    wrong = float(is_wrong.mean())
    answers = [
        drawn(curves, is_wrong, num_answers, wrong_answers, seed)
        for seed in range(draws)
    ]
    shares = [shares_of(curves, wrong, checked) for checked in answers]
    losses = [
        log_losses(curves, is_wrong, checked)
        for checked in answers[:NUM_LOG_LOSSES]
    ]
    return Figures(
        wrong,
        abs(found - wrong),
        *np.mean(shares, axis=0).tolist(),
        *np.mean(losses, axis=0).tolist(),
    )


def drawn(curves, is_wrong, num_answers, wrong_answers, seed):
    """Dict of answers."""
    rng = np.random.default_rng(seed)
    asked = kcn.labels_to_check(curves, num_answers, seed=seed)
    errs = rng.uniform(size=len(asked)) < wrong_answers
    is_right = is_wrong[asked] == errs
    return dict(zip(asked.tolist(), is_right.tolist(), strict=True))


def shares_of(curves, wrong, checked):
    """Of the `Figures`, those from `off` to `width`."""
    share, lower, upper = kcn.share_of_wrong_labels(curves, checked)
    is_held = float(lower <= wrong <= upper)
    return abs(share - wrong), share - wrong, is_held, upper - lower


def log_losses(curves, is_wrong, checked):
    """Of the `Figures`, the last."""
    share = kcn.share_of_wrong_labels(curves, checked).share
    others = np.setdiff1d(np.arange(len(is_wrong)), list(checked))
    scores = kcn.label_quality_scores(curves, checked)[others]
    estimate = (share * len(checked) + 1.0) / (len(checked) + 2.0)
    return [
        log_loss(
            is_wrong[others],
            np.broadcast_to(probabilities, len(others)),
            labels=[False, True],
        )
        for probabilities in (1.0 - scores, is_wrong.mean(), estimate)
    ]


def measured_folder(folder, draws):
    """`Figures` by numbers of answers, rates of wrong ones, and probes."""
    settings = list(itertools.product(NUM_ANSWERS, WRONG_ANSWERS))
    figures = {setting: {} for setting in settings}
    for path in sorted(pathlib.Path(folder).glob("*.npz")):
        with np.load(path) as file:
            probe = dict(file)
        curves, is_wrong = curves_of(probe), probe["given"] != probe["true"]
        for setting in settings:
            if len(is_wrong) >= 2 * setting[0]:
                figures[setting][path.stem] = measured(
                    curves, is_wrong, *setting, draws
                )
    return figures


def print_table(rows):
    """Rows of a name and `Figures`, as Markdown."""
    columns = ["", *Figures._fields]
    print("|", " | ".join(columns), "|")
    print("|" + "---|" * len(columns))
    for name, figures in rows:
        cells = [f"{value:.3f}" for value in figures]
        print("|", " | ".join([name, *cells]), "|")
    print()


def main(argv):
    del argv
    warnings.simplefilter("ignore")  # What curves alone do not tell.
    figures = measured_folder(FLAGS.probes, FLAGS.draws)
    content, means = {}, []
    for (num_answers, wrong_answers), probes in figures.items():
        name = f"{num_answers} answers, {wrong_answers:.0%} of them wrong"
        if FLAGS.each:
            print(f"{name}:\n")
            print_table(probes.items())
        content[name] = {n: one._asdict() for n, one in probes.items()}
        means.append((name, np.mean(list(probes.values()), axis=0)))
    print_table(means)
    if FLAGS.output:
        with whole_file(FLAGS.output) as file:
            file.write(f"{json.dumps(content, indent=1)}\n".encode())


if __name__ == "__main__":
    app.run(main)

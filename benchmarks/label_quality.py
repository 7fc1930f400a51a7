"""How well label quality ranks and counts on probes whose errors are known.

On a folder of `probe_zoo.py` or `real_probes.py`. The mean margin is the simple
rule that ranking is held against:

    python benchmarks/label_quality.py --probes=zoo \
        --output=benchmarks/results/label_quality_zoo.json
"""

import json
import pathlib
import warnings
from typing import NamedTuple

import numpy as np
from absl import app
from absl import flags
from sklearn.metrics import log_loss
from sklearn.metrics import roc_auc_score

import keras_curvenet as kcn
from keras_curvenet.probing.whole_files import whole_file

FLAGS = flags.FLAGS
flags.DEFINE_string("probes", "zoo", "Folder of probes.")
flags.DEFINE_bool("each", False, "Whether to print every probe's figures, too.")
flags.DEFINE_string("output", None, "JSON file for every probe's figures.")


class Figures(NamedTuple):
    """What is measured of a probe, or means of it over some.

    Attributes:
        auroc: Float, of the scores, or None where no label is wrong, or all.
        auroc_of_margin: Float, the same of the mean margin.
        wrong: Float, share of wrong labels.
        found: Float, share that the product finds.
        off: Float, how far it is from `wrong`.
        log_loss: Float, of the scores as probabilities that labels are right.
        warned: Bool, whether the product did.
    """

    auroc: float | None
    auroc_of_margin: float | None
    wrong: float
    found: float
    off: float
    log_loss: float
    warned: bool


def measured(probe):
    """The `Figures` of a dict of arrays as of `probe_zoo.probe`."""
    curves = kcn.LossCurves(
        probe["losses"],
        probe["given"],
        num_classes=int(probe["num_classes"]),
        margins=probe["margins"],
        predicted_classes=probe["predicted"],
    )
    is_wrong = probe["given"] != probe["true"]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        scores = kcn.label_quality_scores(curves)
        issues = kcn.find_label_issues(curves)
    wrong, found = float(is_wrong.mean()), len(issues) / len(is_wrong)
    return Figures(
        auroc=auroc(is_wrong, scores),
        auroc_of_margin=auroc(is_wrong, curves.margins.mean(axis=1)),
        wrong=wrong,
        found=found,
        off=abs(found - wrong),
        log_loss=float(log_loss(~is_wrong, scores, labels=[False, True])),
        warned=bool(warned),
    )


def auroc(is_wrong, scores):
    """Of scores that are low where labels are wrong; None if all are alike."""
    if is_wrong.all() or not is_wrong.any():
        return None
    return float(roc_auc_score(is_wrong, -scores))


class Measured(NamedTuple):
    """A probe's task, its kind of noise, and its `Figures`."""

    task: str
    kind: str
    figures: Figures


def measured_folder(folder):
    """What is `Measured` of every probe in a folder, by name."""
    probes = {}
    for path in sorted(pathlib.Path(folder).glob("*.npz")):
        with np.load(path) as file:
            probe = dict(file)
        probes[path.stem] = Measured(
            str(probe["task"]), str(probe["kind"]), measured(probe)
        )
    return probes


def groups(probes):
    """Lists of `Figures`, by the name of the group."""
    made = {
        "all": probes,
        "none wrong": [one for one in probes if not one.figures.wrong],
        "real tasks": [one for one in probes if "made_up" not in one.task],
    }
    for kind in sorted({one.kind for one in probes}):
        made[kind] = [one for one in probes if one.kind == kind]
    return {
        name: [one.figures for one in of_group]
        for name, of_group in made.items()
        if of_group
    }


def means(figures):
    """The `Figures` that some have on average, each of those that have it."""
    columns = [
        [value for value in column if value is not None]
        for column in zip(*figures, strict=True)
    ]
    return Figures(*[float(np.mean(c)) if c else None for c in columns])


def print_table(groups):
    """The means of groups of `Figures`, as Markdown."""
    columns = ["", "probes", *Figures._fields]
    print("|", " | ".join(columns), "|")
    print("|" + "---|" * len(columns))
    for name, figures in groups.items():
        cells = [
            "" if mean is None else f"{mean:.3f}" for mean in means(figures)
        ]
        print("|", " | ".join([name, str(len(figures)), *cells]), "|")
    print()


def main(argv):
    del argv
    probes = measured_folder(FLAGS.probes)
    if not probes:
        raise app.UsageError(f"There are no probes in {FLAGS.probes}.")
    if FLAGS.each:
        print_table({name: [one.figures] for name, one in probes.items()})
    print_table(groups(list(probes.values())))
    if FLAGS.output:
        content = {
            name: {"task": one.task, "kind": one.kind, **one.figures._asdict()}
            for name, one in probes.items()
        }
        with whole_file(FLAGS.output) as file:
            file.write(f"{json.dumps(content, indent=1)}\n".encode())


if __name__ == "__main__":
    app.run(main)

"""Makes the probes of real data that label quality is measured on.

People's and rules' labels, images, digits, a table and text, with wrong labels
and with none; each is recorded as a user would. All of them take some twenty
minutes of two cores:

    python benchmarks/real_probes.py --folder=FOLDER --people_labels=FOLDER

The files are like those of `probe_zoo.py`; `label_quality.py` measures on them.
"""

import dataclasses
import functools
import pathlib

import clean_data
import numpy as np
from absl import app
from absl import flags
from tasks import TASKS
from tasks import balanced_digits
from trials import Trial

from keras_curvenet.probing.whole_files import whole_file

FLAGS = flags.FLAGS  # people_labels of clean_data.py, and:
flags.DEFINE_string(
    "folder", "real_probes", "Where probes are; those there are kept."
)
_KINDS_OF_PEOPLE = ("worse", "random", "aggregate", "true")


def _probes():
    """Names and tasks, the cheap ones first."""
    for name, task in (
        ("digits", TASKS["digits"]),
        ("odd_digits", balanced_digits(num_classes=2)),
        ("breast_cancer", TASKS["breast_cancer"]),
    ):
        yield f"{name}_uniform", task
        yield f"{name}_none", dataclasses.replace(task, noise_rate=0.0)
    yield (
        "hausa_rules",
        dataclasses.replace(TASKS["ag_news"], load=clean_data.hausa),
    )
    yield "ag_news_people", TASKS["ag_news"]
    for kind in _KINDS_OF_PEOPLE:
        load = functools.partial(clean_data.frozen_features, kind)
        task = dataclasses.replace(TASKS["worse"], load=load)
        yield f"frozen_{kind}", task
    yield "docstrings_uniform", TASKS["docstrings"]
    yield "fashion_uniform", TASKS["clothes"]
    yield "fashion_pair", TASKS["pair"]
    yield "fashion_none", TASKS["none"]
    for kind in _KINDS_OF_PEOPLE:
        load = functools.partial(clean_data.human, kind)
        yield f"cifar_{kind}", dataclasses.replace(TASKS["photos"], load=load)


def record(name, task):
    """A probe, as a dict of what its file has."""
    trial = Trial(task, seed=0, on_validation=True)
    curves = trial.probe().curves
    family, kind = name.rsplit("_", 1)
    return {
        "losses": curves.values,
        "margins": curves.margins,
        "predicted": curves.predicted_classes,
        "given": curves.labels,
        "true": trial.data.true_labels,
        "num_classes": curves.num_classes,
        "task": family,
        "kind": "none" if kind == "true" else kind,
    }


def main(argv):
    del argv
    for name, task in _probes():
        path = pathlib.Path(FLAGS.folder) / f"{name}.npz"
        if path.exists():
            continue
        made = record(name, task)
        with whole_file(str(path)) as file:
            np.savez(file, **made)
        print(f"{name} is there.", flush=True)


if __name__ == "__main__":
    app.run(main)

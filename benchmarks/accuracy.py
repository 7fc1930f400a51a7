"""Test accuracy of everything one would try on noisy, long-tailed data.

    python benchmarks/accuracy.py --preset=quick
    python benchmarks/accuracy.py --preset=full --people_labels=FOLDER
    python benchmarks/accuracy.py --preset=paper --backup_dir=FOLDER

Each run is a line of a file: where it stands already, it is not made again. A
method that has something to choose is tried with each choice on validation
samples first, with a seed of its own. `paper` is the reference code's
schedule, for a machine with a GPU and a network; a run of it that is killed
goes on. `report.py` makes RESULTS.md of the file.
"""

import functools
import importlib.metadata
import json
import pathlib
import platform
import subprocess
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from methods import CHOICES
from methods import METHODS
from recorded_rows import recorded_rows
from recorded_rows import row_of
from tasks import PAPER_TASKS
from tasks import TASKS
from tqdm import tqdm
from trials import Trial

FLAGS = flags.FLAGS
RESULTS = pathlib.Path(__file__).with_name("results")
MAIN_TASKS = ("clothes", "photos", "worse", "random")
MAIN_METHODS = (
    "plain",
    "logit adjustment, long",
    "cleanlab",
    "weights fixed",
    "defaults",
    "right labels alone, adjusted",
    "true labels, adjusted",
)
PRESETS = {
    "quick": [(("digits",), MAIN_METHODS, (1,))],
    "full": [
        (MAIN_TASKS, tuple(METHODS), (1, 2, 3)),
        (
            tuple(task for task in TASKS if task not in MAIN_TASKS),
            MAIN_METHODS,
            (1, 2, 3),
        ),
    ],
    "paper": [
        (
            tuple(PAPER_TASKS),
            (
                "plain",
                "logit adjustment, long",
                "CurveNet as published, clean meta set",
                "defaults",
                "defaults, clean meta set",
                "true labels, adjusted",
            ),
            (1, 2, 3),
        )
    ],
}
ALL_TASKS = TASKS | PAPER_TASKS
_VALIDATION_SEED = 0
_PACKAGES = ("tensorflow", "keras", "numpy")

flags.DEFINE_enum("preset", "quick", PRESETS, "Which runs to make.")
flags.DEFINE_list("tasks", None, "Of these tasks only.")
flags.DEFINE_string("methods", None, "Of these only, separated by ;.")
flags.DEFINE_list("seeds", None, "Of these seeds only.")
flags.DEFINE_string(
    "backup_dir", None, "Folder from which a run that was killed goes on."
)
flags.DEFINE_string(
    "output", None, "JSON lines; results/accuracy_PRESET.jsonl by default."
)


def runs_of(preset):
    """Dicts of what identifies a run, but for what a method chooses."""
    return [
        {"task": task, "method": method, "seed": seed}
        for tasks, methods, seeds in PRESETS[preset]
        for seed in seeds
        for task in tasks
        for method in methods
    ]


def wanted_runs():
    """Those of a preset that other flags do not leave out."""
    return [
        run
        for run in runs_of(FLAGS.preset)
        if FLAGS.tasks is None or run["task"] in FLAGS.tasks
        if FLAGS.methods is None or run["method"] in FLAGS.methods.split(";")
        if FLAGS.seeds is None or str(run["seed"]) in FLAGS.seeds
    ]


def steps_of(run, rows):
    """The runs that a wanted one takes, as far as they can be told yet."""
    choices = CHOICES.get(run["method"])
    if choices is None:
        return [run | {"split": "test", "choice": {}}]
    trials = [
        run | {"seed": _VALIDATION_SEED, "split": "validation", "choice": c}
        for c in choices
    ]
    results = [row_of(rows, trial) for trial in trials]
    if None in results:
        return trials
    best = max(results, key=lambda row: row["last"])["choice"]
    return [*trials, run | {"split": "test", "choice": best}]


@functools.lru_cache(maxsize=1)  # Runs of a trial follow one another.
def trial_of(task, seed, split):
    folder = FLAGS.backup_dir and f"{FLAGS.backup_dir}/{task}_{seed}_{split}"
    return Trial(ALL_TASKS[task], seed, split == "validation", folder)


def figures_of(run):
    """Makes a run: its figures."""
    trial = trial_of(run["task"], run["seed"], run["split"])
    trial.begin(f"{run['method']} {run['choice']}")
    start = time.process_time()
    outcome = METHODS[run["method"]](trial, **run["choice"])
    seconds = time.process_time() - start + trial.shared_seconds
    figures = outcome.evaluation.figures() | outcome.figures
    return {name: rounded(value) for name, value in figures.items()} | {
        "epochs": rounded(outcome.epochs),
        "cpu_seconds": round(seconds, 1),
    }


def rounded(value):
    return value if isinstance(value, bool) else round(float(value), 4)


@functools.cache
def circumstances():
    """Where and with what runs are made."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=RESULTS,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "commit": commit,
        "versions": {p: importlib.metadata.version(p) for p in _PACKAGES},
        "machine": f"{platform.machine()}, {platform.system()}",
    }


def print_expected(runs, rows):
    """Says how long runs of these tasks and methods took before."""
    known = {}
    for row in rows:
        key = row["task"], row["method"]
        known.setdefault(key, []).append(row["cpu_seconds"])
    of_all = [np.median(seconds) for seconds in known.values()]
    usual = np.median(of_all) if of_all else np.nan
    seconds = [
        np.median(known.get((run["task"], run["method"]), [usual]))
        for run in runs
    ]
    hours = np.sum(seconds) / 3600
    print(
        f"{len(runs)} runs are missing: "
        + ("no time is known" if np.isnan(hours) else f"{hours:.1f} CPU hours")
    )


def main(argv):
    del argv
    tf.get_logger().setLevel("ERROR")  # Each run has graphs of its own.
    # The same numbers of as many threads, and processes side by side.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    name = FLAGS.output or RESULTS / f"accuracy_{FLAGS.preset}.jsonl"
    path = pathlib.Path(name)
    rows = recorded_rows(path)
    missing = [
        run
        for run in wanted_runs()
        if any(row_of(rows, step) is None for step in steps_of(run, rows))
    ]
    # Trials on validation samples first: they have a seed in common.
    missing.sort(key=lambda run: run["method"] not in CHOICES)
    print_expected(missing, rows)
    for run in tqdm(missing, unit="run"):
        while True:
            rows = recorded_rows(path)  # Other processes may add to it.
            steps = steps_of(run, rows)
            left = [step for step in steps if row_of(rows, step) is None]
            if not left:
                break
            row = left[0] | figures_of(left[0]) | circumstances()
            row["configuration"] = ALL_TASKS[row["task"]].configuration()
            path.parent.mkdir(exist_ok=True)
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            keras.backend.clear_session()
    print_table(recorded_rows(path))


def print_table(rows):
    """Accuracy of the last epochs, means of the seeds."""
    accuracies = {}
    for row in rows:
        if row["split"] == "test":
            key = row["task"], row["method"]
            accuracies.setdefault(key, []).append(row["last"])
    for key in dict.fromkeys((r["task"], r["method"]) for r in wanted_runs()):
        print(f"{key[0]:14} {key[1]:40} {np.mean(accuracies[key]):.3f}")


if __name__ == "__main__":
    app.run(main)

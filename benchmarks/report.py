"""Writes RESULTS.md, its figures and README's tables from files of results.

    python benchmarks/report.py
    python benchmarks/report.py --check

Prose is in `results.md.jinja` and `readme_blocks.jinja`; every figure is of
the files in `results/`. With `--check` nothing is written, and what would
change is an error.
"""

import json
import pathlib
import re
from collections import defaultdict

import jinja2
import numpy as np
from absl import app
from absl import flags
from accuracy import MAIN_METHODS
from accuracy import MAIN_TASKS
from accuracy import runs_of
from evidence import DEFAULTS
from evidence import GROUPS
from evidence import ISSUE_METHODS
from evidence import Evidence
from evidence import accuracy_cell
from evidence import number
from evidence import table
from evidence import with_error
from pictures import draw
from recorded_rows import recorded_rows
from tasks import TASKS

FLAGS = flags.FLAGS
flags.DEFINE_bool("check", False, "Whether pages must be as they would be.")

_HERE = pathlib.Path(__file__).parent
_ROOT = _HERE.parent
_RESULTS = _HERE / "results"
_MAIN_TITLES = [TASKS[task].title for task in MAIN_TASKS]
_README_METHODS = (
    "plain",
    "plain, long",
    "logit adjustment, long",
    "label smoothing",
    "generalized crossentropy",
    "ELR",
    "cleanlab",
    "defaults",
    "defaults, 50 checked labels",
    "true labels, adjusted",
)
_ABLATIONS = {
    "weights fixed": "CurveNet does not learn",
    "no soft labels": "`soft_labels=False`",
    "no balancing": "`balance_classes=False`",
    "all layers watched": "`top_layers=None`, in place of the head",
    "no margins": "curves of losses alone",
    "probe's network": "README's rule: always on with the probe's network",
}


def main_table(evidence):
    """All methods on the four full settings."""
    rows = []
    for group, methods in GROUPS.items():
        rows.append([f"*{group}*", *[""] * (len(MAIN_TASKS) + 3)])
        for method in methods:
            if not any(evidence.runs(task, method) for task in MAIN_TASKS):
                continue
            cells = [
                accuracy_cell(evidence, task, method) for task in MAIN_TASKS
            ]
            differences = evidence.differences(MAIN_TASKS, method)
            rows.append(
                [
                    f"**{method}**" if method == DEFAULTS else method,
                    *cells,
                    "" if method == DEFAULTS else with_error(differences),
                    epochs_cell(evidence, method),
                    number(evidence.cost(MAIN_TASKS, method), 1),
                ]
            )
    header = ["trained with", *_MAIN_TITLES]
    header += ["difference to defaults", "epochs", "CPU time"]
    return table(header, rows)


def readme_table(evidence):
    """The rows that most would try, on the four full settings."""
    rows = [
        [
            f"**{method}**" if method == DEFAULTS else method,
            *[
                number(evidence.mean([task], method, "last"))
                for task in MAIN_TASKS
            ],
        ]
        for method in _README_METHODS
    ]
    return table(["", *_MAIN_TITLES], rows)


def verdict(evidence):
    """Where the defaults are first of what needs no clean data, in words."""
    sentences = []
    for task in MAIN_TASKS:
        rivals = {
            method: evidence.mean([task], method, "last")
            for method in GROUPS["no clean data"]
            if not method.startswith((DEFAULTS, "weights fixed"))
            if evidence.differences([task], method)
        }
        if not rivals:
            continue
        best = max(rivals, key=rivals.get)
        gains = -np.array(evidence.differences([task], best))
        words = "more" if np.mean(gains) > 0.0 else "less"
        amount = with_error(np.sign(np.mean(gains)) * gains, sign=False)
        sentences.append(
            f"On {TASKS[task].title} the defaults have {amount} {words} than "
            f"{best}, the best other row without clean data."
        )
    better = [
        f"{method} on {TASKS[task].title} ({number(np.mean(gains))} more)"
        for task in TASKS
        if task not in MAIN_TASKS
        for method in MAIN_METHODS[:3]
        if (gains := evidence.differences([task], method))
        and np.mean(gains) > 0.0
    ]
    if better:
        sentences.append(
            f"On the other data below they have less than {', '.join(better)}."
        )
    return " ".join(sentences)


def epochs_cell(evidence, method):
    """Epochs on each of the four settings, as a range."""
    values = [
        value
        for task in MAIN_TASKS
        for value in evidence.values(task, method, "epochs")
    ]
    low, high = min(values), max(values)
    return f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"


def rare_table(evidence):
    """Recall of the rarest third, and calibration, of the seven methods."""
    rows = [
        [
            method,
            *[
                number(evidence.mean([task], method, "rare_recall"))
                for task in MAIN_TASKS
            ],
            *[
                number(evidence.mean([task], method, "calibration_error"))
                for task in MAIN_TASKS
            ],
        ]
        for method in MAIN_METHODS
    ]
    header = ["", *[f"recall, {title}" for title in _MAIN_TITLES]]
    header += [f"calibration, {title}" for title in _MAIN_TITLES]
    return table(header, rows)


def other_table(evidence):
    """The seven methods on the other data."""
    tasks = [
        task
        for task in TASKS
        if task not in MAIN_TASKS and evidence.runs(task, DEFAULTS)
    ]
    rows = []
    for task in tasks:
        cells = [
            accuracy_cell(evidence, task, method).split(" (")[0]
            for method in MAIN_METHODS
        ]
        seeds = len(evidence.runs(task, DEFAULTS))
        rows.append([TASKS[task].title, *cells, str(seeds)])
    return table(["", *MAIN_METHODS, "seeds"], rows)


def ablation_table(evidence):
    """What each part adds on the four full settings."""
    rows = []
    for method, words in _ABLATIONS.items():
        cells = [
            with_error(evidence.differences([task], method))
            for task in MAIN_TASKS
        ]
        mean = with_error(evidence.differences(MAIN_TASKS, method))
        rows.append([words, *cells, mean])
    header = ["difference to the defaults, without", *_MAIN_TITLES, "mean"]
    return table(header, rows)


def issue_table(evidence):
    """How well wrong labels are found, a line for each data set."""
    rows = []
    for task in TASKS:
        wrong = evidence.mean([task], DEFAULTS, "wrong")
        cells = [issue_cell(evidence, task, m) for m in ISSUE_METHODS]
        if any(cells):
            rows.append([TASKS[task].title, number(wrong), *cells])
    return table(["data", "wrong", *ISSUE_METHODS.values()], rows)


def issue_cell(evidence, task, method):
    """AUROC, and the share found, with its precision and recall."""
    if not evidence.values(task, method, "found"):
        return ""
    names = "auroc", "found", "precision", "recall"
    auroc, *found = [
        number(evidence.mean([task], method, name), 2) for name in names
    ]
    if not auroc:
        return f"finds {found[0]}"
    return f"{auroc}, finds {found[0]} ({found[1]}, {found[2]})"


def simpler_rankings(evidence):
    """AUROC of label quality, of the mean margin and of the last loss."""
    tasks = [t for t in TASKS if evidence.values(t, DEFAULTS, "auroc")]
    return {
        name: number(evidence.mean(tasks, DEFAULTS, name))
        for name in ("auroc", "auroc_mean_margin", "auroc_last_loss")
    }


def choices(evidence):
    """What baselines chose by validation samples, in words."""
    chosen = defaultdict(set)
    for row in evidence.rows:
        for name, value in row["choice"].items():
            chosen[row["method"], name].add(value)
    return [
        f"{method}: `{name}` {', '.join(map(str, sorted(values)))}"
        for (method, name), values in sorted(chosen.items())
    ]


def cost_sentence():
    """What a step costs, from step_cost.json."""
    rows = json.loads((_RESULTS / "step_cost.json").read_text())
    return {
        row["way"]: f"{row['cpu']:.2f}"
        for row in rows
        if row["network"] == "resnet32"
    }


def label_quality(name):
    """Means over probes, from the file of a name."""
    path = _RESULTS / f"label_quality_{name}.json"
    probes = json.loads(path.read_text()).values()

    def mean(figure, where=lambda probe: True):
        values = [p[figure] for p in probes if where(p)]
        values = [value for value in values if value is not None]
        return number(float(np.mean(values))) if values else ""

    return {
        "probes": len(probes),
        "auroc": mean("auroc"),
        "auroc_of_margin": mean("auroc_of_margin"),
        "off": mean("off"),
        "off_where_none": mean("off", lambda p: p["wrong"] == 0.0),
        "most_off": number(max(p["off"] for p in probes)),
    }


def checked_labels(name):
    """Means over probes, from the file of a name; nothing without it."""
    path = _RESULTS / f"checked_labels_{name}.json"
    if not path.exists():
        return {}
    return {
        setting: {
            figure: number(
                float(np.mean([probe[figure] for probe in probes.values()]))
            )
            for figure in ("off_unchecked", "off", "held", "width")
        }
        for setting, probes in json.loads(path.read_text()).items()
    }


def scale():
    """The rows of scale.json: ratios of epochs, and of the most curves."""
    rows = json.loads((_RESULTS / "scale.json").read_text())
    (epochs,) = [row for row in rows if row["what"] == "epochs"]
    curves = [row for row in rows if row["what"] == "curves"]
    return epochs, max(curves, key=lambda row: row["samples"])


def clean_meta_sets():
    """What CurveNet adds to fixed weights, by its rate and the meta set."""
    rows = recorded_rows(_RESULTS / "clean_meta_set.jsonl")
    fixed = {
        (row["task"], row["seed"]): row["accuracy"]
        for row in rows
        if row["way"] == "fixed"
    }
    gains = defaultdict(list)
    for row in rows:
        gain = row["accuracy"] - fixed[row["task"], row["seed"]]
        gains[f"{row['way']}, {row['clean_per_class']}"].append(gain)
    return {name: with_error(values) for name, values in gains.items()}


def kills():
    """How many killed trainings there were, and how many ended equal."""
    rows = json.loads((_RESULTS / "kill_and_resume.json").read_text())
    equal = [row for row in rows if not row["differing arrays"]]
    return {"all": len(rows), "equal": len(equal)}


def pages():
    """Dict from paths to the texts that results make of them."""
    rows = recorded_rows(_RESULTS / "accuracy_full.jsonl")
    evidence = Evidence(rows)
    wanted = {tuple(run.values()) for run in runs_of("full")}
    made = {(r["task"], r["method"], r["seed"]) for r in evidence.rows}
    of_epochs, of_curves = scale()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, of our own figures.
    )
    values = {
        "commits": sorted({row["commit"] for row in evidence.rows}),
        "versions": evidence.rows[0]["versions"],
        "num_made": len(made & wanted),
        "num_wanted": len(wanted),
        "cpu_hours": sum(row["cpu_seconds"] for row in rows) / 3600,
        "main_table": main_table(evidence),
        "rare_table": rare_table(evidence),
        "other_table": other_table(evidence),
        "ablation_table": ablation_table(evidence),
        "issue_table": issue_table(evidence),
        "rankings": simpler_rankings(evidence),
        "choices": choices(evidence),
        "step_cost": cost_sentence(),
        "zoo": label_quality("zoo"),
        "held_out": label_quality("zoo_held_out"),
        "real": label_quality("real"),
        "checked": checked_labels("real"),
        "scale": of_epochs,
        "curves": of_curves,
        "kills": kills(),
        "clean": clean_meta_sets(),
        "readme_table": readme_table(evidence),
        "verdict": verdict(evidence),
        "seeds": max(
            len(evidence.runs(task, method)) for task, method, _ in made
        ),
    }
    results = environment.get_template("results.md.jinja").render(values)
    blocks = environment.get_template("readme_blocks.jinja").render(values)
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    for name, text in re.findall(
        r"<!-- (\w+) -->\n(.*?)<!-- end -->", blocks, flags=re.DOTALL
    ):
        readme = re.sub(
            rf"<!-- {name} -->.*?<!-- end -->",
            lambda _, n=name, t=text: f"<!-- {n} -->\n{t}<!-- end -->",
            readme,
            flags=re.DOTALL,
        )
    return {_HERE / "RESULTS.md": results, _ROOT / "README.md": readme}


def main(argv):
    del argv
    differing = []
    for path, text in pages().items():
        if path.read_text(encoding="utf-8") != text:
            differing.append(path.name)
            if not FLAGS.check:
                path.write_text(text, encoding="utf-8")
    if FLAGS.check and differing:
        raise app.UsageError(f"{differing} are not what results say.")
    if not FLAGS.check:
        rows = recorded_rows(_RESULTS / "accuracy_full.jsonl")
        draw(Evidence(rows), _HERE / "figures" / "accuracy.svg")


if __name__ == "__main__":
    app.run(main)

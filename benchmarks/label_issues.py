"""How well scores find wrong labels: the loss curves' and others'.

All scores come from the same network on the same corrupted samples. For
example, the table in RESULTS.md:

    python benchmarks/label_issues.py --seeds=0,1,2,3,4 \
        --output=benchmarks/results/label_issues.json
"""

import json
import pathlib

import accuracy
import keras
import numpy as np
from absl import app
from absl import flags
from cleanlab.rank import get_label_quality_scores
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

import keras_curvenet as kcn

FLAGS = flags.FLAGS  # Those of accuracy.py, and:
flags.DEFINE_bool("cleanlab", True, "Whether to train for cleanlab's rows.")
flags.DEFINE_integer("folds", 5, "Of cleanlab's out-of-sample predictions.")


def scores_of_curves(curves):
    """Scores, low where a label is probably wrong, with their epochs."""
    epochs = curves.num_epochs
    values = np.nan_to_num(curves.values, posinf=1e3)
    centered = curves.class_centered(skip_epochs=0)
    return {
        "label_quality_scores": (kcn.label_quality_scores(curves), epochs),
        "mean class-centred curve": (-centered.mean(axis=1), epochs),
        "mean loss (O2U-Net)": (-values.mean(axis=1), epochs),
        "last loss": (-values[:, -1], epochs),
        "loss after 5 epochs": (-values[:, 4], 5),
    }


def scores_of_cleanlab(data, seed):
    """cleanlab's scores of out-of-sample predictions, with their epochs."""
    folds = StratifiedKFold(FLAGS.folds, shuffle=True, random_state=seed)
    probabilities = np.zeros((len(data.labels), data.num_classes))
    for train, rest in folds.split(data.labels, data.labels):
        model = accuracy.new_model(data, seed)
        model.compile(**accuracy.compile_arguments())
        model.fit(
            data.inputs[train],
            data.labels[train],
            batch_size=accuracy.BATCH_SIZE,
            epochs=accuracy.EPOCHS,
            callbacks=[accuracy.step_schedule()],
            verbose=0,
        )
        logits = model.predict(data.inputs[rest], verbose=0)
        probabilities[rest] = keras.ops.softmax(logits)
    epochs = round(FLAGS.folds * accuracy.EPOCHS * (1 - 1 / FLAGS.folds))
    return {
        f"cleanlab, {method}{', adjusted' if adjusted else ''}": (
            get_label_quality_scores(
                data.labels,
                probabilities,
                method=method,
                adjust_pred_probs=adjusted,
            ),
            epochs,
        )
        for method, adjusted in [
            ("self_confidence", False),
            ("self_confidence", True),
            ("normalized_margin", False),
            ("normalized_margin", True),
            ("confidence_weighted_entropy", False),
        ]
    }


def measure(scores, is_wrong, is_tail):
    """AUROC, and precision among as many of the worst as there are errors."""
    figures = {}
    for name, rows in (("", is_wrong >= 0), (" tail", is_tail)):
        wrong, part = is_wrong[rows], scores[rows]
        worst = np.argsort(part, kind="stable")[: wrong.sum()]
        figures[f"AUROC{name}"] = float(roc_auc_score(wrong, -part))
        figures[f"precision{name}"] = float(wrong[worst].mean())
    return figures


def run(seed):
    """A list with the figures of every score."""
    data = accuracy.load_data(seed)
    curves = accuracy.probe(data, seed)
    is_wrong = (data.labels != data.true_labels).astype(int)
    is_tail = data.labels >= data.num_classes // 2
    scores = scores_of_curves(curves)
    if FLAGS.cleanlab:
        scores |= scores_of_cleanlab(data, seed)
    rows = [
        {"scores": name, "seed": seed, "epochs": epochs}
        | measure(values, is_wrong, is_tail)
        for name, (values, epochs) in scores.items()
    ]
    return rows, report(curves, data, is_wrong.astype(bool))


def report(curves, data, is_wrong):
    """What the estimates of issues, rates, verdicts and meta sets are worth."""
    issues = kcn.find_label_issues(curves)
    found = np.isin(np.arange(len(is_wrong)), issues)
    verdicts = kcn.sample_verdicts(curves)
    chosen = kcn.select_meta_samples(curves)
    rates = [is_wrong[data.labels == k].mean() for k in range(data.num_classes)]
    counts = np.bincount(data.true_labels)
    in_tail = counts[data.labels] < counts.mean() / 2
    is_tail = verdicts == "clean tail"
    figures = {
        "wrong": is_wrong.mean(),
        "issues": found.mean(),
        "precision of issues": is_wrong[issues].mean(),
        "recall of issues": found[is_wrong].mean(),
        "mean error of noise rates": np.abs(
            kcn.estimate_noise_rates(curves) - rates
        ).mean(),
        "purity of meta samples": 1.0 - is_wrong[chosen].mean(),
        "clean tail, precision": (in_tail & ~is_wrong)[is_tail].mean(),
        "clean tail, recall": is_tail[in_tail & ~is_wrong].mean(),
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def print_table(rows):
    names = list(dict.fromkeys(row["scores"] for row in rows))
    columns = ["AUROC", "AUROC tail", "precision", "precision tail"]
    print("|", " | ".join(["scores", "epochs", *columns]), "|")
    print("|" + "---|" * (len(columns) + 2))
    for name in names:
        same = [row for row in rows if row["scores"] == name]
        means = [np.mean([row[key] for row in same]) for key in columns]
        cells = [name, str(same[0]["epochs"]), *[f"{x:.3f}" for x in means]]
        print("|", " | ".join(cells), "|")


def main(argv):
    del argv
    path = FLAGS.output and pathlib.Path(FLAGS.output)
    configuration = accuracy.configuration() | {"folds": FLAGS.folds}
    content = {"configuration": configuration, "runs": [], "reports": []}
    if path and path.exists():
        content = json.loads(path.read_text())
        if content["configuration"] != configuration:
            raise app.UsageError(
                f"{path} holds runs of another configuration: "
                f"{content['configuration']}. Name another --output."
            )
    for seed in map(int, FLAGS.seeds):
        if any(row["seed"] == seed for row in content["runs"]):
            continue
        rows, figures = run(seed)
        content["runs"] += rows
        content["reports"].append({"seed": seed, **figures})
        print(content["reports"][-1], flush=True)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content, indent=1) + "\n")
    print_table(content["runs"])
    reports = content["reports"]
    for name in reports[0]:
        if name != "seed":
            print(f"{name}: {np.mean([row[name] for row in reports]):.3f}")


if __name__ == "__main__":
    app.run(main)

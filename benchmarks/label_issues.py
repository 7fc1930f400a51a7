"""How well scores find wrong labels: the loss curves' and others'.

All scores come from the same network on the same corrupted samples. For
example, the table in RESULTS.md:

    python benchmarks/label_issues.py --seeds=0,1,2,3,4 --cleanlab \
        --output=benchmarks/results/label_issues.json
"""

import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
import training
from absl import app
from absl import flags
from sklearn.metrics import log_loss
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

import keras_curvenet as kcn

FLAGS = flags.FLAGS  # Those of training.py, and:
flags.DEFINE_bool("cleanlab", False, "Whether to train for cleanlab's rows.")
flags.DEFINE_integer("folds", 5, "Of cleanlab's out-of-sample predictions.")


def scores_of_curves(curves):
    """Scores, low where a label is probably wrong, with their epochs."""
    epochs = curves.num_epochs
    values = np.nan_to_num(curves.values, posinf=1e3)
    centered = curves.class_centered(skip_epochs=0)
    early = min(5, epochs)
    return {
        "label_quality_scores": (kcn.label_quality_scores(curves), epochs),
        "mean class-centred curve": (-centered.mean(axis=1), epochs),
        "mean margin (AUM)": (curves.margins.mean(axis=1), epochs),
        "mean loss (O2U-Net)": (-values.mean(axis=1), epochs),
        "last loss": (-values[:, -1], epochs),
        f"loss after {early} epochs": (-values[:, early - 1], early),
    }


def scores_of_cleanlab(data, seed):
    """cleanlab's scores of out-of-sample predictions, with their epochs."""
    # Installed by `pip install ".[benchmarks]"`, and needed nowhere else.
    from cleanlab.rank import get_label_quality_scores

    folds = StratifiedKFold(FLAGS.folds, shuffle=True, random_state=seed)
    probabilities = np.zeros((len(data.labels), data.num_classes))
    for rows, rest in folds.split(data.labels, data.labels):
        samples = data.inputs[rows], data.labels[rows]
        model = training.new_model(data, seed)
        model.compile(**training.compile_arguments(data))
        model.fit(
            training.batches(tf.data.Dataset.from_tensor_slices(samples)),
            epochs=training.settings().epochs,
            callbacks=[training.rate_schedule()],
            verbose=0,
        )
        logits = model.predict(data.inputs[rest], verbose=0)
        if data.num_outputs == 1:
            logits = np.pad(logits, [(0, 0), (1, 0)])
        probabilities[rest] = keras.ops.softmax(logits)
    epochs = training.settings().epochs * (FLAGS.folds - 1)
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
    """Lists with the figures of every score, and of what is made of them."""
    data = training.load_data(seed)
    curves = training.probe(data, seed).curves
    scores = scores_of_curves(curves)
    if FLAGS.cleanlab:
        scores |= scores_of_cleanlab(data, seed)
    is_wrong = data.is_wrong.astype(int)
    rows = [
        {"scores": name, "seed": seed, "epochs": epochs}
        | measure(values, is_wrong, data.in_tail)
        for name, (values, epochs) in scores.items()
        if is_wrong.any()  # There is nothing to rank otherwise.
    ]
    return rows, report(curves, data, data.is_wrong)


def report(curves, data, is_wrong):
    """What the estimates of issues, rates, verdicts and meta sets are worth."""
    issues = kcn.find_label_issues(curves)
    found = np.isin(np.arange(len(is_wrong)), issues)
    is_right = 1.0 - is_wrong
    scores = kcn.label_quality_scores(curves)
    figures = {
        "wrong": is_wrong.mean(),
        "issues": found.mean(),
        "log loss": log_loss(is_right, scores, labels=[0.0, 1.0]),
    }
    if is_wrong.any():
        figures |= report_on_wrong_labels(curves, data, is_wrong, issues, found)
    return {name: round(float(value), 4) for name, value in figures.items()}


def report_on_wrong_labels(curves, data, is_wrong, issues, found):
    """The figures that there are only where labels are wrong."""
    verdicts = kcn.sample_verdicts(curves)
    chosen = kcn.select_meta_samples(curves)
    classes = range(data.num_classes)
    rates = np.array([is_wrong[data.labels == k].mean() for k in classes])
    in_good_class = rates[data.labels[chosen]] < 0.5
    counts = np.bincount(data.true_labels)
    in_rare = counts[data.labels] < counts.mean() / 2
    is_tail = verdicts == "clean tail"
    return {
        "issues / wrong": found.sum() / is_wrong.sum(),
        "precision of issues": is_wrong[issues].mean(),
        "recall of issues": found[is_wrong].mean(),
        "mean error of noise rates": np.abs(
            kcn.estimate_noise_rates(curves) - rates
        ).mean(),
        "purity of meta samples": 1.0 - is_wrong[chosen].mean(),
        "the same where most labels are right": (
            1.0 - is_wrong[chosen][in_good_class].mean()
        ),
        "classes of mostly wrong labels": (rates >= 0.5).sum(),
        "clean tail, precision": (in_rare & ~is_wrong)[is_tail].mean(),
        "clean tail, recall": is_tail[in_rare & ~is_wrong].mean(),
    }


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
    configuration = training.configuration()
    if FLAGS.cleanlab:
        configuration["folds"] = FLAGS.folds
    content = {"configuration": configuration, "runs": [], "reports": []}
    if path and path.exists():
        content = json.loads(path.read_text())
        if content["configuration"] != configuration:
            raise app.UsageError(
                f"{path} holds runs of another configuration: "
                f"{content['configuration']}. Name another --output."
            )
    for seed in map(int, FLAGS.seeds):
        if any(row["seed"] == seed for row in content["reports"]):
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

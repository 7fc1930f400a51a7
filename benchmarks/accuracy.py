"""Test accuracy of ways to train on noisy, long-tailed data.

All methods get the same network, schedule, batch size and number of epochs on
the same corrupted samples; those that need loss curves get them from the same
probe. For example, the table in RESULTS.md:

    python benchmarks/accuracy.py --output=benchmarks/results/accuracy.json

`--dataset` names the data, and settings.py what it is trained with.
"""

import ast
import dataclasses
import functools
import json
import pathlib

import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from training import batches
from training import compile_arguments
from training import configuration
from training import fit
from training import load_data
from training import new_model
from training import probe

import keras_curvenet as kcn

FLAGS = flags.FLAGS  # Those of training.py, and:
flags.DEFINE_list(
    "methods",
    ["plain", "CurveWeightedModel", "true labels"],
    "Methods to run, by name; their arguments after it, as key=value.",
)


def train(data, labels, seed, adjusted, sample_weight=None):
    """Ordinary training; an adjusted loss counts labels by their weights."""
    if sample_weight is None:
        sample_weight = np.ones(len(labels), np.float32)
    counts = np.bincount(labels, sample_weight, minlength=data.num_classes)
    model = new_model(data, seed)
    model.compile(**compile_arguments(data, counts if adjusted else None))
    samples = (data.inputs, labels, sample_weight)
    dataset = tf.data.Dataset.from_tensor_slices(samples)
    return fit(model, batches(dataset), evaluation(data))


def train_plain(data, seed, adjusted=False):
    return train(data, data.labels, seed, adjusted)


def train_on_true_labels(data, seed, adjusted=False):
    return train(data, data.true_labels, seed, adjusted)


def train_on_right_labels(data, seed, adjusted=False):
    """A perfect filter: only the samples whose labels are right."""
    is_right = ~data.is_wrong
    filtered = dataclasses.replace(data, inputs=data.inputs[is_right])
    return train(filtered, data.labels[is_right], seed, adjusted)


def train_filtered(data, seed, adjusted=False):
    """The simple rule to beat: a mixture model on the mean curves."""
    means = probe(data, seed).curves.class_centered(skip_epochs=0).mean(axis=1)
    return train(data, data.labels, seed, adjusted, weights_of_lower(means))


def train_margin_filtered(data, seed, adjusted=False):
    """The same on the mean margins, which are high where labels are right."""
    means = probe(data, seed).curves.margins.mean(axis=1)
    return train(data, data.labels, seed, adjusted, weights_of_lower(-means))


def weights_of_lower(values):
    """Probabilities of the lower one of two normal distributions."""
    values = values[:, np.newaxis]
    mixture = GaussianMixture(2, random_state=0).fit(values)
    lower = mixture.means_.argmin()
    return mixture.predict_proba(values)[:, lower].astype(np.float32)


def train_weighted(
    data,
    seed,
    clean=False,
    continued=False,
    meta_epochs=None,
    **arguments,
):
    """CurveWeightedModel, its meta set chosen by the curves.

    Args:
        clean: Whether the meta set is the clean one instead.
        continued: Whether the probe's network is trained on, not a fresh one.
        meta_epochs, **arguments: `CurveWeightedModel`'s.
    """
    probed = probe(data, seed)
    base = new_model(data, seed)
    if continued:
        base.set_weights(probed.weights)
    base.compile(**compile_arguments(data))
    weighted = kcn.CurveWeightedModel(base, **arguments)
    figures = fit(
        weighted,
        batches(kcn.with_sample_ids((data.inputs, data.labels))),
        evaluation(data),
        loss_curves=probed.curves,
        meta_data=data.meta if clean else None,
        meta_epochs=meta_epochs,
    )
    chosen = weighted.meta_sample_ids
    if chosen is not None:
        purity = 1.0 - data.is_wrong[chosen].mean()
        figures["purity of the meta set"] = round(float(purity), 3)
    scores = weighted.label_quality_scores()
    return (
        figures
        | figures_of_weights(weighted.sample_weights(), data)
        | figures_of_scores(scores, data)
    )


def figures_of_scores(scores, data):
    """How well the trained model's label quality finds wrong labels."""
    is_wrong = data.is_wrong
    is_found = scores < 0.5
    figures = {"share found": is_found.mean()}
    if is_wrong.any():
        figures |= ranking("scores", scores, data) | {
            "precision": is_wrong[is_found].mean(),
            "recall": is_found[is_wrong].mean(),
        }
    return {name: round(float(x), 3) for name, x in figures.items()}


def figures_of_weights(weights, data):
    """Mean weights, and how well low ones find wrong labels."""
    is_wrong, in_tail = data.is_wrong, data.in_tail
    figures = {"mean weight, right labels": weights[~is_wrong].mean()}
    if is_wrong.any():
        figures |= {
            "mean weight, wrong labels": weights[is_wrong].mean(),
            "the same in the tail half": weights[is_wrong & in_tail].mean(),
        }
        figures |= ranking("weights", weights, data)
    return {name: round(float(x), 3) for name, x in figures.items()}


def ranking(name, values, data):
    """How well low values rank wrong labels, of all and of the tail half."""
    is_wrong, in_tail = data.is_wrong, data.in_tail
    return {
        f"AUROC of {name}": roc_auc_score(is_wrong, -values),
        f"AUROC of {name}, tail half": roc_auc_score(
            is_wrong[in_tail], -values[in_tail]
        ),
    }


def evaluation(data):
    return data.validation if FLAGS.on_validation else data.test


METHODS = {
    "plain": train_plain,
    "true labels": train_on_true_labels,
    "right labels": train_on_right_labels,
    "mixture filter": train_filtered,
    "margin filter": train_margin_filtered,
    "CurveWeightedModel": train_weighted,
}


def method_of(name):
    """The function of data and seed that a method's name stands for.

    Arguments may follow: "CurveWeightedModel top_layers=None clean=True".
    """
    words = name.split()
    kind = " ".join(word for word in words if "=" not in word)
    if kind not in METHODS:
        raise app.UsageError(f"Unknown method: {name}.")
    pairs = [word.split("=") for word in words if "=" in word]
    arguments = {key: ast.literal_eval(value) for key, value in pairs}
    return functools.partial(METHODS[kind], **arguments)


def run(method, seed):
    """Figures of one method with one seed."""
    figures = method_of(method)(load_data(seed), seed)
    return {"method": method, "seed": seed, **figures}


def print_table(rows):
    """A Markdown table: last epoch by seed, means, and the gap closed."""
    seeds = sorted({row["seed"] for row in rows})
    names = list(dict.fromkeys(row["method"] for row in rows))

    def mean(method, epoch):
        return np.mean([row[epoch] for row in rows if row["method"] == method])

    header = ["trained with", *[f"seed {seed}" for seed in seeds]]
    header += ["mean, last epoch", "mean, best epoch", "gap closed"]
    print("|", " | ".join(header), "|")
    print("|" + "---|" * len(header))
    for method in names:
        cells = [
            f"{row['last']:.3f}"
            for seed in seeds
            for row in rows
            if row["method"] == method and row["seed"] == seed
        ]
        cells += [f"{mean(method, epoch):.3f}" for epoch in ("last", "best")]
        cells.append(gap_closed(rows, method))
        print("|", " | ".join([method, *cells]), "|")


def gap_closed(rows, method):
    """What the method gains, over what the true labels do, on common seeds."""
    last = {
        name: {
            row["seed"]: row["last"] for row in rows if row["method"] == name
        }
        for name in (method, "plain", "true labels")
    }
    seeds = set.intersection(*(set(runs) for runs in last.values()))
    gains = {
        name: sum(last[name][seed] - last["plain"][seed] for seed in seeds)
        for name in last
    }
    whole = gains["true labels"]
    return f"{gains[method] / whole:.2f}" if whole > 0.0 else ""


def recorded_runs(path):
    """The runs that a results file holds already; none where there is none."""
    if path is None or not path.exists():
        return []
    content = json.loads(path.read_text())
    if content["configuration"] != configuration():
        raise app.UsageError(
            f"{path} holds runs of another configuration: "
            f"{content['configuration']}. Name another --output."
        )
    return content["runs"]


def main(argv):
    del argv
    path = FLAGS.output and pathlib.Path(FLAGS.output)
    names = FLAGS.methods
    runs = recorded_runs(path)
    for seed in map(int, FLAGS.seeds):
        for method in names:
            runs = recorded_runs(path) or runs
            if any((r["method"], r["seed"]) == (method, seed) for r in runs):
                continue
            row = run(method, seed)
            print(row, flush=True)
            # Another process may have added runs meanwhile.
            runs = [*(recorded_runs(path) or runs), row]
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                content = {"configuration": configuration(), "runs": runs}
                path.write_text(json.dumps(content, indent=1) + "\n")
    print_table(runs)


if __name__ == "__main__":
    app.run(main)

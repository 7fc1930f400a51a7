"""What CurveNet adds to fixed weights where the meta set is clean.

Small networks, so that a run takes seconds. Each training gets the same network
and number of epochs on the same corrupted samples; weights start at the label
quality of the same probe. Accuracy is that on clean validation samples, never
on a test set: the mean over classes, and over the last three epochs. What
RESULTS.md says of it:

    python benchmarks/clean_meta_set.py --people_labels=FOLDER \
        --ways=fixed,1e-5,1e-4 --output=FILE.jsonl

A way to train is `plain`, `fixed` (weights are never learned), `default`, or a
learning rate of CurveNet's, `1e-3`, with a share of the epochs after it where
that is not a half, `1e-3:1`. `--start_shift` moves where weights start.
"""

import functools
import json
import pathlib
import time
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from recorded_rows import recorded_rows
from recorded_rows import row_of
from sklearn.metrics import roc_auc_score
from small_tasks import TASKS
from small_tasks import load_data

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_list("tasks", None, "Names of TASKS; all by default.")
flags.DEFINE_list("seeds", ["0", "1"], "Seeds of data and training.")
flags.DEFINE_list("ways", ["plain", "fixed", "default"], "Ways to train.")
flags.DEFINE_list("clean_per_class", ["100", "20"], "Sizes of the meta set.")
flags.DEFINE_float("start_shift", 0.0, "Added to the logits at the start.")
flags.DEFINE_float("epochs_factor", 1.0, "Of the training's epochs.")
flags.DEFINE_bool("continued", False, "Go on with the probe's network.")
flags.DEFINE_string("output", None, "JSON lines; runs in it are not repeated.")

_AVERAGED_EPOCHS = 3
_WITHOUT_META_SET = ("plain", "fixed")


def new_model(task, data, seed):
    keras.utils.set_random_seed(seed)
    dropout = [keras.layers.Dropout(task.dropout)] if task.dropout else []
    return keras.Sequential(
        [
            keras.Input(data.inputs.shape[1:]),
            *dropout,
            keras.layers.Dense(task.units, activation="relu"),
            *dropout,
            keras.layers.Dense(data.num_classes, activation="softmax"),
        ]
    )


def compile_arguments(task):
    return {
        "optimizer": task.optimizer(),
        "loss": "sparse_categorical_crossentropy",
        "weighted_metrics": ["accuracy"],
    }


class Probe(NamedTuple):
    """Loss curves, and the network's weights in the end."""

    curves: kcn.LossCurves
    weights: list


@functools.cache
def probe(name, seed):
    task, data = TASKS[name], load_data(name, seed)
    model = new_model(task, data, seed)
    model.compile(**compile_arguments(task))
    recorder = kcn.LossCurveRecorder()
    samples = kcn.with_sample_ids((data.inputs, data.labels))
    model.fit(
        samples.shuffle(len(data.labels)).batch(task.batch_size),
        epochs=task.epochs,
        callbacks=[recorder],
        verbose=0,
    )
    return Probe(recorder.loss_curves, model.get_weights())


class ShiftedCurveNet(kcn.CurveNet):
    """CurveNet whose weights start elsewhere than at the label quality."""

    def call(self, inputs, training=False):
        curves, labels, start = inputs
        start = start + FLAGS.start_shift
        return super().call([curves, labels, start], training=training)


def curve_net_of(curves):
    """The CurveNet that `fit` would make, but for where weights start."""
    if FLAGS.start_shift == 0.0:
        return None
    return ShiftedCurveNet(
        curves.num_classes,
        2 * (curves.num_epochs - curves.checked_skip_epochs()),
        min_weight=0.0,
        corrects_quality=True,
    )


def train(name, seed, way, clean_per_class):
    """Figures of one training."""
    task, data = TASKS[name], load_data(name, seed)
    probed = None if way == "plain" else probe(name, seed)
    start = time.process_time()
    epochs = round(task.epochs * FLAGS.epochs_factor)
    model = new_model(task, data, seed)
    if FLAGS.continued and probed:
        model.set_weights(probed.weights)
    compiled, arguments = compile_arguments(task), {}
    if probed:
        model = kcn.CurveWeightedModel(
            model, curve_net=curve_net_of(probed.curves)
        )
        arguments["loss_curves"] = probed.curves
        arguments["meta_data"] = data.meta_of(clean_per_class or 1)
    if way == "fixed":
        arguments["meta_epochs"] = 0
    elif way not in ("plain", "default"):
        rate, _, share = way.partition(":")
        compiled["meta_optimizer"] = meta_optimizer(
            float(rate), compiled["optimizer"]
        )
        arguments["meta_epochs"] = round(epochs * float(share or 0.5))
    model.compile(**compiled)
    history = model.fit(
        data.inputs,
        data.labels,
        batch_size=task.batch_size,
        epochs=epochs,
        validation_data=data.validation,
        validation_batch_size=1024,
        validation_freq=[epochs - i for i in range(_AVERAGED_EPOCHS)],
        verbose=0,
        **arguments,
    )
    accuracy = np.mean(history.history["val_accuracy"])
    figures = {"accuracy": round(float(accuracy), 4)}
    if probed:
        figures |= figures_of_weights(model.sample_weights(), data)
    return figures | {"seconds": round(time.process_time() - start, 1)}


def meta_optimizer(rate, optimizer):
    """CurveNet's own default, at another rate."""
    epsilon = 2e-6 * float(optimizer.learning_rate)
    return keras.optimizers.Adam(rate, weight_decay=1e-4, epsilon=epsilon)


def figures_of_weights(weights, data):
    is_wrong = data.labels != data.true_labels
    figures = {
        "right": weights[~is_wrong].mean(),
        "wrong": weights[is_wrong].mean(),
        "auroc": roc_auc_score(is_wrong, -weights),
    }
    return {key: round(float(value), 3) for key, value in figures.items()}


def wanted_runs():
    """The runs that flags ask for, as what identifies them."""
    for seed in map(int, FLAGS.seeds):
        for name in FLAGS.tasks or TASKS:
            for way in FLAGS.ways:
                for size in map(int, FLAGS.clean_per_class):
                    if way in _WITHOUT_META_SET:
                        size = 0
                    if size <= TASKS[name].most_clean:
                        yield {
                            "task": name,
                            "seed": seed,
                            "way": way,
                            "clean_per_class": size,
                            "start_shift": FLAGS.start_shift,
                            "epochs_factor": FLAGS.epochs_factor,
                            "continued": FLAGS.continued,
                        }


def print_table(rows):
    """A Markdown table of what each way adds to fixed weights, by task."""
    accuracies = {}
    for row in rows:
        key = row["way"], row["clean_per_class"], row["task"]
        accuracies.setdefault(key, {})[row["seed"]] = row["accuracy"]
    ways = dict.fromkeys(key[:2] for key in accuracies)
    names = list(dict.fromkeys(key[2] for key in accuracies))
    print("|", " | ".join(["way", "clean", *names, "mean"]), "|")
    print("|" + "---|" * (len(names) + 3))
    for way, size in ways:
        cells, means = [], []
        for name in names:
            own = accuracies.get((way, size, name), {})
            fixed = accuracies.get(("fixed", 0, name), {})
            if way == "fixed":
                cells.append(f"{np.mean(list(own.values())):.3f}")
            elif gains := [own[s] - fixed[s] for s in own if s in fixed]:
                means.append(np.mean(gains))
                cells.append(f"{means[-1]:+.3f}")
            else:
                cells.append("")
        if len(means) > 1:
            error = np.std(means, ddof=1) / np.sqrt(len(means))
            cells.append(f"{np.mean(means):+.4f} +- {error:.4f}")
        else:
            cells.append("")
        print("|", " | ".join([way, str(size or ""), *cells]), "|")


def main(argv):
    del argv
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    path = pathlib.Path(FLAGS.output) if FLAGS.output else None
    rows = recorded_rows(path) if path else []
    for run in wanted_runs():
        if row_of(rows, run):
            continue
        rows.append(run | train(*list(run.values())[:4]))
        print(rows[-1], flush=True)
        if path:
            with path.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    print_table([row_of(rows, run) for run in wanted_runs()])


if __name__ == "__main__":
    app.run(main)

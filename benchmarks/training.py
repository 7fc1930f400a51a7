"""What the benchmarks' trainings share: data, network, loss, loss curves."""

import dataclasses
import os
import pathlib
import time
from typing import NamedTuple

import backbone
import clean_data
import docstrings
import keras
import numpy as np
import tensorflow as tf
from absl import flags
from biased_data import biased
from settings import FINETUNED_RATES
from settings import SETTINGS
from settings import Settings

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "dataset", "fashion_mnist", f"{', '.join(SETTINGS)}, or a name in TFDS."
)
flags.DEFINE_string(
    "human_labels",
    os.environ.get("HUMAN_LABELS"),
    "An .npz file with people's labels, for --dataset=human.",
)
flags.DEFINE_enum(
    "backbone",
    None,
    ["frozen", "finetuned"],
    "Whether to start from features of the even classes, on the odd ones.",
)
flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of data and training.")
flags.DEFINE_enum(
    "imbalance_by", "true", ["true", "given"], "Labels that are long-tailed."
)
flags.DEFINE_integer("meta_per_class", 20, "Clean meta samples of a class.")
flags.DEFINE_bool("on_validation", False, "Validation split, for choices.")
flags.DEFINE_string("curves_dir", None, "Folder that keeps the probes' curves.")
flags.DEFINE_string(
    "output", None, "JSON file for the figures; runs it holds are not repeated."
)
# Where these are not given, the dataset's settings hold.
flags.DEFINE_integer("max_per_class", None, "Samples of the largest class.")
flags.DEFINE_float("imbalance_factor", None, "Smallest class over largest.")
flags.DEFINE_float("noise_rate", None, "Probability of a redrawn label.")
flags.DEFINE_string(
    "noise_kind",
    None,
    "uniform, symmetric or pair; for human: worse, random or aggregate.",
)
flags.DEFINE_enum("optimizer", None, ["sgd", "adamw"], "Of every training.")
flags.DEFINE_integer("epochs", None, "Epochs of every training.")
flags.DEFINE_integer("probe_epochs", None, "Epochs of the probe.")
flags.DEFINE_integer("constant_epochs", None, "Those before the wave; or all.")
flags.DEFINE_bool("probe_augments", None, "Whether the probe augments, too.")
_OF_PROBE = ("max_per_class", "imbalance_factor", "noise_rate", "noise_kind")
_OF_PROBE += ("optimizer", "probe_epochs", "constant_epochs")
_OF_SETTINGS = (*_OF_PROBE, "epochs", "probe_augments")


@flags.multi_flags_validator(
    ["dataset", "backbone", "human_labels", "imbalance_by", "noise_rate"]
)
def _fit_together(values):
    is_human = values["dataset"] == "human"
    if values["backbone"] and values["dataset"] != "fashion_mnist":
        raise flags.ValidationError("A backbone is there for fashion_mnist.")
    if is_human and not values["human_labels"]:
        raise flags.ValidationError("human needs --human_labels=PATH.")
    if is_human and values["noise_rate"] is not None:
        raise flags.ValidationError("Of human labels the noise is given.")
    if values["imbalance_by"] == "given" and not is_human:
        raise flags.ValidationError("Only human has given labels.")
    return True


def settings():
    """The dataset's settings, or what flags say instead."""
    chosen = SETTINGS.get(FLAGS.dataset, Settings())
    flagged = {name: FLAGS[name].value for name in _OF_SETTINGS}
    changes = {k: value for k, value in flagged.items() if value is not None}
    if FLAGS.backbone == "finetuned":
        changes["learning_rates"] = FINETUNED_RATES
    chosen = dataclasses.replace(chosen, **changes)
    if chosen.constant_epochs is None:
        every = chosen.probe_epochs
        chosen = dataclasses.replace(chosen, constant_epochs=every)
    return chosen


def configuration():
    """All that decides a run, but for its method and seed."""
    values = {
        name: getattr(value, "__name__", value)
        for name, value in dataclasses.asdict(settings()).items()
    }
    names = ("dataset", "backbone", "imbalance_by", "meta_per_class")
    names += ("on_validation",)
    values |= {name: FLAGS[name].value for name in names}
    if FLAGS.dataset == "docstrings":
        values["versions"] = docstrings.versions()
    return values


def load_data(seed):
    """The biased data that the flags ask for."""
    chosen = settings()
    data = clean_data.load(FLAGS.dataset, chosen.noise_kind, FLAGS.human_labels)
    if FLAGS.backbone:
        data = clean_data.half_of_classes(data, 1)
    return biased(data, chosen, FLAGS.imbalance_by, FLAGS.meta_per_class, seed)


def new_model(data, seed):
    """The untrained network, or the one upon the pre-trained features."""
    if FLAGS.backbone:
        is_frozen = FLAGS.backbone == "frozen"
        return backbone.with_backbone(
            FLAGS.dataset, data.num_outputs, is_frozen, seed, FLAGS.curves_dir
        )
    keras.utils.set_random_seed(seed)
    return settings().network(data.inputs.shape[1:], data.num_outputs)


def compile_arguments(data, class_counts=None, rate_factor=1.0):
    """What every training is compiled with.

    Args:
        data: `BiasedData`.
        class_counts: Counts for the logit-adjusted loss, or None for plain
            crossentropy.
        rate_factor: Factor of the learning rate.
    """
    chosen = settings()
    rate = chosen.learning_rate * rate_factor
    if chosen.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=5e-4)
    else:
        optimizer = keras.optimizers.SGD(
            rate, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
    if class_counts is not None:
        loss = kcn.LogitAdjustedCrossentropy(class_counts, from_logits=True)
    elif data.num_outputs == 1:
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metric = "accuracy"
    if data.num_outputs == 1:  # Of logits, whose threshold is not 0.5.
        metric = keras.metrics.BinaryAccuracy(metric, threshold=0.0)
    return {"optimizer": optimizer, "loss": loss, "metrics": [metric]}


def rate_schedule():
    """Callback that sets the learning rate of every epoch."""
    chosen = settings()
    return keras.callbacks.LearningRateScheduler(
        lambda epoch: (
            chosen.learning_rate * chosen.schedule(epoch, chosen.epochs)
        )
    )


def batches(samples, batch_size=None, augments=True):
    """Shuffled batches of an unbatched dataset, augmented where data is."""
    chosen = settings()
    dataset = samples.shuffle(int(samples.cardinality()))
    dataset = dataset.batch(batch_size or chosen.batch_size)
    if augments and chosen.augment is not None:
        augment = chosen.augment()
        dataset = dataset.map(lambda inputs, *rest: (augment(inputs), *rest))
    return dataset.prefetch(tf.data.AUTOTUNE)


def fit(model, dataset, validation_data, **arguments):
    """Trains; figures of the last and the best epoch, and wall seconds.

    The best is one of every fifth epoch, the last among them.
    """
    start = time.perf_counter()
    history = model.fit(
        dataset,
        epochs=settings().epochs,
        callbacks=[rate_schedule()],
        validation_data=validation_data,
        validation_batch_size=512,
        validation_freq=5,
        verbose=0,
        **arguments,
    )
    accuracy = history.history["val_accuracy"]
    return {
        "last": round(accuracy[-1], 4),
        "best": round(max(accuracy), 4),
        "seconds": round(time.perf_counter() - start, 1),
    }


class Probe(NamedTuple):
    """What a probe leaves behind.

    Attributes:
        curves: `LossCurves`.
        weights: List of arrays, those of the network in the end.
    """

    curves: kcn.LossCurves
    weights: list


def probe(data, seed):
    """The `Probe` of the corrupted samples, recorded or read back."""
    if not FLAGS.curves_dir:
        return _recorded_probe(data, seed)
    curves = pathlib.Path(FLAGS.curves_dir) / f"{_name_of_probe(seed)}.npz"
    weights = curves.with_suffix(".weights.npz")  # Written last.
    if weights.exists():
        with np.load(weights) as arrays:
            of_network = [arrays[name] for name in arrays.files]
        return Probe(kcn.LossCurves.load(curves), of_network)
    probed = _recorded_probe(data, seed)
    curves.parent.mkdir(parents=True, exist_ok=True)
    probed.curves.save(curves)
    np.savez(weights, *probed.weights)
    return probed


def _recorded_probe(data, seed):
    """The `Probe` of a training that is made now."""
    chosen = settings()
    factor, batch_size = chosen.probe_factor, chosen.batch_size
    model = new_model(data, seed)
    model.compile(**compile_arguments(data, rate_factor=factor))
    recorder = kcn.LossCurveRecorder()
    rate = chosen.learning_rate * factor
    constant_epochs = chosen.constant_epochs
    schedule = kcn.ProbingSchedule(
        constant_epochs, cycle_epochs=3, high=rate / 5, low=rate / 50
    )
    samples = kcn.with_sample_ids((data.inputs, data.labels))
    for first, last, size in (
        (0, constant_epochs, batch_size),
        (constant_epochs, chosen.probe_epochs, batch_size // 4),
    ):
        if first == last:
            continue
        model.fit(
            batches(samples, size, chosen.probe_augments),
            epochs=last,
            initial_epoch=first,
            callbacks=[recorder, schedule],
            verbose=0,
        )
    return Probe(recorder.loss_curves, model.get_weights())


def _name_of_probe(seed):
    """All that flags decide of a probe."""
    chosen = settings()
    parts = [FLAGS.dataset, FLAGS.backbone, FLAGS.imbalance_by]
    parts += [FLAGS.meta_per_class]
    parts += [getattr(chosen, name) for name in _OF_PROBE]
    parts += [None if chosen.probe_augments else "unaugmented"]
    return "-".join(str(part) for part in [*parts, seed] if part is not None)

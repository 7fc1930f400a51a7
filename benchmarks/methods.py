"""Ways to train on noisy, long-tailed data, each a function of a `Trial`.

A method returns its `Outcome`. What it chooses by validation samples are its
keyword arguments, whose values are in `CHOICES`.
"""

import functools

import baselines
import keras
import numpy as np
import tensorflow as tf
from sklearn.model_selection import StratifiedKFold
from trials import issue_figures
from trials import of_training
from trials import ordinary
from trials import with_probe
from weighted_methods import as_published
from weighted_methods import meta_weight_net
from weighted_methods import weighted_by_curves

import keras_curvenet as kcn

_CHECKED = 50


def plain(trial, is_long=False, is_adjusted=False):
    factor = with_probe(trial) if is_long else 1.0
    evaluation = ordinary(trial, is_adjusted=is_adjusted, factor=factor)
    return of_training(trial, evaluation, factor=factor)


def by_loss(trial, make_loss, **choice):
    """A training with another loss."""
    factor = with_probe(trial)
    loss = functools.partial(make_loss, **choice)
    return of_training(
        trial, ordinary(trial, loss=loss, factor=factor), factor=factor
    )


def averaged(trial, momentum):
    """Weights averaged over the steps, as `SwapEMAWeights` evaluates them."""
    factor = with_probe(trial)
    evaluation = ordinary(
        trial,
        factor=factor,
        callbacks=[keras.callbacks.SwapEMAWeights(swap_on_epoch=True)],
        optimizer_arguments={"use_ema": True, "ema_momentum": momentum},
    )
    return of_training(trial, evaluation, factor=factor)


def mixed_up(trial, alpha):
    """Zhang et al., "mixup", 2018, by Keras's layer."""
    factor, data = with_probe(trial), trial.data
    layer = keras.layers.MixUp(alpha, seed=trial.seed)
    shape = data.inputs.shape[1:]
    as_image = (1,) * (3 - len(shape)) + shape

    def mix(x, y):
        targets = tf.one_hot(y, data.num_classes)
        images = tf.reshape(tf.cast(x, tf.float32), (-1, *as_image))
        mixed = layer({"images": images, "labels": targets})
        return tf.reshape(mixed["images"], (-1, *shape)), mixed["labels"]

    model = trial.new_network()
    trial.compile(model, baselines.crossentropy(trial.adjustment()))
    dataset = trial.batches((data.inputs, data.labels)).map(mix)
    return of_training(trial, trial.fit(model, dataset, factor), factor=factor)


def early_learning(trial, strength):
    """ELR, whose targets are labels beside sample ids."""
    factor, data = with_probe(trial), trial.data
    num_samples = len(data.labels)
    model = trial.new_network()
    loss = baselines.EarlyLearningRegularization(
        trial.adjustment(), num_samples, strength
    )
    trial.compile(model, loss)
    targets = np.stack([data.labels, np.arange(num_samples)], axis=1)
    dataset = trial.batches((data.inputs, targets.astype(np.int32)))
    return of_training(trial, trial.fit(model, dataset, factor), factor=factor)


def co_teaching(trial):
    """Two networks, told the true share of wrong labels."""
    data, task = trial.data, trial.task
    steps = -(-len(data.labels) // task.batch_size)
    networks = [task.new_network(data, trial.seed + add) for add in (1000, 0)]
    model = baselines.CoTeaching(
        networks,
        trial.adjustment(),
        forgotten=float(data.is_wrong.mean()),
        ramp=max(1, steps * task.epochs // 5),
    )
    trial.compile(model)
    dataset = trial.batches((data.inputs, data.labels))
    return of_training(trial, trial.fit(model, dataset), factor=2.0)


def small_losses(trial):
    """Huang et al., "O2U-Net", 2019, told the true share of wrong labels."""
    curves = trial.waving_probe().curves
    waves = curves.values[:, 2 * curves.num_epochs // 5 :]
    scores = -np.mean(waves - waves.mean(axis=0), axis=1)
    num_out = round(float(trial.data.is_wrong.mean()) * len(scores))
    is_found = np.zeros(len(scores), bool)
    is_found[np.argsort(scores, kind="stable")[:num_out]] = True
    return filtered(trial, is_found, scores, probes=1)


def filtered(trial, is_found, scores, probes):
    """Trains without what so many probes found."""
    epochs = probes * trial.task.probe_epochs
    return of_training(
        trial,
        ordinary(trial, kept=~is_found),
        probes,
        **issue_figures(trial, is_found, scores, epochs),
    )


def area_under_margin(trial):
    """Pleiss et al., "Area under the margin ranking", 2020 (AUM).

    Threshold samples get a class of their own in one of two probes each, as
    many as the average class has.
    """
    data = trial.data
    num_samples, num_classes = len(data.labels), data.num_classes
    order = np.random.default_rng(trial.seed).permutation(num_samples)
    size = num_samples // (num_classes + 1)
    scores, is_found = np.zeros(num_samples), np.zeros(num_samples, bool)
    is_scored = np.zeros(num_samples, bool)
    for part in (order[:size], order[size : 2 * size]):
        labels = data.labels.copy()
        labels[part] = num_classes
        recorder = kcn.LossCurveRecorder()
        samples = kcn.with_sample_ids((data.inputs, labels))
        trial.probing_network(samples, [recorder], num_classes + 1)
        margins = recorder.loss_curves.margins.mean(axis=1)
        threshold = np.quantile(margins[part], 0.99)
        new = ~is_scored & (labels < num_classes)
        scores[new] = margins[new]
        is_found |= new & (margins <= threshold)
        is_scored |= new
    return filtered(trial, is_found, scores, probes=2)


def cleanlab_filter(trial, folds=5):
    """Northcutt et al., "Confident learning", 2021, by cleanlab's defaults."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    data = trial.data
    probabilities = np.zeros((len(data.labels), data.num_classes))
    splits = StratifiedKFold(folds, shuffle=True, random_state=trial.seed)
    for rows, rest in splits.split(data.labels, data.labels):
        samples = data.inputs[rows], data.labels[rows]
        model = trial.probing_network(samples)
        logits = model.predict(data.inputs[rest], batch_size=512, verbose=0)
        probabilities[rest] = keras.ops.softmax(logits)
    is_found = find_label_issues(data.labels, probabilities, n_jobs=1)
    scores = get_label_quality_scores(data.labels, probabilities)
    return filtered(trial, is_found, scores, probes=folds - 1.0)


def true_labels(trial, is_adjusted=False, are_filtered=False):
    """On true labels, or on those given labels that are right."""
    data = trial.data
    kept = ~data.is_wrong if are_filtered else None
    evaluation = ordinary(
        trial, labels=data.true_labels, kept=kept, is_adjusted=is_adjusted
    )
    return of_training(trial, evaluation)


_by = functools.partial
METHODS = {
    "plain": plain,
    "plain, long": _by(plain, is_long=True),
    "logit adjustment": _by(plain, is_adjusted=True),
    "logit adjustment, long": _by(plain, is_long=True, is_adjusted=True),
    "label smoothing": _by(by_loss, make_loss=baselines.crossentropy),
    "generalized crossentropy": _by(
        by_loss, make_loss=baselines.generalized_crossentropy
    ),
    "symmetric crossentropy": _by(
        by_loss, make_loss=baselines.symmetric_crossentropy
    ),
    "bootstrapping": _by(by_loss, make_loss=baselines.bootstrapping),
    "MixUp": mixed_up,
    "weight averaging": averaged,
    "ELR": early_learning,
    "Co-teaching": co_teaching,
    "small losses (O2U-Net)": small_losses,
    "margins (AUM)": area_under_margin,
    "cleanlab": cleanlab_filter,
    "Meta-Weight-Net, clean meta set": meta_weight_net,
    "CurveNet as published, clean meta set": as_published,
    "weights fixed": _by(weighted_by_curves, meta_epochs=0),
    "defaults": weighted_by_curves,
    "defaults, clean meta set": _by(weighted_by_curves, is_clean=True),
    "defaults, 50 checked labels": _by(
        weighted_by_curves, num_checked=_CHECKED
    ),
    "defaults, averaged weights": _by(weighted_by_curves, momentum=0.99),
    "no soft labels": _by(weighted_by_curves, soft_labels=False),
    "no balancing": _by(weighted_by_curves, balance_classes=False),
    "all layers watched": _by(weighted_by_curves, top_layers=None),
    "no margins": _by(weighted_by_curves, without_margins=True),
    "probe's network": _by(weighted_by_curves, goes_on=True),
    "right labels alone": _by(true_labels, are_filtered=True),
    "right labels alone, adjusted": _by(
        true_labels, are_filtered=True, is_adjusted=True
    ),
    "true labels": true_labels,
    "true labels, adjusted": _by(true_labels, is_adjusted=True),
}
CHOICES = {
    "label smoothing": [{"label_smoothing": s} for s in (0.1, 0.4)],
    "generalized crossentropy": [{"q": q} for q in (0.3, 0.7)],
    "symmetric crossentropy": [{"alpha": a} for a in (0.1, 0.5)],
    "bootstrapping": [{"trust": t} for t in (0.6, 0.8)],
    "MixUp": [{"alpha": a} for a in (0.2, 1.0)],
    "weight averaging": [{"momentum": m} for m in (0.99, 0.998)],
    "ELR": [{"strength": s} for s in (1.0, 3.0)],
}

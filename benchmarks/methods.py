"""Ways to train on noisy, long-tailed data, each a function of a `Trial`.

A method returns its `Outcome`. What it chooses by validation samples are its
keyword arguments, whose values are in `CHOICES`.
"""

import functools
import time
import warnings
from typing import NamedTuple

import baselines
import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

import keras_curvenet as kcn

_BETWEEN_EVALUATIONS = 5
_CHECKED = 50


class Outcome(NamedTuple):
    """What came of a method.

    Attributes:
        evaluation: The `Evaluation` of its last training.
        epochs: Float, of all its trainings, in passes over all samples.
        figures: Dict of more figures.
    """

    evaluation: "Evaluation"
    epochs: float
    figures: dict


class Probe(NamedTuple):
    """What a probe leaves behind, and the CPU seconds that it took."""

    curves: kcn.LossCurves
    weights: list
    seconds: float


class Trial:
    """A task with a seed, and what its methods share.

    Args:
        task: `Task`.
        seed: Int.
        on_validation: Bool, whether it is evaluated on validation samples.
        backup_dir: Path of a folder from which trainings that were killed go
            on, or None. *Best* is of the epochs since then.
    """

    def __init__(self, task, seed, on_validation, backup_dir=None):
        self.task, self.seed, self._backup_dir = task, seed, backup_dir
        self.data = task.data(seed)
        data = self.data
        self.samples = data.validation if on_validation else data.test
        self.begin("")

    def begin(self, run):
        """Begins a run, whose name its backups have."""
        self._run, self._num_trainings = run, 0
        self.shared_seconds = 0.0  # Of probes that were not made again.

    @functools.cached_property
    def _probe(self):
        return self._probed("probe")

    @functools.cached_property
    def _waving_probe(self):
        rate = self.task.learning_rate
        schedule = kcn.ProbingSchedule(
            2 * self.task.probe_epochs // 5,
            cycle_epochs=self.task.cycle_epochs,
            high=rate / 5,
            low=rate / 50,
        )
        return self._probed("waving_probe", [schedule])

    def probe(self):
        """The `Probe` at a constant rate."""
        return self._shared("_probe")

    def waving_probe(self):
        """The `Probe` whose rate alternates, as the paper's and O2U-Net's."""
        return self._shared("_waving_probe")

    def _shared(self, name):
        was_made = name in vars(self)
        probe = getattr(self, name)
        if was_made:
            self.shared_seconds += probe.seconds
        return probe

    def _probed(self, name, callbacks=()):
        start = time.process_time()
        recorder = kcn.LossCurveRecorder()
        data = self.data
        model = self.task.new_network(data, self.seed)
        self.compile(model, rate_factor=self.task.probe_factor)
        samples = kcn.with_sample_ids((data.inputs, data.labels))
        model.fit(
            self.batches(samples, augments=False),
            epochs=self.task.probe_epochs,
            callbacks=[recorder, *callbacks, *self._backups(name)],
            shuffle=False,  # The dataset shuffles itself.
            verbose=0,
        )
        seconds = time.process_time() - start
        return Probe(recorder.loss_curves, model.get_weights(), seconds)

    def new_network(self, num_outputs=None):
        return self.task.new_network(self.data, self.seed, num_outputs)

    def compile(self, model, loss=None, rate_factor=1.0, **arguments):
        optimizer = self.task.optimizer(self.task.learning_rate * rate_factor)
        for name, value in arguments.items():
            setattr(optimizer, name, value)
        loss = loss or keras.losses.SparseCategoricalCrossentropy(
            from_logits=True
        )
        model.compile(optimizer, loss)

    def batches(self, samples, augments=True):
        """Shuffled batches of an unbatched dataset, or of a tuple of arrays."""
        if isinstance(samples, tuple):
            samples = tf.data.Dataset.from_tensor_slices(samples)
        dataset = samples.shuffle(int(samples.cardinality()))
        dataset = dataset.batch(self.task.batch_size)
        if augments and self.task.augment is not None:
            augment = self.task.augment()
            dataset = dataset.map(lambda x, *rest: (augment(x), *rest))
        return dataset.prefetch(tf.data.AUTOTUNE)

    def fit(self, model, dataset, factor=1.0, callbacks=(), **arguments):
        """Trains for so many times the task's epochs; the `Evaluation`."""
        epochs = round(self.task.epochs * factor)
        evaluation = Evaluation(self, epochs)
        self._num_trainings += 1
        name = f"{self._run}_{self._num_trainings}"
        model.fit(
            dataset,
            epochs=epochs,
            callbacks=[
                self._rates(epochs),
                *callbacks,
                evaluation,
                *self._backups(name),
            ],
            shuffle=False,
            verbose=0,
            **arguments,
        )
        return evaluation

    def _backups(self, name):
        """What brings a training back, in a list."""
        if self._backup_dir is None:
            return []
        return [kcn.BackupAndResume(f"{self._backup_dir}/{name}")]

    def _rates(self, epochs):
        task = self.task
        return keras.callbacks.LearningRateScheduler(
            lambda epoch: task.learning_rate * task.schedule(epoch / epochs)
        )

    def adjustment(self, labels=None, sample_weight=None):
        """Log frequencies of the classes, by the given labels."""
        labels = self.data.labels if labels is None else labels
        return baselines.log_frequencies(
            labels, self.data.num_classes, sample_weight
        )


class Evaluation(keras.callbacks.Callback):
    """Accuracy after every fifth epoch and the last, and more after the last.

    Args:
        trial: `Trial`.
        epochs: Int, of the training.
    """

    def __init__(self, trial, epochs):
        super().__init__()
        self._inputs, self._labels = trial.samples
        self._is_rare, self._epochs = trial.data.is_rare, epochs
        self.accuracies, self.probabilities = [], None

    def on_epoch_end(self, epoch, logs=None):
        left = self._epochs - 1 - epoch
        if left % _BETWEEN_EVALUATIONS == 0:
            logits = self.model.predict(self._inputs, batch_size=512, verbose=0)
            logits = logits[:, : len(self._is_rare)]
            self.probabilities = keras.ops.convert_to_numpy(
                keras.ops.softmax(logits)
            )
            is_right = logits.argmax(axis=1) == self._labels
            self.accuracies.append(float(is_right.mean()))

    def figures(self):
        predicted = self.probabilities.argmax(axis=1)
        is_right = predicted == self._labels
        return {
            "last": self.accuracies[-1],
            "best": max(self.accuracies),
            "rare_recall": is_right[self._is_rare[self._labels]].mean(),
            "calibration_error": calibration_error(
                self.probabilities.max(axis=1), is_right
            ),
        }


def calibration_error(confidences, is_right, num_bins=15):
    """Expected calibration error.

    Reference: Guo et al., "On calibration of modern neural networks", 2017.
    """
    bins = np.minimum((confidences * num_bins).astype(int), num_bins - 1)
    gaps = np.bincount(bins, is_right - confidences, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(bins))


def issue_figures(trial, is_found, scores, epochs):
    """How well wrong labels are found: `scores` are low where they are."""
    is_wrong = trial.data.is_wrong
    figures = {
        "found": is_found.mean(),
        "wrong": is_wrong.mean(),
        "issue_epochs": epochs,
    }
    if is_wrong.any():
        figures["auroc"] = roc_auc_score(is_wrong, -scores)
        figures["recall"] = is_found[is_wrong].mean()
        if is_found.any():
            figures["precision"] = is_wrong[is_found].mean()
    return figures


def ordinary(
    trial,
    loss=None,
    labels=None,
    kept=None,
    sample_weight=None,
    is_adjusted=True,
    factor=1.0,
    callbacks=(),
    optimizer_arguments=None,
):
    """An ordinary training; its `Evaluation`.

    Args:
        trial: `Trial`.
        loss: Function of an adjustment to a loss, or None for crossentropy.
        labels: Int `(num_samples,)`, or None for the given ones.
        kept: Bool `(num_samples,)`, or None for all.
        sample_weight: Float `(num_samples,)`, or None.
        is_adjusted: Bool, whether logits are adjusted to the classes.
        factor: Float, of the task's epochs.
        callbacks: More callbacks.
        optimizer_arguments: Dict of more attributes of the optimizer.
    """
    data = trial.data
    labels = data.labels if labels is None else labels
    kept = np.ones(len(labels), bool) if kept is None else kept
    samples = [data.inputs[kept], labels[kept]]
    if sample_weight is not None:
        samples.append(sample_weight[kept].astype(np.float32))
        sample_weight = sample_weight[kept]
    adjustment = trial.adjustment(labels[kept], sample_weight)
    make_loss = loss or baselines.crossentropy
    model = trial.new_network()
    trial.compile(
        model,
        make_loss(adjustment if is_adjusted else np.zeros_like(adjustment)),
        **(optimizer_arguments or {}),
    )
    return trial.fit(model, trial.batches(tuple(samples)), factor, callbacks)


def of_training(trial, evaluation, probes=0, factor=1.0, **figures):
    """The `Outcome` of one training after so many probes."""
    epochs = probes * trial.task.probe_epochs + trial.task.epochs * factor
    return Outcome(evaluation, epochs, figures)


def with_probe(trial):
    """Factor of the epochs of a training as long as probe and training."""
    return 1.0 + trial.task.probe_epochs / trial.task.epochs


def plain(trial, is_long=False, is_adjusted=False):
    factor = with_probe(trial) if is_long else 1.0
    evaluation = ordinary(trial, is_adjusted=is_adjusted, factor=factor)
    return of_training(trial, evaluation, factor=factor)


def by_loss(trial, make_loss, is_long=True, **choice):
    """A training with another loss."""
    factor = with_probe(trial) if is_long else 1.0
    loss = functools.partial(make_loss, **choice)
    return of_training(
        trial, ordinary(trial, loss=loss, factor=factor), factor=factor
    )


def averaged(trial, momentum):
    """Weights averaged over the steps, as `SwapEMAWeights` evaluates them."""
    factor = with_probe(trial)
    averaging = {"use_ema": True, "ema_momentum": momentum}
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    evaluation = ordinary(
        trial,
        factor=factor,
        callbacks=[swap],
        optimizer_arguments=averaging,
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
    return filtered(trial, scores, trial.data.is_wrong.mean(), probes=1)


def filtered(trial, scores, share, probes):
    """Trains without the given share of lowest scores."""
    num_out = round(float(share) * len(scores))
    is_found = np.zeros(len(scores), bool)
    is_found[np.argsort(scores, kind="stable")[:num_out]] = True
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
    data, task = trial.data, trial.task
    num_samples, num_classes = len(data.labels), data.num_classes
    order = np.random.default_rng(trial.seed).permutation(num_samples)
    size = num_samples // (num_classes + 1)
    scores, is_found = np.zeros(num_samples), np.zeros(num_samples, bool)
    is_scored = np.zeros(num_samples, bool)
    for part in (order[:size], order[size : 2 * size]):
        labels = data.labels.copy()
        labels[part] = num_classes
        recorder = kcn.LossCurveRecorder()
        model = trial.new_network(num_classes + 1)
        trial.compile(model, rate_factor=task.probe_factor)
        model.fit(
            trial.batches(
                kcn.with_sample_ids((data.inputs, labels)), augments=False
            ),
            epochs=task.probe_epochs,
            callbacks=[recorder],
            shuffle=False,
            verbose=0,
        )
        margins = recorder.loss_curves.margins.mean(axis=1)
        threshold = np.quantile(margins[part], 0.99)
        new = ~is_scored & (labels < num_classes)
        scores[new] = margins[new]
        is_found |= new & (margins <= threshold)
        is_scored |= new
    epochs = 2 * task.probe_epochs
    return of_training(
        trial,
        ordinary(trial, kept=~is_found),
        probes=2,
        **issue_figures(trial, is_found, scores, epochs),
    )


def cleanlab_filter(trial, folds=5):
    """Northcutt et al., "Confident learning", 2021, by cleanlab's defaults."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    data, task = trial.data, trial.task
    probabilities = np.zeros((len(data.labels), data.num_classes))
    splits = StratifiedKFold(folds, shuffle=True, random_state=trial.seed)
    for rows, rest in splits.split(data.labels, data.labels):
        model = trial.new_network()
        trial.compile(model, rate_factor=task.probe_factor)
        model.fit(
            trial.batches(
                (data.inputs[rows], data.labels[rows]), augments=False
            ),
            epochs=task.probe_epochs,
            shuffle=False,
            verbose=0,
        )
        logits = model.predict(data.inputs[rest], batch_size=512, verbose=0)
        probabilities[rest] = keras.ops.softmax(logits)
    is_found = find_label_issues(data.labels, probabilities, n_jobs=1)
    scores = get_label_quality_scores(data.labels, probabilities)
    probes = folds - 1.0
    epochs = probes * task.probe_epochs
    return of_training(
        trial,
        ordinary(trial, kept=~is_found),
        probes,
        **issue_figures(trial, is_found, scores, epochs),
    )


def true_labels(trial, is_adjusted=False, are_filtered=False):
    """On true labels, or on those given labels that are right."""
    data = trial.data
    kept = ~data.is_wrong if are_filtered else None
    evaluation = ordinary(
        trial, labels=data.true_labels, kept=kept, is_adjusted=is_adjusted
    )
    return of_training(trial, evaluation)


class MetaWeightNet(keras.layers.Layer):
    """Shu et al., 2019: loss `(batch, 1)` to weight `(batch,)`."""

    reads_current_loss = True

    def __init__(self):
        super().__init__(dtype="float32")
        self.hidden = keras.layers.Dense(100, activation="relu")
        self.weight = keras.layers.Dense(1, activation="sigmoid")
        self.hidden.build((None, 1))
        self.weight.build((None, 100))
        self.built = True

    def call(self, inputs):
        losses, _ = inputs
        return keras.ops.squeeze(self.weight(self.hidden(losses)), axis=-1)


def meta_weight_net(trial):
    """With a clean meta set; its probe is made, and not read."""
    weighted = kcn.CurveWeightedModel(
        trial.new_network(),
        curve_net=MetaWeightNet(),
        top_layers=None,
        soft_labels=False,
        balance_classes=False,
    )
    evaluation = fit_weighted(
        trial,
        weighted,
        trial.probe().curves,
        meta_data=trial.data.meta,
        meta_epochs=trial.task.epochs,
    )
    return of_training(trial, evaluation)


def as_published(trial):
    """CurveNet with a clean meta set, as its authors trained it."""
    curves = trial.waving_probe().curves
    weighted = kcn.CurveWeightedModel.as_published(trial.new_network(), curves)
    evaluation = fit_weighted(
        trial,
        weighted,
        curves,
        meta_data=trial.data.meta,
        meta_epochs=2 * trial.task.epochs // 5,
    )
    return of_training(trial, evaluation, probes=1)


def fit_weighted(trial, weighted, curves, callbacks=(), **arguments):
    """Fits a `CurveWeightedModel`; its `Evaluation`."""
    trial.compile(weighted)
    data = trial.data
    samples = kcn.with_sample_ids((data.inputs, data.labels))
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "error", message="The base model was trained for"
        )
        return trial.fit(
            weighted,
            trial.batches(samples),
            loss_curves=curves,
            callbacks=callbacks,
            **arguments,
        )


def weighted_by_curves(
    trial,
    network="by README's rule",
    meta_epochs=None,
    is_clean=False,
    num_checked=0,
    without_margins=False,
    momentum=None,
    **arguments,
):
    """`CurveWeightedModel` with its defaults, or what differs from them.

    Args:
        trial: `Trial`.
        network: `"by README's rule"`: the probe's network, but a fresh one
            where `fit` warns of it or features are pre-trained. Or `"fresh"`.
        meta_epochs: As of `fit`.
        is_clean: Bool, whether the meta set is the clean one.
        num_checked: Int, labels that somebody checked.
        without_margins: Bool, whether curves are of losses alone.
        momentum: Float, of averaged weights, or None.
        **arguments: Of `CurveWeightedModel`.
    """
    probe = trial.probe()
    curves = probe.curves
    if without_margins:
        curves = kcn.LossCurves(curves.values, curves.labels)
    checked = None
    if num_checked:
        is_right = ~trial.data.is_wrong
        ids = kcn.labels_to_check(curves, num_checked, seed=trial.seed)
        checked = {int(i): bool(is_right[i]) for i in ids}
    callbacks = []
    if momentum is not None:
        callbacks.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))

    def fitted(base):
        weighted = kcn.CurveWeightedModel(base, **arguments)
        evaluation = fit_weighted(
            trial,
            weighted,
            curves,
            callbacks,
            meta_epochs=meta_epochs,
            meta_data=trial.data.meta if is_clean else None,
            checked=checked,
        )
        return weighted, evaluation

    goes_on = network != "fresh" and not trial.task.is_pretrained
    base = trial.new_network()
    if goes_on:
        trial.compile(base)
        base.optimizer.iterations.assign(1)  # As one that was trained.
        base.set_weights(probe.weights)
    try:
        weighted, evaluation = fitted(base)
    except UserWarning:
        goes_on = False
        weighted, evaluation = fitted(trial.new_network())
    figures = weight_figures(trial, weighted) | {"goes_on": goes_on}
    if not without_margins:
        scores = kcn.label_quality_scores(curves, checked)
        epochs = trial.task.probe_epochs
        figures |= issue_figures(trial, scores < 0.5, scores, epochs)
        figures |= other_rankings(trial, curves)
    return of_training(trial, evaluation, probes=1, **figures)


def weight_figures(trial, weighted):
    """Mean weights, and what the trained model finds."""
    is_wrong = trial.data.is_wrong
    weights = weighted.sample_weights()
    scores = weighted.revised_label_quality_scores()
    figures = {
        "weight_right": weights[~is_wrong].mean(),
        "found_after": (scores < 0.5).mean(),
    }
    if is_wrong.any():
        figures["weight_wrong"] = weights[is_wrong].mean()
        figures["auroc_after"] = roc_auc_score(is_wrong, -scores)
    return figures


def other_rankings(trial, curves):
    """AUROC of simpler scores of the same probe."""
    is_wrong = trial.data.is_wrong
    if not is_wrong.any():
        return {}
    return {
        "auroc_mean_margin": roc_auc_score(
            is_wrong, -curves.margins.mean(axis=1)
        ),
        "auroc_last_loss": roc_auc_score(is_wrong, curves.values[:, -1]),
    }


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
    "fresh network": _by(weighted_by_curves, network="fresh"),
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

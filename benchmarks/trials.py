"""A task with a seed: its data and probes, how it is trained and judged."""

import functools
import time
from typing import NamedTuple

import baselines
import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import roc_auc_score

import keras_curvenet as kcn

_BETWEEN_EVALUATIONS = 5


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
        model = self.probing_network(
            kcn.with_sample_ids((self.data.inputs, self.data.labels)),
            [recorder, *callbacks, *self._backups(name)],
        )
        seconds = time.process_time() - start
        return Probe(recorder.loss_curves, model.get_weights(), seconds)

    def probing_network(self, samples, callbacks=(), num_outputs=None):
        """A network that was trained on samples as probes are."""
        model = self.new_network(num_outputs)
        self.compile(model, rate_factor=self.task.probe_factor)
        model.fit(
            self.batches(samples, augments=False),
            epochs=self.task.probe_epochs,
            callbacks=list(callbacks),
            shuffle=False,  # The dataset shuffles itself.
            verbose=0,
        )
        return model

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
            self._evaluate()

    def on_train_end(self, logs=None):
        if not self.accuracies:  # Resumed when nothing was left to train.
            self._evaluate()

    def _evaluate(self):
        logits = self.model.predict(self._inputs, batch_size=512, verbose=0)
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

"""What `CurveWeightedModel.fit` makes of its arguments."""

import dataclasses
import tempfile
from typing import Any

import numpy as np
import tensorflow as tf

from keras_curvenet.allocating.allocating_phases import changed_labels
from keras_curvenet.allocating.base_model import check_inputs
from keras_curvenet.allocating.base_model import class_outputs
from keras_curvenet.allocating.base_model import may_predict
from keras_curvenet.allocating.checked_targets import with_right_labels
from keras_curvenet.allocating.checked_targets import with_right_targets
from keras_curvenet.allocating.curve_net import CurveNet
from keras_curvenet.allocating.curve_net import reads_current_loss
from keras_curvenet.allocating.curve_net import weights_by
from keras_curvenet.allocating.curve_net import weights_of_all
from keras_curvenet.allocating.fit_arguments import with_curves
from keras_curvenet.allocating.meta_set import meta_set
from keras_curvenet.allocating.training_loss import BatchLoss
from keras_curvenet.allocating.training_loss import TrainingLoss
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.inspecting.checked_labels import CheckedLabels
from keras_curvenet.inspecting.checked_labels import as_answers
from keras_curvenet.inspecting.label_quality import label_quality_scores
from keras_curvenet.inspecting.label_quality import quality_logits
from keras_curvenet.inspecting.memorization import wrong_labels_stayed_unlearned
from keras_curvenet.probing.class_predictions import are_logits
from keras_curvenet.probing.distributed_data import refuse_different_data
from keras_curvenet.probing.filled_curves import never_seen
from keras_curvenet.probing.loss_curves import LossCurves
from keras_curvenet.probing.observed_labels import soft_rows
from keras_curvenet.replicas import of_all_replicas
from keras_curvenet.replicas import variable_of_all_replicas
from keras_curvenet.workers import sharded_by_data

# Rows that are worked on at a time.
_BLOCK = 65536

# Curves that take more are kept on the disk.
_MOST_BYTES = 2**28

# How far weights start below the label quality, in logits: a wrong label that
# is kept does more harm than a right one that is lost.
_CAUTION = 2.0

# Margins of diverged networks would outweigh all else.
_LARGEST_MARGIN = 20.0


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedCurves:
    """What CurveNet reads, a row for each sample, and what curves say of all.

    Args:
        curves: Float32 `(num_samples, curve_length)`: losses relative to the
            class, and margins beside them where there are any.
        labels: Int64 `(num_samples,)`, the observed class; -1 where unseen.
        start: Float32 `(num_samples,)`, the logit at which weights start: less
            than that of the label quality.
        may_be_memorized: Bool, whether the curves don't show that wrong labels
            stayed unlearned by the network that was probed.
    """

    curves: np.ndarray
    labels: np.ndarray
    start: np.ndarray
    may_be_memorized: bool

    @property
    def tables(self):
        """Tuple `(curves, labels, start)`."""
        return self.curves, self.labels, self.start

    def first(self, num_samples):
        """The rows of the first samples."""
        rows = (table[:num_samples] for table in self.tables)
        return PreparedCurves(*rows, self.may_be_memorized)


def prepared_curves(loss_curves, reads_margins=True, checked=None):
    """`PreparedCurves` of `LossCurves`, with their margins or without."""
    curves = _centered_rows(loss_curves, reads_margins)
    scores = label_quality_scores(loss_curves, checked)
    start = quality_logits(scores, lowered_by=_CAUTION)
    stayed = wrong_labels_stayed_unlearned(loss_curves, scores < 0.5)
    return PreparedCurves(curves, loss_curves.labels, start, not stayed)


def _centered_rows(loss_curves, reads_margins):
    """Float32 `(num_samples, curve_length)`: losses, and margins beside them.

    Rows of many samples are in a file without a name, which is mapped into
    memory and goes with the array.
    """
    skip_epochs = loss_curves.checked_skip_epochs()
    columns = [(1.0, c) for c in loss_curves.loss_columns[skip_epochs:]]
    margins = loss_curves.margin_columns
    if reads_margins and margins is not None:
        # Wrong labels have large losses, and low margins.
        columns += [(-1.0, column) for column in margins[skip_epochs:]]
    statistics = [
        loss_curves.statistics_of(sign * column) for sign, column in columns
    ]
    labels = loss_curves.labels
    rows = _empty_rows(len(labels), len(columns))
    for start in range(0, len(labels), _BLOCK):
        block = slice(start, start + _BLOCK)
        for index, (sign, column) in enumerate(columns):
            centered = statistics[index].centered(
                sign * column[block], labels[block]
            )
            if sign < 0.0:
                centered = np.clip(-centered, -_LARGEST_MARGIN, _LARGEST_MARGIN)
            rows[block, index] = centered
    return rows


def _empty_rows(num_rows, length):
    if num_rows * length * 4 <= _MOST_BYTES:
        return np.empty((num_rows, length), np.float32)
    file = tempfile.TemporaryFile()
    return np.memmap(file, np.float32, "w+", shape=(num_rows, length))


@dataclasses.dataclass(eq=False)
class PreparedFit:
    """What a training step reads beside its batch.

    Args:
        loss_curves: `LossCurves` of all samples.
        checked: `CheckedLabels` of some, or None.
        curves: `PreparedCurves` of all samples.
        loss: `TrainingLoss`.
        last_weights: Float32 variable `(num_samples,)`: the samples' weights
            once they are no longer learned.
        notes_last_weights: Bool, whether each step of learning notes them.
        compares_labels: Bool, whether targets are of the curves' classes.
        trusts_changed_labels: Bool, as of `fit`.
        meta_sample_ids: Int64 ids of the meta set, where the curves chose it.
        dataset: Batches for the training steps, beside meta batches.
    """

    loss_curves: LossCurves
    checked: CheckedLabels | None
    curves: PreparedCurves
    loss: TrainingLoss
    last_weights: Any
    notes_last_weights: bool
    compares_labels: bool
    trusts_changed_labels: bool
    meta_sample_ids: Any = None
    dataset: Any = None

    @property
    def num_samples(self):
        """Int: the number of sample ids."""
        return int(self.last_weights.shape[0])

    def note_all_weights(self, curve_net):
        """Notes every sample's weight by the present CurveNet."""
        weights = weights_of_all(curve_net, self.curves)
        self.last_weights.assign(weights[: self.num_samples])

    def sample_weights(self, curve_net):
        """Float32 array `(num_samples,)`: every sample's weight."""
        if self.notes_last_weights:
            return self.last_weights.numpy()
        return weights_of_all(curve_net, self.curves)


class PreparedBatch:
    """A batch after its forward pass: its loss and its weights.

    Args:
        prepared: `PreparedFit`.
        y, y_pred, sample_weight, sample_ids, trained_on: As of `BatchLoss`.
        curves: Tuple `(curves, labels, start)`: its rows of `PreparedCurves`.

    Attributes:
        loss: `BatchLoss`, a function of weights.
        changed: Bool `(batch,)`: where targets are not the curves' labels.
        soft: Bool `(batch,)`: where targets are between classes.
    """

    def __init__(
        self,
        prepared,
        y,
        y_pred,
        sample_weight,
        sample_ids,
        curves,
        trained_on=None,
    ):
        self._prepared, self._curves = prepared, curves
        self._sample_ids = sample_ids
        self.loss = BatchLoss(
            prepared.loss, y, y_pred, sample_weight, sample_ids, trained_on
        )
        self.changed = self.soft = tf.zeros_like(curves[1], tf.bool)
        if prepared.compares_labels:
            self.changed = changed_labels(y, y_pred, curves[1])
            self.soft = soft_rows(y, curves[1])

    def weights(self, curve_net, are_learned=True, training=False):
        """Float `(batch,)`: by the present CurveNet, or those that stay."""
        if are_learned:
            losses = None
            if reads_current_loss(curve_net):
                losses = self.loss.per_sample()
            weights = weights_by(curve_net, self._curves, losses, training)
        else:
            weights = tf.gather(self._prepared.last_weights, self._sample_ids)
        if not self._prepared.trusts_changed_labels:
            return weights
        return tf.where(self.changed, tf.ones_like(weights), weights)

    def note(self, weights, are_learned):
        """Notes what the batch was trained on, with weights `(batch,)`."""
        self.loss.note_targets(self._curves[1], weights)
        if are_learned and self._prepared.notes_last_weights:
            ids = of_all_replicas(self._sample_ids)
            rows = tf.IndexedSlices(of_all_replicas(weights), ids)
            self._prepared.last_weights.scatter_update(rows)


def prepared_fit(
    model,
    train,
    own_weights,
    loss_curves,
    meta_data,
    learns_weights,
    trusts_changed_labels,
    checked,
):
    """What a `fit` makes of its arguments, and its CurveNet if it has none.

    What follows the training of the same samples (running predictions, class
    frequencies, last weights) goes on from the `fit` before.

    Args:
        model: A compiled `CurveWeightedModel`.
        train: `TrainingBatches`.
        own_weights: Float `(num_samples,)`, the user's weight of each.
        learns_weights: Bool, whether the first epoch learns weights.
        loss_curves, meta_data, trusts_changed_labels, checked: As of its
            `fit`.

    Raises:
        TypeError, ValueError: If curves, model and data do not fit together.
    """
    earlier, num_samples = model.prepared, train.num_samples
    is_known = earlier is not None and (
        loss_curves is None or loss_curves is earlier.loss_curves
    )
    if is_known:
        loss_curves, curves = earlier.loss_curves, earlier.curves
    if is_known and checked is None:
        checked = earlier.checked
    else:
        _check_loss_curves(loss_curves)
        if checked is not None:
            checked = as_answers(checked, loss_curves)
        # A CurveNet made for the losses alone reads them alone.
        num_losses = loss_curves.num_epochs - loss_curves.checked_skip_epochs()
        expected = getattr(model.curve_net, "curve_length", None)
        curves = prepared_curves(loss_curves, expected != num_losses, checked)
    if len(curves.labels) < num_samples:
        raise invalid_value(
            "loss_curves",
            f"a curve for each of the {num_samples} samples of `x`",
            f"{len(curves.labels)} curves. Pass those of this dataset.",
        )
    if model.curve_net is None:
        model.curve_net = CurveNet(
            loss_curves.num_classes,
            curves.curves.shape[1],
            min_weight=0.0,
            corrects_quality=True,
        )
    _refuse_other_curves(model.curve_net, loss_curves, curves)
    num_classes = class_outputs(
        model.base_model,
        train.dataset.element_spec[0],
        model.compiled_losses.loss,
        loss_curves.num_classes,
    )
    are_targets_classes = (
        num_classes is not None
        and are_logits(model.compiled_losses.loss) is not None
    )
    if checked is not None and are_targets_classes:
        curves = with_right_labels(curves, checked)
        targets = with_right_targets(train.dataset, checked, len(curves.labels))
        train = train._replace(dataset=targets)
    prepared = PreparedFit(
        loss_curves,
        checked,
        curves,
        model.compiled_losses.training_loss(
            curves.first(num_samples),
            num_classes,
            model.switches,
            own_weights,
        ),
        variable_of_all_replicas(tf.ones([num_samples])),
        notes_last_weights=(
            model.keep_last_weights or reads_current_loss(model.curve_net)
        ),
        compares_labels=num_classes is not None,
        trusts_changed_labels=trusts_changed_labels,
    )
    if prepared.loss.from_logits is None and num_classes == 2:
        # Without a crossentropy, one output may be no binary decision.
        prepared.compares_labels = False
    if is_known and earlier.num_samples == num_samples:
        prepared.loss.go_on_from(earlier.loss)
        prepared.last_weights = earlier.last_weights
    elif model.keep_last_weights and not reads_current_loss(model.curve_net):
        prepared.note_all_weights(model.curve_net)
    _add_dataset(prepared, model, train, meta_data, learns_weights)
    return prepared


def _add_dataset(prepared, model, train, meta_data, learns_weights):
    """Adds the batches of the training steps, beside meta batches."""
    meta, held_out = tf.data.Dataset.from_tensors(0).repeat(), ()
    prepared.meta_sample_ids = model.meta_sample_ids
    if learns_weights:
        num_classes = getattr(model.curve_net, "num_classes", None)
        if not may_predict(model.base_model, num_classes):
            num_classes = None  # A `label_fn` made the curves' classes.
        prepared.meta_sample_ids, held_out, meta = meta_set(
            meta_data,
            train,
            prepared.loss_curves,
            prepared.checked,
            model.meta_batch_size,
            num_classes,
        )
        check_inputs(model.base_model, meta.element_spec[0], "meta_data")
        for part in (train.dataset, meta):
            refuse_different_data(model.distribute_strategy, part)
    batches = with_curves(train.dataset, prepared.curves, held_out)
    dataset = tf.data.Dataset.zip(batches, meta)
    prepared.dataset = sharded_by_data(dataset).prefetch(tf.data.AUTOTUNE)


def _check_loss_curves(loss_curves):
    """Raises where there are no curves to train with."""
    if loss_curves is None:
        raise invalid_value(
            "loss_curves",
            "the `LossCurves` of the training samples in the first `fit`",
            "loss_curves=None. Probe first, with `LossCurveRecorder`.",
        )
    if not isinstance(loss_curves, LossCurves):
        raise TypeError(
            "Invalid value for argument `loss_curves`. Expected a "
            "`LossCurves`, such as `recorder.loss_curves`. Received: "
            f"{type(loss_curves).__name__}."
        )
    if never_seen(loss_curves.loss_columns).all():
        raise invalid_value(
            "loss_curves",
            "the losses of samples that were seen",
            f"{loss_curves}, all NaN.",
        )


def _refuse_other_curves(curve_net, loss_curves, curves):
    """Raises ValueError where a network was made for other curves."""
    if reads_current_loss(curve_net):
        return
    received = {
        "curve_length": curves.curves.shape[1],
        "num_classes": loss_curves.num_classes,
    }
    for size, value in received.items():
        expected = getattr(curve_net, size, value)
        if expected != value:
            raise invalid_value(
                "loss_curves",
                f"curves for a CurveNet with {size}={expected}",
                f"{loss_curves}, which needs {size}={value}. Pass curves of "
                "the same probe, or make a new CurveWeightedModel.",
            )

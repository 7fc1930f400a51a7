"""LossCurveRecorder: gathers losses and margins while `fit` runs."""

import warnings
import weakref

import keras
import numpy as np

from keras_curvenet.checked_arguments import checked_bool
from keras_curvenet.checked_arguments import checked_path
from keras_curvenet.probing.batch_specs import check_batch_spec
from keras_curvenet.probing.curve_folder import CurveFolder
from keras_curvenet.probing.curve_folder import RecordedColumns
from keras_curvenet.probing.curve_storage import storage_at
from keras_curvenet.probing.distributed_data import dataset_behind
from keras_curvenet.probing.distributed_data import num_outputs
from keras_curvenet.probing.distributed_data import remember_dataset
from keras_curvenet.probing.epoch_record import EpochRecord
from keras_curvenet.probing.label_margins import margins_if_told
from keras_curvenet.probing.loss_curves import LossCurves
from keras_curvenet.probing.observed_labels import LABEL_ADVICE
from keras_curvenet.probing.observed_labels import observed_labels
from keras_curvenet.probing.predicted_probabilities import (
    predicted_probabilities,
)
from keras_curvenet.probing.recorded_training import record_training_steps
from keras_curvenet.probing.sample_ids import is_weighted
from keras_curvenet.probing.sample_ids import num_samples_of
from keras_curvenet.replicas import check_strategy
from keras_curvenet.replicas import has_strategy
from keras_curvenet.replicas import of_all_replicas
from keras_curvenet.workers import is_chief

# What the names of its arrays begin with in a backup.
_PREFIX = "recorder/"

# Which recorder a model was last given to.
_RECORDERS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def recorder_of(model):
    """The `LossCurveRecorder` of the `fit` that begins, or None."""
    return _RECORDERS.get(model)


class LossCurveRecorder(keras.callbacks.Callback):
    """Records every sample's loss in every epoch while `model.fit` runs.

    Give it to an ordinary `fit` of an ordinary compiled model, on a dataset
    made by `with_sample_ids`. The loss is taken inside the training step, from
    the forward pass that is made anyway: in training mode, on the (augmented)
    view the step saw, before the step's update, unweighted and without
    regularization terms. With several outputs it is the sum weighted with the
    compiled `loss_weights`; with several positions (time steps, pixels) the
    mean over the unmasked ones.

    Beside the loss stands the *margin*: the log-probability of the given label
    minus the largest one of the other classes, from the same predictions. Where
    it is negative, the model believes in another class. There are margins
    where one output predicts the classes, the targets are one of them each
    (without `label_fn`), and the loss is one of Keras's crossentropies or has
    an attribute `from_logits`.

    Each epoch appends one column. A `fit` with `initial_epoch=e` goes on at
    column e, and drops what was recorded from there on, with a warning. An
    interrupted epoch appends none. The model is as before after training.

    Any model works whose training step calls `compute_loss`. The recorder
    replaces the model's `train_step` and `compute_loss` while `fit` runs.
    Validation data may have ids or not; `class_weight` can't be used.

    Under `tf.distribute.MirroredStrategy`, make and compile the model in the
    strategy's scope, and call `recorder.set_model(model)` before `fit`: Keras
    looks at the data before it tells callbacks of the model.

    Reference: [Jiang et al., 2022](https://arxiv.org/abs/2201.00849), section
    on the probing stage; margins:
    [Pleiss et al., 2020](https://arxiv.org/abs/2001.10528).

    Args:
        filepath: Where the curves are saved after every epoch, or None. A
            path that ends with `.npz` is one file, written anew each time.
            Any other is a folder, in which each epoch's columns are files of
            their own, written once and mapped into memory afterwards: for
            many samples and epochs. `LossCurves.load` reads both. A recorder
            that has recorded nothing goes on from there when `fit` starts
            with `initial_epoch` > 0, as after a crash. Where an epoch can't
            be saved, training goes on with a warning.
        label_fn: Function from a batch of targets to int class labels
            `(batch,)`, traced into the training step, or None. By default
            integer targets are the class, one-hot ones by argmax, binary ones
            by 0.5; multi-hot and per-position targets and several outputs
            count as one class.
        record_predictions: Bool. Whether `mean_predictions` is recorded, for
            suggestions of better labels. It takes 8 bytes per sample and
            class, however many epochs.

    Attributes:
        loss_curves: `LossCurves` of the epochs recorded so far. Its `margins`
            are None unless all of these epochs have margins.
        mean_predictions: Float32 `(num_samples, num_classes)`: the class
            probabilities of each sample in the training steps, averaged over
            epochs that count by their median loss, since later the network
            knows wrong labels by heart. The largest suggests a label. Rows of
            zeros for samples that were never seen. Of the present process
            only, since columns were last replaced: not in the file. With a
            loss that has no `from_logits`, the outputs are taken as they are.

    Raises:
        ValueError: During `fit`, if the dataset has no sample ids, an id's
            label changes between epochs, a target is no class label, the loss
            gives no value per sample, or the training step never computes it.

    Example:

    ```python
    import keras
    import keras_curvenet as kcn
    import numpy as np

    x = np.random.default_rng(0).normal(size=(64, 4))
    y = (x[:, 0] > 0).astype("int32")
    train = kcn.with_sample_ids((x, y))
    model = keras.Sequential([keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    recorder = kcn.LossCurveRecorder()
    model.fit(train.shuffle(64).batch(16), epochs=3, callbacks=[recorder])
    recorder.loss_curves.values.shape  # (64, 3)
    ```
    """

    def __init__(self, filepath=None, label_fn=None, record_predictions=False):
        super().__init__()
        if label_fn is not None and not callable(label_fn):
            raise TypeError(
                "Invalid value for argument `label_fn`. Expected a function "
                f"or None. Received: label_fn={label_fn!r}."
            )
        if filepath is not None:
            filepath = checked_path("filepath", filepath)
        self.filepath = filepath
        self.label_fn = label_fn
        self.record_predictions = checked_bool(
            "record_predictions", record_predictions
        )
        self._columns = []  # What complete epochs left behind.
        self._margin_columns = []  # None where an epoch has no margins.
        self._labels = None
        self._num_classes = None
        self._record = None  # What the training step writes into.
        self._traced_num_classes = None
        self._next_column = None
        self._steps = 0
        self._is_weighted = None
        self._warned_not_finite = False
        self._warned_no_margins = False
        self._warned_not_saved = False
        self._storage = None if filepath is None else storage_at(filepath)
        self._is_saved = True  # Whatever `_storage` should hold.
        self._restore = None

    @property
    def loss_curves(self):
        if not self._columns:
            raise ValueError(
                "No loss curves yet. Expected at least one complete epoch of "
                "`model.fit(..., callbacks=[recorder])`. Received: 0 epochs."
            )
        return LossCurves.of_columns(self._recorded())

    @property
    def mean_predictions(self):
        record = self._record
        if not self._columns or not (record and record.has_predictions):
            raise ValueError(
                "No predictions were recorded. Expected at least one complete "
                "epoch with `LossCurveRecorder(record_predictions=True)`. "
                f"Received: record_predictions={self.record_predictions}, "
                f"{len(self._columns)} epochs."
            )
        sums = record.summed_predictions()
        totals = sums.sum(axis=1, keepdims=True)
        return sums / np.where(totals > 0.0, totals, 1.0)

    def set_model(self, model):
        super().set_model(model)
        _RECORDERS[model] = self
        if has_strategy(model):
            remember_dataset(model)

    def on_train_begin(self, logs=None):
        model = self.model
        check_strategy(model, "LossCurveRecorder")
        self._next_column = None
        self._is_weighted = None
        if self._storage and is_chief(model.distribute_strategy):
            self._storage.open()
        self._restore = record_training_steps(
            model, before_step=self._before_step, write=self._write
        )

    def on_epoch_begin(self, epoch, logs=None):
        if self._next_column is None:
            try:
                self._start_at(epoch)
            except ValueError:
                self._restore()
                raise
        self._steps = 0
        if self._record is not None:
            self._record.clear()

    def on_epoch_end(self, epoch, logs=None):
        record = self._record
        try:
            self._check(record, epoch)
        except ValueError:
            self._restore()
            raise
        if self._was_interrupted():
            warnings.warn(
                f"Epoch {epoch + 1} was stopped before its end. Its losses are "
                "not recorded.",
                stacklevel=2,
            )
            return
        column = record.losses.numpy()
        margin_columns = self._margin_columns_with(record)
        self._columns = [*self._columns[: self._next_column], column]
        self._margin_columns = margin_columns
        if self.record_predictions:
            finite = column[np.isfinite(column)]
            if finite.size:
                lowest = min(0.0, finite.min())  # Losses may be negative.
                record.add_predictions(np.median(finite) - lowest)
        self._next_column += 1
        self._labels = record.labels.numpy()
        self._num_classes = self._traced_num_classes
        if record.is_multi_hot():
            self._labels, self._num_classes = np.zeros_like(self._labels), 1
        not_finite = int(np.isposinf(column).sum())
        if not_finite and not self._warned_not_finite:
            self._warned_not_finite = True
            warnings.warn(
                f"{not_finite} of {record.num_samples} samples had a loss that "
                f"was not finite in epoch {epoch + 1}. It is recorded as +inf. "
                "Lower the learning rate if training diverged.",
                stacklevel=2,
            )
        if self._storage and is_chief(self.model.distribute_strategy):
            self._save(epoch)

    def on_train_end(self, logs=None):
        self._restore()
        _RECORDERS.pop(self.model, None)
        if self._storage:
            self._storage.close()

    # What BackupAndResume calls.

    def keep_in(self, path):
        """Keeps the curves in a folder, where they have no place yet."""
        if self._storage is None:
            self._storage = CurveFolder(path)
            if is_chief(self.model.distribute_strategy):
                self._storage.open()

    def has_saved(self, epoch):
        """Bool: whether the curves on the disk are those of `epoch` epochs."""
        return self._is_saved and len(self._columns) == epoch

    def arrays(self, within_epoch):
        """Dict of arrays that a later process needs beside the curves."""
        arrays = self._record.arrays(within_epoch)
        return {_PREFIX + name: array for name, array in arrays.items()}

    def go_on_from(self, epoch, arrays):
        """Takes over the curves and arrays of an earlier process.

        Args:
            epoch: Int, how many epochs count.
            arrays: Dict, in which those of `arrays` are among others.

        Raises:
            ValueError: If there are curves of fewer epochs.
        """
        if epoch == 0:
            return
        recorded = self._storage.load()
        if len(recorded.losses) < epoch:
            raise ValueError(
                "Invalid value for argument `backup_dir`. Expected the loss "
                f"curves of {epoch} epochs in '{self._storage.path}', to go on "
                f"from there. Received: {len(recorded.losses)} epochs. Remove "
                "both folders to start anew."
            )
        margins = recorded.margins
        self._go_on_from(
            recorded._replace(
                losses=recorded.losses[:epoch],
                margins=margins and margins[:epoch],
            )
        )
        self._record.assign(_of_record(arrays))

    def go_on_within(self, step, arrays):
        """Takes over what the epoch's first steps recorded."""
        arrays = _of_record(arrays)
        if self._record is None:
            self._record = self._new_record(len(arrays["losses"]))
        self._record.assign(arrays)
        self._steps = step

    def _recorded(self):
        return RecordedColumns(
            self._columns, self._margin_columns, self._labels, self._num_classes
        )

    def _save(self, epoch):
        """Writes what is not written yet; training goes on if it can't be."""
        try:
            stored = self._storage.save(self._recorded())
        except OSError as error:
            self._is_saved = False
            if not self._warned_not_saved:
                self._warned_not_saved = True
                warnings.warn(
                    f"The curves of epoch {epoch + 1} could not be saved to "
                    f"'{self._storage.path}' ({error}). What was there before "
                    "is as it was. Every following epoch tries again.",
                    stacklevel=3,
                )
            return
        self._is_saved = True
        self._columns, self._margin_columns = stored.losses, stored.margins

    def _margin_columns_with(self, record):
        """The margins of all epochs, or None where one of them has none."""
        earlier = self._margin_columns if self._next_column else []
        margins = record.known_margins()
        if earlier is not None and margins is not None:
            return [*earlier[: self._next_column], margins]
        some = earlier or margins is not None
        if some and not record.is_multi_hot() and not self._warned_no_margins:
            self._warned_no_margins = True
            lacking = "earlier epochs" if earlier is None else "later epochs"
            warnings.warn(
                "`loss_curves.margins` is None from now on. Expected margins "
                f"in every epoch. Received: {lacking} without, from a file "
                "without margins or a loss that has none. Record all epochs "
                "anew with `initial_epoch=0` to have them.",
                stacklevel=3,
            )
        return None

    def _was_interrupted(self):
        """Bool: whether a callback stopped training within the epoch."""
        steps = self.params.get("steps")
        if steps is None or not self.model.stop_training:
            return False
        return self._steps * self.model.steps_per_execution < steps

    def _start_at(self, epoch):
        """Makes column `epoch` the next one to be recorded."""
        if (
            epoch > 0
            and not self._columns
            and self._storage
            and self._storage.exists()
        ):
            self._go_on_from(self._storage.load())
        recorded = len(self._columns)
        if epoch > recorded:
            raise ValueError(
                "Invalid value for argument `initial_epoch`. Expected at most "
                f"{recorded}, the number of epochs this recorder has "
                f"recorded. Received: initial_epoch={epoch}. Start at "
                f"{recorded}, or use the recorder (or its `filepath`) that "
                "recorded the earlier epochs."
            )
        if epoch < recorded:
            warnings.warn(
                f"The recorder holds {recorded} epochs and training starts at "
                f"epoch {epoch}: the columns from {epoch} on are replaced "
                "when its first epoch is complete. Use a new LossCurveRecorder "
                "to keep them.",
                stacklevel=2,
            )
            if self._record is not None:
                self._record.forget_predictions()
        self._next_column = epoch

    def _go_on_from(self, recorded):
        """Takes over `RecordedColumns` of an earlier process."""
        self._columns, self._margin_columns = recorded.losses, recorded.margins
        self._labels, self._num_classes = recorded.labels, recorded.num_classes
        self._record = self._new_record(len(recorded.labels))
        self._record.labels.assign(recorded.labels)
        self._record.set_multi_hot(recorded.num_classes == 1)

    def _new_record(self, num_samples):
        with self.model.distribute_strategy.scope():
            return EpochRecord(num_samples)

    def _before_step(self, iterator):
        """Counts steps and, at the first, makes room for the dataset's ids.

        Returns:
            Bool: whether the dataset has sample weights of its own.
        """
        self._steps += 1
        if self._is_weighted is None:
            dataset = dataset_behind(iterator, self.model)
            num_samples = num_samples_of(dataset)
            check_batch_spec(dataset.element_spec)
            self._prepare(num_samples)
            if self.record_predictions and has_strategy(self.model):
                # A step can't make variables on several replicas.
                width = num_outputs(self.model, dataset.element_spec[0])
                self._record.make_predictions(max(width, 2))
            self._is_weighted = is_weighted(dataset)
        return self._is_weighted

    def _prepare(self, num_samples):
        """Makes room for as many samples as the dataset has ids."""
        if self._next_column == 0 and self._steps == 1:
            self._record = self._new_record(num_samples)
        elif self._record.num_samples != num_samples:
            raise ValueError(
                "Expected the dataset whose first epochs were recorded, with "
                f"{self._record.num_samples} samples. Received: a dataset with "
                f"{num_samples}. Use a new LossCurveRecorder, starting at "
                "initial_epoch=0."
            )

    def _write(self, y, y_pred, losses, sample_ids):
        """Writes a batch into the record; runs while the step is traced."""
        labels, num_classes, invalid, not_one_hot = observed_labels(
            y, y_pred, self.label_fn
        )
        self._traced_num_classes = num_classes
        margins = margins_if_told(self.model.loss, y_pred, labels, num_classes)
        sample_ids = of_all_replicas(sample_ids)
        self._record.write(
            sample_ids,
            of_all_replicas(losses),
            None if margins is None else of_all_replicas(margins),
            of_all_replicas(labels),
            of_all_replicas(invalid),
            of_all_replicas(not_one_hot),
        )
        if self.record_predictions:
            probabilities = predicted_probabilities(self.model.loss, y_pred)
            self._record.write_predictions(
                sample_ids, of_all_replicas(probabilities)
            )

    def _check(self, record, epoch):
        """Raises ValueError where the epoch's record can't be trusted."""
        problems = record.problems() if record else {}
        if not any(problems.values()):
            raise ValueError(
                "LossCurveRecorder recorded nothing in epoch "
                f"{epoch + 1}. Expected batches with sample ids in the "
                "training step. Received: none. Use one recorder per `fit`, "
                "and a dataset that is not empty."
            )
        if problems["out of range"]:
            raise ValueError(
                "Expected sample ids from 0 to "
                f"{record.num_samples - 1}. Received: "
                f"{problems['out of range']} id(s) outside, in epoch "
                f"{epoch + 1}. Do not change the ids that `with_sample_ids` "
                "gave. The epoch was not recorded."
            )
        if problems["invalid labels"]:
            raise ValueError(
                "Expected targets that are class labels: integers from 0 to "
                "the number of outputs - 1, one-hot rows, or binary targets in "
                f"[0, 1]. Received: {problems['invalid labels']} target(s) of "
                f"another kind in epoch {epoch + 1}. Correct them. If the "
                f"targets are no classes: {LABEL_ADVICE} The epoch was not "
                "recorded."
            )
        if problems["changed labels"]:
            raise ValueError(
                "Expected a sample id to name the same sample in every epoch. "
                f"Received: {problems['changed labels']} id(s) whose label "
                f"changed in epoch {epoch + 1}. The dataset's order differs "
                "from epoch to epoch: call `with_sample_ids` before `shuffle`, "
                "not after it. The epoch was not recorded."
            )


def _of_record(arrays):
    """The arrays of a backup that are an `EpochRecord`'s."""
    return {
        name.removeprefix(_PREFIX): array
        for name, array in arrays.items()
        if name.startswith(_PREFIX)
    }

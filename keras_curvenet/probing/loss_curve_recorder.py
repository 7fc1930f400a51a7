"""LossCurveRecorder: gathers every sample's loss while `fit` runs."""

import functools
import inspect
import os
import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.probing.loss_curves import LossCurves
from keras_curvenet.probing.observed_labels import LABEL_ADVICE
from keras_curvenet.probing.observed_labels import observed_labels
from keras_curvenet.probing.per_sample_loss import PerSampleLoss
from keras_curvenet.probing.sample_ids import num_samples_behind
from keras_curvenet.probing.sample_ids import split_sample_ids


class LossCurveRecorder(keras.callbacks.Callback):
    """Records every sample's loss in every epoch while `model.fit` runs.

    Give it to an ordinary `fit` of an ordinary compiled model, on a dataset
    made by `with_sample_ids`. The loss is taken inside the training step, from
    the forward pass that is made anyway: in training mode, on the (augmented)
    view the step saw, before the step's update, unweighted and without
    regularization terms. With several outputs it is the sum weighted with the
    compiled `loss_weights`; with several positions (time steps, pixels) the
    mean over the unmasked ones.

    Each epoch appends one column. A `fit` with `initial_epoch=e` goes on at
    column e, and drops what was recorded from there on, with a warning. An
    interrupted epoch appends none. The model is as before after training.

    Any model works whose training step calls `compute_loss`. The recorder
    replaces the model's `train_step` and `compute_loss` while `fit` runs.
    Models made under a `tf.distribute` strategy of several replicas are
    refused for now.

    Reference: [Jiang et al., 2022](https://arxiv.org/abs/2201.00849), section
    on the probing stage.

    Args:
        filepath: Path of a `.npz` file to which the curves are saved after
            every epoch, or None. A recorder that has recorded nothing reads
            it when `fit` starts with `initial_epoch` > 0, so that a probe
            goes on after a crash.
        label_fn: Function from a batch of targets to int class labels
            `(batch,)`, traced into the training step, or None. By default
            integer targets are the class, one-hot ones by argmax, binary ones
            by 0.5; multi-hot and per-position targets and several outputs
            count as one class.

    Attributes:
        loss_curves: `LossCurves` of the epochs recorded so far.

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

    def __init__(self, filepath=None, label_fn=None):
        super().__init__()
        if label_fn is not None and not callable(label_fn):
            raise TypeError(
                "Invalid value for argument `label_fn`. Expected a function "
                f"or None. Received: label_fn={label_fn!r}."
            )
        self.filepath = None if filepath is None else os.fspath(filepath)
        self.label_fn = label_fn
        self._columns = []  # What complete epochs left behind.
        self._labels = None
        self._num_classes = None
        self._record = None  # What the training step writes into.
        self._traced_num_classes = None
        self._next_column = None
        self._warned_not_finite = False
        self._restore = None

    @property
    def loss_curves(self):
        if not self._columns:
            raise ValueError(
                "No loss curves yet. Expected at least one complete epoch of "
                "`model.fit(..., callbacks=[recorder])`. Received: 0 epochs."
            )
        values = np.stack(self._columns, axis=1)
        unseen = np.isnan(values).all(axis=1)
        labels = np.where(unseen, -1, self._labels)
        return LossCurves(values, labels, self._num_classes)

    def on_train_begin(self, logs=None):
        model = self.model
        if model.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError(
                "LossCurveRecorder works on one device for now. Received: "
                f"model '{model.name}' on "
                f"{model.distribute_strategy.num_replicas_in_sync} replicas. "
                "Build and probe the model outside the strategy's scope."
            )
        self._next_column = None
        self._restore = _record_training_steps(model, self)

    def on_epoch_begin(self, epoch, logs=None):
        if self._next_column is None:
            try:
                self._start_at(epoch)
            except ValueError:
                self._restore()
                raise
        if self._record is not None:
            self._record.clear()

    def on_epoch_end(self, epoch, logs=None):
        record = self._record
        try:
            self._check(record, epoch)
        except ValueError:
            self._restore()
            raise
        column = record.losses.numpy()
        self._columns = [*self._columns[: self._next_column], column]
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
        if self.filepath is not None:
            self.loss_curves.save(self.filepath)

    def on_train_end(self, logs=None):
        self._restore()

    def _start_at(self, epoch):
        """Makes column `epoch` the next one to be recorded."""
        if (
            epoch > 0
            and not self._columns
            and self.filepath is not None
            and os.path.exists(self.filepath)
        ):
            self._go_on_from(LossCurves.load(self.filepath))
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
        self._next_column = epoch

    def _go_on_from(self, curves):
        """Takes over curves that an earlier process recorded."""
        self._columns = list(curves.values.T)
        self._labels, self._num_classes = curves.labels, curves.num_classes
        self._record = _EpochRecord(curves.num_samples)
        self._record.labels.assign(curves.labels)
        self._record.set_multi_hot(curves.num_classes == 1)

    def _prepare(self, iterator):
        """Makes room for as many samples as the dataset has ids."""
        num_samples = num_samples_behind(iterator)
        if self._next_column == 0:
            self._record = _EpochRecord(num_samples)
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
        self._record.write(sample_ids, losses, labels, invalid, not_one_hot)

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


class _EpochRecord:
    """Variables that the training step writes an epoch's losses into."""

    _PROBLEMS = ("written", "out of range", "invalid labels", "changed labels")

    def __init__(self, num_samples):
        self.num_samples = num_samples
        self.losses = tf.Variable(
            tf.fill([num_samples], np.float32(np.nan)), trainable=False
        )
        self.labels = tf.Variable(
            tf.fill([num_samples], np.int64(-1)), trainable=False
        )
        self._counts = tf.Variable(
            tf.zeros([len(self._PROBLEMS)], tf.int64), trainable=False
        )
        self._multi_hot = tf.Variable(False, trainable=False)

    def clear(self):
        """Forgets the losses of the epoch before, and keeps the labels."""
        self.losses.assign(tf.fill([self.num_samples], np.float32(np.nan)))
        self._counts.assign(tf.zeros_like(self._counts))

    def write(self, sample_ids, losses, labels, invalid, not_one_hot):
        """Writes a batch; all arguments have shape `(batch,)`."""
        in_range = (sample_ids >= 0) & (sample_ids < self.num_samples)
        rows = tf.clip_by_value(sample_ids, 0, self.num_samples - 1)
        earlier = tf.gather(self.labels, rows)
        # Argmax means nothing on multi-hot rows, and they need no label.
        is_multi_hot = self._multi_hot | tf.reduce_any(not_one_hot)
        changed = (earlier >= 0) & (earlier != labels) & in_range
        changed &= tf.logical_not(is_multi_hot)
        losses = tf.where(tf.math.is_finite(losses), losses, np.inf)
        # An id out of range ends the epoch with an error (there is no way to
        # raise one inside XLA); until then it overwrites nothing.
        losses = tf.where(in_range, losses, tf.gather(self.losses, rows))
        labels = tf.where(in_range & ~invalid & ~changed, labels, earlier)
        self.losses.scatter_update(tf.IndexedSlices(losses, rows))
        self.labels.scatter_update(tf.IndexedSlices(labels, rows))
        self._multi_hot.assign(is_multi_hot)
        counted = (in_range, ~in_range, invalid, changed)
        self._counts.assign_add(
            tf.stack([tf.math.count_nonzero(flags) for flags in counted])
        )

    def problems(self):
        """Dict of what was counted in this epoch."""
        return dict(
            zip(self._PROBLEMS, self._counts.numpy().tolist(), strict=True)
        )

    def is_multi_hot(self):
        """Bool: whether a target had another number of classes than one."""
        return bool(self._multi_hot.numpy())

    def set_multi_hot(self, is_multi_hot):
        """Sets what earlier epochs showed."""
        self._multi_hot.assign(is_multi_hot)


def _record_training_steps(model, recorder):
    """Replaces the model's training step by one that records its losses.

    Returns:
        A function that puts the model back into its earlier state. Keras does
        not call `on_train_end` after an exception: then it is called where a
        training step raised, and at the latest where the next `fit` begins.
    """
    if getattr(model.train_step, "is_recorded", False):
        raise ValueError(
            "Invalid value for argument `callbacks`. Expected one recorder in "
            "a `fit`. Received: several LossCurveRecorders. Leave one out."
        )
    per_sample_loss = PerSampleLoss(model)
    train_step, compute_loss = model.train_step, model.compute_loss
    signature = inspect.signature(compute_loss)
    names = ("train_step", "compute_loss", "make_train_function")
    own = {name: vars(model)[name] for name in names if name in vars(model)}
    make_train_function = model.make_train_function
    pending_ids = []

    @functools.wraps(train_step)
    def recorded_train_step(data):
        data, sample_ids = split_sample_ids(data)
        pending_ids[:] = [sample_ids]
        logs = train_step(data)
        if pending_ids:
            raise ValueError(
                "LossCurveRecorder takes the losses where a training step "
                "computes them. Expected a `train_step` that calls "
                "`self.compute_loss(x, y, y_pred, sample_weight)`. Received: "
                f"model '{model.name}', whose `train_step` never does."
            )
        return logs

    @functools.wraps(compute_loss)
    def recorded_compute_loss(*args, **kwargs):
        call = signature.bind(*args, **kwargs)
        y, y_pred = call.arguments["y"], call.arguments["y_pred"]
        if pending_ids:
            losses = per_sample_loss(y, y_pred)
            recorder._write(y, y_pred, losses, pending_ids.pop())
        if "sample_weight" in call.arguments:
            call.arguments["sample_weight"] = per_sample_loss.aligned(
                y, y_pred, call.arguments["sample_weight"]
            )
        return compute_loss(*call.args, **call.kwargs)

    def recorded(train_function):
        is_prepared = False

        def recorded_train_function(iterator):
            nonlocal is_prepared
            try:
                if not is_prepared:
                    recorder._prepare(iterator)
                    is_prepared = True
                return train_function(iterator)
            except (StopIteration, tf.errors.OutOfRangeError):
                raise  # The end of the data.
            except BaseException as error:
                restore()
                _raise_if_about_labels(error)
                raise

        return recorded_train_function

    def make_recorded_train_function(force=False):
        if not force:  # Another `fit` begins, after one that was interrupted.
            restore()
            model.make_train_function()
            return
        make_train_function(force=True)
        model.train_function = recorded(model.train_function)

    def restore():
        for name in names:
            if name in own:
                setattr(model, name, own[name])
            elif name in vars(model):
                delattr(model, name)
        model.train_function = None

    recorded_train_step.is_recorded = True
    model.train_step = recorded_train_step
    model.compute_loss = recorded_compute_loss
    model.make_train_function = make_recorded_train_function
    model.make_train_function(force=True)
    return restore


def _raise_if_about_labels(error):
    """A ValueError for what TensorFlow says of labels out of range on a CPU."""
    if isinstance(error, tf.errors.InvalidArgumentError):
        if "label value" in str(error):
            raise ValueError(
                "Expected targets that are class labels, integers from 0 to "
                "the number of outputs - 1. Received: a label out of range "
                f"({error.message.splitlines()[0]}). Correct the labels, or "
                "give the model as many outputs as there are classes."
            ) from error

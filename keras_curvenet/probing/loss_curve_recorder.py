"""LossCurveRecorder: gathers losses and predictions while `fit` runs."""

import contextlib
import warnings

import keras
import tensorflow as tf

from keras_curvenet.checked_arguments import as_path
from keras_curvenet.checked_arguments import invalid_type
from keras_curvenet.probing.class_predictions import predictions_if_told
from keras_curvenet.probing.distributed_data import check_batch_spec
from keras_curvenet.probing.distributed_data import dataset_behind
from keras_curvenet.probing.distributed_data import refuse_endless_epoch
from keras_curvenet.probing.distributed_data import remember_dataset
from keras_curvenet.probing.epoch_record import refuse_problems
from keras_curvenet.probing.loss_curves import LossCurves
from keras_curvenet.probing.observed_labels import observed_labels
from keras_curvenet.probing.observed_labels import soft_rows
from keras_curvenet.probing.recorded_training import record_training_steps
from keras_curvenet.probing.recording import Recording
from keras_curvenet.probing.sample_ids import is_weighted
from keras_curvenet.probing.sample_ids import num_samples_of
from keras_curvenet.replicas import check_strategy
from keras_curvenet.replicas import has_strategy
from keras_curvenet.replicas import of_all_replicas


class LossCurveRecorder(keras.callbacks.Callback):
    """Records every sample's loss in every epoch while `model.fit` runs.

    The loss is that of the training step's own forward pass: before the update,
    unweighted, without regularization, the mean over positions that count, the
    sum over outputs weighted with `loss_weights`. Where one output predicts
    classes, the likeliest one stands beside it, and the *margin*: the
    log-probability of the given label minus the largest one of the others.
    What is masked, of the loss's `ignore_class`, or of sample weight 0 does not
    count: a position is left out of the mean, and such a sample (unlabelled,
    say) is never seen.

    Each complete epoch appends one column. A `fit` with `initial_epoch=e` goes
    on at column e. The model is as before after training. Under a
    `tf.distribute` strategy, call `recorder.set_model(model)` before `fit`. A
    model whose own `fit` takes elements apart (a KerasHub task) can't have ids:
    map its preprocessor over the data, and fit `keras.Model(task.inputs,
    task.outputs)`, which shares its weights.

    Reference: [Jiang et al., 2022](https://arxiv.org/abs/2201.00849); margins:
    [Pleiss et al., 2020](https://arxiv.org/abs/2001.10528).

    Args:
        filepath: Where the curves are saved after every epoch, or None: one
            `.npz` file, or a folder with a file for each epoch. A new recorder
            goes on from it, where `initial_epoch` > 0.
        label_fn: Function from a batch of targets to int class labels
            `(batch,)`, or None: integer targets are the class, one-hot ones by
            argmax, binary ones by 0.5; all others count as one class.

    Attributes:
        loss_curves: `LossCurves` of the epochs recorded so far.

    Raises:
        ValueError: During `fit`, if data, targets, loss or training step are
            not such that a class and a loss are known for each sample id.

    Example:

    ```python
    import keras
    import keras_curvenet as kcn
    import numpy as np

    train = kcn.with_sample_ids((np.ones((64, 4)), np.arange(64) % 2))
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
            raise invalid_type(
                "label_fn", "a function or None", f"label_fn={label_fn!r}."
            )
        if filepath is not None:
            filepath = as_path("filepath", filepath)
        self.filepath = filepath
        self.label_fn = label_fn
        self._recording = Recording(filepath)
        self._is_weighted = None
        self._traced_num_classes = None
        self._restore = None

    @property
    def loss_curves(self):
        if not self._recording.columns.losses:
            raise ValueError(
                "No loss curves yet. Expected at least one complete epoch of "
                "`model.fit(..., callbacks=[recorder])`. Received: 0 epochs."
            )
        return LossCurves.of_columns(self._recording.columns)

    def set_model(self, model):
        super().set_model(model)
        self._recording.belongs_to(model)
        if has_strategy(model):
            remember_dataset(model)

    def on_train_begin(self, logs=None):
        check_strategy(self.model, "LossCurveRecorder")
        self._is_weighted = None
        self._recording.open()
        self._restore = record_training_steps(
            self.model, before_step=self._before_step, write=self._write
        )

    def on_epoch_begin(self, epoch, logs=None):
        with self._restoring_after_errors():
            self._recording.begin_epoch(epoch)

    def on_epoch_end(self, epoch, logs=None):
        with self._restoring_after_errors():
            refuse_problems(self._recording.present, epoch)
        if self._was_interrupted():
            warnings.warn(
                f"Epoch {epoch + 1} was stopped before its end. Its losses are "
                "not recorded.",
                stacklevel=2,
            )
            return
        self._recording.add_epoch(epoch, self._traced_num_classes)

    def on_train_end(self, logs=None):
        self._restore()
        self._recording.close(self.model)

    @contextlib.contextmanager
    def _restoring_after_errors(self):
        try:
            yield
        except ValueError:
            self._restore()
            raise

    def _was_interrupted(self):
        """Bool: whether a callback stopped training within the epoch."""
        steps = self.params.get("steps")
        if steps is None or not self.model.stop_training:
            return False
        made = self._recording.num_steps * self.model.steps_per_execution
        return made < steps

    def _before_step(self, iterator):
        """Counts steps and, at the first, makes room for the dataset's ids.

        Returns:
            Bool: whether the dataset has sample weights of its own.
        """
        self._recording.num_steps += 1
        if self._is_weighted is None:
            dataset = dataset_behind(self.model, iterator)
            num_samples = num_samples_of(dataset)
            check_batch_spec(dataset.element_spec)
            refuse_endless_epoch(dataset, self.params.get("steps"))
            self._recording.make_room(num_samples)
            self._is_weighted = is_weighted(dataset)
        return self._is_weighted

    def _write(self, y, y_pred, losses, counted, sample_ids):
        """Writes a batch into the record; runs while the step is traced."""
        labels, num_classes, invalid, not_one_hot = observed_labels(
            y, y_pred, self.label_fn
        )
        self._traced_num_classes = num_classes
        if counted is None:
            counted = tf.ones_like(invalid)
        margins, predicted = predictions_if_told(
            self.model.loss, y_pred, labels, num_classes
        )
        self._recording.present.write(
            of_all_replicas(sample_ids),
            of_all_replicas(counted),
            of_all_replicas(losses),
            None if margins is None else of_all_replicas(margins),
            None if predicted is None else of_all_replicas(predicted),
            of_all_replicas(labels),
            of_all_replicas(invalid),
            of_all_replicas(not_one_hot),
            of_all_replicas(soft_rows(y, labels)),
        )

"""BackupAndResume: training that was killed goes on where it was."""

import os
import warnings

import keras
import numpy as np

from keras_curvenet.checked_arguments import as_int
from keras_curvenet.checked_arguments import as_path
from keras_curvenet.private_names import build_symbolically
from keras_curvenet.private_names import set_first_epoch
from keras_curvenet.probing.distributed_data import dataset_behind
from keras_curvenet.probing.distributed_data import remember_dataset
from keras_curvenet.probing.epoch_order import set_epoch
from keras_curvenet.probing.recording import recording_of
from keras_curvenet.replicas import check_strategy
from keras_curvenet.replicas import has_strategy
from keras_curvenet.resuming.backup_folder import Backup
from keras_curvenet.resuming.backup_folder import BackupFolder
from keras_curvenet.resuming.training_state import arrays_of
from keras_curvenet.resuming.training_state import assign_backup
from keras_curvenet.resuming.training_state import fits
from keras_curvenet.workers import is_chief
from keras_curvenet.workers import refuse_different_workers


class BackupAndResume(keras.callbacks.Callback):
    """Lets a script that was killed go on where it was, started again.

    Give it to the `fit` of either stage, as the last callback. After every
    epoch, all that decides the next step is written to the disk: variables,
    random seeds, optimizers, curves. When `fit` finds a backup, it goes on from
    there; one that had come to its end trains nothing.

    On one device the result is the same bit for bit, where the script calls
    `keras.utils.set_random_seed`, an epoch is a whole pass over the data, the
    data's order depends on nothing but the epoch (as with `shuffle_by_epoch`,
    or arrays given to `CurveWeightedModel.fit`), and random augmentation is in
    the model. Other callbacks that remember, as `EarlyStopping`, begin anew.

    The two newest backups are kept. Damaged ones are passed over, and where one
    can't be written, training goes on, with a warning. To start anew, remove
    the folder. Several workers share one; the chief writes into it.

    Args:
        backup_dir: Path of a folder for this training only. `fit`s that go on
            with the same model (`initial_epoch`) share it. A recorder without
            `filepath` keeps its curves there as well.
        save_freq: `"epoch"`, or an int >= 1: also after so many steps in an
            epoch. Steps that were made are then passed over without training.

    Raises:
        ValueError: During `fit`, if the model is not built, or the folder is
            another training's or holds damaged backups only.

    Example:

    ```python
    import keras
    import keras_curvenet as kcn
    import numpy as np

    keras.utils.set_random_seed(0)
    train = kcn.with_sample_ids((np.ones((64, 4)), np.ones(64)))
    train = kcn.shuffle_by_epoch(train, buffer_size=64).batch(16)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callbacks = [kcn.LossCurveRecorder(), kcn.BackupAndResume("backup")]
    model.fit(train, epochs=3, callbacks=callbacks)
    ```
    """

    def __init__(self, backup_dir, save_freq="epoch"):
        super().__init__()
        if save_freq != "epoch":
            as_int("save_freq", save_freq, 1)
        self.backup_dir = as_path("backup_dir", backup_dir)
        self.save_freq = save_freq
        self._folder = BackupFolder(self.backup_dir)
        self._recording = None
        self._data = None  # What `fit` steps through, once it is known.
        self._writes = True
        self._has_trained = False  # In this process.
        self._warned_not_saved = False
        self._logs = []  # Pairs of an epoch and its logs.
        self._limit = None  # Epochs of the training that was resumed.
        self._resumed_within = None  # A backup from within an epoch.
        self._epoch = 0
        self._last_step = 0
        self._is_pending = False  # Whether an epoch's end is not saved yet.

    def set_model(self, model):
        super().set_model(model)
        if has_strategy(model):
            remember_dataset(model)

    def on_train_begin(self, logs=None):
        model = self.model
        check_strategy(model, "BackupAndResume")
        if not model.built:
            raise ValueError(
                "BackupAndResume needs a built model, whose variables exist. "
                f"Received: model '{model.name}', which is not built. Begin it "
                "with `keras.Input(shape)`, or call it on a batch first."
            )
        self._writes = is_chief(model.distribute_strategy)
        if self._writes:
            self._folder.open()
        model.optimizer.build(model.trainable_variables)
        self._recording = recording_of(model)
        if self._recording is not None:
            self._recording.keep_in(os.path.join(self.backup_dir, "curves"))
        self._limit, self._resumed_within = None, None
        self._is_pending = False
        self._data = dataset_behind(model) if has_strategy(model) else None
        if not self._has_trained:
            backup = next(self._folder.newest_first(), None)
            refuse_different_workers(
                model.distribute_strategy,
                "the backups in `backup_dir`, a folder that all share,",
                {"the newest": str(backup and (backup.epoch, backup.step))},
            )
            if backup is not None:
                self._resume(backup)

    def on_epoch_begin(self, epoch, logs=None):
        set_first_epoch(self.model, None)  # Keras keeps it for the next `fit`.
        self._epoch, self._last_step = epoch, 0
        if self._data is not None:
            set_epoch(self._data, epoch)
        self._fill_history()
        # All callbacks have seen the last epoch's end by now.
        self._save_end()

    def on_train_batch_begin(self, batch, logs=None):
        if self._resumed_within is not None and batch == 0:
            self._skip_steps()
        if self._data is None:
            self._find_dataset()

    def on_train_batch_end(self, batch, logs=None):
        if self._resumed_within is not None:
            return
        self._has_trained = True
        if self.save_freq != "epoch":
            if batch + 1 - self._last_step >= self.save_freq:
                self._last_step = batch + 1
                self._save(self._epoch, self._last_step)

    def on_epoch_end(self, epoch, logs=None):
        self._has_trained = True
        self._epoch = epoch + 1
        self._logs = [pair for pair in self._logs if pair[0] < epoch]
        # Callbacks may add to these logs before they are saved.
        self._logs.append((epoch, {} if logs is None else logs))
        self._is_pending = True

    def on_train_end(self, logs=None):
        set_first_epoch(self.model, None)
        self._fill_history()
        self._save_end(ended_at=self.params["epochs"])
        self._folder.close()

    def _resume(self, backup):
        """Takes over what an earlier process left behind."""
        model, epochs = self.model, self.params["epochs"]
        ended_at = max(backup.epoch, backup.facts["ended_at"])
        has_ended = ended_at >= epochs
        without = ["metrics", "recorder"]
        if has_ended:
            # A later `fit` may have been compiled with another optimizer.
            without += [
                group
                for group in ("optimizer", "meta_optimizer")
                if not fits(model, backup, group)
            ]
        _refuse_other_meta_set(model, backup)
        assign_backup(model, backup, without)
        if self._recording is not None:
            self._recording.go_on_from(backup.epoch)
        self._logs = [tuple(pair) for pair in backup.facts["logs"]]
        self._limit = min(backup.epoch, epochs)
        set_first_epoch(model, epochs if has_ended else backup.epoch)
        if backup.step and not has_ended:
            self._resumed_within = backup

    def _find_dataset(self):
        """Lets the first step find the data, which has not been read yet."""
        model, train_function = self.model, self.model.train_function

        def first_step(iterator):
            model.train_function = train_function
            self._data = dataset_behind(model, iterator)
            set_epoch(self._data, self._epoch)
            return train_function(iterator)

        model.train_function = first_step

    def _skip_steps(self):
        """Lets the steps pass that were made before; the data moves on."""
        model, backup = self.model, self._resumed_within
        train_function, num_left = model.train_function, backup.step

        def skip(iterator):
            nonlocal num_left
            if num_left > 0:
                for _ in range(min(num_left, model.steps_per_execution)):
                    batch = next(iterator)
                    num_left -= 1
                if not fits(model, backup, "metrics"):
                    # Keras makes their variables when a step is traced.
                    build_symbolically(model, batch[:3])
                return {}
            model.train_function = train_function
            assign_backup(model, backup, without=["recorder"])
            if self._recording is not None:
                self._recording.go_on_within(backup.step, backup.arrays)
            self._last_step = backup.step
            self._resumed_within = None
            return train_function(iterator)

        model.train_function = skip

    def _fill_history(self):
        """Puts the epochs that were trained before into Keras's history."""
        if self._limit is None:
            return
        history = self.model.history
        for epoch, logs in self._logs:
            if epoch < self._limit:
                history.epoch.append(epoch)
                for name, value in logs.items():
                    history.history.setdefault(name, []).append(value)
        self._limit = None

    def _save_end(self, ended_at=0):
        if self._is_pending:
            self._is_pending = False
            self._save(self._epoch, 0, ended_at)

    def _save(self, epoch, step, ended_at=0):
        """Writes a backup; training goes on if it can't be written."""
        arrays = arrays_of(self.model)  # By all workers together.
        if not self._writes:
            return
        if self._recording is not None:
            if not self._recording.has_saved(epoch):
                return  # Its epoch was interrupted, or its disk is full.
            if step > 0:
                arrays |= self._recording.arrays()
        facts = {
            "ended_at": ended_at,
            "logs": [(e, _as_numbers(logs)) for e, logs in self._logs],
            "meta_sample_ids": _meta_sample_ids(self.model),
        }
        try:
            self._folder.save(Backup(epoch, step, arrays, facts))
        except OSError as error:
            if not self._warned_not_saved:
                self._warned_not_saved = True
                warnings.warn(
                    f"No backup could be saved in '{self.backup_dir}' "
                    f"({error}). The earlier ones are as they were. Every "
                    "following one is tried again.",
                    stacklevel=3,
                )


def _as_numbers(logs):
    """Logs as JSON holds them."""
    return {name: np.asarray(value).tolist() for name, value in logs.items()}


def _meta_sample_ids(model):
    """List of the chosen meta samples, or None."""
    ids = getattr(model, "meta_sample_ids", None)
    return None if ids is None else ids.tolist()


def _refuse_other_meta_set(model, backup):
    """Raises ValueError where a backup's meta set is another one."""
    if _meta_sample_ids(model) != backup.facts["meta_sample_ids"]:
        raise ValueError(
            "Invalid value for argument `backup_dir`. Expected backups of a "
            "training with these loss curves. Received: backups with another "
            "meta set. Use a folder of its own for each training, or remove "
            "it to start anew."
        )

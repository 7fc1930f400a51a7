"""All that a recorder has recorded, in memory and on the disk."""

import warnings

import numpy as np

from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.checked_arguments import shortened
from keras_curvenet.probing.curve_folder import CurveFolder
from keras_curvenet.probing.curve_folder import RecordedColumns
from keras_curvenet.probing.curve_storage import storage_at
from keras_curvenet.probing.epoch_record import EpochRecord
from keras_curvenet.workers import is_chief

# What the names of its arrays begin with in a backup.
_PREFIX = "recorder/"

# The model's attribute that holds it during a `fit`.
_RECORDING = "_keras_curvenet_recording"


def recording_of(model):
    """The `Recording` of the `fit` that begins, or None."""
    return getattr(model, _RECORDING, None)


class Recording:
    """The epochs that a `LossCurveRecorder` recorded, and the present one.

    Args:
        filepath: As of `LossCurveRecorder`.

    Attributes:
        columns: `RecordedColumns` of the complete epochs.
        present: `EpochRecord` of this epoch, or None before the first step.
        num_steps: Int, how many times steps were made in this epoch.
    """

    def __init__(self, filepath):
        self.columns = RecordedColumns([], [], [], np.zeros(0, np.int64), None)
        self.present = None
        self.num_steps = 0
        self._next_column = None
        self._strategy = None
        self._storage = storage_at(filepath)
        self._is_saved = True  # Whatever `_storage` should hold.
        self._warned_of = set()

    # What a `fit` does, in this order.

    def belongs_to(self, model):
        """Says which model's `fit` begins."""
        setattr(model, _RECORDING, self)
        self._strategy = model.distribute_strategy

    def open(self):
        """Makes ready what is on the disk; ValueError where that fails."""
        self._next_column = None
        self._open_storage()

    def begin_epoch(self, epoch):
        """Begins to record an epoch, from 0; the first one has a place."""
        if self._next_column is None:
            self._start_at(epoch)
        self.num_steps = 0
        if self.present is not None:
            self.present.clear()

    def make_room(self, num_samples):
        """Makes room for as many samples as the dataset has ids."""
        if self._next_column == 0 and self.num_steps == 1:
            self.present = self._new_record(num_samples)
        elif self.present.num_samples != num_samples:
            raise ValueError(
                "Expected the dataset whose first epochs were recorded, with "
                f"{self.present.num_samples} samples. Received: a dataset with "
                f"{num_samples}. Use a new LossCurveRecorder, starting at "
                "initial_epoch=0."
            )

    def add_epoch(self, epoch, num_classes):
        """Makes columns of the epoch that ends, and saves them."""
        present = self.present
        kept = self.columns.first(self._next_column)
        losses, labels = present.losses.numpy(), present.labels.numpy()
        if present.multi_hot.numpy():
            labels, num_classes = np.minimum(labels, 0), 1
        margins, predicted = present.known_predictions(num_classes)
        self._warn_of_lost(
            {
                "margins": (kept.margins, margins),
                "predicted_classes": (kept.predicted, predicted),
            }
        )
        self.columns = RecordedColumns(
            [*kept.losses, losses],
            _with_column(kept.margins, margins),
            _with_column(kept.predicted, predicted),
            labels,
            num_classes,
        )
        self._next_column += 1
        not_finite = int(np.isposinf(losses).sum())
        if not_finite:
            self._warn_once(
                "not finite",
                f"{not_finite} of {present.num_samples} samples had a loss "
                f"that was not finite in epoch {epoch + 1}. It is recorded as "
                "+inf. Lower the learning rate if training diverged.",
            )
        if self._storage is not None and is_chief(self._strategy):
            self._save(epoch)

    def close(self, model):
        """Says that a model's `fit` has ended."""
        setattr(model, _RECORDING, None)
        if self._storage is not None:
            self._storage.close()

    # What BackupAndResume calls.

    def keep_in(self, path):
        """Keeps the curves in a folder, where they have no place yet."""
        if self._storage is None:
            self._storage = CurveFolder(path)
            self._open_storage()

    def has_saved(self, epoch):
        """Bool: whether the curves on the disk are those of `epoch` epochs."""
        return self._is_saved and len(self.columns.losses) == epoch

    def arrays(self):
        """Dict of arrays: what this epoch's steps recorded so far."""
        arrays = self.present.arrays()
        return {_PREFIX + name: array for name, array in arrays.items()}

    def go_on_from(self, epoch):
        """Takes over the curves of `epoch` epochs."""
        if epoch == 0:
            return
        columns = self._storage.load()
        if len(columns.losses) < epoch:
            raise invalid_value(
                "backup_dir",
                f"the loss curves of {epoch} epochs in '{self._storage.path}', "
                "to go on from there",
                f"{len(columns.losses)} epochs. Remove both folders to start "
                "anew.",
            )
        self._take_over(columns.first(epoch))

    def go_on_within(self, step, arrays):
        """Takes over what the epoch's first steps recorded, from `arrays`."""
        arrays = {
            name.removeprefix(_PREFIX): array
            for name, array in arrays.items()
            if name.startswith(_PREFIX)
        }
        if self.present is None:
            self.present = self._new_record(len(arrays["losses"]))
        self.present.assign(arrays)
        self.num_steps = step

    def _open_storage(self):
        if self._storage is not None and is_chief(self._strategy):
            self._storage.open()

    def _start_at(self, epoch):
        """Makes column `epoch` the next one to be recorded."""
        storage = self._storage
        if epoch > 0 and not self.columns.losses and storage is not None:
            if storage.exists():
                self._take_over(storage.load())
        recorded = len(self.columns.losses)
        if epoch > recorded:
            raise invalid_value(
                "initial_epoch",
                f"at most {recorded}, the number of epochs this recorder has "
                "recorded",
                f"initial_epoch={epoch}. Start at {recorded}, or use the "
                "recorder (or its `filepath`) that recorded the earlier "
                "epochs.",
            )
        if epoch < recorded:
            warnings.warn(
                f"The recorder holds {recorded} epochs and training starts at "
                f"epoch {epoch}: the columns from {epoch} on are replaced "
                "when its first epoch is complete. Use a new LossCurveRecorder "
                "to keep them.",
                stacklevel=3,
            )
        self._next_column = epoch

    def _take_over(self, columns):
        """Goes on from `RecordedColumns` of an earlier process."""
        self.columns = columns
        self.present = self._new_record(len(columns.labels))
        self.present.labels.assign(columns.labels)
        self.present.multi_hot.assign(columns.num_classes == 1)

    def _new_record(self, num_samples):
        with self._strategy.scope():
            return EpochRecord(num_samples)

    def _warn_of_lost(self, parts):
        """Warns of what only some epochs have, which is None from now on.

        Args:
            parts: Dict from names to pairs: the columns of earlier epochs and
                that of the present one, each perhaps None.
        """
        lost, lacking = [], "later epochs"
        for name, (earlier, present) in parts.items():
            if earlier is None and present is not None:
                lacking = "earlier epochs"
                lost.append(f"`loss_curves.{name}`")
            if earlier and present is None:
                lost.append(f"`loss_curves.{name}`")
        if not lost or self.present.multi_hot.numpy():
            return
        self._warn_once(
            str(lost),
            f"{' and '.join(lost)} are None from now on. Expected them in "
            f"every epoch. Received: {lacking} without, from a file without "
            "them or a loss that has none. Record all epochs anew with "
            "`initial_epoch=0` to have them.",
        )

    def _save(self, epoch):
        """Writes what is not written yet; training goes on if it can't be."""
        try:
            self.columns = self._storage.save(self.columns)
        except OSError as error:
            self._warn_once(
                "not saved",
                f"The curves of epoch {epoch + 1} could not be saved to "
                f"'{self._storage.path}' ({error}). What was there before "
                "is as it was. Every following epoch tries again.",
            )
            self._is_saved = False
        else:
            self._is_saved = True

    def _warn_once(self, problem, message):
        if problem not in self._warned_of:
            self._warned_of.add(problem)
            warnings.warn(shortened(message), stacklevel=4)


def _with_column(earlier, present):
    """The columns of all epochs, or None where one of them has none."""
    if earlier is None or present is None:
        return None
    return [*earlier, present]

"""Curves on disk, a file for each epoch."""

import json
import os
import re
from typing import NamedTuple
from typing import Self

import numpy as np
import numpy.typing as npt

from keras_curvenet.probing.folder_lock import LockedFolder
from keras_curvenet.probing.whole_files import whole_file

_FORMAT_VERSION = 1
_MANIFEST = "curves.json"
_OWN_FILES = re.compile(r"(losses|margins|labels)-\d{5,}-\d+\.npy")


class RecordedColumns(NamedTuple):
    """What a probe has recorded so far.

    Attributes:
        losses: List of float32 `(num_samples,)`, one for each epoch.
        margins: List of the same form, or None.
        labels: Int64 `(num_samples,)`, the observed class, -1 where unseen.
        num_classes: Int, or None for the largest label plus one.
    """

    losses: list[npt.NDArray[np.float32]]
    margins: list[npt.NDArray[np.float32]] | None
    labels: npt.NDArray[np.int64]
    num_classes: int | None

    def first(self, num_epochs: int) -> Self:
        """The columns of the first epochs; those of none may have margins."""
        margins = self.margins and self.margins[:num_epochs]
        return self._replace(
            losses=self.losses[:num_epochs],
            margins=margins if num_epochs else [],
        )


class CurveFolder(LockedFolder):
    """A folder with one `.npy` file for each epoch's losses and margins.

    What an epoch's end costs does not grow with the epochs before it, and what
    is read is mapped into memory, not loaded. `curves.json` names the files
    that count. It is replaced last, so that a crash leaves the epochs before.

    Args:
        path: Path of the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, "filepath", "records")
        # The files of each epoch: losses, margins or None.
        self._epochs: list[tuple[str, str | None]] = []
        self._columns: list[tuple] = []  # What was written there, or read.
        self._labels, self._labels_file = None, None
        self._num_written = 0  # Gives every file a name of its own.

    def exists(self):
        """Bool: whether curves were written here."""
        return os.path.exists(self.path_of(_MANIFEST))

    def load(self) -> RecordedColumns:
        """The recorded columns, mapped into memory; ValueError if damaged."""
        try:
            with open(self.path_of(_MANIFEST), encoding="utf-8") as file:
                manifest = json.load(file)
            version = manifest["format_version"]
            if version != _FORMAT_VERSION:
                raise ValueError(f"format version {version}")
            num_samples = int(manifest["num_samples"])
            num_classes = manifest["num_classes"]
            epochs = [tuple(names) for names in manifest["epochs"]]
            labels = self._array(manifest["labels"], np.int64, num_samples)
            columns = [
                tuple(
                    name and self._array(name, np.float32, num_samples)
                    for name in (losses, margins)
                )
                for losses, margins in epochs
            ]
            num_written = int(manifest["num_written"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                "Invalid value for argument `filepath`. Expected a folder that "
                "a LossCurveRecorder wrote. Received: filepath="
                f"'{self.path}', where this is wrong: "
                f"{type(error).__name__}: {error}. Record the curves again, "
                "or use a backup."
            ) from error
        self._epochs, self._columns = epochs, columns
        self._labels, self._labels_file = labels, manifest["labels"]
        self._num_written = num_written
        margins = None
        if all(margin is not None for _, margin in columns):
            margins = [margin for _, margin in columns]
        losses = [loss for loss, _ in columns]
        return RecordedColumns(losses, margins, np.array(labels), num_classes)

    def save(self, recorded):
        """Writes the columns that are not there yet, and maps them into memory.

        Args:
            recorded: `RecordedColumns`. Those that `load` or an earlier `save`
                returned are not written again.

        Returns:
            `RecordedColumns`. After an OSError, the folder is as before.
        """
        margins = recorded.margins or [None] * len(recorded.losses)
        pairs = list(zip(recorded.losses, margins, strict=True))
        kept = 0
        for (losses, _), (stored, _) in zip(pairs, self._columns, strict=False):
            if losses is not stored:
                break
            kept += 1
        epochs, columns = self._epochs[:kept], self._columns[:kept]
        for epoch, pair in enumerate(pairs[kept:], start=kept):
            losses, margins = pair
            names = (
                self._write("losses", epoch, losses),
                self._write("margins", epoch, margins),
            )
            epochs.append(names)
            columns.append(tuple(name and self._mapped(name) for name in names))
        labels_file = self._labels_file
        if not np.array_equal(self._labels, recorded.labels):
            labels_file = self._write("labels", len(epochs), recorded.labels)
        manifest = {
            "format_version": _FORMAT_VERSION,
            "num_samples": len(recorded.labels),
            "num_classes": recorded.num_classes,
            "labels": labels_file,
            "epochs": epochs,
            "num_written": self._num_written,
        }
        with whole_file(self.path_of(_MANIFEST)) as file:
            file.write(json.dumps(manifest).encode())
        self._epochs, self._columns = epochs, columns
        self._labels, self._labels_file = recorded.labels, labels_file
        self._remove_others()
        return recorded._replace(
            losses=[losses for losses, _ in columns],
            margins=recorded.margins and [margin for _, margin in columns],
        )

    def _write(self, kind, epoch, column):
        """Writes one array; returns its file's name, or None."""
        if column is None:
            return None
        name = f"{kind}-{epoch:05d}-{self._num_written}.npy"
        self._num_written += 1
        with whole_file(self.path_of(name)) as file:
            np.save(file, column, allow_pickle=False)
        return name

    def _array(self, name, dtype, num_samples):
        """An array mapped into memory; ValueError where it is another."""
        if not _OWN_FILES.fullmatch(name):
            raise ValueError(f"a file of the name {name!r}")
        array = self._mapped(name)
        if array.dtype != dtype or array.shape != (num_samples,):
            raise ValueError(f"{name}: {array.dtype} of shape {array.shape}")
        return array

    def _mapped(self, name):
        return np.load(self.path_of(name), mmap_mode="r", allow_pickle=False)

    def _remove_others(self):
        """Removes files of replaced epochs, and what a crash left."""
        used = {self._labels_file}.union(*self._epochs)
        for name in os.listdir(self.path):
            is_own = _OWN_FILES.fullmatch(name.split(".npy")[0] + ".npy")
            if is_own and name not in used:
                os.unlink(self.path_of(name))

"""Curves on disk, a file for each epoch."""

import json
import os
import re
import warnings
import zlib
from typing import Any
from typing import NamedTuple
from typing import Self

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.probing.checked_curves import class_dtype
from keras_curvenet.probing.folder_lock import LockedFolder
from keras_curvenet.probing.whole_files import DAMAGED
from keras_curvenet.probing.whole_files import whole_file

_FORMAT_VERSION = 3  # Version 2 had no predicted classes.
_MANIFEST = "curves.json"
_OWN_FILES = re.compile(r"(losses|margins|predicted|labels)-\d{5,}-\d+\.npy")


class RecordedColumns(NamedTuple):
    """What a probe has recorded so far."""

    losses: list[npt.NDArray[np.float32]]  # `(num_samples,)` for each epoch.
    margins: list[npt.NDArray[np.float32]] | None
    predicted: list[npt.NDArray[np.signedinteger[Any]]] | None
    labels: npt.NDArray[np.int64]  # The observed class, -1 where unseen.
    num_classes: int | None  # None for the largest label plus one.

    def first(self, num_epochs: int) -> Self:
        """The columns of the first epochs; those of none may have margins."""
        if num_epochs == 0:
            return self._replace(losses=[], margins=[], predicted=[])
        return self._replace(
            losses=self.losses[:num_epochs],
            margins=self.margins and self.margins[:num_epochs],
            predicted=self.predicted and self.predicted[:num_epochs],
        )


class CurveFolder(LockedFolder):
    """A folder with one `.npy` file for each column of an epoch.

    What an epoch's end costs does not grow with the epochs before it, and what
    is read is mapped into memory, not loaded. `curves.json` names the files
    that count, with their checksums and its own. It is replaced last, so that
    a crash leaves the epochs before.

    Args:
        path: Path of the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, "filepath", "records")
        # The files of each epoch: losses, margins and predicted classes, or
        # None.
        self._epochs: list[tuple[str, str | None, str | None]] = []
        self._columns: list[tuple] = []  # What was written there, or read.
        self._labels, self._labels_file = None, None
        self._num_written = 0  # Gives every file a name of its own.
        self._checksums: dict[str, int] = {}  # By the files' names.

    def exists(self):
        """Bool: whether curves were written here."""
        return os.path.exists(self.path_of(_MANIFEST))

    def load(self, until_damage: bool = False) -> RecordedColumns:
        """The recorded columns, mapped into memory; ValueError if damaged.

        With `until_damage`, the epochs before the first damaged one are taken,
        with a warning, where there are any.
        """
        try:
            manifest = self._manifest()
            self._checksums = manifest["checksums"]
            self._num_written = int(manifest["num_written"])
            self._labels_file = manifest["labels"]
            num_samples = int(manifest["num_samples"])
            labels = self._array(self._labels_file, np.int64, num_samples)
            num_classes = manifest["num_classes"]
            dtypes = np.float32, np.float32, class_dtype(num_classes or 1)
            recorded = [_three(*names) for names in manifest["epochs"]]
            if not recorded:
                raise ValueError("no epochs")
        except DAMAGED as error:
            raise self._damaged(error, "") from error
        epochs: list[tuple[str, str | None, str | None]] = []
        columns: list[tuple] = []
        for names in recorded:
            try:
                read = tuple(
                    name and self._array(name, dtype, num_samples)
                    for name, dtype in zip(names, dtypes, strict=True)
                )
            except DAMAGED as error:
                kept = f"the {len(columns)} epoch(s) before it"
                if until_damage and columns:
                    warnings.warn(f"{error}: {kept} are read.", stacklevel=3)
                    break
                how = (
                    f"`LossCurves.load(..., until_damage=True)` reads {kept}. "
                )
                raise self._damaged(error, how if columns else "") from error
            epochs.append(names)
            columns.append(read)
        self._epochs, self._columns = epochs, columns
        self._labels = labels
        losses, margins, predicted = map(list, zip(*columns, strict=True))
        return RecordedColumns(
            losses,
            None if any(column is None for column in margins) else margins,
            None if any(column is None for column in predicted) else predicted,
            np.array(labels),
            num_classes,
        )

    def _manifest(self):
        """What `curves.json` holds; ValueError where it is another."""
        with open(self.path_of(_MANIFEST), encoding="utf-8") as file:
            manifest = json.load(file)
        version = manifest["format_version"]
        if version not in (2, _FORMAT_VERSION):
            raise ValueError(f"format version {version}")
        if manifest.pop("checksum") != zlib.crc32(_as_bytes(manifest)):
            raise ValueError(f"{_MANIFEST} is damaged")
        return manifest

    def _damaged(self, error, how):
        return invalid_value(
            "filepath",
            "a folder that a LossCurveRecorder wrote",
            f"{type(error).__name__}: {error}, in filepath='{self.path}'. {how}"
            "Record the curves again, or use a backup.",
        )

    def save(self, recorded):
        """Writes the columns that are not there yet, and maps them into memory.

        Those that `load` or an earlier `save` returned are not written again.
        After an OSError, the folder is as before.
        """
        nothing = [None] * len(recorded.losses)
        margins = recorded.margins or nothing
        predicted = recorded.predicted or nothing
        given = list(zip(recorded.losses, margins, predicted, strict=True))
        kept = 0
        for (losses, *_), (stored, *_) in zip(
            given, self._columns, strict=False
        ):
            if losses is not stored:
                break
            kept += 1
        epochs, columns = self._epochs[:kept], self._columns[:kept]
        for epoch, (losses, margins, predicted) in enumerate(
            given[kept:], start=kept
        ):
            names = (
                self._write("losses", epoch, losses),
                self._write("margins", epoch, margins),
                self._write("predicted", epoch, predicted),
            )
            epochs.append(names)
            columns.append(tuple(name and self._mapped(name) for name in names))
        labels_file = self._labels_file
        if not np.array_equal(self._labels, recorded.labels):
            labels_file = self._write("labels", len(epochs), recorded.labels)
        used = {labels_file}.union(*epochs) - {None}
        manifest = {
            "format_version": _FORMAT_VERSION,
            "num_samples": len(recorded.labels),
            "num_classes": recorded.num_classes,
            "labels": labels_file,
            "epochs": epochs,
            "num_written": self._num_written,
            "checksums": {name: self._checksums[name] for name in sorted(used)},
        }
        manifest["checksum"] = zlib.crc32(_as_bytes(manifest))
        with whole_file(self.path_of(_MANIFEST)) as file:
            file.write(_as_bytes(manifest))
        self._epochs, self._columns = epochs, columns
        self._labels, self._labels_file = recorded.labels, labels_file
        self._remove_others(used)
        losses, margins, predicted = map(list, zip(*columns, strict=True))
        return recorded._replace(
            losses=losses,
            margins=recorded.margins and margins,
            predicted=recorded.predicted and predicted,
        )

    def _write(self, kind, epoch, column):
        """Writes one array; returns its file's name, or None."""
        if column is None:
            return None
        name = f"{kind}-{epoch:05d}-{self._num_written}.npy"
        self._num_written += 1
        with whole_file(self.path_of(name)) as file:
            np.save(file, column, allow_pickle=False)
        self._checksums[name] = self._checksum(name)
        return name

    def _checksum(self, name):
        """Int: of a file, a part of it in memory at a time."""
        checksum = 0
        with open(self.path_of(name), "rb") as file:
            while part := file.read(2**20):
                checksum = zlib.crc32(part, checksum)
        return checksum

    def _array(self, name, dtype, num_samples):
        """An array mapped into memory; ValueError where it is another."""
        if not _OWN_FILES.fullmatch(name):
            raise ValueError(f"a file of the name {name!r}")
        if self._checksum(name) != self._checksums[name]:
            raise ValueError(f"{name} is damaged")
        array = self._mapped(name)
        if array.dtype != dtype or array.shape != (num_samples,):
            raise ValueError(f"{name}: {array.dtype} of shape {array.shape}")
        return array

    def _mapped(self, name):
        return np.load(self.path_of(name), mmap_mode="r", allow_pickle=False)

    def _remove_others(self, used):
        """Removes files of replaced epochs, and what a crash left."""
        for name in os.listdir(self.path):
            is_own = _OWN_FILES.fullmatch(name.split(".npy")[0] + ".npy")
            if is_own and name not in used:
                os.unlink(self.path_of(name))


def _three(losses, margins, predicted=None):
    """An epoch's files; earlier versions wrote no predicted classes."""
    return losses, margins, predicted


def _as_bytes(manifest):
    return json.dumps(manifest).encode()

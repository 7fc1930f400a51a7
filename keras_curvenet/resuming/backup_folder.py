"""A folder with the two newest backups of a training."""

import json
import os
import re
import warnings
from typing import NamedTuple

import numpy as np

from keras_curvenet.probing.folder_lock import LockedFolder
from keras_curvenet.probing.whole_files import DAMAGED
from keras_curvenet.probing.whole_files import whole_file

_FORMAT_VERSION = 1
_NAME = re.compile(r"backup-(\d{8,})\.npz")
_NUM_KEPT = 2


class Backup(NamedTuple):
    """All that decides a training's next step.

    Attributes:
        epoch: Int, the epoch of that step, from 0.
        step: Int, steps that were made in it before.
        arrays: Dict from names to arrays.
        facts: Dict of what JSON can hold.
    """

    epoch: int
    step: int
    arrays: dict
    facts: dict


class BackupFolder(LockedFolder):
    """Backups, each one a `.npz` file; the two newest are kept."""

    def __init__(self, path):
        super().__init__(path, "backup_dir", "trains")

    def save(self, backup):
        """Writes a backup, and removes all but the two newest.

        After an OSError, the others are as before.
        """
        numbers = self._numbers()
        number = numbers[-1] + 1 if numbers else 0
        facts = {
            "format_version": _FORMAT_VERSION,
            "epoch": backup.epoch,
            "step": backup.step,
            **backup.facts,
        }
        with whole_file(self._path_of(number)) as file:
            np.savez(file, facts=np.array(json.dumps(facts)), **backup.arrays)
        for old in [*numbers, number][:-_NUM_KEPT]:
            os.unlink(self._path_of(old))

    def newest_first(self):
        """Yields the backups that are whole; warns of the others.

        Where there are some and none is whole, it raises a ValueError.
        """
        numbers, num_whole = self._numbers(), 0
        for number in reversed(numbers):
            path = self._path_of(number)
            try:
                backup = _read(path)
            except DAMAGED as error:
                warnings.warn(
                    f"The backup '{path}' is damaged "
                    f"({type(error).__name__}: {error}). The one before it is "
                    "used, if there is one.",
                    stacklevel=2,
                )
                continue
            num_whole += 1
            yield backup
        if numbers and not num_whole:
            raise ValueError(
                "Invalid value for argument `backup_dir`. Expected backups "
                "that can be read. Received: backup_dir="
                f"'{self.path}', where all of them are damaged. Remove the "
                "folder to start anew."
            )

    def _numbers(self):
        """The backups' numbers, the newest last."""
        if not os.path.isdir(self.path):
            return []
        matches = map(_NAME.fullmatch, os.listdir(self.path))
        return sorted(int(match.group(1)) for match in matches if match)

    def _path_of(self, number):
        return self.path_of(f"backup-{number:08d}.npz")


def _read(path):
    with open(path, "rb") as file:
        arrays = dict(np.load(file, allow_pickle=False))
    facts = json.loads(str(arrays.pop("facts")))
    version = facts.pop("format_version")
    if version != _FORMAT_VERSION:
        raise ValueError(
            f"format version {version}; this keras_curvenet reads "
            f"{_FORMAT_VERSION}"
        )
    return Backup(
        int(facts.pop("epoch")), int(facts.pop("step")), arrays, facts
    )

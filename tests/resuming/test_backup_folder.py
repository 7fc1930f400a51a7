"""Backups on the disk."""

import os

import numpy as np
import pytest

from keras_curvenet.resuming.backup_folder import Backup
from keras_curvenet.resuming.backup_folder import BackupFolder


def backup(epoch, value=0.0):
    return Backup(epoch, 3, {"model/0": np.full(4, value)}, {"logs": [[0, {}]]})


@pytest.fixture
def folder(tmp_path):
    folder = BackupFolder(tmp_path)
    folder.open()
    yield folder
    folder.close()


def test_what_is_read_is_what_was_saved(folder):
    folder.save(backup(2, 7.5))
    (read,) = folder.newest_first()
    assert (read.epoch, read.step, read.facts) == (2, 3, {"logs": [[0, {}]]})
    np.testing.assert_array_equal(read.arrays["model/0"], [7.5] * 4)


def test_an_empty_folder_has_none(folder):
    assert list(folder.newest_first()) == []


def test_the_two_newest_are_kept_and_read_first(folder):
    for epoch in range(5):
        folder.save(backup(epoch))
    assert [read.epoch for read in folder.newest_first()] == [4, 3]


def test_a_failing_save_keeps_the_earlier_ones(folder, monkeypatch):
    folder.save(backup(0))
    folder.save(backup(1))

    def replace(source, target):
        raise OSError("no")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="no"):
        folder.save(backup(2))
    assert [read.epoch for read in folder.newest_first()] == [1, 0]
    assert sorted(os.listdir(folder.path))[1:] == [
        "backup-00000000.npz",
        "backup-00000001.npz",
    ]


class Code:
    """Would make a file where it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


DAMAGES = [
    lambda path: path.write_bytes(path.read_bytes()[:-100]),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"\0" * 5000),
    lambda path: np.save(path.open("wb"), np.zeros(3)),
    lambda path: np.savez(path, facts=np.array("{")),
    lambda path: np.savez(path, facts=np.array("[1]")),
    lambda path: np.savez(path, facts=np.array('{"format_version": 9}')),
    lambda path: np.savez(path, x=np.array(1)),
    lambda path: np.savez(path, facts=np.array([Code(str(path) + ".ran")])),
]


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_ones_are_passed_over(damage, folder, tmp_path):
    folder.save(backup(0))
    folder.save(backup(1))
    damage(tmp_path / "backup-00000001.npz")
    with pytest.warns(UserWarning, match="backup-00000001.npz' is damaged"):
        assert [read.epoch for read in folder.newest_first()] == [0]
    assert not (tmp_path / "backup-00000001.npz.ran").exists()
    damage(tmp_path / "backup-00000000.npz")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(ValueError, match="all of them are damaged"),
    ):
        list(folder.newest_first())

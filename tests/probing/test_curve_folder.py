"""Curves in a folder, a file for each epoch, whatever happens meanwhile."""

import json
import os
import warnings
import zlib

import numpy as np
import pytest
import test_loss_curve_recorder as recording
import testing_utils

import keras_curvenet as kcn
from keras_curvenet.probing import curve_folder
from keras_curvenet.probing.curve_folder import CurveFolder
from keras_curvenet.probing.curve_folder import RecordedColumns
from keras_curvenet.probing.curve_storage import CurveFile
from keras_curvenet.probing.curve_storage import storage_at

N = recording.N

eager_model = recording.eager_model
record = recording.record


def recorded_in(folder, epochs=3):
    """A recorder of so many epochs in a folder."""
    recorder = kcn.LossCurveRecorder(filepath=folder)
    record(eager_model(), recorder=recorder, epochs=epochs)
    return recorder


def assert_same_curves(actual, expected):
    np.testing.assert_array_equal(actual.values, expected.values)
    np.testing.assert_array_equal(actual.margins, expected.margins)
    np.testing.assert_array_equal(
        actual.predicted_classes, expected.predicted_classes
    )
    np.testing.assert_array_equal(actual.labels, expected.labels)
    assert actual.num_classes == expected.num_classes


def columns(num_epochs, num_samples=5, margins=True, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(2, num_epochs, num_samples)).astype("float32")
    predicted = rng.integers(2, size=values[0].shape).astype("int16")
    return RecordedColumns(
        list(values[0]),
        list(values[1]) if margins else None,
        list(predicted) if margins else None,
        np.arange(num_samples) % 2,
        2,
    )


def arrays_in(folder):
    return sorted(name for name in os.listdir(folder) if "npy" in name)


# What is written.


def test_a_folder_holds_what_memory_holds(tmp_path):
    expected = record(eager_model(), epochs=3).loss_curves
    recorder = recorded_in(tmp_path / "curves")
    assert_same_curves(recorder.loss_curves, expected)
    assert_same_curves(kcn.LossCurves.load(tmp_path / "curves"), expected)


def test_an_epoch_writes_its_own_files_only(tmp_path):
    folder = CurveFolder(tmp_path)
    folder.open()
    stored = folder.save(columns(2))
    before = {name: os.stat(tmp_path / name) for name in arrays_in(tmp_path)}
    assert len(before) == 7  # Of two epochs, and the labels.
    more = columns(3)
    stored = folder.save(
        stored._replace(
            losses=[*stored.losses, more.losses[2]],
            margins=[*stored.margins, more.margins[2]],
            predicted=[*stored.predicted, more.predicted[2]],
        )
    )
    assert len(stored.losses) == 3
    assert len(arrays_in(tmp_path)) == 10
    for name, status in before.items():
        now = os.stat(tmp_path / name)
        assert (now.st_ino, now.st_mtime_ns) == (
            status.st_ino,
            status.st_mtime_ns,
        )


def test_columns_are_mapped_into_memory(tmp_path):
    folder = CurveFolder(tmp_path)
    folder.open()
    stored = folder.save(columns(2))
    for column in [*stored.losses, *stored.margins, *stored.predicted]:
        assert isinstance(column, np.memmap) and not column.flags.writeable
    for column, expected in zip(
        folder.load().losses, columns(2).losses, strict=True
    ):
        assert isinstance(column, np.memmap)
        np.testing.assert_array_equal(column, expected)


def test_places_of_curves():
    assert storage_at(None) is None
    assert type(storage_at("curves.npz")) is CurveFile
    assert type(storage_at("curves")) is CurveFolder


def test_losses_without_margins(tmp_path):
    folder = CurveFolder(tmp_path)
    folder.open()
    stored = folder.save(columns(2, margins=False))
    assert stored.margins is None and stored.predicted is None
    assert folder.load().margins is None and folder.load().predicted is None
    # Margins of some epochs only are none.
    more = columns(3)
    folder.save(
        stored._replace(losses=[*stored.losses, more.losses[2]], margins=None)
    )
    assert kcn.LossCurves.load(tmp_path).margins is None


def test_a_folder_of_version_2_has_no_predicted_classes(tmp_path):
    stored = columns(3)._replace(predicted=None)
    CurveFolder(tmp_path).save(stored)
    content = json.loads((tmp_path / "curves.json").read_text())
    pairs = [names[:2] for names in content["epochs"]]
    changed_manifest(tmp_path, format_version=2, epochs=pairs)
    expected = kcn.LossCurves.of_columns(stored)
    assert_same_curves(kcn.LossCurves.load(tmp_path), expected)
    assert expected.predicted_classes is None


# Going on.


def test_a_new_recorder_goes_on(tmp_path):
    expected = record(eager_model(), epochs=4).loss_curves
    model = eager_model()
    first = kcn.LossCurveRecorder(filepath=tmp_path)
    record(model, recorder=first, epochs=2)
    second = kcn.LossCurveRecorder(filepath=tmp_path)
    record(model, recorder=second, epochs=4, initial_epoch=2)
    assert_same_curves(second.loss_curves, expected)
    assert_same_curves(kcn.LossCurves.load(tmp_path), expected)


def test_replaced_epochs_leave_no_files(tmp_path):
    model = eager_model()
    recorder = kcn.LossCurveRecorder(filepath=tmp_path)
    record(model, recorder=recorder, epochs=3)
    with recording.warns("holds 3 epochs .* at epoch 1"):
        record(model, recorder=recorder, epochs=2, initial_epoch=1)
    assert_same_curves(kcn.LossCurves.load(tmp_path), recorder.loss_curves)
    assert recorder.loss_curves.num_epochs == 2
    assert len(arrays_in(tmp_path)) == 7


# Faults.


def test_a_crash_before_the_manifest_leaves_the_epochs_before(
    tmp_path, monkeypatch
):
    folder = CurveFolder(tmp_path)
    folder.open()
    stored = folder.save(columns(2))
    expected = kcn.LossCurves.load(tmp_path)

    def crash(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(curve_folder.json, "dumps", crash)
    changed = columns(1, seed=1)  # Replaces both epochs.
    with pytest.raises(KeyboardInterrupt):
        folder.save(changed)
    monkeypatch.undo()
    assert_same_curves(kcn.LossCurves.load(tmp_path), expected)
    # The next one cleans up.
    folder.save(stored)
    assert len(arrays_in(tmp_path)) == 7
    assert_same_curves(kcn.LossCurves.load(tmp_path), expected)


def test_a_full_disk_does_not_end_training(tmp_path, monkeypatch):
    save, failures = np.save, []

    def full(file, *args, **kwargs):
        if len(failures) < 2:  # In the first two epochs.
            failures.append(file)
            raise OSError(28, "No space left on device")
        save(file, *args, **kwargs)

    monkeypatch.setattr(curve_folder.np, "save", full)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recorder = recorded_in(tmp_path)
    messages = [str(warning.message) for warning in caught]
    assert sum("could not be saved" in message for message in messages) == 1
    assert len(failures) == 2
    assert recorder.loss_curves.num_epochs == 3
    assert_same_curves(kcn.LossCurves.load(tmp_path), recorder.loss_curves)
    assert not [name for name in os.listdir(tmp_path) if "tmp" in name]


@pytest.mark.parametrize("name", ["curves", "curves.npz"])
def test_a_place_that_cannot_be_written_is_found_before_training(
    tmp_path, name
):
    (tmp_path / "file").write_text("")
    model = eager_model()
    recorder = kcn.LossCurveRecorder(filepath=tmp_path / "file" / name)
    with pytest.raises(ValueError, match="argument `filepath`.*file"):
        record(model, recorder=recorder, epochs=1)
    assert int(model.optimizer.iterations) == 0
    recording.assert_usable(model)


def test_a_file_in_a_folder_that_does_not_exist(tmp_path):
    model = eager_model()
    path = tmp_path / "none" / "curves.npz"
    curves = record(model, recorder=kcn.LossCurveRecorder(path), epochs=2)
    assert_same_curves(kcn.LossCurves.load(path), curves.loss_curves)


def test_a_second_process_is_refused(tmp_path):
    with (
        testing_utils.locked_by_another_process(tmp_path / ".lock"),
        pytest.raises(ValueError, match="another process records"),
    ):
        CurveFolder(tmp_path).open()
    folder = CurveFolder(tmp_path)
    folder.open()
    folder.close()


# Files that are not what they should be.


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"FileNotFoundError.*curves\.json"):
        kcn.LossCurves.load(tmp_path)


def changed_manifest(tmp_path, **changes):
    path = tmp_path / "curves.json"
    content = json.loads(path.read_text()) | changes
    del content["checksum"]
    content["checksum"] = zlib.crc32(json.dumps(content).encode())
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 9}, "format version 9"),
        ({"labels": "../labels-00000-0.npy"}, "a file of the name"),
        ({"labels": 3}, "TypeError"),
        ({"labels": "labels-00000-77.npy"}, "FileNotFoundError"),
        ({"num_samples": 4}, r"of shape \(5,\)"),
        ({"checksums": {}}, "KeyError"),
        ({"epochs": [["losses-00000-0.npy"]]}, "TypeError"),
        ({"epochs": None}, "TypeError"),
        ({"epochs": []}, "no epochs"),
        ({"num_classes": 40_000}, r"predicted-00000-2.npy: int16"),
    ],
)
def test_a_damaged_manifest(tmp_path, changes, message):
    CurveFolder(tmp_path).save(columns(2))
    changed_manifest(tmp_path, **changes)
    with pytest.raises(ValueError, match=f"argument `filepath`.*{message}"):
        kcn.LossCurves.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]"])
def test_a_manifest_that_is_none(tmp_path, content):
    CurveFolder(tmp_path).save(columns(2))
    (tmp_path / "curves.json").write_bytes(content)
    with pytest.raises(ValueError, match="argument `filepath`"):
        kcn.LossCurves.load(tmp_path)


def test_a_truncated_column(tmp_path):
    CurveFolder(tmp_path).save(columns(2))
    path = tmp_path / arrays_in(tmp_path)[1]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="argument `filepath`"):
        kcn.LossCurves.load(tmp_path)


def test_a_column_that_would_run_code_is_refused(tmp_path):
    CurveFolder(tmp_path).save(columns(2))
    ran = tmp_path / "ran"

    class Code:
        def __reduce__(self):
            return open, (str(ran), "w")

    path = tmp_path / arrays_in(tmp_path)[1]
    with open(path, "wb") as file:
        np.save(file, np.array([Code()] * 5), allow_pickle=True)
    with pytest.raises(ValueError, match="argument `filepath`"):
        kcn.LossCurves.load(tmp_path)
    assert not ran.exists()

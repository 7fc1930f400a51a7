"""Wrong arguments of a report. Nothing is written then."""

import numpy as np
import pandas as pd
import planted
import pytest
import tensorflow as tf
from wrong_uses import check

import keras_curvenet as kcn

curves = planted.curves_of([30, 10])[0]
texts = [f"text {i}" for i in range(40)]
images = np.zeros((40, 4, 4))

# The argument, its value, the error, and what its message holds.
WRONG_ARGUMENTS = [
    ("curves", None, TypeError, "Received: NoneType."),
    ("curves", curves.values, TypeError, "Received: ndarray."),
    (
        "curves",
        kcn.LossCurves(np.ones((4, 1)), [0] * 4),
        ValueError,
        "at least two epochs",
    ),
    ("folder", None, TypeError, "Received: folder=None."),
    ("folder", 3, TypeError, "Received: folder=3."),
    ("images", 3, TypeError, "Received: int."),
    ("images", "pictures", TypeError, "Received: str."),
    ("images", np.float32(0), TypeError, "Received: float32."),
    ("images", set(range(40)), TypeError, "Received: set."),
    ("images", iter(images), TypeError, "Received: "),
    (
        "images",
        tf.data.Dataset.from_tensor_slices(images),
        TypeError,
        "Received: ",
    ),
    ("images", images[:39], ValueError, "Received: 39."),
    ("images", {}, ValueError, "Received: images without it."),
    ("images", np.zeros((40, 7)), ValueError, "samples of shape (7,)"),
    (
        "images",
        np.zeros((40, 4, 4, 2)),
        ValueError,
        "samples of shape (4, 4, 2)",
    ),
    ("images", np.zeros((40, 0, 4)), ValueError, "samples of shape (0, 4)"),
    ("images", np.zeros((40, 4, 4), complex), ValueError, "dtype complex128"),
    ("images", [["a", "b"]] * 40, ValueError, "samples of shape (2,)"),
    ("class_names", "ab", TypeError, "Received: str."),
    ("class_names", 2, TypeError, "Received: int."),
    ("class_names", [0.5, 1.5], TypeError, "Received: list of float."),
    ("class_names", ["a", None], TypeError, "of NoneType, str."),
    ("class_names", {0: "a"}, ValueError, "Received: 1 names."),
    ("class_names", {"a": "b"}, ValueError, "Received: 0 names."),
    ("class_names", {"a", "b"}, TypeError, "Received: set."),
    ("class_names", ["a"], ValueError, "Received: 1 names."),
    ("file_paths", "folder", TypeError, "Received: str."),
    ("file_paths", 7, TypeError, "Received: int."),
    ("file_paths", [b"a"] * 40, TypeError, "Received: list of bytes."),
    ("file_paths", list(range(40)), TypeError, "Received: list of int."),
    ("file_paths", texts[:39], ValueError, "Received: 39."),
    ("rows", "text", TypeError, "Received: str."),
    ("rows", 5, TypeError, "Received: int."),
    ("rows", np.zeros((40, 2)), TypeError, "Received: ndarray of ndarray."),
    ("rows", [None] * 40, TypeError, "Received: list of NoneType."),
    ("rows", dict.fromkeys(texts), TypeError, "Received: dict."),
    ("rows", texts[:3], ValueError, "Received: 3."),
    ("rows", pd.DataFrame({"a": [1]}), ValueError, "Received: 1."),
    ("predictions", np.ones((40, 3)), ValueError, "of shape (40, 3)."),
    ("predictions", np.ones((39, 2)), ValueError, "of shape (39, 2)."),
    ("predictions", np.ones(40), ValueError, "of shape (40,)."),
    ("predictions", [["a", "b"]] * 40, ValueError, "of dtype <U1."),
    ("predictions", np.full((40, 2), np.nan), ValueError, "40 sample(s)"),
    ("sample_weights", np.ones(39), ValueError, "shape (39,)"),
    ("sample_weights", np.ones((40, 1)), ValueError, "shape (40, 1)"),
    ("sample_weights", ["1"] * 40, ValueError, "dtype <U1"),
    ("sample_weights", 1.0, ValueError, "shape ()"),
    ("max_samples_per_class", 0, ValueError, "max_samples_per_class=0"),
    ("max_samples_per_class", 2.5, ValueError, "max_samples_per_class=2.5"),
    ("max_samples_per_class", None, ValueError, "max_samples_per_class=None"),
    ("max_samples_per_class", True, ValueError, "max_samples_per_class=True"),
]


@pytest.mark.parametrize(
    ("argument", "value", "error", "message"), WRONG_ARGUMENTS
)
def test_wrong_argument(argument, value, error, message, tmp_path):
    folder = tmp_path / "report"
    arguments = {"curves": curves, "folder": folder, argument: value}
    check(lambda: kcn.write_report(**arguments), error, argument, message)
    assert not list(tmp_path.iterdir())


def test_images_and_rows(tmp_path):
    check(
        lambda: kcn.write_report(
            curves, tmp_path / "report", images=images, rows=texts
        ),
        ValueError,
        "argument `rows`",
        "Received: both.",
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["file", "file/report"])
def test_folder_that_cannot_be_made(name, tmp_path):
    (tmp_path / "file").write_text("kept")
    check(
        lambda: kcn.write_report(curves, tmp_path / name),
        ValueError,
        "argument `folder`",
        f"folder='{tmp_path / name}'",
    )
    assert (tmp_path / "file").read_text() == "kept"


def test_disk_that_is_full(tmp_path, monkeypatch):
    path = kcn.write_report(curves, tmp_path)
    with open(path, "rb") as file:
        earlier = file.read()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    check(
        lambda: kcn.write_report(curves, tmp_path, rows=texts),
        ValueError,
        "argument `folder`",
        "No space left on device",
    )
    with open(path, "rb") as file:
        assert file.read() == earlier
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "values",
    [
        tuple(texts),
        np.array(texts),
        np.array(texts, object),
        pd.Series(texts, index=range(40, 0, -1)),
    ],
)
def test_kinds_of_sequences(values, tmp_path):
    path = kcn.write_report(curves, tmp_path, rows=values, file_paths=values)
    with open(path, encoding="utf-8") as file:
        assert file.read().count("text 39") == 2  # The file, and the text.

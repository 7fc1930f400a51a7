import io
import os
import pathlib
import pickle
import zipfile

import numpy as np
import pytest

import keras_curvenet as kcn
from keras_curvenet.probing import loss_curves

NAN = np.nan
INF = np.inf


def random_curves(num_samples=6, num_epochs=5, num_classes=4):
    rng = np.random.default_rng(0)
    values = rng.gamma(1.0, size=(num_samples, num_epochs))
    values[1, 2] = NAN
    values[2, 3] = INF
    values[3] = NAN
    labels = np.arange(num_samples) % (num_classes - 1)
    labels[3] = -1
    margins = 1.0 - values  # -inf where the loss is +inf.
    predicted = rng.integers(num_classes, size=values.shape)
    predicted[np.isnan(values)] = -1
    return kcn.LossCurves(values, labels, num_classes, margins, predicted)


def without_margins(curves):
    return kcn.LossCurves(curves.values, curves.labels, curves.num_classes)


def assert_equal(curves, other):
    assert curves.values.dtype == other.values.dtype == np.float32
    assert curves.values.tobytes() == other.values.tobytes()
    np.testing.assert_array_equal(curves.labels, other.labels)
    assert curves.num_classes == other.num_classes
    if other.margins is None:
        assert curves.margins is None
    else:
        assert curves.margins.dtype == other.margins.dtype == np.float32
        assert curves.margins.tobytes() == other.margins.tobytes()
    if other.predicted_classes is None:
        assert curves.predicted_classes is None
    else:
        classes = curves.predicted_classes
        assert classes.dtype == other.predicted_classes.dtype == np.int16
        assert classes.tobytes() == other.predicted_classes.tobytes()


# --- Construction ------------------------------------------------------------


def test_attributes():
    curves = kcn.LossCurves([[1, 2, 3], [4, 5, NAN]], [2, 0])
    assert curves.values.dtype == np.float32
    assert curves.labels.dtype == np.int64
    assert (curves.num_samples, curves.num_epochs) == (2, 3)
    assert curves.num_classes == 3
    np.testing.assert_array_equal(curves.values, [[1, 2, 3], [4, 5, NAN]])
    assert "num_samples=2, num_epochs=3, num_classes=3" in repr(curves)
    assert curves.margins is None


def test_margins():
    margins = [[1, -2, NAN], [-INF, 5, 0]]  # Of a seen sample too, and back.
    curves = kcn.LossCurves([[1, 2, 3], [4, 5, NAN]], [2, 0], margins=margins)
    assert curves.margins.dtype == np.float32
    np.testing.assert_array_equal(curves.margins, margins)
    assert "num_classes=3, with margins" in repr(curves)


@pytest.mark.parametrize(
    "num_classes, dtype", [(32_767, np.int16), (32_768, np.int32)]
)
def test_predicted_classes(num_classes, dtype):
    predicted = [[2, num_classes - 1, -1], [0, 1, -1]]
    curves = kcn.LossCurves(
        [[1, 2, 3], [4, 5, NAN]],
        [2, 0],
        num_classes,
        predicted_classes=np.array(predicted),
    )
    assert curves.predicted_classes.dtype == dtype
    assert curves.predicted_classes.tolist() == predicted
    assert [c.tolist() for c in curves.predicted_columns] == [
        list(column) for column in zip(*predicted, strict=True)
    ]
    assert curves.margins is None
    assert "with classes" in repr(curves)
    with pytest.raises(ValueError, match="read-only"):
        curves.predicted_classes[0, 0] = 1


@pytest.mark.parametrize("labels", [[0.0, 1.0], [False, True], [0, 1]])
def test_integral_labels_of_any_dtype(labels):
    curves = kcn.LossCurves(np.ones((2, 2)), labels)
    assert curves.labels.tolist() == [0, 1]


def test_num_classes_may_exceed_the_labels():
    assert kcn.LossCurves(np.ones((2, 2)), [0, 1], 5).num_classes == 5


def test_arrays_are_read_only_copies():
    values, labels = np.ones((2, 2), "float32"), np.array([0, 1])
    margins = values.copy()
    curves = kcn.LossCurves(values, labels, margins=margins)
    values[0, 0], labels[0], margins[0, 0] = 7, 1, 7
    assert curves.values[0, 0] == 1
    assert curves.margins[0, 0] == 1
    assert curves.labels[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        curves.values[0, 0] = 2
    with pytest.raises(ValueError, match="read-only"):
        curves.labels[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        curves.margins[0, 0] = 2


@pytest.mark.parametrize(
    "values, labels, num_classes, match",
    [
        ([1.0, 2.0], [0, 1], None, r"Received: values of shape \(2,\)"),
        (np.ones((2, 0)), [0, 1], None, r"Received: values of shape \(2, 0\)"),
        (np.ones((0, 2)), [], None, r"Received: values of shape \(0, 2\)"),
        ([[1.0, -INF]], [0], None, r"Received: -inf for 1 value"),
        (np.ones((2, 2)), [0], None, r"Received: labels of shape \(1,\)"),
        (np.ones((2, 2)), [[0], [1]], None, r"labels of shape \(2, 1\)"),
        (np.ones((2, 2)), [0.0, 0.5], None, r"dtype float64, such as \[0.0, 0"),
        (np.ones((2, 2)), [0.0, NAN], None, "dtype float64"),
        (np.ones((2, 2)), [0.0, INF], None, "dtype float64"),
        (np.ones((2, 2)), ["cat", "dog"], None, "Received: labels of dtype <U"),
        (np.ones((2, 2)), [0, -2], None, r"Received: \[-2\] for .* \[1\]"),
        (np.ones((2, 2)), [0, -1], None, r"Received: \[-1\] for .* \[1\]"),
        (np.ones((2, 2)), [0, 3], 3, "Received: a label of 3, .* id 1"),
        (np.ones((2, 2)), [0, 1], 0, "Received: num_classes=0"),
        (np.ones((2, 2)), [0, 1], 2.5, "Received: num_classes=2.5"),
    ],
)
def test_bad_arguments(values, labels, num_classes, match):
    with pytest.raises(ValueError, match=match):
        kcn.LossCurves(values, labels, num_classes)


TEXT = [
    [["a", "b"], ["c", "d"]],
    [["1", "2"], ["3", "4"]],
    np.array([["1", 2.0], [3.0, 4.0]], dtype=object),
    [[1.0, 2.0], [3.0]],
    np.ones((2, 2), complex),
    np.zeros((2, 2), "datetime64[s]"),
    "curves.npz",
]


@pytest.mark.parametrize("text", TEXT)
def test_what_is_no_number_is_refused(text):
    ones = np.ones((2, 2))
    with pytest.raises(ValueError, match="`values`. Expected an array of num"):
        kcn.LossCurves(text, [0, 1])
    with pytest.raises(ValueError, match="`margins`. Expected an array of num"):
        kcn.LossCurves(ones, [0, 1], margins=text)


@pytest.mark.parametrize(
    "margins, match",
    [
        (np.ones((2, 3)), r"`margins`.*\(2, 2\). Received: .*shape \(2, 3\)"),
        (np.ones(2), r"`margins`.*\(2, 2\). Received: .*shape \(2,\)"),
        ([[1.0, INF], [NAN, -INF]], r"`margins`.*\+inf for 1 value"),
    ],
)
def test_bad_margins(margins, match):
    with pytest.raises(ValueError, match=match):
        kcn.LossCurves(np.ones((2, 2)), [0, 1], margins=margins)


@pytest.mark.parametrize(
    "predicted, error, match",
    [
        (np.ones((2, 3), int), ValueError, r"`.*\(2, 2\). Re.*shape \(2, 3\)"),
        ([0, 1], ValueError, "one row for each of 2 samples"),
        (np.ones((2, 2)), TypeError, "int classes.*dtype float64"),
        ([["a", "b"], ["c", "d"]], TypeError, "int classes.*dtype <U1"),
        ([[0, 1], [2, 0]], ValueError, r"= 1, or -1 .*Received: \[2\] .*\[1\]"),
        ([[0, -2], [0, 0]], ValueError, r"Received: \[-2\] for .* \[0\]"),
        ([[65_536, 0], [0, 0]], ValueError, r"Received: \[65536\]"),
    ],
)
def test_bad_predicted_classes(predicted, error, match):
    with pytest.raises(error, match=f"argument `predicted_classes`.*{match}"):
        kcn.LossCurves(np.ones((2, 2)), [0, 1], predicted_classes=predicted)


# --- Class-centred curves ----------------------------------------------------


@pytest.fixture
def shrinkage_of_two(monkeypatch):
    monkeypatch.setattr(loss_curves, "_SHRINKAGE", 2.0)


def test_class_centered_by_hand(shrinkage_of_two):
    curves = kcn.LossCurves([[1, 2], [3, 4], [8, 6]], [0, 0, 1])
    # Over all samples: (1 + 3 + 8) / 3 = 4 and (2 + 4 + 6) / 3 = 4.
    # Class 0: (4 + 2 * 4) / (2 + 2) = 3 and (6 + 2 * 4) / (2 + 2) = 3.5.
    # Class 1: (8 + 2 * 4) / (1 + 2) = 16/3 and (6 + 2 * 4) / (1 + 2) = 14/3.
    expected = [[-2, -1.5], [0, 0.5], [8 / 3, 4 / 3]]
    centered = curves.class_centered()
    assert centered.dtype == np.float32
    np.testing.assert_allclose(centered, expected, rtol=1e-6)


def test_gaps_are_filled_from_the_class(shrinkage_of_two):
    values = [[1, 2], [3, INF], [NAN, 4], [7, NAN], [9, 3]]
    curves = kcn.LossCurves(values, [0, 0, 0, 1, 1])
    # Epoch 0. Class 0 has 1 and 3: the gap becomes 2. All: 20 / 4 = 5.
    # Means: (4 + 2 * 5) / (2 + 2) = 3.5; (16 + 2 * 5) / (2 + 2) = 6.5.
    # Epoch 1. Class 0 has 2 and 4: inf becomes 4. Class 1 has 3: the gap
    # becomes 3. All: 9 / 3 = 3. Means: (6 + 2 * 3) / 4 = 3; (3 + 6) / 3 = 3.
    expected = [[-2.5, -1], [-0.5, 1], [-1.5, 1], [0.5, 0], [2.5, 0]]
    np.testing.assert_allclose(curves.class_centered(), expected, rtol=1e-6)


@pytest.mark.parametrize(("gap", "expected"), [(NAN, 0), (INF, 1)])
def test_class_without_a_finite_value_in_an_epoch(
    gap, expected, shrinkage_of_two
):
    curves = kcn.LossCurves([[1, 1], [3, 5], [gap, 3]], [0, 0, 1])
    # Epoch 0: the mean of class 1 is that over all, 2. A gap is filled with it,
    # and +inf with the largest loss of all classes, 3.
    centered = curves.class_centered()
    np.testing.assert_allclose(centered[:, 0], [-1, 1, expected], atol=1e-6)


@pytest.mark.parametrize("gap", [NAN, INF])
def test_epoch_without_a_finite_value(gap):
    curves = kcn.LossCurves([[gap, 1], [gap, 3], [gap, 5]], [0, 1, 1])
    centered = curves.class_centered()
    assert np.isfinite(centered).all()
    np.testing.assert_array_equal(centered[:, 0], 0)


def test_class_of_one_is_not_all_zeros():
    curves = kcn.LossCurves([[1, 2], [3, 4], [8, 6]], [0, 0, 1])
    assert (np.abs(curves.class_centered()[2]) > 0.1).all()


def test_samples_never_seen_and_empty_classes_stay_finite():
    centered = random_curves().class_centered()
    assert centered.shape == (6, 5)
    assert np.isfinite(centered).all()


def test_values_are_not_changed():
    curves = random_curves()
    before = curves.values.copy()
    curves.class_centered()
    np.testing.assert_array_equal(curves.values, before)


@pytest.mark.parametrize(
    "num_epochs, skipped",
    [(2, 0), (15, 0), (16, 1), (40, 2), (79, 4), (80, 5), (200, 5)],
)
def test_default_skip_epochs(num_epochs, skipped):
    curves = kcn.LossCurves(np.arange(2 * num_epochs).reshape(2, -1), [0, 0])
    centered = curves.class_centered()
    assert centered.shape == (2, num_epochs - skipped)
    np.testing.assert_array_equal(centered, curves.class_centered(skipped))


def test_skip_epochs_leaves_out_the_leading_ones():
    values = np.random.default_rng(0).uniform(size=(4, 6))
    curves = kcn.LossCurves(values, [0, 0, 1, 1])
    rest = kcn.LossCurves(values[:, 3:], [0, 0, 1, 1])
    np.testing.assert_array_equal(
        curves.class_centered(skip_epochs=3), rest.class_centered(0)
    )


@pytest.mark.parametrize(
    "num_epochs, skip_epochs, match",
    [
        (1, None, r"Received: 1 recorded epoch\(s\) and skip_epochs=0"),
        (4, 3, r"Received: 4 recorded epoch\(s\) and skip_epochs=3"),
        (4, -1, "skip_epochs=-1"),
    ],
)
def test_too_few_epochs(num_epochs, skip_epochs, match):
    curves = kcn.LossCurves(np.ones((2, num_epochs)), [0, 1])
    with pytest.raises(ValueError, match=match):
        curves.class_centered(skip_epochs)


# --- A table -----------------------------------------------------------------


def test_table():
    pytest.importorskip("pandas")
    curves = random_curves()
    table = curves.to_dataframe()
    losses = [f"loss_{epoch}" for epoch in range(1, 6)]
    margins = [f"margin_{epoch}" for epoch in range(1, 6)]
    classes = [f"predicted_class_{epoch}" for epoch in range(1, 6)]
    assert list(table) == ["sample_id", "label", *losses, *margins, *classes]
    np.testing.assert_array_equal(table[losses], curves.values)
    np.testing.assert_array_equal(table[margins], curves.margins)
    np.testing.assert_array_equal(table[classes], curves.predicted_classes)
    plain = without_margins(curves).to_dataframe()
    assert list(plain) == ["sample_id", "label", *losses]


# --- Margins without gaps ----------------------------------------------------


def filled_margins(curves):
    """The margins, the classes' means, and the overall mean, by epoch."""
    parts = []
    for margins in curves.margin_columns:
        statistics = curves.statistics_of(-margins)
        filled = statistics.filled(-margins, curves.labels)
        parts.append((filled, statistics.class_means, statistics.overall_mean))
    return tuple(-np.stack(part, axis=-1) for part in zip(*parts, strict=True))


def test_filled_margins_by_hand(shrinkage_of_two):
    margins = [[1, -2], [3, -INF], [NAN, -4], [7, NAN], [9, -3]]
    curves = kcn.LossCurves(np.ones((5, 2)), [0, 0, 0, 1, 1], margins=margins)
    filled, means, overall = filled_margins(curves)
    # Epoch 0. Class 0 has 1 and 3: the gap becomes 2.
    # Epoch 1. Class 0 has -2 and -4: -inf becomes -4. The gap becomes -3.
    expected = [[1, -2], [3, -4], [2, -4], [7, -3], [9, -3]]
    np.testing.assert_array_equal(filled, expected)
    # Over all: 20 / 4 = 5 and -9 / 3 = -3. Class 0: (4 + 2 * 5) / 4 and
    # (-6 - 2 * 3) / 4. Class 1: (16 + 2 * 5) / 4 and (-3 - 2 * 3) / 3.
    np.testing.assert_array_equal(overall, [5, -3])
    np.testing.assert_array_equal(means, [[3.5, -3], [6.5, -3]])
    assert filled.dtype == np.float32


@pytest.mark.parametrize(("gap", "expected"), [(NAN, 2), (-INF, 1)])
def test_margins_of_a_class_without_a_finite_one(gap, expected):
    margins = [[1, 1], [3, 5], [gap, 3]]
    curves = kcn.LossCurves(np.ones((3, 2)), [0, 0, 1], margins=margins)
    assert filled_margins(curves)[0][2].tolist() == [expected, 3]


@pytest.mark.parametrize("gap", [NAN, -INF])
def test_margins_of_an_epoch_without_a_finite_one(gap):
    margins = [[gap, 1], [gap, 3], [gap, 5]]
    curves = kcn.LossCurves(np.ones((3, 2)), [0, 1, 1], margins=margins)
    for part in filled_margins(curves):
        assert np.isfinite(part).all()
        np.testing.assert_array_equal(part[..., 0], 0)


def test_filled_margins_of_samples_never_seen_are_finite():
    curves = random_curves()
    assert all(np.isfinite(part).all() for part in filled_margins(curves))


def test_margins_change_no_losses():
    curves = random_curves()
    plain = without_margins(curves)
    np.testing.assert_array_equal(curves.values, plain.values)
    np.testing.assert_array_equal(
        curves.class_centered(), plain.class_centered()
    )


def test_values_are_made_of_columns_when_they_are_asked_for():
    curves = random_curves()
    assert curves.values.dtype == np.float32
    assert curves.values is curves.values
    for epoch, column in enumerate(curves.loss_columns):
        np.testing.assert_array_equal(curves.values[:, epoch], column)
    with pytest.raises(ValueError, match="read-only"):
        curves.values[0] = 1.0


def test_the_first_samples():
    curves = random_curves()
    first = curves.first(3)
    np.testing.assert_array_equal(first.values, curves.values[:3])
    np.testing.assert_array_equal(first.margins, curves.margins[:3])
    np.testing.assert_array_equal(
        first.predicted_classes, curves.predicted_classes[:3]
    )
    np.testing.assert_array_equal(first.labels, curves.labels[:3])
    assert first.num_classes == curves.num_classes
    assert curves.first(curves.num_samples) is curves


# --- Files -------------------------------------------------------------------


@pytest.mark.parametrize("as_path", [str, pathlib.Path])
def test_round_trip(tmp_path, as_path):
    curves = random_curves()
    filepath = as_path(tmp_path / "curves.npz")
    curves.save(filepath)
    assert_equal(kcn.LossCurves.load(filepath), curves)
    assert os.listdir(tmp_path) == ["curves.npz"]


def test_round_trip_without_margins(tmp_path):
    curves = without_margins(random_curves())
    curves.save(tmp_path / "curves.npz")
    with np.load(tmp_path / "curves.npz") as saved:
        assert sorted(saved) == sorted(content())
        assert saved["format_version"] == 2
    assert_equal(kcn.LossCurves.load(tmp_path / "curves.npz"), curves)


def test_file_name_is_kept_without_the_usual_ending(tmp_path):
    curves = random_curves()
    curves.save(tmp_path / "curves")
    assert os.listdir(tmp_path) == ["curves"]
    assert_equal(kcn.LossCurves.load(tmp_path / "curves"), curves)


def test_save_into_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    curves = random_curves()
    curves.save("curves.npz")
    assert_equal(kcn.LossCurves.load("curves.npz"), curves)


def test_saved_file_is_as_readable_as_any_other(tmp_path):
    random_curves().save(tmp_path / "curves.npz")
    (tmp_path / "other").write_bytes(b"")
    modes = [
        (tmp_path / name).stat().st_mode & 0o777
        for name in ("curves.npz", "other")
    ]
    assert modes[0] == modes[1]


def test_truncated_file(tmp_path):
    filepath = tmp_path / "curves.npz"
    random_curves().save(filepath)
    content = filepath.read_bytes()
    for length in range(0, len(content), 17):
        filepath.write_bytes(content[:length])
        with pytest.raises(ValueError, match="Received: filepath=.*truncated"):
            kcn.LossCurves.load(filepath)


@pytest.mark.parametrize("flip", [0x01, 0xFF])
def test_damaged_byte_is_an_error_or_harmless(tmp_path, flip):
    filepath = tmp_path / "curves.npz"
    curves = random_curves()
    curves.save(filepath)
    content = filepath.read_bytes()
    refused = 0
    for position in range(0, len(content), 2):
        damaged = bytearray(content)
        damaged[position] ^= flip
        filepath.write_bytes(damaged)
        try:
            loaded = kcn.LossCurves.load(filepath)
        except ValueError as error:
            assert "filepath" in str(error)
            refused += 1
        else:
            assert_equal(loaded, curves)
    assert refused > len(content) // 4


class _Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, filepath):
        self.filepath = filepath

    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path(self.filepath),)


def content(**changes):
    arrays = {
        "format_version": np.int64(2),
        "values": np.ones((2, 3), "float32"),
        "labels": np.array([0, 1]),
        "num_classes": np.int64(2),
        **changes,
    }
    return {name: array for name, array in arrays.items() if array is not None}


def test_content_as_saved_is_accepted(tmp_path):
    np.savez(tmp_path / "curves.npz", **content())
    assert kcn.LossCurves.load(tmp_path / "curves.npz").num_epochs == 3


@pytest.mark.parametrize("name", [*content(), "margins", "predicted_classes"])
def test_pickled_objects_are_not_run(tmp_path, name):
    marker = tmp_path / "marker"
    objects = np.array([_Touch(marker)], dtype=object)
    np.savez(tmp_path / "curves.npz", **content(**{name: objects}))
    with pytest.raises(ValueError, match="Received: filepath="):
        kcn.LossCurves.load(tmp_path / "curves.npz")
    assert not marker.exists()


def test_bare_pickle_is_not_run(tmp_path):
    marker = tmp_path / "marker"
    (tmp_path / "curves.npz").write_bytes(pickle.dumps(_Touch(marker)))
    with pytest.raises(ValueError, match="Received: filepath="):
        kcn.LossCurves.load(tmp_path / "curves.npz")
    assert not marker.exists()


@pytest.mark.parametrize(
    "changes, match",
    [
        ({"format_version": np.int64(3)}, "version 2, or 3 with .*version 3"),
        ({"predicted_classes": np.zeros((2, 3), int)}, "of version 2 with"),
        ({"format_version": np.int64(1)}, "version 2, or .*version 1"),
        ({"format_version": np.ones(2, int)}, "Received: filepath="),
        ({"format_version": None}, "file with .'labels', 'num_classes', 'val"),
        ({"labels": None}, "file with .'format_version', 'num_classes', 'val"),
        ({"extra": np.zeros(1)}, "file with .'extra'"),
        ({"num_classes": np.ones(2, int)}, "Received"),
        ({"num_classes": np.array("many")}, "filepath|num_classes"),
        ({"num_classes": np.int64(1)}, "Received: a label of 1"),
        ({"values": np.ones(3, "float32")}, r"Received: values of shape \(3,"),
        ({"values": np.array([["a"], ["b"]])}, "filepath|`values`"),
        ({"labels": np.zeros(3, int)}, r"Received: labels of shape \(3,\)"),
        ({"margins": np.ones((2, 2))}, r"`margins`.*\(2, 3\).*\(2, 2\)"),
        ({"margins": np.full((2, 3), INF)}, r"filepath.*`margins`.*\+inf"),
        ({"margins": np.full((2, 3), "1")}, "filepath.*`margins`.*numbers"),
        (
            {
                "format_version": np.int64(3),
                "predicted_classes": np.full((2, 3), 2),
            },
            r"filepath.*`predicted_classes`.*Received: \[2, 2\] for",
        ),
    ],
)
def test_other_content(tmp_path, changes, match):
    np.savez(tmp_path / "curves.npz", **content(**changes))
    with pytest.raises(ValueError, match=match):
        kcn.LossCurves.load(tmp_path / "curves.npz")


def _npy():
    file = io.BytesIO()
    np.save(file, np.ones((2, 3)))
    return file.getvalue()


def _zip(names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"text")
    return file.getvalue()


@pytest.mark.parametrize(
    "content_of_file",
    [
        b"",
        b"values,labels\n1,2\n",
        _npy(),
        _zip(["readme.txt"]),
        _zip(["format_version", "values", "labels", "num_classes"]),
    ],
    ids=["empty", "text", "npy", "zip", "zip_of_text"],
)
def test_another_kind_of_file(tmp_path, content_of_file):
    (tmp_path / "curves.npz").write_bytes(content_of_file)
    with pytest.raises(ValueError, match="Received: filepath="):
        kcn.LossCurves.load(tmp_path / "curves.npz")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="curves.npz"):
        kcn.LossCurves.load(tmp_path / "curves.npz")


def test_failed_save_leaves_the_earlier_file(tmp_path, monkeypatch):
    curves = random_curves()
    filepath = tmp_path / "curves.npz"
    curves.save(filepath)

    def fail(file, **arrays):
        file.write(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="No space left"):
        kcn.LossCurves(np.ones((2, 2)), [0, 1]).save(filepath)
    assert_equal(kcn.LossCurves.load(filepath), curves)
    assert os.listdir(tmp_path) == ["curves.npz"]

import numpy as np
import pytest

import keras_curvenet as kcn


def balanced_labels(num_classes=4, size=100, seed=0):
    labels = np.repeat(np.arange(num_classes), size)
    return np.random.default_rng(seed).permutation(labels)


@pytest.mark.parametrize(
    "factor, max_per_class, expected",
    [
        # 100 * 0.001 ** (k / 3) = 100, 10, 1, 0.1
        (0.001, 100, [100, 10, 1, 0]),
        # 64 * 0.125 ** (k / 3) = 64, 32, 16, 8; all below by rounding.
        (0.125, 65, [65, 32, 16, 8]),
        (1.0, 7, [7, 7, 7, 7]),
        # The largest that every class can give: 100.
        (0.3, None, [100, 66, 44, 30]),
    ],
)
def test_counts_follow_the_formula(factor, max_per_class, expected):
    labels = balanced_labels()
    rows = kcn.datasets.long_tailed_indices(labels, factor, max_per_class)
    counts = np.bincount(labels[rows], minlength=4)
    assert counts.tolist() == expected


def test_rows_are_distinct_sorted_ids():
    labels = balanced_labels()
    rows = kcn.datasets.long_tailed_indices(labels, 0.1)
    assert rows.dtype == np.int64
    assert (np.diff(rows) > 0).all()
    assert rows[0] >= 0 and rows[-1] < len(labels)


def test_default_size_is_what_the_smallest_class_has():
    labels = np.repeat([0, 1, 2], [50, 40, 30])
    rows = kcn.datasets.long_tailed_indices(labels, 1.0)
    assert np.bincount(labels[rows]).tolist() == [30, 30, 30]


def test_one_class_keeps_the_maximum():
    rows = kcn.datasets.long_tailed_indices(np.zeros(10, int), 0.5, 4)
    assert len(rows) == 4


def test_seed_decides_which_samples():
    labels = balanced_labels()
    rows = kcn.datasets.long_tailed_indices(labels, 0.1, seed=3)
    again = kcn.datasets.long_tailed_indices(labels, 0.1, seed=3)
    other = kcn.datasets.long_tailed_indices(labels, 0.1, seed=4)
    np.testing.assert_array_equal(rows, again)
    assert rows.tolist() != other.tolist()


def test_labels_are_unchanged():
    labels = balanced_labels()
    before = labels.copy()
    kcn.datasets.long_tailed_indices(labels, 0.1)
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize(
    "labels, arguments, match",
    [
        ([[0, 1]], {}, r"`labels`.*Received: int64 of shape \(1, 2\)"),
        ([0.0, 1.0], {}, "`labels`.*Received: float64"),
        (np.zeros(0, int), {}, r"`labels`.*Received: int64 of shape \(0,\)"),
        ([0, -1], {}, "`labels`.*Received: a label of -1"),
        ([0, 1], {"imbalance_factor": 0.0}, "imbalance_factor=0.0"),
        ([0, 1], {"imbalance_factor": 1.5}, "imbalance_factor=1.5"),
        ([0, 1], {"imbalance_factor": float("nan")}, "imbalance_factor=nan"),
        ([0, 1], {"max_per_class": 0}, "max_per_class=0"),
        ([0, 1, 1], {"max_per_class": 2}, r"max_per_class=2, which needs \[2"),
        ([0, 2], {}, r"\[1, 0, 1\] samples"),
    ],
)
def test_bad_arguments(labels, arguments, match):
    arguments = {"imbalance_factor": 1.0, **arguments}
    with pytest.raises(ValueError, match=match):
        kcn.datasets.long_tailed_indices(np.asarray(labels), **arguments)

import numpy as np
import pytest

import keras_curvenet as kcn

NUM_SAMPLES = 20_000


def unbalanced_labels():
    """Classes 0, 1, 2 with frequencies 0.5, 0.3, 0.2."""
    counts = (NUM_SAMPLES * np.array([0.5, 0.3, 0.2])).astype(int)
    labels = np.repeat(np.arange(3), counts)
    return np.random.default_rng(0).permutation(labels)


def assert_binomial(flags, probability):
    """Asserts a rate within four standard deviations."""
    deviation = np.sqrt(probability * (1 - probability) / len(flags))
    assert abs(np.mean(flags) - probability) <= 4 * deviation


@pytest.mark.parametrize(
    "kind, num_classes, flip_rate",
    [
        # Drawn from the frequencies: flipped unless its own class comes out,
        # 0.4 * (1 - 0.5 ** 2 - 0.3 ** 2 - 0.2 ** 2)
        ("frequency", None, 0.4 * 0.62),
        # 0.4 * (C - 1) / C
        ("symmetric", None, 0.4 * 2 / 3),
        ("symmetric", 10, 0.4 * 9 / 10),
        ("pair", None, 0.4),
    ],
)
def test_flip_rate(kind, num_classes, flip_rate):
    labels = unbalanced_labels()
    noisy = kcn.datasets.corrupt_labels(
        labels, 0.4, kind, num_classes=num_classes
    )
    assert_binomial(noisy != labels, flip_rate)


def test_frequency_noise_keeps_the_class_frequencies():
    labels = unbalanced_labels()
    noisy = kcn.datasets.corrupt_labels(labels, 0.4)
    from_class_0 = noisy[labels == 0]
    assert_binomial(from_class_0 == 1, 0.4 * 0.3)
    assert_binomial(from_class_0 == 2, 0.4 * 0.2)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("frequency", [2, 0, 2, 0, 2, 0, 1, 1, 0, 0]),
        ("uniform", [2, 0, 2, 0, 2, 0, 1, 1, 0, 0]),  # Another word for it.
        ("symmetric", [2, 0, 2, 0, 2, 0, 1, 2, 0, 0]),
        ("pair", [1, 0, 1, 0, 1, 2, 1, 2, 0, 0]),
    ],
)
def test_a_seed_gives_the_same_labels_in_every_version(kind, expected):
    labels = np.repeat([0, 1, 2], [5, 3, 2])
    noisy = kcn.datasets.corrupt_labels(labels, 0.6, kind, seed=1)
    assert noisy.tolist() == expected


def test_symmetric_noise_reaches_all_classes_alike():
    labels = unbalanced_labels()
    noisy = kcn.datasets.corrupt_labels(labels, 0.4, "symmetric", num_classes=5)
    for label in range(1, 5):
        assert_binomial(noisy[labels == 0] == label, 0.4 / 5)


def test_pair_noise_goes_to_the_next_class():
    labels = np.array([0, 1, 2, 2])
    noisy = kcn.datasets.corrupt_labels(labels, 1.0, "pair")
    assert noisy.tolist() == [1, 2, 0, 0]
    noisy = kcn.datasets.corrupt_labels(labels, 1.0, "pair", num_classes=4)
    assert noisy.tolist() == [1, 2, 3, 3]


@pytest.mark.parametrize("kind", ["frequency", "symmetric", "pair"])
def test_no_noise(kind):
    labels = unbalanced_labels()
    noisy = kcn.datasets.corrupt_labels(labels, 0.0, kind)
    np.testing.assert_array_equal(noisy, labels)
    assert noisy is not labels


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64"])
@pytest.mark.parametrize("kind", ["frequency", "symmetric", "pair"])
def test_dtype_is_kept_and_input_unchanged(kind, dtype):
    labels = unbalanced_labels().astype(dtype)
    before = labels.copy()
    noisy = kcn.datasets.corrupt_labels(labels, 0.5, kind)
    assert noisy.dtype == dtype
    assert set(np.unique(noisy)) == {0, 1, 2}
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize("dtype, num_classes", [("uint8", 256), ("int8", 128)])
@pytest.mark.parametrize("kind", ["frequency", "symmetric", "pair"])
def test_as_many_classes_as_the_dtype_holds(kind, dtype, num_classes):
    labels = np.arange(num_classes).astype(dtype)
    noisy = kcn.datasets.corrupt_labels(labels, 1.0, kind)
    assert noisy.dtype == dtype
    assert noisy.min() >= 0
    if kind == "pair":
        assert noisy.tolist() == [*range(1, num_classes), 0]


def test_seed():
    labels = unbalanced_labels()
    noisy = kcn.datasets.corrupt_labels(labels, 0.4, seed=1)
    again = kcn.datasets.corrupt_labels(labels, 0.4, seed=1)
    other = kcn.datasets.corrupt_labels(labels, 0.4, seed=2)
    np.testing.assert_array_equal(noisy, again)
    assert (noisy != other).any()


@pytest.mark.parametrize(
    "labels, arguments, match",
    [
        ([[0, 1]], {}, r"`labels`.*Received: int64 of shape \(1, 2\)"),
        ([0.5, 1.0], {}, "`labels`.*Received: float64"),
        (np.zeros(0, int), {}, r"`labels`.*Received: int64 of shape \(0,\)"),
        ([0, -1], {}, "`labels`.*Received: labels from -1 to 0"),
        ([0, 3], {"num_classes": 3}, "`labels`.*to 3, num_classes=3"),
        ([0, 1], {"noise_rate": -0.1}, "Received: noise_rate=-0.1"),
        ([0, 1], {"noise_rate": 1.1}, "Received: noise_rate=1.1"),
        ([0, 1], {"noise_rate": float("nan")}, "Received: noise_rate=nan"),
        ([0, 1], {"kind": "asymmetric"}, "Received: kind='asymmetric'"),
    ],
)
def test_bad_arguments(labels, arguments, match):
    arguments = {"noise_rate": 0.4, **arguments}
    with pytest.raises(ValueError, match=match):
        kcn.datasets.corrupt_labels(np.asarray(labels), **arguments)

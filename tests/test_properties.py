"""What holds for all data: ids, files of curves, long tails, wrong labels."""

import tempfile

import hypothesis
import numpy as np
from hypothesis import strategies
from hypothesis.extra import numpy as arrays

import keras_curvenet as kcn
from keras_curvenet.probing.curve_folder import CurveFolder
from keras_curvenet.probing.curve_folder import RecordedColumns

hypothesis.settings.register_profile(
    "short", max_examples=20, deadline=None, derandomize=True
)
hypothesis.settings.load_profile("short")

losses = strategies.floats(-1e6, 1e6, width=32) | strategies.sampled_from(
    [np.nan, np.inf]
)


@strategies.composite
def loss_curves(draw):
    shape = draw(strategies.tuples(*[strategies.integers(1, 5)] * 2))
    values = draw(arrays.arrays(np.float32, shape, elements=losses))
    labels = draw(
        arrays.arrays(np.int64, shape[0], elements=strategies.integers(0, 4))
    )
    margins = predicted = None
    if draw(strategies.booleans()):
        margins = np.where(np.isposinf(values), -np.inf, -values)
    if draw(strategies.booleans()):
        classes = strategies.integers(-1, 4)
        predicted = draw(arrays.arrays(np.int16, shape, elements=classes))
    return kcn.LossCurves(values, labels, 5, margins, predicted)


def assert_same(curves, other):
    np.testing.assert_array_equal(curves.values, other.values)
    np.testing.assert_array_equal(curves.labels, other.labels)
    assert curves.num_classes == other.num_classes
    np.testing.assert_array_equal(curves.margins, other.margins)
    np.testing.assert_array_equal(
        curves.predicted_classes, other.predicted_classes
    )


@hypothesis.given(loss_curves())
def test_a_file_holds_the_curves(curves):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/curves.npz"
        curves.save(path)
        assert_same(kcn.LossCurves.load(path), curves)


@hypothesis.given(loss_curves(), strategies.data())
def test_a_damaged_file_is_refused_or_the_same(curves, data):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/curves.npz"
        curves.save(path)
        with open(path, "rb") as file:
            content = bytearray(file.read())
        position = data.draw(strategies.integers(0, len(content) - 1))
        if data.draw(strategies.booleans()):
            content = content[:position]
        else:
            content[position] ^= data.draw(strategies.integers(1, 255))
        with open(path, "wb") as file:
            file.write(content)
        try:
            loaded = kcn.LossCurves.load(path)
        except ValueError as error:
            assert "argument `filepath`" in str(error)
        else:
            assert_same(loaded, curves)


@hypothesis.given(loss_curves(), strategies.integers(0, 8))
def test_a_folder_holds_the_curves(curves, kept):
    """Written an epoch at a time, and replaced from one of them on."""
    seen = ~np.isnan(curves.values).all(axis=1)
    labels = np.where(seen, curves.labels, -1)
    margins = curves.margins
    predicted = curves.predicted_classes
    if predicted is not None:
        predicted = np.where(seen[:, np.newaxis], predicted, np.int16(-1))

    def columns(num_epochs):
        return RecordedColumns(
            list(curves.values.T[:num_epochs]),
            None if margins is None else list(margins.T[:num_epochs]),
            None if predicted is None else list(predicted.T[:num_epochs]),
            labels,
            curves.num_classes,
        )

    with tempfile.TemporaryDirectory() as path:
        folder = CurveFolder(path)
        for num_epochs in range(1, curves.num_epochs + 1):
            folder.save(columns(num_epochs))
        folder.save(columns(max(1, min(kept, curves.num_epochs))))
        folder.save(columns(curves.num_epochs))
        loaded = kcn.LossCurves.load(path)
        np.testing.assert_array_equal(loaded.values, curves.values)
        np.testing.assert_array_equal(loaded.labels, labels)
        np.testing.assert_array_equal(loaded.margins, margins)
        np.testing.assert_array_equal(loaded.predicted_classes, predicted)


@hypothesis.given(
    strategies.integers(1, 30),
    strategies.integers(1, 9),
    strategies.integers(0, 99),
)
def test_ids_follow_their_samples(num_samples, batch_size, seed):
    x = np.arange(num_samples, dtype="float32")[:, np.newaxis]
    train = kcn.with_sample_ids((x, np.arange(num_samples)))
    assert int(train.cardinality()) == num_samples
    train = kcn.shuffle_by_epoch(train, num_samples, seed).batch(batch_size)
    batches = list(train.as_numpy_iterator())
    ids = np.concatenate([batch[3] for batch in batches])
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(np.sort(ids), np.arange(num_samples))
    for inputs, labels, weights, batch_ids in batches:
        np.testing.assert_array_equal(inputs[:, 0], batch_ids)
        np.testing.assert_array_equal(labels, batch_ids)
        np.testing.assert_array_equal(weights, 1.0)


@hypothesis.given(
    strategies.integers(1, 8),
    strategies.integers(1, 40),
    strategies.floats(0.01, 1.0),
    strategies.integers(0, 99),
)
def test_long_tails(num_classes, per_class, imbalance_factor, seed):
    labels = np.random.default_rng(seed).permutation(
        np.repeat(np.arange(num_classes), per_class)
    )
    ids = kcn.datasets.long_tailed_indices(labels, imbalance_factor, seed=seed)
    assert len(np.unique(ids)) == len(ids)
    counts = np.bincount(labels[ids], minlength=num_classes)
    last = max(num_classes - 1, 1)
    shares = imbalance_factor ** (np.arange(num_classes) / last)
    np.testing.assert_array_equal(counts, (per_class * shares).astype(int))
    assert (np.diff(counts) <= 0).all()


@hypothesis.given(
    arrays.arrays(
        np.int32,
        strategies.integers(1, 200),
        elements=strategies.integers(0, 6),
    ),
    strategies.floats(0.0, 1.0),
    strategies.sampled_from(["uniform", "symmetric", "pair"]),
    strategies.integers(0, 99),
)
def test_wrong_labels(labels, noise_rate, kind, seed):
    arguments = {"kind": kind, "num_classes": 7, "seed": seed}
    noisy = kcn.datasets.corrupt_labels(labels, noise_rate, **arguments)
    assert noisy.dtype == labels.dtype
    assert noisy.shape == labels.shape
    assert noisy.min() >= 0
    assert noisy.max() <= 6
    if kind == "uniform":
        assert set(noisy) <= set(labels)
    changed = noisy != labels
    if kind == "pair":
        np.testing.assert_array_equal(noisy[changed], (labels[changed] + 1) % 7)
    if noise_rate == 0.0:
        assert not changed.any()
    again = kcn.datasets.corrupt_labels(labels, noise_rate, **arguments)
    np.testing.assert_array_equal(again, noisy)
    # More noise changes no label back.
    more = kcn.datasets.corrupt_labels(labels, 1.0, **arguments)
    np.testing.assert_array_equal(noisy[changed], more[changed])

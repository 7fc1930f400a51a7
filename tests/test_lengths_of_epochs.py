"""Epochs that are no pass over the data, in both stages."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import testing_utils

import keras_curvenet as kcn

N = 12
BATCH = 4
x, y = testing_utils.tiny_data(N)


def with_ids():
    return kcn.with_sample_ids((x, y))


def unknown(data):
    data = data.filter(lambda *batch: True)
    assert int(data.cardinality()) == tf.data.UNKNOWN_CARDINALITY
    return data


def compiled_model(run_eagerly):
    keras.utils.set_random_seed(0)
    model = testing_utils.tiny_model()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=run_eagerly)
    return model


def probed(data, run_eagerly=True, **kwargs):
    """Which samples each of two epochs recorded, `(N, 2)`."""
    recorder = kcn.LossCurveRecorder()
    compiled_model(run_eagerly).fit(
        data, epochs=2, verbose=0, callbacks=[recorder], **kwargs
    )
    return np.isfinite(recorder.loss_curves.values)


def allocated(data, run_eagerly=True, **kwargs):
    """The model and its losses, after two epochs."""
    rng = np.random.default_rng(0)
    curves = kcn.LossCurves(rng.uniform(size=(N, 5)), labels=y)
    weighted = kcn.CurveWeightedModel(compiled_model(run_eagerly))
    arguments = {"meta_data": (x, y), "loss_curves": curves, **kwargs}
    history = weighted.fit(data, epochs=2, verbose=0, **arguments)
    return weighted, history.history["loss"]


# Which ids come in the first and in the second epoch, and the steps of both.
WAYS = {
    "below": (lambda: with_ids().batch(BATCH), 2, range(8), [8, 9, 10, 11], 3),
    "repeated, below": (
        lambda: with_ids().repeat().batch(BATCH),
        2,
        range(8),
        [8, 9, 10, 11, 0, 1, 2, 3],
        4,
    ),
    "repeated, beyond": (
        lambda: with_ids().repeat().batch(BATCH),
        4,
        range(12),
        range(12),
        8,
    ),
    "repeated twice": (
        lambda: with_ids().batch(BATCH).repeat(2),
        None,
        range(12),
        range(12),
        12,
    ),
    "remainder": (
        lambda: with_ids().batch(5, drop_remainder=True),
        None,
        range(10),
        range(10),
        4,
    ),
    "part": (
        lambda: with_ids().shard(2, 0).batch(BATCH),
        None,
        range(0, 12, 2),
        range(0, 12, 2),
        4,
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_what_an_epoch_saw_is_recorded(way):
    make, steps_per_epoch, first, second, _ = WAYS[way]
    seen = probed(
        make(),
        run_eagerly=way not in ("below", "repeated twice"),
        steps_per_epoch=steps_per_epoch,
    )
    for column, expected in zip(seen.T, (first, second), strict=True):
        assert set(np.flatnonzero(column)) == set(expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_all_steps_are_made(way):
    make, steps_per_epoch, _, _, num_steps = WAYS[way]
    weighted, losses = allocated(
        make(),
        run_eagerly=way != "below",
        steps_per_epoch=steps_per_epoch,
    )
    assert int(weighted.optimizer.iterations) == num_steps
    assert np.isfinite(losses).all()
    assert np.isfinite(weighted.sample_weights()).all()


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_an_unknown_number_of_batches_changes_nothing():
    known, data = with_ids().batch(BATCH), unknown(with_ids().batch(BATCH))
    assert probed(data).all() and probed(known).all()
    np.testing.assert_array_equal(allocated(data)[1], allocated(known)[1])


def test_no_batch_at_all():
    data = with_ids().batch(N + 1, drop_remainder=True)
    with pytest.raises(ValueError, match="Expected at least one batch"):
        allocated(data)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_no_batch_at_all_in_the_probe():
    data = with_ids().batch(N + 1, drop_remainder=True)
    with pytest.raises(ValueError, match="recorded nothing in epoch 1"):
        probed(data)


def test_an_epoch_without_end():
    data = with_ids().batch(BATCH)
    for stage in (probed, allocated):
        with pytest.raises(ValueError, match="steps_per_epoch=None"):
            stage(data.repeat())

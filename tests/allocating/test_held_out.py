"""A meta set chosen from the training data is not trained on meanwhile."""

import keras
import numpy as np
import pytest
import tiny_models
from weighted_models import weighted_model

import keras_curvenet as kcn
from keras_curvenet.allocating.fit_arguments import training_batches
from keras_curvenet.allocating.meta_set import meta_set

SIZES = 300, 60, 4


def data():
    """Samples of a frequent, a rare and a tiny class, a quarter wrong."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), SIZES)
    x = rng.normal(size=(len(labels), 4)).astype("float32")
    is_wrong = rng.uniform(size=len(labels)) < 0.25
    level = np.where(is_wrong, 2.0, np.linspace(2.0, 0.1, 8)[:, None]).T
    noise = rng.normal(scale=0.1, size=level.shape)
    return x, labels, kcn.LossCurves(np.abs(level + noise), labels)


def wrapped(**kwargs):
    """A wrapper whose CurveNet does not move."""
    weighted = weighted_model(
        tiny_models.sequential,
        curve_net=None,
        meta_optimizer=keras.optimizers.SGD(0.0),
        **kwargs,
    )
    weighted.run_eagerly = True
    return weighted


def test_no_more_than_a_tenth_of_a_class():
    x, labels, curves = data()
    train = training_batches(x, labels, None, 64, False, 0.0, None)
    with pytest.warns(UserWarning, match="fewer than 20 samples"):
        sample_ids, held_out, _ = meta_set(None, train, curves, None, None)
    counts = kcn.estimate_class_counts(curves)
    num_held_out = np.bincount(labels[held_out], minlength=3)
    assert counts[0] >= 200 and 30 <= counts[1] < 60
    np.testing.assert_array_equal(num_held_out, [20, counts[1] // 10, 0])
    assert np.isin(held_out, sample_ids).all()


def test_held_out_samples_change_nothing_while_weights_are_learned():
    """Their labels could be any: the network does not see them."""
    x, labels, curves = data()
    train = training_batches(x, labels, None, 64, False, 0.0, None)
    with pytest.warns(UserWarning, match="fewer than 20 samples"):
        _, held_out, _ = meta_set(None, train, curves, None, None)
    without = np.where(np.isin(np.arange(len(x)), held_out), 0.0, 1.0)

    def weights_by_epoch(sample_weight):
        weighted = wrapped(soft_labels=False, balance_classes=False)
        after = []
        noting = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: after.append(
                weighted.base_model.get_weights()
            )
        )
        with pytest.warns(UserWarning, match="fewer than 20 samples"):
            weighted.fit(
                x,
                labels,
                64,
                epochs=2,
                verbose=0,
                callbacks=[noting],
                shuffle=False,
                sample_weight=sample_weight,
                loss_curves=curves,
                meta_epochs=1,
            )
        return after

    learned, frozen = weights_by_epoch(np.ones(len(x)))
    learned_without, frozen_without = weights_by_epoch(without)
    tiny_models.assert_all_close(learned, learned_without)
    # Once weights are frozen, they are trained on.
    assert not np.allclose(frozen[0], frozen_without[0], atol=1e-5)


def test_a_meta_set_of_its_own_holds_nothing_out():
    x, labels, curves = data()

    def trained(meta_epochs):
        weighted = wrapped()
        weighted.fit(
            x,
            labels,
            64,
            shuffle=False,
            loss_curves=curves,
            meta_data=(x[-80:], labels[-80:]),
            meta_epochs=meta_epochs,
            verbose=0,
        )
        return weighted.base_model.get_weights()

    tiny_models.assert_all_close(trained(1), trained(0))

"""A meta set chosen from the training data is not trained on meanwhile."""

import keras
import numpy as np
import pytest
import tiny_models
from weighted_models import eager

import keras_curvenet as kcn

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


def fit(weighted, x, labels, curves, **kwargs):
    with pytest.warns(UserWarning, match="fewer than 20 samples"):
        weighted.fit(x, labels, 128, loss_curves=curves, verbose=0, **kwargs)


def one_input_per_sample():
    """A linear model that starts at zero: a row of its kernel per sample."""
    return keras.Sequential(
        [
            keras.Input((sum(SIZES),)),
            keras.layers.Dense(3, use_bias=False, kernel_initializer="zeros"),
        ]
    )


@pytest.fixture(scope="module")
def meta_set():
    """Ids of the meta set, and those of it that were not trained on."""
    _, labels, curves = data()
    weighted = eager(
        one_input_per_sample,
        curve_net=None,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        soft_labels=False,
    )
    x, untouched = np.eye(len(labels), dtype="float32"), []

    def note(epoch, logs):
        (kernel,) = weighted.base_model.get_weights()
        untouched.append(np.flatnonzero((kernel == 0.0).all(axis=1)))

    callback = keras.callbacks.LambdaCallback(on_epoch_end=note)
    fit(weighted, x, labels, curves, epochs=2, callbacks=[callback])
    while_learning, once_frozen = untouched
    assert len(once_frozen) == 0
    return weighted.meta_sample_ids, while_learning


def test_no_more_than_a_tenth_of_a_class(meta_set):
    chosen, held_out = meta_set
    _, labels, curves = data()
    counts = kcn.estimate_class_counts(curves)
    assert counts[0] >= 200 and 30 <= counts[1] < 60
    np.testing.assert_array_equal(
        np.bincount(labels[held_out], minlength=3), [20, counts[1] // 10, 0]
    )
    assert np.isin(held_out, chosen).all()


def test_held_out_samples_change_nothing_while_weights_are_learned(meta_set):
    """Their labels could be any: the network does not see them."""
    _, held_out = meta_set
    x, labels, curves = data()
    weights = np.ones(len(x), "float32")
    others = np.where(np.isin(np.arange(len(x)), held_out), 0.0, weights)

    def trained(sample_weight):
        weighted = eager(
            tiny_models.sequential,
            curve_net=None,
            soft_labels=False,
            balance_classes=False,
            meta_optimizer=keras.optimizers.SGD(0.0),
        )
        fit(
            weighted,
            x,
            labels,
            curves,
            shuffle=False,
            epochs=1,
            sample_weight=sample_weight,
        )
        return weighted.base_model.get_weights()

    tiny_models.assert_all_close(trained(weights), trained(others))


def test_a_meta_set_of_its_own_holds_nothing_out():
    x, labels, curves = data()

    def trained(meta_epochs):
        weighted = eager(
            tiny_models.sequential,
            curve_net=None,
            meta_optimizer=keras.optimizers.SGD(0.0),
        )
        weighted.fit(
            x,
            labels,
            128,
            shuffle=False,
            loss_curves=curves,
            meta_data=(x[-80:], labels[-80:]),
            meta_epochs=meta_epochs,
            verbose=0,
        )
        return weighted.base_model.get_weights()

    tiny_models.assert_all_close(trained(1), trained(0))

"""Answers on labels, in the training of a `CurveWeightedModel`."""

import keras
import numpy as np
import pytest
from weighted_models import eager

import keras_curvenet as kcn

# Most labels are right.
RIGHT = dict.fromkeys(range(40, 120), True)

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def data(num_classes=3, size=120):
    """Samples whose curves say nothing of their labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(size) % num_classes
    x = rng.normal(size=(size, 4)).astype("float32")
    curves = kcn.LossCurves(rng.uniform(size=(size, 8)), labels)
    return x, labels, curves


def linear(num_outputs=3):
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(num_outputs)]
    )


def fit(weighted, x, y, curves, checked, **kwargs):
    arguments = {"epochs": 1, "loss_curves": curves, "checked": checked}
    arguments["batch_size"] = len(x) // 2
    weighted.fit(x, y, verbose=0, **{**arguments, **kwargs})
    return weighted.sample_weights()


def test_weights_are_what_was_answered():
    x, labels, curves = data()
    checked = {**RIGHT, 0: True, 1: False, 2: (2 + 1) % 3, 3: None}
    weighted = eager(linear, curve_net=None, loss=LOSS)
    weights = fit(weighted, x, labels, curves, checked)
    assert weights[0] > 0.99 and weights[1] < 0.01
    assert weights[2] > 0.99  # Of its right class.
    assert 0.05 < weights[3] < 0.99
    scores = weighted.label_quality_scores()
    np.testing.assert_array_equal(scores[:3], [1.0, 0.0, 0.0])
    # A later fit goes on with them, and with others where they are given.
    weights = fit(weighted, x, labels, None, None)
    assert weights[0] > 0.99 and weights[1] < 0.01
    weights = fit(weighted, x, labels, None, {**RIGHT, 0: False})
    assert weights[0] < 0.01 and weights[1] > 0.1


@pytest.mark.parametrize("form", ["sparse", "column", "one-hot"])
def test_right_classes_are_trained_on(form):
    """As if the targets had been corrected, and were trusted."""
    x, labels, curves = data()
    arguments = {"shuffle": False}
    if form != "sparse":  # Curve nets learn alike, whatever the form.
        arguments["meta_epochs"] = 0
    corrected = labels.copy()
    corrected[:40] = (labels[:40] + 1) % 3
    checked = {**RIGHT, **{i: int(corrected[i]) for i in range(40)}}
    loss = LOSS
    if form == "one-hot":
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)

    def targets(classes):
        if form == "one-hot":
            return np.eye(3, dtype="float32")[classes]
        return classes[:, None] if form == "column" else classes

    kernels = []
    for y in (labels, corrected):
        weighted = eager(
            linear, curve_net=None, loss=loss, balance_classes=False
        )
        fit(weighted, x, targets(y), curves, checked, **arguments)
        kernels.append(weighted.base_model.get_weights()[0])
    np.testing.assert_allclose(*kernels, atol=1e-6)
    weighted = eager(linear, curve_net=None, loss=loss, balance_classes=False)
    only_wrong = {**RIGHT, **dict.fromkeys(range(40), False)}
    fit(weighted, x, targets(labels), curves, only_wrong, **arguments)
    assert (
        np.abs(weighted.base_model.get_weights()[0] - kernels[0]).max() > 0.01
    )


def test_binary_targets_are_corrected():
    x, labels, curves = data(num_classes=2)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    kernels = []
    for y in (labels, np.where(np.arange(120) < 40, 1 - labels, labels)):
        weighted = eager(
            lambda: linear(1), curve_net=None, loss=loss, balance_classes=False
        )
        checked = {**RIGHT, **dict.fromkeys(range(40), False)}
        y = y.astype("float32")
        weights = fit(weighted, x, y, curves, checked, shuffle=False)
        assert (weights[:40] > 0.99).all()
        kernels.append(weighted.base_model.get_weights()[0])
    np.testing.assert_allclose(*kernels, atol=1e-6)


def test_what_is_right_is_in_the_meta_set_first():
    _, labels, curves = data(size=600)
    checked = {i: i < 30 for i in range(36)}
    chosen = kcn.select_meta_samples(
        curves, samples_per_class=15, checked=checked
    )
    assert set(range(30)) < set(chosen.tolist())
    assert not set(range(30, 36)) & set(chosen.tolist())
    np.testing.assert_array_equal(np.bincount(labels[chosen]), [15, 15, 15])
    # Of more than are needed, as many as of other classes.
    chosen = kcn.select_meta_samples(
        curves, samples_per_class=4, checked=checked
    )
    assert set(chosen.tolist()) < set(range(30)) and len(chosen) == 12


def test_meta_set_of_a_fit():
    x, labels, curves = data(size=600)
    checked = {i: bool(i % 3) for i in range(60)}
    weighted = eager(linear, curve_net=None, loss=LOSS)
    fit(weighted, x, labels, curves, checked)
    chosen = set(weighted.meta_sample_ids.tolist())
    assert {i for i in checked if checked[i]} < chosen
    assert not {i for i in checked if not checked[i]} & chosen


def test_answers_that_do_not_fit():
    x, labels, curves = data()
    weighted = eager(linear, curve_net=None, loss=LOSS)
    with pytest.raises(ValueError, match="`checked`.*sample id 120"):
        fit(weighted, x, labels, curves, {120: True})


def test_curve_net_learns_as_of_a_clean_set_where_all_of_it_was_found_right():
    x, labels, curves = data(size=600)
    rates = []
    for num_right in (30, 60):  # Of 20 a class.
        weighted = eager(linear, curve_net=None, loss=LOSS, meta_optimizer=None)
        fit(weighted, x, labels, curves, dict.fromkeys(range(num_right), True))
        rates.append(float(weighted.meta_optimizer.learning_rate))
    assert rates == pytest.approx([1e-5, 1e-4])

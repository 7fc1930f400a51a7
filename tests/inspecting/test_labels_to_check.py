import numpy as np
import planted
import pytest

import keras_curvenet as kcn
from keras_curvenet.inspecting.ranking_layers import layers_of_ranking


def layers_of(curves):
    return layers_of_ranking(kcn.label_quality_scores(curves))


def test_layers_by_hand():
    # Sizes are as 6, 7, 8, ..., 15, of 105 in all: layers end at the ranks 6,
    # 13, 21, 30, 40, 51, 63, 76 and 90 of 105, which are 2, 4.3, 7, 10, 13.3,
    # 17, 21, 25.3 and 30 of 0 to 35.
    scores = np.append(np.arange(36.0)[::-1], np.nan)
    layers = layers_of_ranking(scores)
    assert layers[-1] == -1
    by_rank = layers[:-1][::-1]
    np.testing.assert_array_equal(
        np.bincount(by_rank), [3, 2, 3, 3, 3, 4, 4, 4, 5, 5]
    )
    assert (np.diff(by_rank) >= 0).all()


def test_equal_scores_are_in_one_layer():
    layers = layers_of_ranking(np.repeat([0.0, 1.0], [30, 70]))
    assert set(layers[:30]) == {0} and len(set(layers[30:])) == 1


def test_each_layer_is_asked_equally_often():
    curves, _ = planted.curves_of([300, 300, 300])
    asked = kcn.labels_to_check(curves)
    layers = layers_of(curves)[asked]
    np.testing.assert_array_equal(np.bincount(layers), np.full(10, 5))
    assert len(set(asked)) == 50 and asked.dtype == np.int64
    # In no order.
    assert abs(np.corrcoef(layers, np.arange(50))[0, 1]) < 0.4
    np.testing.assert_array_equal(asked, kcn.labels_to_check(curves))
    assert set(asked) != set(kcn.labels_to_check(curves, seed=1))


def test_each_layer_is_asked_about_its_classes():
    curves, _ = planted.curves_of([500, 500])
    asked = kcn.labels_to_check(curves, num_labels=200)
    layers = layers_of(curves)
    for layer in range(10):
        share = curves.labels[layers == layer].mean()
        of_layer = asked[layers[asked] == layer]
        assert abs(curves.labels[of_layer].sum() - 20 * share) < 1.0


def test_what_was_asked_is_not_asked_again():
    curves, _ = planted.curves_of([400, 400])
    first = kcn.labels_to_check(curves, num_labels=17)
    checked = {i: None if i % 3 == 0 else True for i in first.tolist()}
    second = kcn.labels_to_check(curves, num_labels=13, checked=checked)
    both = np.concatenate([first, second])
    assert len(set(both)) == 30
    layers = layers_of(curves)[both]
    np.testing.assert_array_equal(np.bincount(layers), np.full(10, 3))


def test_all_are_asked_where_there_are_few():
    losses = np.full((8, 3), np.nan)
    losses[:6] = np.arange(18).reshape(6, 3)
    curves = kcn.LossCurves(losses, [0, 0, 0, 1, 1, 1, -1, -1])
    assert set(kcn.labels_to_check(curves)) == set(range(6))
    checked = dict.fromkeys(range(6), True)
    assert kcn.labels_to_check(curves, checked=checked).size == 0


def test_answers_estimate_without_bias():
    rng = np.random.default_rng(0)
    # A ranking that is worth little.
    is_wrong = rng.uniform(size=400) < np.linspace(0.4, 0.2, 400)
    losses = np.linspace(2.0, 0.5, 400)[:, np.newaxis] + np.zeros((400, 3))
    curves = kcn.LossCurves(losses, np.arange(400) % 4)
    shares = []
    for seed in range(300):
        asked = kcn.labels_to_check(curves, num_labels=30, seed=seed)
        checked = {i: not is_wrong[i] for i in asked}
        shares.append(kcn.share_of_wrong_labels(curves, checked).share)
    # The standard error is about 0.08 / sqrt(300).
    assert abs(np.mean(shares) - is_wrong.mean()) < 0.014


@pytest.mark.parametrize("arguments", [{"num_labels": 0}, {"seed": -1}])
def test_numbers_that_are_none(arguments):
    curves, _ = planted.curves_of([20])
    with pytest.raises(ValueError, match="Received: (num_labels=0|seed=-1)"):
        kcn.labels_to_check(curves, **arguments)

import keras
import numpy as np
import pytest
import tiny_models

import keras_curvenet as kcn
from keras_curvenet.allocating.initial_weights import start_at_label_quality


def scored_curves(num_samples=300):
    rng = np.random.default_rng(0)
    curves = rng.normal(size=(num_samples, 6)).astype("float32")
    labels = np.arange(num_samples) % 3
    scores = 1.0 / (1.0 + np.exp(2.0 * curves.mean(axis=1) - 1.0))
    return curves, labels, scores


def test_weights_start_at_the_scores():
    keras.utils.set_random_seed(0)
    curve_net = kcn.CurveNet(num_classes=3, curve_length=6)
    curves, labels, scores = scored_curves()
    start_at_label_quality(curve_net, curves, labels, scores)
    weights = curve_net([curves, labels]).numpy()
    np.testing.assert_allclose(weights - 0.02, scores, atol=0.1)


def test_unknown_scores_do_not_count():
    keras.utils.set_random_seed(0)
    curve_net = kcn.CurveNet(num_classes=3, curve_length=6)
    curves, labels, scores = scored_curves()
    unknown = np.where(np.arange(300) % 5 == 0, np.nan, scores)
    start_at_label_quality(curve_net, curves, labels, unknown)
    weights = curve_net([curves, labels]).numpy()
    assert np.abs(weights - 0.02 - scores).mean() < 0.05


def test_nothing_is_changed_where_no_score_is_known():
    curve_net = kcn.CurveNet(num_classes=3, curve_length=6)
    before = curve_net.get_weights()
    curves, labels, scores = scored_curves(9)
    start_at_label_quality(curve_net, curves, labels, np.full(9, np.nan))
    tiny_models.assert_all_equal(curve_net.get_weights(), before)


@pytest.mark.parametrize("given", [False, True])
def test_only_a_curve_net_of_our_own_is_fitted(given):
    curve_net = tiny_models.curve_net() if given else None
    weighted = kcn.CurveWeightedModel(
        tiny_models.two_layer_model(), curve_net=curve_net
    )
    weighted.compile("sgd", tiny_models.SPARSE_LOSS)
    before = curve_net.get_weights() if given else None
    curves = tiny_models.loss_curves()
    weighted.fit(
        tiny_models.with_ids(), loss_curves=curves, meta_epochs=0, verbose=0
    )
    if given:
        tiny_models.assert_all_equal(curve_net.get_weights(), before)
    else:
        scores = kcn.label_quality_scores(curves)
        np.testing.assert_allclose(
            weighted.sample_weights() - 0.02, scores, atol=0.05
        )


def test_the_same_seed_gives_the_same_weights():
    curves, labels, scores = scored_curves()
    found = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        curve_net = kcn.CurveNet(num_classes=3, curve_length=6)
        start_at_label_quality(curve_net, curves, labels, scores)
        found.append(curve_net.get_weights())
    tiny_models.assert_all_equal(*found)

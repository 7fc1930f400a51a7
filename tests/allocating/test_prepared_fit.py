import keras
import numpy as np
import pytest
import tiny_models

import keras_curvenet as kcn
from keras_curvenet.allocating.prepared_fit import prepared_curves

NAN = np.nan
# Random margins tell nothing.
pytestmark = pytest.mark.filterwarnings("ignore:.* do not tell how many")


def curves_with_margins(num_samples=24, num_epochs=6, scale=1.0):
    rng = np.random.default_rng(0)
    return kcn.LossCurves(
        rng.uniform(size=(num_samples, num_epochs)),
        np.arange(num_samples) % 3,
        margins=scale * rng.normal(size=(num_samples, num_epochs)),
    )


def start_of(scores):
    """Logits, two below those of the scores."""
    scores = np.clip(scores, 1e-4, 1.0 - 1e-4)
    return np.log(scores / (1.0 - scores)) - 2.0


def test_losses_relative_to_their_class():
    curves = tiny_models.loss_curves()
    prepared = prepared_curves(curves)
    np.testing.assert_array_equal(prepared.curves, curves.class_centered())
    assert prepared.curves.dtype == prepared.start.dtype == np.float32
    np.testing.assert_array_equal(prepared.labels, curves.labels)


def test_margins_beside_losses():
    curves = curves_with_margins()
    prepared = prepared_curves(curves)
    assert prepared.curves.shape == (24, 12)
    np.testing.assert_array_equal(
        prepared.curves[:, :6], curves.class_centered()
    )
    # A class's mean is shrunk by two samples of the mean over all.
    means = curves.margins.reshape(8, 3, 6).sum(axis=0)
    means = (means + 2.0 * curves.margins.mean(axis=0)) / 10.0
    expected = curves.margins - np.tile(means, (8, 1))
    np.testing.assert_allclose(prepared.curves[:, 6:], expected, atol=1e-5)


def test_leading_epochs_are_left_out_of_both():
    prepared = prepared_curves(curves_with_margins(num_epochs=32))
    assert prepared.curves.shape == (24, 60)


def test_large_margins_are_cut():
    prepared = prepared_curves(curves_with_margins(scale=1e3))
    assert np.abs(prepared.curves[:, 6:]).max() == 20.0


@pytest.mark.parametrize("with_margins", [False, True])
def test_samples_that_were_never_seen(with_margins):
    curves = curves_with_margins()
    values, margins = curves.values.copy(), curves.margins.copy()
    labels = curves.labels.copy()
    values[5], margins[5], labels[5] = NAN, NAN, -1
    prepared = prepared_curves(
        kcn.LossCurves(values, labels, 3, margins if with_margins else None)
    )
    assert prepared.labels[5] == -1
    assert prepared.start[5] == 0.0
    assert np.isfinite(prepared.curves).all()
    assert np.count_nonzero(prepared.start) == 23


def test_weights_start_below_the_label_quality():
    curves = tiny_models.curves_with_wrong_labels(0.5)
    scores = kcn.label_quality_scores(curves)
    np.testing.assert_allclose(
        prepared_curves(curves).start, start_of(scores), atol=1e-3
    )


@pytest.mark.parametrize(
    ("late", "with_margins", "expected"),
    [
        (0.1, True, False),
        (0.124, True, False),  # The likelihood rises by 0.024.
        (0.126, True, True),
        (0.1, False, True),
    ],
)
def test_what_the_probed_network_may_know(late, with_margins, expected):
    curves = tiny_models.curves_with_wrong_labels(late)
    if not with_margins:
        curves = kcn.LossCurves(curves.values, curves.labels)
    prepared = prepared_curves(curves)
    assert prepared.may_be_memorized is expected
    assert prepared.first(5).may_be_memorized is expected


def test_samples_that_were_never_seen_start_at_a_half_whatever_others_do():
    known = tiny_models.curves_with_wrong_labels(0.5)
    values, margins = known.values.copy(), known.margins.copy()
    labels = known.labels.copy()
    values[-1], margins[-1], labels[-1] = NAN, NAN, -1
    curves = kcn.LossCurves(values, labels, known.num_classes, margins)
    start = prepared_curves(curves).start
    assert start[-1] == 0.0
    scores = kcn.label_quality_scores(curves)[:-1]
    np.testing.assert_allclose(start[:-1], start_of(scores), atol=1e-3)


def test_first():
    prepared = prepared_curves(tiny_models.loss_curves()).first(5)
    assert [len(rows) for rows in prepared.tables] == [5, 5, 5]


@pytest.mark.parametrize("with_margins", [False, True])
@pytest.mark.parametrize("meta_epochs", [0, None])
def test_weights_start_where_the_label_quality_says(with_margins, meta_epochs):
    curves = curves_with_margins()
    values, margins = curves.values.copy(), curves.margins.copy()
    labels = curves.labels.copy()
    values[5], margins[5], labels[5] = NAN, NAN, -1
    curves = kcn.LossCurves(
        values, labels, 3, margins if with_margins else None
    )
    weighted = kcn.CurveWeightedModel(tiny_models.two_layer_model())
    weighted.compile("sgd", tiny_models.SPARSE_LOSS, run_eagerly=True)
    weighted.fit(
        tiny_models.with_ids(),
        loss_curves=curves,
        meta_data=tiny_models.meta_dataset(),
        meta_epochs=meta_epochs,
        verbose=0,
    )
    scores = kcn.label_quality_scores(curves)
    assert np.isnan(scores[5])
    expected = 1.0 / (1.0 + np.exp(-start_of(scores)))
    expected[5] = 0.5
    weights = weighted.sample_weights()
    if meta_epochs == 0:
        np.testing.assert_allclose(weights, expected, rtol=1e-5)
    else:
        assert (weights != expected.astype("float32")).any()
        np.testing.assert_allclose(weights, expected, atol=0.02)


def test_a_given_curve_net_starts_as_it_is():
    curve_net = tiny_models.curve_net()
    before = curve_net.get_weights()
    weighted = kcn.CurveWeightedModel(
        tiny_models.two_layer_model(), curve_net=curve_net
    )
    weighted.compile("sgd", tiny_models.SPARSE_LOSS, run_eagerly=True)
    weighted.fit(
        tiny_models.with_ids(),
        loss_curves=tiny_models.loss_curves(),
        meta_epochs=0,
        verbose=0,
    )
    tiny_models.assert_all_equal(curve_net.get_weights(), before)


def test_the_same_seed_gives_the_same_weights():
    found = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        weighted = kcn.CurveWeightedModel(tiny_models.two_layer_model())
        weighted.compile("sgd", tiny_models.SPARSE_LOSS, run_eagerly=True)
        weighted.fit(
            tiny_models.with_ids(),
            loss_curves=tiny_models.loss_curves(),
            meta_data=tiny_models.meta_dataset(),
            verbose=0,
        )
        found.append(weighted.sample_weights())
    np.testing.assert_array_equal(*found)

"""Label quality by what the trained model has come to believe."""

import keras
import numpy as np
import pytest
import tiny_models
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from weighted_models import eager
from weighted_models import fit

import keras_curvenet as kcn
from keras_curvenet.allocating.running_predictions import revised_quality


def test_by_hand():
    believed = np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]], "float32")
    log_frequencies = np.log([0.64, 0.16, 0.2]).astype("float32")
    found = revised_quality(
        np.array([3.0, -1.0], "float32"),
        np.array([0, 2]),
        believed,
        log_frequencies,
    )
    # Divided by the roots of the frequencies: 0.7 / 0.8, 0.2 / 0.4, and
    # 0.1 / 0.4472: 0.875, 0.5, 0.2236. The label's against the largest other.
    expected = [np.log(0.875 / 0.5) + 1.5, np.log(0.2236 / 0.875) - 0.5]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_nothing_is_believed_of_a_sample():
    found = revised_quality(
        np.array([-2.5], "float32"),
        np.array([1]),
        np.zeros((1, 2), "float32"),
        np.zeros(2, "float32"),
    )
    np.testing.assert_array_equal(found, [-2.5])


def test_certain_beliefs_stay_finite():
    found = revised_quality(
        np.zeros(2, "float32"),
        np.array([0, 1]),
        np.array([[1.0, 0.0], [1.0, 0.0]], "float32"),
        np.zeros(2, "float32"),
    )
    np.testing.assert_allclose(found, [np.log(1e4), -np.log(1e4)], rtol=1e-6)


def test_scores_of_the_curves_without_beliefs():
    weighted = eager(tiny_models.two_layer_model, soft_labels=False)
    curves = tiny_models.loss_curves()
    fit(weighted, loss_curves=curves)
    np.testing.assert_allclose(
        weighted.label_quality_scores(),
        kcn.label_quality_scores(curves).clip(1e-4, 1.0 - 1e-4),
        rtol=1e-5,
    )


def test_label_quality_is_not_lowered_as_weights_are():
    weighted = eager(
        tiny_models.two_layer_model, curve_net=None, soft_labels=False
    )
    curves = tiny_models.curves_with_wrong_labels(0.5)
    fit(weighted, loss_curves=curves, meta_epochs=0)
    scores = kcn.label_quality_scores(curves).clip(1e-4, 1.0 - 1e-4)
    np.testing.assert_allclose(
        weighted.label_quality_scores(), scores, rtol=1e-5
    )
    odds = weighted.sample_weights() / (1.0 - weighted.sample_weights())
    np.testing.assert_allclose(
        odds, scores / (1.0 - scores) * np.exp(-2.0), rtol=1e-3
    )


def test_samples_never_seen_have_no_score():
    curves = tiny_models.loss_curves()
    losses = np.concatenate([curves.values, np.full((2, 6), np.nan)])
    labels = np.append(curves.labels, [-1, -1])
    weighted = eager(tiny_models.two_layer_model)
    fit(weighted, loss_curves=kcn.LossCurves(losses, labels, num_classes=3))
    scores = weighted.label_quality_scores()
    np.testing.assert_array_equal(np.isnan(scores), labels < 0)
    assert ((scores >= 0.0) & (scores <= 1.0))[labels >= 0].all()


@pytest.mark.filterwarnings("ignore:.* do not tell how many")
@pytest.mark.parametrize("num_classes", [10, 2])
def test_finds_wrong_labels_of_digits(num_classes):
    """Better than the curves of a network that was still learning."""
    x, true = load_digits(return_X_y=True)
    x, true = x.astype("float32") / 16.0, true % num_classes
    y = kcn.datasets.corrupt_labels(true, 0.3, "pair", seed=0)
    train = kcn.with_sample_ids((x, y)).shuffle(2000, seed=0).batch(32)

    def network():
        keras.utils.set_random_seed(0)
        units, activation = num_classes, "softmax"
        loss = "sparse_categorical_crossentropy"
        if num_classes == 2:
            units, activation, loss = 1, "sigmoid", "binary_crossentropy"
        model = keras.Sequential(
            [
                keras.Input((64,)),
                keras.layers.Dense(64, "relu"),
                keras.layers.Dense(units, activation),
            ]
        )
        model.compile(keras.optimizers.SGD(0.05), loss)
        return model

    recorder = kcn.LossCurveRecorder()
    network().fit(train, epochs=5, callbacks=[recorder], verbose=0)
    weighted = kcn.CurveWeightedModel(network())
    weighted.fit(train, epochs=10, loss_curves=recorder.loss_curves, verbose=0)
    by_curves = kcn.label_quality_scores(recorder.loss_curves)
    scores = weighted.label_quality_scores()
    is_right = y == true
    found = roc_auc_score(is_right, scores)
    assert found > max(roc_auc_score(is_right, by_curves), 0.9)

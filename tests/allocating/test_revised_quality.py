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
from keras_curvenet.allocating.running_predictions import likelihoods_of
from keras_curvenet.inspecting.label_suspicion import label_suspicion
from keras_curvenet.inspecting.label_suspicion import revised_suspicion


def test_likelihoods_by_hand():
    predicted = np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]], "float32")
    log_frequencies = np.log([0.64, 0.16, 0.2]).astype("float32")
    own, others = likelihoods_of(np.array([0, 2]), predicted, log_frequencies)
    # Divided by the roots of the frequencies: 0.7 / 0.8, 0.2 / 0.4, and
    # 0.1 / 0.4472: 0.875, 0.5, 0.2236.
    total = 0.875 + 0.5 + 0.2236
    np.testing.assert_allclose(own, [0.875 / total, 0.2236 / total], rtol=1e-4)
    np.testing.assert_allclose(others, [0.5 / total, 0.875 / total], rtol=1e-4)


def test_nothing_is_predicted_of_a_sample():
    own, others = likelihoods_of(
        np.array([1]), np.zeros((1, 2), "float32"), np.zeros(2, "float32")
    )
    assert own == others == 0.0


def test_predictions_count_as_much_as_curves():
    margins = np.array([[2.0, 2.0], [2.0, 2.0], [1.0, -1.0]])
    losses = np.log1p(np.exp(-margins))
    curves = kcn.LossCurves(losses, [0, 0, 0], margins=margins)
    values = revised_suspicion(
        curves, np.array([0.9, 0.0, 0.2]), np.array([0.1, 0.0, 0.8])
    ).values
    # Of nothing that was predicted, the curves' suspicion stays.
    suspicion = label_suspicion(curves).values
    evidence = [(suspicion[0] - 0.8) / 2.0, suspicion[1]]
    evidence.append((suspicion[2] + 0.6) / 2.0)
    np.testing.assert_allclose(values, evidence, rtol=1e-6)


def test_predictions_alone_say_how_many_are_wrong():
    margins = np.full((100, 4), 2.0)
    curves = kcn.LossCurves(
        np.log1p(np.exp(-margins)), [0] * 50 + [1] * 50, margins=margins
    )
    own = np.where(np.arange(100) % 5 == 0, 0.0, 1.0)
    suspicion = revised_suspicion(curves, own, 1.0 - own)
    assert suspicion.num_suspects == 20
    highest = np.argsort(-suspicion.values)[:20]
    np.testing.assert_array_equal(np.sort(highest), np.arange(0, 100, 5))


def test_of_losses_alone_predictions_decide():
    curves = kcn.LossCurves([[1.0, 1.0]] * 4, [0, 0, 1, 1])
    values = revised_suspicion(
        curves, np.array([0.9, 0.8, 0.1, 0.9]), np.array([0.1, 0.2, 0.9, 0.1])
    ).values
    assert values.argmax() == 2


def test_scores_of_the_curves_without_beliefs():
    weighted = eager(tiny_models.two_layer_model, soft_labels=False)
    curves = tiny_models.loss_curves()
    fit(weighted, loss_curves=curves)
    np.testing.assert_array_equal(
        weighted.revised_label_quality_scores(),
        kcn.label_quality_scores(curves),
    )


def test_label_quality_is_not_lowered_as_weights_are():
    weighted = eager(
        tiny_models.two_layer_model, curve_net=None, soft_labels=False
    )
    curves = tiny_models.curves_with_wrong_labels(0.5)
    fit(weighted, loss_curves=curves, meta_epochs=0)
    scores = kcn.label_quality_scores(curves)
    np.testing.assert_array_equal(
        weighted.revised_label_quality_scores(), scores
    )
    scores = scores.clip(1e-4, 1.0 - 1e-4)
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
    scores = weighted.revised_label_quality_scores()
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
    scores = weighted.revised_label_quality_scores()
    is_right = y == true
    found = roc_auc_score(is_right, scores)
    assert found > max(roc_auc_score(is_right, by_curves), 0.9)

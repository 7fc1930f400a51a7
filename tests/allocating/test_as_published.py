"""The method as published, and each of its parts."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models
from weighted_models import Snapshots
from weighted_models import eager
from weighted_models import fit
from weighted_models import one_linear_step
from weighted_models import weighted_model

import keras_curvenet as kcn

# Random margins tell nothing.
pytestmark = pytest.mark.filterwarnings("ignore:.* do not tell how many")


def test_one_step_without_normalization_by_hand():
    # loss_i = (theta * x_i - y_i)^2 at theta = 0, x = (1, 2), y = (1, -1):
    # gradients -2 and 4, theta' = -0.1 * (-2 + 4) / 2 = -0.1, meta loss
    # (theta' - 1)^2 = 1.21, dmeta/dw = -2.2 * -0.1 / 2 * (-2, 4) =
    # (-0.22, 0.44). One step of size 1: w = (1.22, 0.56). The actual step:
    # theta = -0.1 * (1.22 * -2 + 0.56 * 4) / 2 = 0.01.
    # Weighted loss (1.22 * 1 + 0.56 * 1) / 2 = 0.89.
    weighted, logs = one_linear_step(normalize_weights=False)
    np.testing.assert_allclose(
        weighted.curve_net.table, [1.22, 0.56], rtol=1e-6
    )
    theta = weighted.base_model.get_weights()[0]
    np.testing.assert_allclose(theta, [[0.01]], rtol=1e-4)
    assert logs["loss"] == pytest.approx(0.89)
    assert logs["meta_loss"] == pytest.approx(1.21)


@pytest.mark.parametrize("keep_last_weights", [False, True])
def test_last_weights(keep_last_weights):
    # All samples are of one class: CurveNet gives them one weight, another one
    # after each step.
    curve_net = tiny_models.WeightByClass([1.0])
    weighted = weighted_model(
        tiny_models.linear,
        curve_net=curve_net,
        soft_labels=False,
        normalize_weights=False,
        keep_last_weights=keep_last_weights,
        run_eagerly=not keep_last_weights,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        meta_optimizer=keras.optimizers.SGD(1.0),
    )
    x, y = tiny_models.arrays()
    steps = Snapshots()
    weighted.fit(
        x,
        y,
        batch_size=12,
        shuffle=False,
        epochs=2,
        meta_epochs=1,
        verbose=0,
        loss_curves=kcn.LossCurves(np.ones((24, 6)), np.zeros(24, int)),
        meta_data=tiny_models.meta_dataset(),
        callbacks=[steps],
    )
    first, second = (float(step[0][0]) for step in steps.steps[1:3])
    assert first != second
    expected = np.full(24, second)
    if keep_last_weights:
        expected[:12] = first
    np.testing.assert_allclose(weighted.sample_weights(), expected, rtol=1e-6)
    kept = weighted.resumable_variables()["last_weights"]
    assert len(kept) == keep_last_weights


def test_all_parts_together():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y = tiny_models.arrays()
    curves = kcn.LossCurves(
        rng.uniform(size=(24, 6)), y, margins=rng.normal(size=(24, 6))
    )
    weighted = kcn.CurveWeightedModel.as_published(
        tiny_models.two_layer_model(), curves
    )
    weighted.compile("sgd", tiny_models.SPARSE_LOSS, run_eagerly=True)
    assert float(weighted.meta_optimizer.learning_rate) == pytest.approx(1e-3)
    assert weighted.meta_optimizer.weight_decay == 1e-4
    fit(weighted, loss_curves=curves, epochs=1)
    assert weighted.curve_net.curve_length == 6  # Without margins.
    assert not weighted.shares_forward_pass
    weights = weighted.sample_weights()
    assert ((weights > 0.9) & (weights < 1.02)).all()
    np.testing.assert_array_equal(
        weighted.revised_label_quality_scores(),
        kcn.label_quality_scores(curves),
    )


class SigmoidOfLoss(keras.layers.Layer):
    """A curve net without variables that reads the present loss."""

    reads_current_loss = True

    def __init__(self):
        super().__init__()
        self.built = True

    def call(self, inputs):
        losses, _ = inputs
        return tf.sigmoid(losses[:, 0])


def test_a_curve_net_of_the_present_loss():
    weighted = eager(
        tiny_models.two_layer_model,
        curve_net=SigmoidOfLoss(),
        optimizer=keras.optimizers.SGD(0.0),
        soft_labels=False,
        balance_classes=False,
        normalize_weights=False,
    )
    x, y = tiny_models.arrays()
    history = fit(weighted, epochs=1)
    losses = keras.losses.sparse_categorical_crossentropy(
        y, weighted.base_model(x)
    ).numpy()
    weights = 1.0 / (1.0 + np.exp(-losses))
    np.testing.assert_allclose(weighted.sample_weights(), weights, rtol=1e-5)
    expected = np.mean(weights * losses)
    assert history["loss"] == [pytest.approx(expected, rel=1e-5)]


def test_normalization_has_no_place_beside_soft_labels():
    weighted = weighted_model(normalize_weights=True)
    with pytest.raises(ValueError, match="Received: normalize_weights=True"):
        fit(weighted)

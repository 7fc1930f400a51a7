import keras
import numpy as np
import pytest
import tiny_models

import keras_curvenet as kcn


class Spoil(keras.callbacks.Callback):
    """Ruins the base model after an epoch; notes the weights of each."""

    def __init__(self, epoch, scale=100.0):
        super().__init__()
        self.epoch = epoch
        self.scale = scale
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.sample_weights())
        if epoch == self.epoch:
            rng = np.random.default_rng(0)
            for variable in self.model.base_model.trainable_variables:
                variable.assign(self.scale * rng.normal(size=variable.shape))


def fit(weighted, **kwargs):
    return weighted.fit(
        tiny_models.with_ids(),
        verbose=0,
        loss_curves=tiny_models.loss_curves(),
        meta_data=tiny_models.meta_arrays(),
        meta_epochs=4,
        validation_data=tiny_models.arrays(),
        **kwargs,
    )


def weighted_model():
    keras.utils.set_random_seed(0)
    weighted = kcn.CurveWeightedModel(
        tiny_models.two_layer_model(), curve_net=tiny_models.curve_net()
    )
    weighted.compile(
        "sgd", tiny_models.SPARSE_LOSS, meta_optimizer=keras.optimizers.SGD(5.0)
    )
    return weighted


@pytest.mark.parametrize("resumed", [False, True])
def test_curve_net_does_not_follow_a_jump_of_the_meta_loss(tmp_path, resumed):
    weighted, spoil = weighted_model(), Spoil(1)
    with pytest.warns(UserWarning, match="in epoch 3: training was unstable"):
        if resumed:
            fit(weighted, epochs=2, callbacks=[spoil])
            weighted.save(tmp_path / "weighted.keras")
            weighted = keras.models.load_model(tmp_path / "weighted.keras")
            fit(weighted, epochs=5, initial_epoch=2, callbacks=[spoil])
        else:
            fit(weighted, epochs=5, callbacks=[spoil])
    first, second, third, fourth, frozen = spoil.weights
    assert (second != first).any()
    np.testing.assert_array_equal(third, second)
    # The loss of the fourth epoch is no longer a jump: CurveNet goes on.
    assert (fourth != third).any()
    np.testing.assert_array_equal(frozen, fourth)


def test_curve_net_does_not_follow_a_meta_loss_that_is_not_a_number():
    weighted, spoil = weighted_model(), Spoil(1, np.nan)
    with pytest.warns(UserWarning, match="to nan in epoch 3"):
        fit(weighted, epochs=3, callbacks=[spoil])
    assert np.isfinite(weighted.sample_weights()).all()
    np.testing.assert_array_equal(spoil.weights[2], spoil.weights[1])


def test_training_from_epoch_0_starts_anew():
    weighted = weighted_model()
    fit(weighted, epochs=2)
    weighted.last_meta_loss.assign(1e-3)
    fit(weighted, epochs=2)
    assert float(weighted.last_meta_loss) > 0.1

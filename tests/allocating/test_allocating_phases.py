import warnings

import keras
import numpy as np
import pytest
import tiny_models

import keras_curvenet as kcn
from keras_curvenet.allocating.allocating_phases import AllocatingPhases


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


@pytest.mark.parametrize(
    ("meta_losses", "jumps"),
    [
        ((-0.5, -0.55), False),
        ((-0.5, 0.1), True),
        ((0.001, 0.04), False),
        ((0.4, 0.79), False),
        ((0.4, 0.81), True),
        ((0.0, 0.06), True),
    ],
)
def test_what_counts_as_a_jump(meta_losses, jumps):
    weighted = weighted_model()
    fit(weighted, epochs=1)
    phases = AllocatingPhases(meta_epochs=3)
    phases.set_model(weighted)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for epoch, meta_loss in enumerate(meta_losses):
            phases.on_epoch_begin(epoch)
            weighted.meta_optimizer.iterations.assign_add(1)
            phases.on_epoch_end(epoch, {"meta_loss": meta_loss})
    assert bool(caught) == jumps
    assert float(weighted.last_meta_loss) == pytest.approx(meta_losses[1])


def test_an_epoch_without_a_meta_step_says_nothing():
    weighted = weighted_model()
    fit(weighted, epochs=1)
    phases = AllocatingPhases(meta_epochs=3)
    phases.set_model(weighted)
    before = float(weighted.last_meta_loss)
    phases.on_epoch_begin(1)
    phases.on_epoch_end(1, {"meta_loss": 0.0})
    assert float(weighted.last_meta_loss) == before


def test_a_jump_leaves_no_trace_in_the_meta_optimizer():
    weighted = weighted_model()
    fit(weighted, epochs=1)
    phases = AllocatingPhases(meta_epochs=3)
    phases.set_model(weighted)
    phases.on_epoch_begin(1)
    optimizer = weighted.meta_optimizer
    before = [v.numpy() for v in optimizer.variables]
    for variable in optimizer.variables:
        variable.assign(variable + 1)
    with pytest.warns(UserWarning, match="training was unstable"):
        phases.on_epoch_end(1, {"meta_loss": np.nan})
    for variable, value in zip(optimizer.variables, before, strict=True):
        expected = value + 1 if variable is optimizer.learning_rate else value
        np.testing.assert_array_equal(variable, expected)


def test_training_from_epoch_0_starts_anew():
    weighted = weighted_model()
    fit(weighted, epochs=2)
    weighted.last_meta_loss.assign(1e-3)
    fit(weighted, epochs=2)
    assert float(weighted.last_meta_loss) > 0.1

import keras
import numpy as np
import pytest
import tiny_models

import keras_curvenet as kcn
from keras_curvenet.allocating.best_curve_net import BestCurveNet


def set_all(curve_net, value):
    for variable in curve_net.variables:
        variable.assign(np.full(variable.shape, value))


def test_the_lowest_meta_loss_is_kept():
    curve_net = tiny_models.curve_net()
    best = BestCurveNet(curve_net)
    start = curve_net.get_weights()
    best.restore(curve_net)  # Nothing was kept yet.
    tiny_models.assert_all_equal(curve_net.get_weights(), start)
    for value, meta_loss in [(1.0, 0.7), (2.0, 0.5), (3.0, 0.6), (4.0, np.nan)]:
        set_all(curve_net, value)
        best.update(curve_net, meta_loss)
    best.restore(curve_net)
    assert all((values == 2.0).all() for values in curve_net.get_weights())
    assert float(best.meta_loss) == 0.5
    best.forget()
    set_all(curve_net, 5.0)
    best.update(curve_net, 9.0)
    set_all(curve_net, 6.0)
    best.restore(curve_net)
    assert all((values == 5.0).all() for values in curve_net.get_weights())


class SpoilAfter(keras.callbacks.Callback):
    """Makes the meta loss of later epochs worse: it ruins the base model."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.sample_weights())
        if epoch == self.epoch:
            for variable in self.model.base_model.trainable_variables:
                variable.assign(100.0 * np.ones(variable.shape))


@pytest.mark.parametrize("resumed", [False, True])
def test_weights_are_frozen_as_after_the_best_epoch(tmp_path, resumed):
    keras.utils.set_random_seed(0)
    weighted = kcn.CurveWeightedModel(
        tiny_models.two_layer_model(), curve_net=tiny_models.curve_net()
    )
    weighted.compile(
        "sgd", tiny_models.SPARSE_LOSS, meta_optimizer=keras.optimizers.SGD(5.0)
    )
    spoil = SpoilAfter(1)
    arguments = {
        "loss_curves": tiny_models.loss_curves(),
        "meta_data": tiny_models.meta_arrays(),
        "meta_epochs": 4,
        "callbacks": [spoil],
        "verbose": 0,
    }
    if resumed:
        weighted.fit(tiny_models.with_ids(), epochs=3, **arguments)
        weighted.save(tmp_path / "weighted.keras")
        weighted = keras.models.load_model(tmp_path / "weighted.keras")
        weighted.fit(
            tiny_models.with_ids(), epochs=6, initial_epoch=3, **arguments
        )
    else:
        weighted.fit(tiny_models.with_ids(), epochs=6, **arguments)
    first, best, spoiled, *frozen = spoil.weights
    assert (spoiled != best).any()
    for weights in frozen:
        np.testing.assert_array_equal(weights, best)

"""A step whose loss is not finite changes nothing but its count."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models
from weighted_models import eager
from weighted_models import fit
from weighted_models import weighted_model

from keras_curvenet.replicas import apply_if_finite


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01),
        keras.optimizers.AdamW(0.1),
    ],
    ids=["momentum", "adamw"],
)
def test_nothing_moves_where_a_loss_is_not_finite(optimizer):
    variable = keras.Variable([1.0, 2.0])
    optimizer.build([variable])

    @tf.function
    def step(loss, gradient):
        apply_if_finite(optimizer, loss, [gradient], [variable])

    step(tf.constant(1.0), tf.constant([1.0, -1.0]))
    before = tiny_models.values_of([variable, *optimizer.variables])
    for loss in (np.nan, np.inf):
        step(tf.constant(loss), tf.constant([np.nan, 1.0]))
        after = tiny_models.values_of([variable, *optimizer.variables])
        tiny_models.assert_all_equal(after, before)
    step(tf.constant(1.0), tf.constant([1.0, -1.0]))
    assert (variable.numpy() != before[0]).all()


def test_momentum_does_not_move_a_model_through_a_step_left_out():
    x, y = tiny_models.arrays()
    weighted = eager(
        tiny_models.two_layer_model,
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01),
        soft_labels=False,
        balance_classes=False,
    )
    # The second half of the samples has a weight that makes the loss infinite.
    sample_weight = np.where(np.arange(24) < 12, 1.0, np.inf).astype("float32")
    values = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: values.append(
            tiny_models.values_of(
                [*weighted.base_model.variables, *weighted.optimizer.variables]
            )
        )
    )
    with pytest.warns(UserWarning, match="1 step.s. of epoch 1"):
        weighted.fit(
            x,
            y,
            sample_weight=sample_weight,
            batch_size=12,
            shuffle=False,
            verbose=0,
            loss_curves=tiny_models.loss_curves(),
            meta_data=tiny_models.meta_dataset(),
            callbacks=[note],
        )
    tiny_models.assert_all_equal(values[1], values[0])


def test_a_strategy_of_one_device_trains_as_none():
    def trained(scope):
        with scope:
            weighted = weighted_model(tiny_models.two_layer_model)
        fit(weighted)
        return weighted.base_model.get_weights()

    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    tiny_models.assert_all_close(
        trained(strategy.scope()), trained(contextlib.nullcontext())
    )

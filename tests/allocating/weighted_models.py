"""Compiled wrappers around tiny models, and how they are fitted."""

import keras
import numpy as np
import tensorflow as tf
import tiny_models

import keras_curvenet as kcn


def weighted_model(make_model=tiny_models.sequential, seed=7, **kwargs):
    """A compiled wrapper with a small CurveNet."""
    keras.utils.set_random_seed(seed)
    own = ("optimizer", "meta_optimizer", "loss", "metrics")
    own += ("meta_loss", "steps_per_execution", "jit_compile", "run_eagerly")
    compile_arguments = {
        name: kwargs.pop(name) for name in own if name in kwargs
    }
    if "curve_net" not in kwargs:
        kwargs["curve_net"] = tiny_models.curve_net()
    weighted = kcn.CurveWeightedModel(make_model(), **kwargs)
    weighted.compile(
        **{
            "optimizer": keras.optimizers.SGD(0.1),
            "loss": tiny_models.SPARSE_LOSS,
            "metrics": ["accuracy"],
            "meta_optimizer": keras.optimizers.Adam(0.05),
            **compile_arguments,
        }
    )
    return weighted


def eager(*args, **kwargs):
    """The same without graphs: half the time, where these are not the point."""
    return weighted_model(*args, run_eagerly=True, **kwargs)


def fit(weighted, x=None, **kwargs):
    """Fits on batches with ids in a fixed order."""
    arguments = {
        "epochs": 2,
        "verbose": 0,
        "loss_curves": tiny_models.loss_curves(),
        "meta_data": tiny_models.meta_dataset(),
    }
    x = tiny_models.with_ids() if x is None else x
    return weighted.fit(x, **{**arguments, **kwargs}).history


def one_linear_step(optimizer=None, run_eagerly=True, **arguments):
    """One step of theta * x, from 0, on x = (1, 2), y = (1, -1), two classes.

    The meta set is x = 1, y = 1; both rates are given by hand: 0.1, and 1 for a
    curve net with a weight of 1 for each class.
    """
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
        ]
    )
    curve_net = tiny_models.WeightByClass([1.0, 1.0])
    weighted = kcn.CurveWeightedModel(model, curve_net=curve_net, **arguments)
    weighted.compile(
        optimizer or keras.optimizers.SGD(0.1),
        "mse",
        meta_optimizer=keras.optimizers.SGD(1.0),
        run_eagerly=run_eagerly,
    )
    history = weighted.fit(
        np.array([[1.0], [2.0]]),
        np.array([[1.0], [-1.0]]),
        verbose=0,
        loss_curves=tiny_models.loss_curves([0, 1], num_classes=2),
        meta_data=(np.array([[1.0]]), np.array([[1.0]])),
    ).history
    return weighted, {name: values[0] for name, values in history.items()}


class Snapshots(keras.callbacks.Callback):
    """CurveNet's variables after every step and every epoch."""

    def __init__(self):
        super().__init__()
        self.steps, self.epochs = [], []

    def on_train_begin(self, logs=None):
        self.steps.append(self.model.curve_net.get_weights())
        self.epochs.append(self.model.curve_net.get_weights())

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(self.model.curve_net.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.model.curve_net.get_weights())

    def changed(self, snapshots):
        return [
            any((left != right).any() for left, right in zip(a, b, strict=True))
            for a, b in zip(snapshots, snapshots[1:], strict=False)
        ]


class CountForwardPasses(keras.layers.Layer):
    """Records the batch size of every call that is really executed."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.sizes = []

    def call(self, inputs):
        size = tf.shape(inputs)[0]
        tf.py_function(lambda size: self.sizes.append(int(size)), [size], [])
        return inputs

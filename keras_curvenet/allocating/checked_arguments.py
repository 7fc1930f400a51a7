"""Checks of what `CurveWeightedModel` and its `fit` are given."""

import math
import numbers

import keras

from keras_curvenet.probing.loss_curve_recorder import LossCurveRecorder


def check_switch(argument, value):
    """Raises ValueError unless it is True, False or None."""
    if value is not None and not isinstance(value, bool):
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected True, False, "
            "or None for where the loss allows it. Received: "
            f"{argument}={value!r}."
        )


def check_positive_int(argument, value):
    """Raises ValueError unless it is an int >= 1."""
    is_int = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_int or value < 1:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected an int >= 1. "
            f"Received: {argument}={value!r}."
        )


def check_curve_net(curve_net):
    """Raises ValueError where its variables do not exist yet."""
    if not curve_net.built:
        raise ValueError(
            "Invalid value for argument `curve_net`. Expected a built "
            f"model or layer. Received: '{curve_net.name}', whose "
            "variables do not exist yet. Call it on a batch first."
        )


def check_fit_arguments(callbacks, class_weight, distribute_strategy):
    """Raises ValueError for what `fit` does not support."""
    if any(
        isinstance(callback, LossCurveRecorder)
        for callback in keras.tree.flatten(callbacks)
    ):
        raise ValueError(
            "Invalid value for argument `callbacks`. Expected a "
            "LossCurveRecorder only in the `fit` of the model to be "
            "probed. Received: one in CurveWeightedModel.fit. Leave it out."
        )
    if class_weight is not None:
        raise ValueError(
            "Invalid value for argument `class_weight`. Expected None, "
            "because CurveNet learns each sample's weight from its curve "
            f"and class. Received: class_weight={class_weight}. Leave it "
            "out, or multiply it into `sample_weight`."
        )
    if distribute_strategy.num_replicas_in_sync > 1:
        raise ValueError(
            "CurveWeightedModel trains on one device for now. Received: "
            f"{distribute_strategy.num_replicas_in_sync} replicas. "
            "Build the models outside the strategy's scope."
        )


def checked_meta_epochs(meta_epochs, epochs):
    """The number of epochs that learn weights: half of all by default."""
    if meta_epochs is None:
        return math.ceil(epochs / 2)
    if meta_epochs != int(meta_epochs) or meta_epochs < 0:
        raise ValueError(
            "Invalid value for argument `meta_epochs`. Expected an int >= "
            f"0, or None. Received: meta_epochs={meta_epochs}."
        )
    return meta_epochs


def with_callback(callbacks, callback):
    """The user's callbacks with one more before them."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        raise TypeError(
            "Invalid value for argument `callbacks`. Expected a list of "
            "callbacks, to which CurveWeightedModel adds its own. Received: "
            "a CallbackList. Pass the callbacks themselves."
        )
    if callbacks is None:
        return [callback]
    return [callback, *keras.tree.flatten(callbacks)]

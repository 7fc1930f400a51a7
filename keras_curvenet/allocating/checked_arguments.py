"""Checks of what `CurveWeightedModel` and its `fit` are given."""

import math

import keras

from keras_curvenet.checked_arguments import as_int
from keras_curvenet.probing.loss_curve_recorder import LossCurveRecorder


def check_switch(argument, value):
    """Raises ValueError unless it is True, False or None."""
    if value is not None and not isinstance(value, bool):
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected True, False, "
            "or None for where the loss allows it. Received: "
            f"{argument}={value!r}."
        )


def check_curve_net(curve_net):
    """Raises ValueError where its variables do not exist yet."""
    if not isinstance(curve_net, keras.Layer):
        raise TypeError(
            "Invalid value for argument `curve_net`. Expected a built model or "
            f"layer, or None. Received: curve_net={curve_net!r}."
        )
    if not curve_net.built:
        raise ValueError(
            "Invalid value for argument `curve_net`. Expected a built "
            f"model or layer. Received: '{curve_net.name}', whose "
            "variables do not exist yet. Call it on a batch first."
        )


def check_fit_arguments(callbacks, class_weight, validation_data):
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
    is_tuple = isinstance(validation_data, (tuple, list))
    if is_tuple and len(validation_data) not in (2, 3):
        raise ValueError(
            "Invalid value for argument `validation_data`. Expected (x, y), "
            "(x, y, sample_weight) or a dataset. Received: a "
            f"{type(validation_data).__name__} of {len(validation_data)}."
        )


def check_scope(weighted):
    """Raises ValueError where a strategy does not have the base model too.

    Args:
        weighted: A `CurveWeightedModel`.
    """
    strategy = weighted.distribute_strategy
    if strategy.num_replicas_in_sync == 1:
        return
    if weighted.base_model.distribute_strategy is not strategy:
        raise ValueError(
            "Invalid value for argument `base_model`. Expected a model made in "
            "the scope of the strategy that the CurveWeightedModel was made "
            f"in. Received: '{weighted.base_model.name}', made outside. Make "
            "both in one `with strategy.scope():`."
        )
    if weighted.meta_every > 1:
        raise ValueError(
            "Invalid value for argument `meta_every`. Expected 1 under a "
            "`tf.distribute` strategy, where optimizers can't be called in a "
            f"condition. Received: meta_every={weighted.meta_every}."
        )


def checked_meta_epochs(meta_epochs, epochs):
    """The number of epochs that learn weights: half of all by default."""
    if meta_epochs is None:
        return math.ceil(epochs / 2)
    return as_int("meta_epochs", meta_epochs, 0)


def checked_meta_optimizer(meta_optimizer):
    """The Keras optimizer; ValueError where it is none and names none."""
    try:
        return keras.optimizers.get(meta_optimizer)
    except ValueError as error:
        raise ValueError(
            "Invalid value for argument `meta_optimizer`. Expected a Keras "
            f"optimizer or its name. Received: {meta_optimizer!r} ({error})."
        ) from error


def check_loss_name(argument, name):
    """Raises ValueError where no loss of Keras has the name."""
    if name.lower() in ("crossentropy", "ce"):
        return
    try:
        keras.losses.get(name)
    except ValueError as error:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected a Keras loss "
            f"or its name. Received: {name!r} ({error})."
        ) from error


def with_callback(callbacks, callback):
    """The user's callbacks with one more before them."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        raise TypeError(
            "Invalid value for argument `callbacks`. Expected a list of "
            "callbacks, to which CurveWeightedModel adds its own. Received: "
            "a CallbackList. Pass the callbacks themselves."
        )
    callbacks = keras.tree.flatten([] if callbacks is None else callbacks)
    for given in callbacks:
        if not isinstance(given, keras.callbacks.Callback):
            raise TypeError(
                "Invalid value for argument `callbacks`. Expected a list of "
                f"`keras.callbacks.Callback`. Received: {given!r} in it."
            )
    return [callback, *callbacks]

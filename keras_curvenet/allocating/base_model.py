"""What a base model has to be, and what is taken over from it."""

import functools
import warnings

import keras
import numpy as np

from keras_curvenet.checked_arguments import invalid_type
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.private_names import compile_arguments_of
from keras_curvenet.probing.class_predictions import are_logits
from keras_curvenet.probing.class_predictions import predictions_spec

_BINARY_LOSSES = (
    keras.losses.BinaryCrossentropy,
    keras.losses.BinaryFocalCrossentropy,
)

_OWN_FIT = (
    " What its `fit` does to batches, such as the preprocessor of a KerasHub "
    "task, map over the data before, and pass `keras.Model(model.inputs, "
    "model.outputs)`."
)

# Epsilon of the default meta optimizer for a virtual step of rate 1.
_EPSILON_PER_RATE = 2e-6

# Its learning rates where label quality is corrected. A meta set that is chosen
# by curves knows little that the label quality does not.
_RATE_IF_CHOSEN, _RATE_IF_GIVEN = 1e-5, 1e-4


def check_built(argument, layer, layer_class):
    """Raises unless a layer is of a class, and its variables exist."""
    if not isinstance(layer, layer_class):
        raise invalid_type(
            argument,
            f"a built `keras.{layer_class.__name__}`",
            f"{layer!r} of type {type(layer).__name__}.",
        )
    if not layer.built:
        raise invalid_value(
            argument,
            f"a built `keras.{layer_class.__name__}`",
            f"'{layer.name}', without variables. Call it on a batch first.",
        )


def check_base_model(base_model):
    """Raises where a model can't be wrapped; warns of what is not used."""
    check_built("base_model", base_model, keras.Model)
    names = ("fit", "train_step", "test_step", "predict_step", "compute_loss")
    own = [
        name
        for name in names
        if getattr(type(base_model), name) is not getattr(keras.Model, name)
    ]
    if own:
        warnings.warn(
            f"Base model '{base_model.name}' has its own {', '.join(own)}. "
            "CurveWeightedModel uses the standard ones with the compiled loss."
            + (_OWN_FIT if "fit" in own else ""),
            stacklevel=3,
        )


def as_meta_optimizer(meta_optimizer):
    """The Keras optimizer; ValueError where it is none and names none."""
    return _as_keras("meta_optimizer", meta_optimizer, keras.optimizers.get)


def check_meta_loss(meta_loss):
    """Raises ValueError for a string that names no loss."""
    is_name = isinstance(meta_loss, str)
    if is_name and meta_loss.lower() not in ("crossentropy", "ce"):
        _as_keras("meta_loss", meta_loss, keras.losses.get)


def _as_keras(argument, value, get):
    """What one of Keras's `get` makes of a value."""
    try:
        return get(value)
    except ValueError as error:
        expected = "a Keras object or its name"
        raise invalid_value(
            argument, expected, f"{value!r} ({error})."
        ) from error


def check_inputs(base_model, x_spec, argument):
    """Raises ValueError unless a model takes inputs of such `tf.TensorSpec`."""
    inputs = getattr(base_model, "inputs", None) or []
    given = keras.tree.flatten(x_spec)
    try:
        if len(inputs) == len(given):
            # Inputs by name come in an order of their own.
            taken, strings = (
                sum(part.dtype == "string" for part in parts)
                for parts in (inputs, given)
            )
            if taken != strings:
                raise TypeError(f"expected {taken} of dtype string")
        predictions_spec(base_model, x_spec)
    except Exception as error:  # Whatever a layer raises.
        raise invalid_value(
            argument,
            f"inputs that the base model '{base_model.name}' takes",
            f"inputs of {x_spec} ({error}).",
        ) from error


def may_predict(base_model, num_classes):
    """Bool: whether a model's integer targets can have so many classes."""
    outputs = getattr(base_model, "outputs", None)
    if outputs is None:  # Not known.
        return True
    widths = [output.shape[-1] for output in outputs]
    return widths == [num_classes] or (widths == [1] and num_classes == 2)


def class_outputs(base_model, x_spec, loss, num_classes):
    """How many classes a model predicts; None if not those of the curves.

    None for several outputs or positions, several binary decisions, and (with
    a warning, if the loss is a crossentropy) another number of classes.
    """
    outputs = getattr(base_model, "outputs", None)
    if outputs is None:
        outputs = predictions_spec(base_model, x_spec)
    outputs, losses = keras.tree.flatten(outputs), keras.tree.flatten(loss)
    if len(outputs) != 1 or len(losses) != 1 or num_classes < 2:
        return None
    shape, loss = outputs[0].shape, losses[0]
    if shape[1:] in ((), (1,)):  # One binary decision.
        return 2 if num_classes == 2 else None
    if len(shape) != 2 or _is_binary(loss):
        return None
    if shape[1] == num_classes:
        return num_classes
    if are_logits(loss) is not None:
        warnings.warn(
            f"The loss curves are of {num_classes} classes, and the base "
            f"model predicts {shape[1]}: soft labels and balanced classes are "
            "off. If classes are missing at the end, pass curves with "
            f"`LossCurves(..., num_classes={shape[1]})`.",
            stacklevel=4,
        )
    return None


def _is_binary(loss):
    """Bool: whether a loss is of binary decisions, no distribution."""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "")
    if "binary" in name.lower() or name.lower() == "bce":
        return True
    return isinstance(loss, _BINARY_LOSSES)


def warn_if_trained(base_model):
    """Warns where the base model's own optimizer made steps already."""
    optimizer = getattr(base_model, "optimizer", None)
    steps = 0 if optimizer is None else int(optimizer.iterations.numpy())
    if steps > 0:
        warnings.warn(
            f"The base model was trained for {steps} steps already. Allocating "
            "goes on from its present weights, which may have memorized wrong "
            "labels: `loss_curves` don't show that those stayed unlearned. "
            "Pass a fresh model to start anew.",
            stacklevel=3,
        )


def compile_arguments(base_model):
    """Keyword arguments that compile another model as `base_model` is.

    Optimizer (at its present rate, without its state) and metrics are new.
    """
    if not base_model.compiled or base_model.optimizer is None:
        raise ValueError(
            "Expected `compile()` to be called on the CurveWeightedModel or on "
            f"its base model. Received: base model '{base_model.name}', which "
            "is not. Call `compile(optimizer, loss)` before `fit`."
        )
    arguments = compile_arguments_of(base_model)
    arguments["optimizer"] = _without_loss_scaling(base_model.optimizer)
    for name in ("optimizer", "metrics", "weighted_metrics"):
        copied = functools.partial(_copied, name)
        arguments[name] = keras.tree.map_structure(copied, arguments[name])
    return arguments


def _copied(argument, value):
    """An optimizer or metric like the one that is given; all else as it is."""
    if not isinstance(value, (keras.Optimizer, keras.Metric)):
        return value
    try:
        return type(value).from_config(value.get_config())
    except Exception as error:
        raise ValueError(
            f"Can't reuse argument `{argument}` of the base model's "
            "`compile()`. Expected an object that `from_config(get_config())` "
            f"makes again. Received: {value!r} ({error}). Call `compile()` on "
            "the CurveWeightedModel instead."
        ) from error


def default_meta_optimizer(optimizer, corrects_quality=True):
    """The reference code's Adam; slower where label quality is corrected.

    At the reference code's rate, a CurveNet that starts at the label quality
    unlearns what the curves knew. Meta gradients are proportional to the
    virtual step's learning rate, and so is Adam's epsilon: with the same one
    for all rates, Adam would learn slowly where the base optimizer's rate is
    small, and too fast where it is large.
    """
    if not corrects_quality:
        return keras.optimizers.Adam(1e-3, weight_decay=1e-4)
    epsilon = _EPSILON_PER_RATE * _largest_rate(optimizer) or 1e-7
    return keras.optimizers.Adam(
        _RATE_IF_CHOSEN, weight_decay=1e-4, epsilon=epsilon
    )


def default_meta_rate(meta_data, sample_ids, checked):
    """Its learning rate for a meta set that is given, or chosen.

    A chosen one that someone found right as a whole is as good as given.

    Args:
        meta_data: As of `fit`.
        sample_ids: Int64 ids of the meta set, or None where it is given.
        checked: `CheckedLabels`, or None.
    """
    is_clean = meta_data is not None
    if not is_clean and sample_ids is not None and checked is not None:
        right = checked.sample_ids[checked.is_right]
        is_clean = bool(np.isin(sample_ids, right).all())
    return _RATE_IF_GIVEN if is_clean else _RATE_IF_CHOSEN


def _largest_rate(optimizer):
    """The present learning rate, or a schedule's largest at powers of two."""
    optimizer = _without_loss_scaling(optimizer)
    try:
        config = optimizer.get_config()["learning_rate"]
        schedule = keras.optimizers.schedules.deserialize(config)
        steps = [0, *(2**power for power in range(21))]
        return max(float(schedule(step)) for step in steps)
    except Exception:  # No schedule, or one that only its user can make.
        return float(optimizer.learning_rate.numpy())


def _without_loss_scaling(optimizer):
    return getattr(optimizer, "inner_optimizer", optimizer)

"""What a base model has to be, and what is taken over from it."""

import warnings

import keras

from keras_curvenet.private_names import compile_arguments_of
from keras_curvenet.probing.class_predictions import are_logits
from keras_curvenet.probing.class_predictions import predictions_spec

# Losses of several decisions at once, which are no distribution over classes.
_BINARY = (
    keras.losses.BinaryCrossentropy,
    keras.losses.BinaryFocalCrossentropy,
    keras.losses.binary_crossentropy,
    keras.losses.binary_focal_crossentropy,
)

# Epsilon of the default meta optimizer for a virtual step of rate 1.
_EPSILON_PER_RATE = 2e-6

# Steps at which a learning rate schedule is looked at for its largest rate.
_POWERS_OF_TWO = [2**power for power in range(21)]

# The reductions under which a loss is the mean over the samples.
_MEANS = ("mean", "sum_over_batch_size")


def check_base_model(base_model):
    """Raises where a model can't be wrapped; warns of what is not used."""
    if not isinstance(base_model, keras.Model):
        raise TypeError(
            "Invalid value for argument `base_model`. Expected a "
            f"`keras.Model`. Received: {base_model!r} of type "
            f"{type(base_model).__name__}."
        )
    if not base_model.built:
        raise ValueError(
            "Invalid value for argument `base_model`. Expected a built model. "
            f"Received: '{base_model.name}', whose variables do not exist yet. "
            "Give it a `keras.Input`, or call it on a batch first."
        )
    names = ("train_step", "test_step", "predict_step", "compute_loss")
    own = [
        name
        for name in names
        if getattr(type(base_model), name) is not getattr(keras.Model, name)
    ]
    if own:
        warnings.warn(
            f"Base model '{base_model.name}' has its own {', '.join(own)}. "
            "CurveWeightedModel uses the standard ones with the compiled loss.",
            stacklevel=3,
        )


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


def as_meta_optimizer(meta_optimizer):
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


def may_predict(base_model, num_classes):
    """Bool: whether integer targets of a model can have so many classes.

    Args:
        base_model: A `keras.Model`. Where its outputs are not known, they can.
        num_classes: Int, or None, which is no number of classes.
    """
    outputs = getattr(base_model, "outputs", None)
    if outputs is None:
        return True
    if len(outputs) != 1:
        return False
    width = outputs[0].shape[-1]
    return num_classes == (2 if width == 1 else width)


def check_inputs(base_model, x_spec, argument):
    """Raises ValueError where a model can't take inputs of a spec.

    Args:
        base_model: A `keras.Model`.
        x_spec: Structure of `tf.TensorSpec`.
        argument: Name of the argument that the inputs were given as.
    """
    inputs = getattr(base_model, "inputs", None)
    try:
        given = keras.tree.flatten(x_spec)
        if inputs is not None and len(inputs) == len(given):
            for expected, spec in zip(inputs, given, strict=True):
                if (spec.dtype.name == "string") != (
                    expected.dtype == "string"
                ):
                    raise TypeError(f"expected dtype {expected.dtype}")
        predictions_spec(base_model, x_spec)
    except Exception as error:  # Whatever a layer raises.
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected inputs that "
            f"the base model '{base_model.name}' takes. Received: inputs of "
            f"{x_spec} ({error})."
        ) from error


def class_outputs(base_model, x_spec, loss, num_classes):
    """The number of classes that a model predicts, those of the curves.

    None where its predictions are something else: several outputs or positions,
    several binary decisions, or (with a warning, where the loss is a
    crossentropy) another number of classes than the curves have.

    Args:
        base_model: A `keras.Model`.
        x_spec: Structure of `tf.TensorSpec`, its inputs.
        loss: What it is compiled with.
        num_classes: Int, the number of classes of the curves.
    """
    outputs = getattr(base_model, "outputs", None)
    if outputs is None:
        outputs = predictions_spec(base_model, x_spec)
    outputs = keras.tree.flatten(outputs)
    if len(outputs) != 1 or len(keras.tree.flatten(loss)) != 1:
        return None
    shape = outputs[0].shape
    (loss,) = keras.tree.flatten(loss)
    is_mean = getattr(loss, "reduction", "mean") in _MEANS
    if len(shape) not in (1, 2) or not is_mean or num_classes < 2:
        return None
    width = shape[1] if len(shape) == 2 else 1
    if width == 1:
        return 2 if num_classes == 2 else None
    if _is_binary(loss):
        return None
    if width != num_classes:
        if are_logits(loss) is not None:
            warnings.warn(
                f"The loss curves are of {num_classes} classes, and the base "
                f"model predicts {width}: soft labels and balanced classes "
                "are off. If classes are missing at the end, pass curves with "
                f"`LossCurves(..., num_classes={width})`.",
                stacklevel=4,
            )
        return None
    return width


def _is_binary(loss):
    if isinstance(loss, str):
        return "binary" in loss.lower() or loss.lower() == "bce"
    return loss in _BINARY or isinstance(loss, _BINARY[:2])


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

    The optimizer is made again from its configuration, at its present learning
    rate and without its state; losses are used as they are; metrics are made
    again. `steps_per_execution`, `jit_compile`, `run_eagerly` and loss weights
    are copied.

    Raises:
        ValueError: If the model is not compiled, or an object can't be made
            again from its configuration.
    """
    if not base_model.compiled or base_model.optimizer is None:
        raise ValueError(
            "Expected `compile()` to be called on the CurveWeightedModel or on "
            f"its base model. Received: base model '{base_model.name}', which "
            "is not compiled. Call `compile(optimizer, loss)` before `fit`."
        )
    arguments = compile_arguments_of(base_model)
    optimizer = base_model.optimizer
    arguments["optimizer"] = _copied(
        getattr(optimizer, "inner_optimizer", optimizer), "optimizer"
    )
    for name in ("metrics", "weighted_metrics"):
        arguments[name] = keras.tree.map_structure(
            lambda metric, name=name: (
                _copied(metric, name)
                if isinstance(metric, keras.Metric)
                else metric
            ),
            arguments[name],
        )
    return arguments


def _copied(instance, argument):
    try:
        return type(instance).from_config(instance.get_config())
    except Exception as error:
        raise ValueError(
            f"Can't reuse argument `{argument}` of the base model's "
            "`compile()`. Expected an object that `from_config(get_config())` "
            f"makes again. Received: {instance!r} ({error}). Call `compile()` "
            "on the CurveWeightedModel instead."
        ) from error


def default_meta_optimizer(optimizer, corrects_quality=True):
    """The reference code's Adam; slower where label quality is corrected.

    At the reference code's rate, a CurveNet that starts at the label quality
    unlearns what the curves knew.

    Meta gradients are proportional to the virtual step's learning rate. With
    one epsilon for all rates, Adam would learn slowly where the rate is small,
    as that of Adam-like base optimizers is, and too fast where it is large. A
    rate of 0.05 gives Keras's epsilon of 1e-7.

    Args:
        optimizer: The base model's optimizer, whose rate may be a schedule.
        corrects_quality: Bool, whether CurveNet corrects the label quality.

    Returns:
        `keras.optimizers.Adam(1e-5, weight_decay=1e-4)` with that epsilon, or
        `Adam(1e-3, weight_decay=1e-4)`.
    """
    if not corrects_quality:
        return keras.optimizers.Adam(1e-3, weight_decay=1e-4)
    rate = _largest_rate(optimizer)
    epsilon = _EPSILON_PER_RATE * rate if rate > 0.0 else 1e-7
    return keras.optimizers.Adam(1e-5, weight_decay=1e-4, epsilon=epsilon)


def _largest_rate(optimizer):
    """The learning rate, or the largest of a schedule's at powers of two."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # Of loss scaling.
    rate = inner.get_config()["learning_rate"]
    if isinstance(rate, dict):
        schedule = keras.optimizers.schedules.deserialize(rate)
        return max(float(schedule(step)) for step in [0, *_POWERS_OF_TWO])
    return float(rate)

"""What a base model has to be, and what is taken over from it."""

import warnings

import keras

from keras_curvenet.probing.class_predictions import are_logits
from keras_curvenet.probing.class_predictions import predictions_spec

# Losses of several decisions at once, which are no distribution over classes.
_BINARY = (
    keras.losses.BinaryCrossentropy,
    keras.losses.BinaryFocalCrossentropy,
    keras.losses.binary_crossentropy,
    keras.losses.binary_focal_crossentropy,
)

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
                stacklevel=5,
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
            "goes on from its present weights, which may know wrong labels by "
            "heart: `loss_curves` don't show that those stayed unlearned. Pass "
            "a fresh model to start anew.",
            stacklevel=3,
        )


def compile_arguments(base_model):
    """Keyword arguments that compile another model as `base_model` is.

    The optimizer is made anew from its configuration, at its present learning
    rate and without its state; losses are used as they are; metrics are made
    anew. `steps_per_execution`, `jit_compile`, `run_eagerly` and loss weights
    are copied.

    Raises:
        ValueError: If the model is not compiled, or an object can't be made
            anew from its configuration.
    """
    if not base_model.compiled or base_model.optimizer is None:
        raise ValueError(
            "Expected `compile()` to be called on the CurveWeightedModel or on "
            f"its base model. Received: base model '{base_model.name}', which "
            "is not compiled. Call `compile(optimizer, loss)` before `fit`."
        )
    compile_loss = base_model._compile_loss
    compile_metrics = base_model._compile_metrics
    optimizer = base_model.optimizer
    arguments = {
        "optimizer": _made_anew(
            getattr(optimizer, "inner_optimizer", optimizer), "optimizer"
        ),
        "loss": base_model.loss,
        "loss_weights": compile_loss and compile_loss._user_loss_weights,
        "run_eagerly": base_model.run_eagerly,
        "steps_per_execution": base_model.steps_per_execution,
        "jit_compile": base_model.jit_compile,
    }
    if compile_metrics is not None:
        arguments["metrics"] = _metrics_anew(compile_metrics._user_metrics)
        arguments["weighted_metrics"] = _metrics_anew(
            compile_metrics._user_weighted_metrics
        )
    return arguments


def _metrics_anew(metrics):
    def anew(metric):
        if isinstance(metric, keras.Metric):
            return _made_anew(metric, "metrics")
        return metric

    return keras.tree.map_structure(anew, metrics)


def _made_anew(instance, argument):
    try:
        return type(instance).from_config(instance.get_config())
    except Exception as error:
        raise ValueError(
            f"Can't reuse argument `{argument}` of the base model's "
            "`compile()`. Expected an object that `from_config(get_config())` "
            f"makes anew. Received: {instance!r} ({error}). Call `compile()` "
            "on the CurveWeightedModel instead."
        ) from error

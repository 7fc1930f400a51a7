"""Puts the recording of losses into a model's own training step."""

import functools
import inspect
import re

import tensorflow as tf

from keras_curvenet.private_names import compile_arguments_of
from keras_curvenet.probing.per_sample_loss import PerSampleLoss
from keras_curvenet.probing.sample_ids import has_sample_ids
from keras_curvenet.probing.sample_ids import split_sample_ids


def record_training_steps(model, before_step, write):
    """Replaces a compiled model's training step by one that records losses.

    Args:
        model: A compiled `keras.Model`.
        before_step: Function of the iterator over the data, called before
            each step, that says whether the data has weights of its own.
        write: Function `(y, y_pred, losses, sample_ids)`, called while the
            step is traced.

    Returns:
        A function that puts the model back into its earlier state. Keras does
        not call `on_train_end` after an exception: then it is called where a
        training step raised, and at the latest where the next `fit` begins.
    """
    if getattr(model.train_step, "is_recorded", False):
        raise ValueError(
            "Invalid value for argument `callbacks`. Expected one recorder in "
            "a `fit`. Received: several LossCurveRecorders. Leave one out."
        )
    arguments = compile_arguments_of(model)
    if arguments["loss"] is None:
        raise ValueError(
            "Expected a model compiled with a loss. Received: model "
            f"'{model.name}' without one, so that there is no loss to record. "
            "Pass `loss=...` to `compile()`."
        )
    per_sample_loss = PerSampleLoss(
        arguments["loss"],
        arguments["loss_weights"],
        getattr(model, "output_names", None),
    )
    train_step, compute_loss = model.train_step, model.compute_loss
    test_step = model.test_step
    signature = inspect.signature(compute_loss)
    names = ("train_step", "test_step", "compute_loss", "make_train_function")
    own = {name: vars(model)[name] for name in names if name in vars(model)}
    make_train_function = model.make_train_function
    pending_ids = []
    is_weighted = True

    @functools.wraps(train_step)
    def recorded_train_step(data):
        data, sample_ids = split_sample_ids(data)
        pending_ids[:] = [sample_ids]
        if not is_weighted:
            data = data[:2]  # What a `train_step` got before there were ids.
        logs = train_step(data)
        if pending_ids:
            raise ValueError(
                "LossCurveRecorder takes the losses where a training step "
                "computes them. Expected a `train_step` that calls "
                "`self.compute_loss(x, y, y_pred, sample_weight)`. Received: "
                f"model '{model.name}', whose `train_step` never does."
            )
        return logs

    @functools.wraps(test_step)
    def test_step_without_ids(data):
        if has_sample_ids(data):
            data, _ = split_sample_ids(data)
        return test_step(data)

    @functools.wraps(compute_loss)
    def recorded_compute_loss(*args, **kwargs):
        call = signature.bind(*args, **kwargs)
        y, y_pred = call.arguments["y"], call.arguments["y_pred"]
        if pending_ids:
            losses = per_sample_loss(y, y_pred)
            write(y, y_pred, losses, pending_ids.pop())
        if "sample_weight" in call.arguments:
            call.arguments["sample_weight"] = per_sample_loss.aligned(
                y, y_pred, call.arguments["sample_weight"]
            )
        return compute_loss(*call.args, **call.kwargs)

    def recorded(train_function):
        def recorded_train_function(iterator):
            nonlocal is_weighted
            try:
                is_weighted = before_step(iterator)
                return train_function(iterator)
            except (StopIteration, tf.errors.OutOfRangeError):
                raise  # The end of the data.
            except BaseException as error:
                restore()
                raise_if_about_labels(error)
                raise

        return recorded_train_function

    def make_recorded_train_function(force=False):
        if not force:  # Another `fit` begins, after one that was interrupted.
            restore()
            model.make_train_function()
            return
        make_train_function(force=True)
        model.train_function = recorded(model.train_function)

    def restore():
        for name in names:
            if name in own:
                setattr(model, name, own[name])
            elif name in vars(model):
                delattr(model, name)
        model.train_function = model.test_function = None

    recorded_train_step.is_recorded = True
    model.train_step = recorded_train_step
    model.test_step, model.test_function = test_step_without_ids, None
    model.compute_loss = recorded_compute_loss
    model.make_train_function = make_recorded_train_function
    model.make_train_function(force=True)
    return restore


def raise_if_about_labels(error):
    """A ValueError for what TensorFlow says of labels out of range on a CPU."""
    if isinstance(error, tf.errors.InvalidArgumentError):
        found = re.search(
            r"label value of (-?\d+).*range of (\[.*?\))", str(error)
        )
        if found:
            raise ValueError(
                "Expected targets that are class labels, integers in "
                f"{found[2]}, the range of the outputs. Received: a label of "
                f"{found[1]}. Correct the labels, or give the model as many "
                "outputs as there are classes."
            ) from error

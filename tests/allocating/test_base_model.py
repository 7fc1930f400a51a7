import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models

import keras_curvenet as kcn
from keras_curvenet.allocating import base_model


def compiled_base(make_model=tiny_models.two_layer_model, **kwargs):
    base = make_model()
    base.compile(
        **{"optimizer": "sgd", "loss": tiny_models.SPARSE_LOSS, **kwargs}
    )
    return base


def one_epoch(weighted, **kwargs):
    arguments = {
        "epochs": 1,
        "verbose": 0,
        "loss_curves": tiny_models.loss_curves(),
        "meta_epochs": 0,
    }
    return weighted.fit(*tiny_models.arrays(), **{**arguments, **kwargs})


def test_optimizer_is_made_anew_at_its_present_rate():
    base = compiled_base(optimizer=keras.optimizers.SGD(0.5, momentum=0.9))
    base.optimizer.learning_rate = 0.25
    optimizer = base_model.compile_arguments(base)["optimizer"]
    assert type(optimizer) is keras.optimizers.SGD
    assert optimizer is not base.optimizer
    assert float(optimizer.learning_rate) == 0.25
    assert optimizer.momentum == 0.9
    assert int(optimizer.iterations) == 0


def test_schedule_is_kept():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    base = compiled_base(optimizer=keras.optimizers.SGD(schedule))
    optimizer = base_model.compile_arguments(base)["optimizer"]
    optimizer.build(base.trainable_variables)
    assert float(optimizer.learning_rate) == 0.5
    optimizer.iterations.assign(1)
    assert float(optimizer.learning_rate) == 0.25


def test_the_inner_optimizer_of_loss_scaling():
    inner = keras.optimizers.Adam(0.125)
    base = compiled_base(optimizer=keras.optimizers.LossScaleOptimizer(inner))
    optimizer = base_model.compile_arguments(base)["optimizer"]
    assert type(optimizer) is keras.optimizers.Adam
    assert float(optimizer.learning_rate) == 0.125


def test_everything_else_is_copied():
    loss = keras.losses.SparseCategoricalCrossentropy()
    metric = keras.metrics.SparseCategoricalAccuracy(name="hits")
    base = compiled_base(
        loss=loss,
        metrics=[metric, "accuracy"],
        weighted_metrics=["mse"],
        steps_per_execution=3,
        jit_compile=True,
    )
    arguments = base_model.compile_arguments(base)
    assert arguments["loss"] is loss
    assert arguments["metrics"][0] is not metric
    assert arguments["metrics"][0].name == "hits"
    assert arguments["metrics"][1] == "accuracy"
    assert arguments["weighted_metrics"] == ["mse"]
    assert arguments["steps_per_execution"] == 3
    assert arguments["jit_compile"] is True
    assert not arguments["run_eagerly"]


def test_loss_weights_are_copied():
    base = tiny_models.two_outputs()
    base.compile(
        "sgd",
        {"label": tiny_models.SPARSE_LOSS, "size": "mse"},
        loss_weights={"label": 0.5, "size": 2.0},
    )
    arguments = base_model.compile_arguments(base)
    assert arguments["loss_weights"] == {"label": 0.5, "size": 2.0}
    assert arguments["loss"] == {
        "label": tiny_models.SPARSE_LOSS,
        "size": "mse",
    }


def test_metrics_by_output_are_made_anew():
    base = tiny_models.two_outputs()
    metric = keras.metrics.MeanAbsoluteError(name="distance")
    base.compile(
        "sgd",
        {"label": tiny_models.SPARSE_LOSS, "size": "mse"},
        metrics={"label": ["accuracy"], "size": [metric]},
    )
    metrics = base_model.compile_arguments(base)["metrics"]
    assert metrics["label"] == ["accuracy"]
    assert metrics["size"][0] is not metric
    assert metrics["size"][0].name == "distance"


def test_nothing_compiled():
    base = tiny_models.two_layer_model()
    weighted = kcn.CurveWeightedModel(base)
    with pytest.raises(
        ValueError, match=r"Call `compile\(optimizer, loss\)` before `fit`"
    ):
        one_epoch(weighted)
    with pytest.raises(ValueError, match="base model 'two_layer_model', which"):
        weighted.evaluate(*tiny_models.arrays(), verbose=0)


class StepDown(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that has no configuration."""

    def __call__(self, step):
        return tf.where(step < 10, 0.5, 0.05)


class Unknown(StepDown):
    """One that Keras doesn't know."""

    def get_config(self):
        return {"unknown": 1}


@pytest.mark.parametrize("schedule", [StepDown(), Unknown()])
@pytest.mark.parametrize("scales_loss", [False, True])
def test_a_schedule_that_cannot_be_made_anew_gives_its_present_rate(
    schedule, scales_loss
):
    optimizer = keras.optimizers.SGD(schedule)
    optimizer.iterations.assign(10)
    if scales_loss:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    meta_optimizer = base_model.default_meta_optimizer(optimizer)
    assert meta_optimizer.epsilon == pytest.approx(0.05 * 2e-6)


def test_the_meta_optimizer_as_published():
    meta_optimizer = base_model.default_meta_optimizer(
        keras.optimizers.SGD(0.1), corrects_quality=False
    )
    assert float(meta_optimizer.learning_rate) == pytest.approx(1e-3)
    assert meta_optimizer.epsilon == 1e-7


class Unserializable(keras.optimizers.SGD):
    def __init__(self, secret, **kwargs):
        super().__init__(**kwargs)


def test_an_optimizer_that_cannot_be_made_anew():
    base = compiled_base(optimizer=Unserializable("secret"))
    with pytest.raises(
        ValueError, match=r"argument `optimizer`(.|\n)*Call `compile\(\)`"
    ):
        base_model.compile_arguments(base)


class Unlike(keras.metrics.Mean):
    def __init__(self, secret):
        super().__init__()


def test_a_metric_that_cannot_be_made_anew():
    base = compiled_base(metrics=[Unlike("secret")])
    with pytest.raises(
        ValueError, match=r"argument `metrics`(.|\n)*Call `compile\(\)`"
    ):
        base_model.compile_arguments(base)


def test_fit_compiles_as_the_base_and_leaves_the_base_alone():
    base = compiled_base(
        optimizer=keras.optimizers.SGD(0.25),
        metrics=["accuracy"],
        run_eagerly=True,
    )
    weighted = kcn.CurveWeightedModel(base)
    history = one_epoch(weighted).history
    assert "accuracy" in history
    assert type(weighted.optimizer) is keras.optimizers.SGD
    assert float(weighted.optimizer.learning_rate) == 0.25
    assert weighted.run_eagerly
    assert int(weighted.optimizer.iterations) == 1
    assert int(base.optimizer.iterations) == 0
    assert type(weighted.meta_optimizer) is keras.optimizers.Adam
    assert float(weighted.meta_optimizer.learning_rate) == pytest.approx(1e-5)


def test_evaluate_compiles_as_the_base():
    base = compiled_base(metrics=["accuracy"], run_eagerly=True)
    weighted = kcn.CurveWeightedModel(base)
    arguments = {"verbose": 0, "return_dict": True}
    assert weighted.evaluate(*tiny_models.arrays(), **arguments) == (
        base.evaluate(*tiny_models.arrays(), **arguments)
    )


def test_own_compile_comes_first():
    weighted = kcn.CurveWeightedModel(compiled_base())
    weighted.compile("adam", tiny_models.SPARSE_LOSS, run_eagerly=True)
    one_epoch(weighted)
    assert type(weighted.optimizer) is keras.optimizers.Adam


def test_a_trained_base_is_trained_on_with_a_warning():
    base = compiled_base(run_eagerly=True)
    base.fit(*tiny_models.arrays(), verbose=0)
    weighted = kcn.CurveWeightedModel(base)
    start = base.get_weights()
    with pytest.warns(UserWarning, match="trained for 1 steps already"):
        one_epoch(weighted, initial_epoch=1)  # Nothing left to train.
    for left, right in zip(base.get_weights(), start, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(("late", "may_know"), [(0.1, False), (0.2, True)])
def test_what_the_probed_network_knows_decides_on_the_warning(late, may_know):
    base = compiled_base(run_eagerly=True)
    base.fit(*tiny_models.arrays(), verbose=0)
    caught = tiny_models.caught_warnings(
        one_epoch,
        kcn.CurveWeightedModel(base),
        loss_curves=tiny_models.curves_with_wrong_labels(late),
        initial_epoch=1,  # Nothing left to train.
    )
    assert ["may have memorized wrong labels" in str(w) for w in caught] == (
        [True] if may_know else []
    )


def test_no_warning_in_the_second_fit():
    base = compiled_base(run_eagerly=True)
    weighted = kcn.CurveWeightedModel(base)
    one_epoch(weighted)
    one_epoch(weighted, loss_curves=None)  # Warnings are errors.
    assert int(weighted.optimizer.iterations) == 2


def test_base_without_a_loss():
    base = tiny_models.sequential()
    base.compile("sgd")
    weighted = kcn.CurveWeightedModel(base)
    with pytest.raises(ValueError, match="Received: loss=None"):
        one_epoch(weighted)

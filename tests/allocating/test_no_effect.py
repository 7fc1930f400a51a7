"""Weights of 1 are plain training: the wrapper adds nothing of its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models

import keras_curvenet as kcn

OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "momentum": lambda: keras.optimizers.SGD(
        0.05, momentum=0.9, nesterov=True, weight_decay=0.01
    ),
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "moving average": lambda: keras.optimizers.SGD(
        0.1, use_ema=True, ema_momentum=0.5
    ),
    "accumulation": lambda: keras.optimizers.SGD(
        0.1, gradient_accumulation_steps=2
    ),
}


def trained_plainly(make_model, data, compile_arguments, **fit_arguments):
    model = made(make_model)
    model.compile(**evaluated(compile_arguments))
    history = model.fit(
        plain(data), epochs=2, verbose=0, **fit_arguments
    ).history
    return model, history


def trained_weighted(
    make_model,
    data,
    compile_arguments,
    curve_net,
    top_layers=1,
    meta_epochs=1,
    meta_data=None,
    labels=None,
    loss_curves=None,
    balance_classes=False,
    **fit_arguments,
):
    model = made(make_model)
    weighted = kcn.CurveWeightedModel(
        model,
        curve_net=curve_net,
        top_layers=top_layers,
        balance_classes=balance_classes,
    )
    weighted.compile(
        **evaluated(compile_arguments),
        meta_optimizer=keras.optimizers.SGD(0.0),
    )
    history = weighted.fit(
        tiny_models.with_ids(data),
        epochs=2,
        verbose=0,
        loss_curves=loss_curves or tiny_models.loss_curves(labels),
        meta_data=meta_data or tiny_models.meta_dataset(),
        meta_epochs=meta_epochs,
        **fit_arguments,
    ).history
    return model, history


def made(make_model):
    keras.utils.set_random_seed(5)
    return make_model()


def evaluated(compile_arguments):
    """With a new optimizer; eagerly unless graphs are the point."""
    arguments = {"loss": tiny_models.SPARSE_LOSS, "run_eagerly": True}
    arguments.update(compile_arguments)
    arguments["optimizer"] = OPTIMIZERS[arguments["optimizer"]]()
    return arguments


def plain(data):
    return tf.data.Dataset.from_tensor_slices(data).batch(
        tiny_models.BATCH_SIZE
    )


def assert_same_training(actual, expected):
    """Same variables, moving averages and seeds included, same logs."""
    (model, history), (plain_model, plain_history) = actual, expected
    tiny_models.assert_all_close(
        tiny_models.values_of(model.variables),
        tiny_models.values_of(plain_model.variables),
    )
    assert set(plain_history) <= set(history)
    for name, values in plain_history.items():
        np.testing.assert_allclose(
            history[name], values, rtol=1e-5, atol=1e-6, err_msg=name
        )


def idle_curve_net():
    """Weights of 1 from a variable: meta steps run, at a rate of zero."""
    return tiny_models.WeightByClass([1.0, 1.0, 1.0])


CURVE_NETS = {
    "frozen": (tiny_models.constant_curve_net, 0),
    "constant": (tiny_models.constant_curve_net, 2),
    "learning": (idle_curve_net, 1),
}


@pytest.mark.parametrize(
    ("make_model", "top_layers", "optimizer", "curve_net", "run_eagerly"),
    [
        (tiny_models.sequential, 1, "adam", "constant", True),
        (tiny_models.sequential, 1, "adam", "learning", False),
        (tiny_models.sequential, None, "momentum", "learning", True),
        (tiny_models.functional, 2, "momentum", "frozen", False),
        (tiny_models.functional, 2, "momentum", "learning", True),
        (tiny_models.subclassed, ["head"], "adam", "frozen", True),
        (tiny_models.subclassed, ["head"], "sgd", "learning", False),
        (tiny_models.sequential, 1, "moving average", "learning", True),
        (tiny_models.sequential, 1, "accumulation", "learning", False),
    ],
)
def test_weights_of_one_are_plain_training(
    make_model, top_layers, optimizer, curve_net, run_eagerly
):
    # BatchNormalization, Dropout and an L2 regularizer are in each model.
    arguments = {
        "optimizer": optimizer,
        "metrics": ["accuracy"],
        "run_eagerly": run_eagerly,
    }
    data = tiny_models.arrays()
    make_curve_net, meta_epochs = CURVE_NETS[curve_net]
    assert_same_training(
        trained_weighted(
            make_model,
            data,
            arguments,
            make_curve_net(),
            top_layers,
            meta_epochs,
        ),
        trained_plainly(make_model, data, arguments),
    )


def test_balanced_data_is_not_adjusted():
    # The same curves in each class: equal numbers of right labels.
    x, y = tiny_models.arrays()
    values = np.random.default_rng(0).uniform(size=(8, 6)).repeat(3, axis=0)
    arguments = {"optimizer": "sgd", "metrics": ["accuracy"]}
    assert_same_training(
        trained_weighted(
            tiny_models.sequential,
            (x, y),
            arguments,
            idle_curve_net(),  # It learns in the first of two epochs.
            loss_curves=kcn.LossCurves(values, y),
            balance_classes=True,
        ),
        trained_plainly(tiny_models.sequential, (x, y), arguments),
    )


def test_with_the_users_sample_weight():
    weight = np.linspace(0.2, 3.0, tiny_models.NUM_SAMPLES, dtype="float32")
    data = (*tiny_models.arrays(), weight)
    arguments = {
        "optimizer": "momentum",
        "weighted_metrics": ["accuracy"],
    }
    assert_same_training(
        trained_weighted(
            tiny_models.sequential, data, arguments, idle_curve_net()
        ),
        trained_plainly(tiny_models.sequential, data, arguments),
    )


@pytest.mark.parametrize("top_layers", [["label", "size"], None])
def test_with_several_outputs_and_loss_weights(top_layers):
    x, y = tiny_models.arrays()
    data = (x, {"label": y, "size": x[:, :1]})
    arguments = {
        "optimizer": "sgd",
        "loss": {"label": tiny_models.SPARSE_LOSS, "size": "mse"},
        "loss_weights": {"label": 0.5, "size": 2.0},
        "metrics": {"label": ["accuracy"], "size": ["mae"]},
    }
    assert_same_training(
        trained_weighted(
            tiny_models.two_outputs,
            data,
            arguments,
            idle_curve_net(),
            top_layers,
            meta_data=plain(data),
        ),
        trained_plainly(tiny_models.two_outputs, data, arguments),
    )


@pytest.mark.parametrize("top_layers", [1, None])
def test_with_masked_sequences(top_layers):
    rng = np.random.default_rng(0)
    x = rng.integers(1, 7, size=(tiny_models.NUM_SAMPLES, 5), dtype="int32")
    x[::2, 3:] = 0
    y = rng.integers(0, 3, size=x.shape, dtype="int32")
    arguments = {
        "optimizer": "sgd",
        "metrics": ["accuracy"],
        "run_eagerly": top_layers is None,
    }
    assert_same_training(
        trained_weighted(
            tiny_models.masked_sequence,
            (x, y),
            arguments,
            idle_curve_net(),
            top_layers,
            meta_data=plain((x, y)),
            labels=np.zeros(len(x), "int32"),
        ),
        trained_plainly(tiny_models.masked_sequence, (x, y), arguments),
    )


def test_with_arrays_and_validation_split():
    x, y = tiny_models.arrays()
    fits = []
    for wrap in (False, True):
        model = trained = made(tiny_models.functional)
        arguments = {}
        if wrap:
            trained = kcn.CurveWeightedModel(
                model,
                curve_net=tiny_models.constant_curve_net(),
                balance_classes=False,
            )
            arguments = {
                "loss_curves": tiny_models.loss_curves(),
                "meta_data": tiny_models.meta_arrays(),
            }
        trained.compile(
            "sgd",
            tiny_models.SPARSE_LOSS,
            metrics=["accuracy"],
            run_eagerly=True,
        )
        history = trained.fit(
            x,
            y,
            batch_size=7,
            epochs=2,
            verbose=0,
            shuffle=False,
            validation_split=0.3,
            sample_weight=np.linspace(0.5, 1.5, len(x), dtype="float32"),
            **arguments,
        ).history
        fits.append((model, history))
    assert "val_accuracy" in fits[0][1]
    assert_same_training(fits[1], fits[0])


def test_real_meta_steps_leave_the_running_state_alone():
    """What CurveNet learns changes weights only, no seeds or averages."""
    data, arguments = tiny_models.arrays(), {"optimizer": "sgd"}
    models = []
    for meta_epochs in (0, 2):
        model = made(tiny_models.functional)
        weighted = kcn.CurveWeightedModel(
            model, curve_net=tiny_models.curve_net()
        )
        compiled = evaluated(arguments)
        compiled["optimizer"] = keras.optimizers.SGD(0.0)
        weighted.compile(**compiled)
        weighted.fit(
            tiny_models.with_ids(data),
            epochs=2,
            verbose=0,
            loss_curves=tiny_models.loss_curves(),
            meta_data=tiny_models.meta_dataset(),
            meta_epochs=meta_epochs,
        )
        models.append(model)
    frozen, learned = models
    tiny_models.assert_all_equal(
        tiny_models.values_of(learned.variables),
        tiny_models.values_of(frozen.variables),
    )

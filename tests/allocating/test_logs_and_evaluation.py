"""Logs, predict, evaluate and callbacks of `CurveWeightedModel`."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models
from weighted_models import eager
from weighted_models import fit
from weighted_models import weighted_model

import keras_curvenet as kcn

# Logs.


class EpochLogs(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.logs = []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs))


def test_names_of_logs():
    epoch_logs = EpochLogs()
    weighted = eager(tiny_models.two_layer_model)
    fit(
        weighted,
        callbacks=[epoch_logs],
        validation_data=tiny_models.arrays(),
    )
    frozen = {"loss", "accuracy", "mean_weight", "effective_sample_size"}
    frozen |= {"val_loss", "val_accuracy"}
    assert set(epoch_logs.logs[0]) == frozen | {"meta_loss"}
    assert set(epoch_logs.logs[1]) == frozen


@pytest.mark.parametrize("trained", [False, True])
def test_names_of_evaluate_are_the_base_models(trained):
    x, y = tiny_models.arrays()
    base = tiny_models.two_outputs()
    y = {"label": y, "size": x[:, :1]}
    base.compile(
        "sgd",
        {"label": tiny_models.SPARSE_LOSS, "size": "mse"},
        metrics={"label": ["accuracy"], "size": ["mae"]},
        run_eagerly=True,
    )
    weighted = kcn.CurveWeightedModel(
        base, curve_net=tiny_models.WeightByCurve(), top_layers=None
    )
    if trained:
        fit(weighted, x, y=y, meta_data=(x, y))
    arguments = {"verbose": 0, "return_dict": True}
    expected = base.evaluate(x, y, **arguments)
    assert weighted.evaluate(x, y, **arguments) == expected
    assert list(weighted.evaluate(x, y, **arguments)) == list(expected)


def test_values_of_logs_by_hand():
    # A rate of 0 everywhere; batches of 16 and 8.
    x, y = tiny_models.arrays()
    weighted = eager(
        tiny_models.two_layer_model,
        optimizer=keras.optimizers.SGD(0.0),
        meta_optimizer=keras.optimizers.SGD(0.0),
        balance_classes=False,
    )
    history = fit(weighted, tiny_models.with_ids(batch_size=16), epochs=1)
    loss = keras.losses.sparse_categorical_crossentropy
    losses = loss(y, weighted.base_model(x)).numpy()
    x_meta, y_meta = tiny_models.meta_arrays()
    meta_losses = loss(y_meta, weighted.base_model(x_meta)).numpy()
    weights = weighted.sample_weights()
    assert np.ptp(weights) > 0.01
    predicted = weighted.predict(x, verbose=0)
    entropy = -np.sum(predicted * np.log(predicted), axis=1)
    stand_ins = (1.0 - weights) * np.sum(predicted**2, axis=1)
    hits = predicted.argmax(axis=-1) == y
    logs = {name: values[0] for name, values in history.items()}
    assert logs == pytest.approx(
        {
            "loss": np.mean(weights * losses + stand_ins * entropy),
            "accuracy": np.mean(hits),
            "meta_loss": np.mean(meta_losses),
            "mean_weight": np.mean(weights),
            "effective_sample_size": np.sum(weights) ** 2
            / (24 * np.sum(weights**2)),
        },
        rel=1e-5,
    )


# predict and evaluate.


def test_predict_and_evaluate_are_the_base_models():
    x, y = tiny_models.arrays()
    weight = np.linspace(0.0, 1.0, len(x), dtype="float32")
    weighted = weighted_model()
    fit(weighted, epochs=1)
    base = weighted.base_model
    base.compile("sgd", tiny_models.SPARSE_LOSS, metrics=["accuracy"])
    arguments = {"verbose": 0, "return_dict": True}
    predictions = base.predict(x, batch_size=8, verbose=0)
    expected = base.evaluate(x, y, batch_size=8, **arguments)
    np.testing.assert_array_equal(
        weighted.predict(x, batch_size=8, verbose=0), predictions
    )
    assert weighted.evaluate(x, y, batch_size=8, **arguments) == expected
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    for data in (dataset, tiny_models.with_ids()):
        np.testing.assert_array_equal(
            weighted.predict(data, verbose=0), predictions
        )
        assert weighted.evaluate(data, **arguments) == expected
    actual = weighted.evaluate(
        tiny_models.with_ids((x, y, weight)), **arguments
    )
    assert actual == base.evaluate(
        x, y, sample_weight=weight, batch_size=8, **arguments
    )
    assert actual["loss"] != expected["loss"]


def test_calling_the_wrapper_is_calling_the_base():
    x, _ = tiny_models.arrays()
    weighted = weighted_model()
    np.testing.assert_array_equal(weighted(x), weighted.base_model(x))
    np.testing.assert_array_equal(
        weighted.predict_on_batch(x), weighted.base_model.predict_on_batch(x)
    )


def test_validation_data_with_and_without_ids():
    values = []
    for validation_data in (
        tiny_models.arrays(),
        tf.data.Dataset.from_tensor_slices(tiny_models.arrays()).batch(8),
        tiny_models.with_ids(),
    ):
        weighted = eager(tiny_models.two_layer_model)
        history = fit(weighted, epochs=1, validation_data=validation_data)
        values.append(history["val_loss"])
    np.testing.assert_allclose(values[1], values[0], rtol=1e-6)
    np.testing.assert_allclose(values[2], values[0], rtol=1e-6)


# Callbacks.


def test_early_stopping_restores_the_best_weights():
    snapshots = []
    weighted = eager(
        tiny_models.two_layer_model, optimizer=keras.optimizers.SGD(0.1)
    )
    stopping = keras.callbacks.EarlyStopping(
        "val_loss", patience=1, restore_best_weights=True, mode="max"
    )
    snapshot = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: snapshots.append(
            weighted.get_weights()
        )
    )
    with pytest.warns(UserWarning, match="monitors 'val_loss'"):
        history = fit(
            weighted,
            epochs=8,
            meta_epochs=8,
            validation_data=tiny_models.arrays(),
            callbacks=[snapshot, stopping],
        )
    best = int(np.argmax(history["val_loss"]))
    assert len(snapshots) == best + 2 < 8  # It stopped early.
    tiny_models.assert_all_equal(weighted.get_weights(), snapshots[best])


def test_learning_rates_by_callback():
    rates = []
    weighted = eager(tiny_models.two_layer_model)
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.5 / (1 + epoch)),
        keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1),
        keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: rates.append(
                float(weighted.optimizer.learning_rate)
            )
        ),
    ]
    history = fit(weighted, epochs=2, callbacks=callbacks)
    np.testing.assert_allclose(rates, [0.5] * 3 + [0.25] * 3)
    assert "learning_rate" in history


def test_reduce_learning_rate_on_plateau():
    weighted = eager(
        tiny_models.two_layer_model, optimizer=keras.optimizers.SGD(0.5)
    )
    callback = keras.callbacks.ReduceLROnPlateau(
        "val_accuracy", factor=0.1, patience=1, min_delta=1e6
    )
    history = fit(
        weighted,
        epochs=3,
        validation_data=tiny_models.arrays(),
        callbacks=callback,
    )
    np.testing.assert_allclose(history["learning_rate"], [0.5, 0.5, 0.05])


def test_model_checkpoint(tmp_path):
    weighted = eager()
    fit(
        weighted,
        validation_data=tiny_models.arrays(),
        callbacks=[
            keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
            keras.callbacks.ModelCheckpoint(
                tmp_path / "{epoch}.weights.h5", save_weights_only=True
            ),
        ],
    )
    loaded = keras.models.load_model(tmp_path / "2.keras")
    tiny_models.assert_all_equal(loaded.get_weights(), weighted.get_weights())
    other = kcn.CurveWeightedModel(
        tiny_models.sequential(), curve_net=tiny_models.curve_net()
    )
    other.load_weights(tmp_path / "2.weights.h5")
    tiny_models.assert_all_equal(other.get_weights(), weighted.get_weights())

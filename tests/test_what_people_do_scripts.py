"""What people do around `fit`: callbacks, checkpoints, splits, weights."""

import json
import warnings
import zipfile

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from testing_utils import tiny_data
from testing_utils import tiny_model

import keras_curvenet as kcn

callbacks = keras.callbacks
X, Y = tiny_data(40)
CURVES = kcn.LossCurves(np.random.default_rng(0).uniform(size=(40, 5)), Y)


def weighted_fit(*callbacks, validation_data=(X, Y), **kwargs):
    weighted = kcn.CurveWeightedModel(tiny_model(activation="softmax"))
    weighted.compile(
        "sgd",
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        run_eagerly=True,
    )
    weighted.fit(
        X,
        Y,
        loss_curves=CURVES,
        meta_data=(X, Y),
        callbacks=list(callbacks),
        validation_data=validation_data,
        verbose=0,
        **kwargs,
    )
    return weighted


of_one_output = callbacks.LambdaCallback()
of_one_output.monitor = "val_label_loss"


@pytest.mark.parametrize(
    "callback, is_warned_of",
    [
        (callbacks.EarlyStopping(), True),  # Of "val_loss" by default.
        (callbacks.EarlyStopping("val_loss"), True),
        (of_one_output, True),
        (callbacks.ReduceLROnPlateau(), True),
        (callbacks.ModelCheckpoint("a.keras", save_best_only=True), True),
        (callbacks.ModelCheckpoint("a.keras"), False),
        (callbacks.ReduceLROnPlateau("loss"), False),
        (callbacks.EarlyStopping("val_accuracy"), False),
        (callbacks.LambdaCallback(), False),
    ],
)
def test_monitoring_validation_loss_is_warned_of_once(
    callback, is_warned_of, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weighted_fit(callback, callback)
    of_loss = [c for c in caught if "val_accuracy" in str(c.message)]
    assert len(of_loss) == is_warned_of
    for warning in of_loss:
        assert warning.filename == __file__
        assert type(callback).__name__ in str(warning.message)
        assert len(str(warning.message)) < 500


def names_in(path):
    """All that a saved model says of classes and packages."""
    with zipfile.ZipFile(path) as archive:
        return json.dumps(json.loads(archive.read("config.json")))


def test_a_checkpoint_of_the_wrapper_holds_the_classifier(tmp_path):
    best, base = tmp_path / "best.keras", tmp_path / "classifier.keras"
    checkpoint = callbacks.ModelCheckpoint(
        best, "val_accuracy", save_best_only=True
    )
    weighted = weighted_fit(checkpoint)
    assert "keras_curvenet" in names_in(best)
    keras.models.load_model(best).base_model.save(base)
    assert "keras_curvenet" not in names_in(base)
    np.testing.assert_allclose(
        keras.models.load_model(base).predict(X, verbose=0),
        weighted.predict(X, verbose=0),
        rtol=1e-5,
    )


def test_a_callback_saves_the_classifier_in_every_epoch(tmp_path):
    path = str(tmp_path / "{}.keras")
    weighted = kcn.CurveWeightedModel(tiny_model(activation="softmax"))
    weighted.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    save = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weighted.base_model.save(
            path.format(epoch)
        )
    )
    weighted.fit(
        X,
        Y,
        epochs=2,
        loss_curves=CURVES,
        meta_data=(X, Y),
        callbacks=[save],
        verbose=0,
    )
    assert "keras_curvenet" not in names_in(path.format(0))
    np.testing.assert_allclose(
        keras.models.load_model(path.format(1)).predict(X, verbose=0),
        weighted.predict(X, verbose=0),
        rtol=1e-5,
    )


def test_weights_of_a_checkpoint_are_loaded_into_the_wrapper(tmp_path):
    path = tmp_path / "last.weights.h5"
    weighted = weighted_fit(
        callbacks.ModelCheckpoint(path, save_weights_only=True)
    )
    expected = weighted.base_model.get_weights()
    for variable in weighted.base_model.variables:
        variable.assign(keras.ops.zeros_like(variable))
    weighted.load_weights(path)
    for value, other in zip(
        weighted.base_model.get_weights(), expected, strict=True
    ):
        np.testing.assert_array_equal(value, other)


def test_limits_say_how_to_split_and_weight_in_the_probe():
    """As README's Limits say: the rows are split, and weights given, first."""
    model, class_weight = tiny_model(), {0: 1.0, 1: 2.0, 2: 0.5}
    model.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    weights = np.vectorize(class_weight.get)(Y[:32])
    recorder = kcn.LossCurveRecorder()
    history = model.fit(
        kcn.with_sample_ids((X[:32], Y[:32], weights)).shuffle(32).batch(8),
        validation_data=(X[32:], Y[32:]),
        callbacks=[recorder],
        verbose=0,
    ).history
    assert recorder.loss_curves.num_samples == 32
    assert np.isfinite(recorder.loss_curves.values).all()
    assert set(history) == {"loss", "val_loss"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:EarlyStopping monitors")
def test_validation_accuracy_tells_where_validation_labels_are_wrong():
    x, y = load_digits(return_X_y=True)
    x, noisy = x / 16, kcn.datasets.corrupt_labels(y, 0.4, seed=0)
    train, validate, test = slice(0, 900), slice(900, 1300), slice(1300, None)
    stopped = {}
    recorder = kcn.LossCurveRecorder()

    def make_model():
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((64,)),
                keras.layers.Dense(64, activation="relu"),
                keras.layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile(
            keras.optimizers.SGD(0.05, momentum=0.9),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        return model

    batches = kcn.with_sample_ids((x[train], noisy[train]))
    batches = kcn.shuffle_by_epoch(batches, 900).batch(32)
    make_model().fit(batches, epochs=12, callbacks=[recorder], verbose=0)
    for monitor in ("val_loss", "val_accuracy"):
        weighted = kcn.CurveWeightedModel(make_model())
        weighted.fit(
            batches,
            epochs=30,
            loss_curves=recorder.loss_curves,
            validation_data=(x[validate], noisy[validate]),
            callbacks=[
                callbacks.EarlyStopping(
                    monitor, patience=8, restore_best_weights=True
                )
            ],
            verbose=0,
        )
        _, stopped[monitor] = weighted.evaluate(x[test], y[test], verbose=0)
    print(stopped)
    assert stopped["val_accuracy"] > stopped["val_loss"]

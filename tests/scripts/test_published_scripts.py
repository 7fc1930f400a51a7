"""What people publish, with a recorder in `fit` and then with weights.

The test probes the model of each script for two epochs and trains it, weighted,
for two more. Trainings in several stages have tests of their own.
"""

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from published_scripts import SCRIPTS
from published_scripts import SPARSE
from published_scripts import N
from published_scripts import batches
from published_scripts import classifier
from published_scripts import features
from published_scripts import images
from published_scripts import keras_hub_task
from published_scripts import labels
from published_scripts import task_as_in_keras_hub

import keras_curvenet as kcn

pytestmark = [
    pytest.mark.slow,
    # Two epochs of 96 samples tell little of labels.
    pytest.mark.filterwarnings("ignore:.* do not tell how many labels"),
    pytest.mark.filterwarnings("ignore:The base model was trained for"),
    pytest.mark.filterwarnings("ignore:.* have fewer than 20 samples"),
    pytest.mark.filterwarnings("ignore:Nearly all labels of class"),
    pytest.mark.filterwarnings("ignore:All samples of class"),
    pytest.mark.filterwarnings("ignore:The network predicts hardly any sample"),
]

EPOCHS = 2


def assert_finite(history):
    assert history
    for name, values in history.items():
        assert np.isfinite(values).all(), name


def probe(model, train, label_fn=None, **kwargs):
    """The curves of an ordinary `fit`."""
    recorder = kcn.LossCurveRecorder(label_fn=label_fn)
    kwargs["callbacks"] = [recorder, *kwargs.get("callbacks", [])]
    history = model.fit(train, epochs=EPOCHS, verbose=0, **kwargs).history
    assert_finite(history)
    curves = recorder.loss_curves
    assert curves.values.shape == (N, EPOCHS)
    assert np.isfinite(curves.values).all()
    return curves


def train_weighted(model, train, curves, **kwargs):
    """A `CurveWeightedModel` that was fitted as users do."""
    weighted = kcn.CurveWeightedModel(model)
    history = weighted.fit(
        train, epochs=EPOCHS, loss_curves=curves, verbose=0, **kwargs
    ).history
    assert_finite(history)
    assert len(history["loss"]) == EPOCHS
    weights = weighted.sample_weights()
    assert weights.shape == (curves.num_samples,)
    assert ((weights >= 0.0) & (weights <= 1.0)).all()
    return weighted


@pytest.mark.filterwarnings("ignore:.* has its own train_step")
@pytest.mark.parametrize("script", SCRIPTS)
def test_script(script, tmp_path):
    model, train, *label_fn = script(tmp_path)
    curves = probe(model, train, *label_fn)
    # Steps that learn hold all that those with frozen weights do.
    train_weighted(model, train, curves, meta_epochs=EPOCHS)


def test_keras_hub_task_as_base_model():
    model, train = keras_hub_task(None)
    curves = probe(model, train)
    with pytest.warns(UserWarning, match="own fit.*preprocessor"):
        train_weighted(task_as_in_keras_hub(), train, curves)


def test_callbacks_as_published(tmp_path):
    """The rate falls, training stops, checkpoints are of both kinds."""
    best, last = tmp_path / "best.keras", tmp_path / "last.weights.h5"

    def callbacks():
        return [
            keras.callbacks.ReduceLROnPlateau("val_accuracy", patience=1),
            keras.callbacks.EarlyStopping(
                "val_accuracy", patience=5, restore_best_weights=True
            ),
            keras.callbacks.ModelCheckpoint(
                best, "val_accuracy", save_best_only=True
            ),
            keras.callbacks.ModelCheckpoint(last, save_weights_only=True),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.TensorBoard(tmp_path / "logs"),
            keras.callbacks.TerminateOnNaN(),
        ]

    model, train = classifier(), batches(features, labels)
    validation = {"validation_data": (features, labels)}
    curves = probe(model, train, callbacks=callbacks(), **validation)
    weighted = train_weighted(
        model, train, curves, callbacks=callbacks(), **validation
    )
    weighted.load_weights(last)
    loaded = keras.models.load_model(best).base_model
    np.testing.assert_allclose(
        loaded.predict(features, verbose=0).sum(axis=1), 1.0, rtol=1e-5
    )


def test_fine_tuning():
    """The head of a frozen backbone, then all of it at a lower rate."""
    backbone = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(8, 3),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
        ]
    )
    backbone.trainable = False
    inputs = keras.Input((12, 12, 3))
    x = layers.Dropout(0.2)(backbone(inputs, training=False))
    model = keras.Model(inputs, layers.Dense(3)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    train = batches(images, labels)
    for is_trainable, rate in ((False, 1e-2), (True, 1e-4)):
        backbone.trainable = is_trainable
        model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
        before = backbone.get_weights()
        weighted = train_weighted(model, train, probe(model, train))
        moved = np.abs(backbone.get_weights()[0] - before[0]).max() > 0
        assert moved == is_trainable
        assert len(weighted.trainable_variables) == (6 if is_trainable else 2)


class ContrastiveEncoder(keras.Model):
    """Learns, without labels, that two views of a row belong together."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.augment = layers.GaussianNoise(0.5)

    def train_step(self, data):
        with tf.GradientTape() as tape:
            one, two = (
                keras.ops.normalize(
                    self.encoder(self.augment(data, training=True))
                )
                for _ in range(2)
            )
            similarity = keras.ops.matmul(one, keras.ops.transpose(two)) / 0.1
            rows = keras.ops.arange(keras.ops.shape(similarity)[0])
            loss = keras.ops.mean(
                keras.losses.sparse_categorical_crossentropy(
                    rows, similarity, from_logits=True
                )
            )
        variables = self.encoder.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return {"contrastive_loss": loss}


def test_contrastive_pretraining_and_a_head():
    encoder = keras.Sequential(
        [keras.Input((8,)), layers.Dense(16, activation="relu")]
    )
    contrastive = ContrastiveEncoder(encoder)
    contrastive.compile("adam")
    contrastive.fit(features, epochs=EPOCHS, batch_size=32, verbose=0)
    encoder.trainable = False
    model = keras.Sequential(
        [keras.Input((8,)), encoder, layers.Dense(3, activation="softmax")]
    )
    model.compile("adam", SPARSE, metrics=["accuracy"])
    train = batches(features, labels)
    train_weighted(model, train, probe(model, train))


def test_distillation():
    """A student learns from a weighted teacher, on labels that it trusts."""
    train, teacher = batches(features, labels), classifier()
    weighted = train_weighted(teacher, train, probe(teacher, train))
    is_trusted = weighted.sample_weights() > 0.5
    distiller = keras.distillation.Distiller(
        teacher, classifier(), keras.distillation.LogitsDistillation()
    )
    distiller.compile("adam", SPARSE, metrics=["accuracy"])
    history = distiller.fit(
        features[is_trusted], labels[is_trusted], epochs=EPOCHS, verbose=0
    ).history
    assert_finite(history)
    # Its own losses are not those that `compile` was given.
    with pytest.raises(ValueError, match="Expected a model compiled with a"):
        probe(distiller, train)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner")
def test_keras_tuner(tmp_path):
    """Weights are learned for each network that the tuner builds."""
    train = batches(features, labels)
    curves = probe(classifier(), train)

    def build(choices):
        units = choices.Int("units", 4, 16, step=4)
        rate = choices.Float("rate", 1e-3, 1e-1, sampling="log")
        model = keras.Sequential(
            [
                keras.Input((8,)),
                layers.Dense(units, activation="relu"),
                layers.Dense(3, activation="softmax"),
            ]
        )
        weighted = kcn.CurveWeightedModel(model)
        optimizer = keras.optimizers.Adam(rate)
        weighted.compile(optimizer, SPARSE, metrics=["accuracy"])
        return weighted

    tuner = keras_tuner.RandomSearch(
        build, "val_accuracy", max_trials=2, directory=tmp_path, seed=0
    )
    tuner.search(
        train,
        epochs=EPOCHS,
        loss_curves=curves,
        validation_data=(features, labels),
        verbose=0,
    )
    best = tuner.get_best_hyperparameters()[0]
    assert 4 <= best.get("units") <= 16
    trials = tuner.oracle.get_best_trials(2)
    assert len(trials) == 2
    assert all(0.0 <= trial.score <= 1.0 for trial in trials)

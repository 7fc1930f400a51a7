import keras
import numpy as np
import planted
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

import keras_curvenet as kcn
from keras_curvenet.inspecting import curve_tensor_board


def fit(callback, curves=None, epochs=2):
    keras.utils.set_random_seed(0)
    curves = curves or planted.curves_of([60, 20])[0]
    y = np.maximum(curves.labels, 0)
    x = np.random.default_rng(0).normal(size=(curves.num_samples, 4))
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(curves.num_classes, "softmax"),
    ]
    weighted = kcn.CurveWeightedModel(keras.Sequential(layers))
    weighted.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    history = weighted.fit(
        x,
        y,
        epochs=epochs,
        batch_size=40,
        verbose=0,
        loss_curves=curves,
        meta_data=(x, y),
        meta_epochs=1,
        callbacks=[callback],
    )
    return weighted, history.history


def events_of(folder):
    events = event_accumulator.EventAccumulator(
        str(folder / "curves"), size_guidance={"tensors": 0}
    )
    return events.Reload()


def values_of(events, tag):
    return [
        tf.make_ndarray(event.tensor_proto) for event in events.Tensors(tag)
    ]


def test_weights_and_logs_are_written(tmp_path):
    callback = kcn.CurveTensorBoard(tmp_path, class_names=["cat", "dog"])
    weighted, history = fit(callback, epochs=3)
    events = events_of(tmp_path)
    assert set(events.Tags()["tensors"]) == {
        "sample_weights",
        "mean_weight_of_classes",
        "sample_weights/cat",
        "sample_weights/dog",
        "mean_weight/cat",
        "mean_weight/dog",
        "meta_loss",
        "mean_weight",
        "effective_sample_size",
        "noise_rates",
    }
    written = [float(value) for value in values_of(events, "meta_loss")]
    np.testing.assert_allclose(written, history["meta_loss"], rtol=1e-6)
    for name in ("mean_weight", "effective_sample_size"):
        written = [float(value) for value in values_of(events, name)]
        np.testing.assert_allclose(written, history[name], rtol=1e-6)
    weights = weighted.sample_weights()
    last = float(values_of(events, "mean_weight/dog")[-1])
    dogs = weighted.loss_curves.labels == 1
    assert last == pytest.approx(weights[dogs].mean())
    histogram = values_of(events, "sample_weights")[-1]
    assert histogram[:, 2].sum() == pytest.approx(80)
    (table,) = values_of(events, "noise_rates")
    text = table.item().decode()
    assert "| cat | 60 | 25% |" in text and "| dog | 20 | 25% |" in text


def test_pictures_are_written(tmp_path):
    images = np.random.default_rng(0).uniform(size=(80, 6, 6))
    fit(kcn.CurveTensorBoard(tmp_path, images), epochs=1)
    events = events_of(tmp_path)
    for tag in ("label_issues", "loss_curves"):
        ((width, height, png),) = values_of(events, tag)
        picture = tf.io.decode_png(png)
        assert picture.shape[:2] == (int(height), int(width))
        assert np.unique(picture).size > 10


def test_many_classes_share_a_histogram(tmp_path):
    curves, _ = planted.curves_of([4] * 30)
    fit(kcn.CurveTensorBoard(tmp_path), curves, epochs=1)
    events = events_of(tmp_path)
    own = [tag for tag in events.Tags()["tensors"] if "mean_weight/" in tag]
    assert len(own) == 20
    histogram = values_of(events, "mean_weight_of_classes")[0]
    assert histogram[:, 2].sum() == pytest.approx(30)


def test_samples_that_were_never_seen_do_not_count(tmp_path):
    curves, _ = planted.curves_of([60, 20])
    values, labels = curves.values.copy(), curves.labels.copy()
    values[:50], labels[:50] = np.nan, -1
    fit(kcn.CurveTensorBoard(tmp_path), kcn.LossCurves(values, labels), 1)
    events = events_of(tmp_path)
    histogram = values_of(events, "sample_weights/0")[-1]
    assert histogram[:, 2].sum() == pytest.approx(10)


def test_another_model_is_refused(tmp_path):
    model = keras.Sequential([keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="CurveWeightedModel.fit"):
        model.fit(
            np.zeros((4, 2)),
            np.zeros(4),
            verbose=0,
            callbacks=[kcn.CurveTensorBoard(tmp_path)],
        )


def test_only_the_chief_of_several_workers_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(curve_tensor_board, "is_chief", lambda strategy: False)
    fit(kcn.CurveTensorBoard(tmp_path / "logs"), epochs=1)
    assert not (tmp_path / "logs").exists()

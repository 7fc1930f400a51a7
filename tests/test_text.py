"""Both stages on token ids: probe, find wrong labels, allocate."""

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import roc_auc_score

import keras_curvenet as kcn

NUM_SAMPLES, LENGTH, NUM_TOKENS = 240, 12, 50


def sentences():
    """Token ids of two topics, 20 % of them with the other's label."""
    rng = np.random.default_rng(0)
    topic = np.arange(NUM_SAMPLES) % 4 == 0
    tokens = rng.integers(1, 30, size=(NUM_SAMPLES, LENGTH))
    tokens += np.where(topic, 20, 0)[:, np.newaxis]
    is_wrong = rng.uniform(size=NUM_SAMPLES) < 0.2
    return tokens, (topic ^ is_wrong).astype("int32"), is_wrong


def make_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            keras.layers.Embedding(NUM_TOKENS, 16),
            keras.layers.LSTM(8),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


def test_probe_and_allocate_without_clean_data():
    tokens, labels, is_wrong = sentences()
    data = tf.data.Dataset.from_tensor_slices((tokens, labels))
    train = kcn.with_sample_ids(data).shuffle(NUM_SAMPLES, seed=1).batch(16)
    model = make_model()
    model.compile(
        keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy"
    )
    recorder = kcn.LossCurveRecorder()
    model.fit(train, epochs=8, callbacks=[recorder], verbose=0)
    curves = recorder.loss_curves
    assert roc_auc_score(~is_wrong, kcn.label_quality_scores(curves)) > 0.95

    weighted = kcn.CurveWeightedModel(make_model())
    weighted.compile(
        keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy"
    )
    history = weighted.fit(train, epochs=4, loss_curves=curves, verbose=0)
    assert weighted.shares_forward_pass
    assert np.isfinite(history.history["meta_loss"]).all()
    assert not is_wrong[weighted.meta_sample_ids].any()
    weights = weighted.sample_weights()
    report = kcn.label_report(curves, sample_weights=weights)
    true_labels = (labels ^ is_wrong)[report.sample_id]
    assert (report.suggested_label == true_labels).mean() > 0.95
    assert is_wrong[report.sample_id[:20]].all()

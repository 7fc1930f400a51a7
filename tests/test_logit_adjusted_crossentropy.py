import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvenet as kcn

COUNTS = [60, 30, 10]


def predictions(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(5, 3)).astype("float32"), np.array([0, 1, 2, 2, 0])


def test_by_hand():
    loss = kcn.LogitAdjustedCrossentropy([900, 100], from_logits=True)
    value = loss(np.array([1, 0]), np.zeros((2, 2), "float32"))
    assert float(value) == pytest.approx(-(np.log(0.1) + np.log(0.9)) / 2)


def test_log_frequencies_are_added_to_the_logits():
    logits, labels = predictions()
    loss = kcn.LogitAdjustedCrossentropy(COUNTS, from_logits=True)
    shifted = logits + np.log(np.array(COUNTS) / 100.0)
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert float(loss(labels, logits)) == pytest.approx(
        float(expected(labels, shifted.astype("float32"))), rel=1e-6
    )


@pytest.mark.parametrize("form", ["int", "column", "one-hot"])
@pytest.mark.parametrize("from_logits", [True, False])
def test_forms_of_targets_and_predictions(form, from_logits):
    logits, labels = predictions()
    expected = kcn.LogitAdjustedCrossentropy(COUNTS, from_logits=True)
    expected = expected(labels, logits)
    y_true = {
        "int": labels,
        "column": labels[:, np.newaxis],
        "one-hot": np.eye(3, dtype="float32")[labels],
    }[form]
    y_pred = logits if from_logits else keras.ops.softmax(logits)
    loss = kcn.LogitAdjustedCrossentropy(COUNTS, from_logits=from_logits)
    assert float(loss(y_true, y_pred)) == pytest.approx(
        float(expected), rel=1e-5
    )


def test_temperature_zero_is_plain_crossentropy():
    logits, labels = predictions()
    loss = kcn.LogitAdjustedCrossentropy(
        COUNTS, from_logits=True, temperature=0.0
    )
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert float(loss(labels, logits)) == float(plain(labels, logits))


def test_without_adjustment():
    logits, labels = predictions()
    loss = kcn.LogitAdjustedCrossentropy(COUNTS, reduction="sum", name="own")
    plain = loss.without_adjustment()
    expected = keras.losses.SparseCategoricalCrossentropy(reduction="sum")
    y_pred = keras.ops.softmax(logits)
    assert float(plain(labels, y_pred)) == pytest.approx(
        float(expected(labels, y_pred)), rel=1e-6
    )
    assert (plain.name, plain.reduction) == ("own", "sum")
    assert loss.temperature == 1.0


def test_a_count_of_zero_is_that_of_the_rarest():
    logits, labels = predictions()
    zero, least = (
        kcn.LogitAdjustedCrossentropy(counts, from_logits=True)
        for counts in ([60, 10, 0], [60, 10, 10])
    )
    assert float(zero(labels, logits)) == pytest.approx(
        float(least(labels, logits))
    )


def test_one_value_per_sample():
    logits, labels = predictions()
    loss = kcn.LogitAdjustedCrossentropy(COUNTS, reduction=None)
    assert loss(labels, tf.nn.softmax(logits)).shape == (5,)


def test_config_round_trip():
    loss = kcn.LogitAdjustedCrossentropy(
        COUNTS, from_logits=True, temperature=0.5, name="adjusted"
    )
    clone = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loss)
    )
    logits, labels = predictions()
    assert float(clone(labels, logits)) == float(loss(labels, logits))
    assert clone.name == "adjusted"


@pytest.mark.parametrize(
    "class_counts", [[5], [], [[1, 2]], [1, -1], [0, 0], [np.nan, 1]]
)
def test_invalid_class_counts(class_counts):
    with pytest.raises(ValueError, match="argument `class_counts`"):
        kcn.LogitAdjustedCrossentropy(class_counts)


@pytest.mark.parametrize(("outputs", "classes"), [(1, 2), (4, 4)])
def test_counts_that_do_not_fit_the_outputs(outputs, classes):
    loss = kcn.LogitAdjustedCrossentropy(COUNTS)
    with pytest.raises(
        ValueError, match=f"model's {classes} classes. Received: 3 counts"
    ):
        loss(np.zeros(3, int), np.ones((3, outputs), "float32"))


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("targets", [(5,), (5, 1)])
@pytest.mark.parametrize("outputs", [(5,), (5, 1)])
def test_one_output_for_two_classes(from_logits, targets, outputs):
    # The logit of class 1 is that of two columns, minus that of class 0.
    columns = predictions()[0][:, :2]
    labels = np.array([0, 1, 1, 0, 1])
    expected = kcn.LogitAdjustedCrossentropy(
        [60, 40], from_logits=True, reduction=None
    )(labels, columns)
    y_pred = (columns[:, 1] - columns[:, 0]).reshape(outputs)
    if not from_logits:
        y_pred = keras.ops.sigmoid(y_pred)
    loss = kcn.LogitAdjustedCrossentropy(
        [60, 40], from_logits=from_logits, reduction=None
    )
    found = loss(labels.reshape(targets), y_pred)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_invalid_temperature():
    with pytest.raises(ValueError, match="Received: temperature=-1"):
        kcn.LogitAdjustedCrossentropy(COUNTS, temperature=-1)

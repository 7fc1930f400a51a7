"""When CurveNet learns, and the meta set that it learns from."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models
from weighted_models import CountForwardPasses
from weighted_models import Snapshots
from weighted_models import eager
from weighted_models import fit

import keras_curvenet as kcn

# When CurveNet learns.


@pytest.mark.parametrize(
    ("epochs", "initial_epoch", "meta_epochs", "changed"),
    [
        (5, 0, None, [True, True, True, False, False]),
        (4, 0, 1, [True, False, False, False]),
        (2, 0, 7, [True, True]),
        (4, 1, 2, [True, False, False]),
        (4, 2, None, [False, False]),
        (3, 0, 0, [False, False, False]),
    ],
)
def test_meta_epochs(epochs, initial_epoch, meta_epochs, changed):
    snapshots = Snapshots()
    weighted = eager(tiny_models.two_layer_model)
    history = fit(
        weighted,
        tiny_models.with_ids(batch_size=24),
        epochs=epochs,
        initial_epoch=initial_epoch,
        meta_epochs=meta_epochs,
        callbacks=[snapshots],
    )
    assert snapshots.changed(snapshots.epochs) == changed
    assert len(history.get("meta_loss", [])) == sum(changed)


def test_weights_in_use_are_those_of_sample_weights_once_frozen():
    weighted = eager(tiny_models.two_layer_model)
    history = fit(weighted, epochs=2, meta_epochs=1)
    assert history["mean_weight"][1] == pytest.approx(
        weighted.sample_weights().mean(), rel=1e-5
    )


def test_no_meta_data_needed_without_meta_epochs():
    weighted = eager(tiny_models.two_layer_model)
    history = fit(weighted, meta_data=None, meta_epochs=0)
    assert set(history) == {
        "loss",
        "accuracy",
        "mean_weight",
        "effective_sample_size",
    }


def test_a_second_fit_learns_again_without_loss_curves():
    snapshots = Snapshots()
    weighted = eager(tiny_models.two_layer_model)
    fit(weighted)
    fit(weighted, loss_curves=None, callbacks=[snapshots])
    assert snapshots.changed(snapshots.epochs) == [True, False]
    assert int(weighted.optimizer.iterations) == 12


def test_a_second_fit_may_have_fewer_samples():
    x, y = tiny_models.arrays()
    weighted = eager(tiny_models.two_layer_model)
    fit(weighted, epochs=1)
    fewer = tiny_models.with_ids((x[:9], y[:9]))
    fit(weighted, fewer, loss_curves=None, epochs=1)
    assert weighted.sample_weights().shape == (24,)


# The meta set.


@pytest.mark.parametrize("meta_batch_size", [None, 4])
@pytest.mark.parametrize(
    ("kind", "own_size"), [("arrays", 6), ("dataset", 6), ("infinite", 6)]
)
def test_meta_batch_size(kind, own_size, meta_batch_size):
    def make_model():
        return keras.Sequential(
            [
                keras.Input((4,)),
                CountForwardPasses(),
                keras.layers.Dense(3, activation="softmax"),
            ]
        )

    weighted = eager(
        make_model, meta_batch_size=meta_batch_size, top_layers=None
    )
    sizes = weighted.base_model.layers[0].sizes
    meta_data = {
        "arrays": tiny_models.meta_arrays(),
        "dataset": tiny_models.meta_dataset(),
        "infinite": tiny_models.meta_dataset().repeat(),
    }[kind]
    fit(weighted, epochs=1, meta_data=meta_data)
    meta_size = meta_batch_size or own_size
    assert sorted(sizes) == sorted([8, meta_size] * 3)


@pytest.mark.parametrize(
    ("meta_data", "error", "message"),
    [
        ("clean", TypeError, "Received: str"),
        ([1, 2], ValueError, "Received: shapes"),
    ],
)
def test_invalid_meta_data(meta_data, error, message):
    with pytest.raises(error, match=message):
        fit(eager(), meta_data=meta_data)


ignore_few = pytest.mark.filterwarnings("ignore:Class:UserWarning")


@ignore_few
def test_the_meta_set_is_chosen_from_the_curves():
    x, y = tiny_models.arrays()
    curves = tiny_models.loss_curves()
    with pytest.warns(UserWarning, match="have fewer than"):
        chosen = kcn.select_meta_samples(curves)
    fits = []
    for meta_data in (None, (x[chosen], y[chosen])):
        # Both draw the same batches: the whole set in each.
        weighted = eager(
            tiny_models.two_layer_model, meta_batch_size=len(chosen)
        )
        fits.append((weighted, fit(weighted, meta_data=meta_data, epochs=1)))
    (by_curves, history), (given, expected) = fits
    np.testing.assert_array_equal(by_curves.meta_sample_ids, chosen)
    assert given.meta_sample_ids is None
    np.testing.assert_allclose(
        history["meta_loss"], expected["meta_loss"], rtol=1e-5
    )
    tiny_models.assert_all_close(
        by_curves.get_weights(), given.get_weights(), 1e-5
    )


@ignore_few
@pytest.mark.parametrize("kind", ["shuffled", "repeated", "arrays", "split"])
def test_the_chosen_meta_set_comes_from_any_training_data(kind):
    x, y = tiny_models.arrays()
    shuffled = kcn.with_sample_ids((x, y)).shuffle(24, seed=1).batch(5)
    arguments = {
        "shuffled": {"x": shuffled},
        "repeated": {"x": shuffled.repeat(), "steps_per_epoch": 3},
        "arrays": {"x": x, "y": y},
        "split": {"x": x, "y": y, "validation_split": 0.25},
    }[kind]
    weighted = eager(tiny_models.two_layer_model)
    history = fit(weighted, meta_data=None, epochs=1, **arguments)
    assert np.isfinite(history["meta_loss"]).all()
    limit = 18 if kind == "split" else 24
    assert weighted.meta_sample_ids.max() < limit


@ignore_few
def test_a_later_fit_chooses_again():
    weighted = eager(tiny_models.two_layer_model)
    fit(weighted, meta_data=None, epochs=1)
    chosen = weighted.meta_sample_ids
    fit(weighted, meta_data=None, loss_curves=None, epochs=1)
    np.testing.assert_array_equal(weighted.meta_sample_ids, chosen)


@pytest.mark.filterwarnings("ignore:The loss curves are of")
@ignore_few
def test_classes_without_samples_need_no_meta_samples():
    curves = tiny_models.loss_curves(num_classes=5)
    weighted = eager(
        tiny_models.two_layer_model,
        curve_net=tiny_models.curve_net(num_classes=5),
    )
    history = fit(weighted, meta_data=None, loss_curves=curves, epochs=1)
    assert np.isfinite(history["meta_loss"]).all()


@ignore_few
def test_chosen_samples_that_the_dataset_lacks():
    data = tiny_models.with_ids().unbatch()
    part = data.filter(lambda x, y, weight, sample_id: sample_id > 4)
    part = part.apply(tf.data.experimental.assert_cardinality(19))
    weighted = eager(tiny_models.two_layer_model)
    fit(weighted, part.batch(8), meta_data=None, epochs=1)
    labels = tiny_models.arrays()[1]
    assert weighted.meta_sample_ids.min() > 4
    assert set(labels[weighted.meta_sample_ids]) == {0, 1, 2}


@ignore_few
def test_a_class_that_the_dataset_lacks():
    part = tiny_models.with_ids().unbatch().filter(lambda x, y, *_: y != 1)
    with pytest.raises(ValueError, match=r"without class\(es\) \[1\]"):
        fit(eager(), part.batch(8), meta_data=None)


@ignore_few
def test_chosen_samples_of_several_shapes():
    def sequences():
        for length in range(2, 26):
            yield np.arange(length) % 7, length % 3

    spec = (tf.TensorSpec([None], tf.int64), tf.TensorSpec([], tf.int32))
    data = tf.data.Dataset.from_generator(sequences, output_signature=spec)
    data = data.apply(tf.data.experimental.assert_cardinality(24))
    data = kcn.with_sample_ids(data).padded_batch(4)
    labels = np.arange(2, 26) % 3
    weighted = eager(
        lambda: keras.Sequential(
            [
                keras.Input((None,)),
                keras.layers.Embedding(7, 4),
                keras.layers.GlobalAveragePooling1D(),
                keras.layers.Dense(3, activation="softmax"),
            ]
        )
    )
    curves = tiny_models.loss_curves(labels)
    with pytest.raises(ValueError, match="samples differ in shape"):
        fit(weighted, data, meta_data=None, loss_curves=curves)


def test_a_callback_list_is_refused():
    callbacks = keras.callbacks.CallbackList([])
    with pytest.raises(TypeError, match="Pass the callbacks themselves"):
        fit(eager(), callbacks=callbacks)


def test_one_hot_targets_of_the_meta_set_alone():
    x, y = tiny_models.meta_arrays()
    weighted = eager(
        tiny_models.two_layer_model, meta_loss="categorical_crossentropy"
    )
    one_hot = np.eye(3, dtype="float32")[y]
    history = fit(weighted, meta_data=(x, one_hot), epochs=1)
    assert np.isfinite(history["meta_loss"]).all()


def expected_meta_loss(weighted, loss):
    """Of the meta set and the base model, as a fit at rate 0 leaves it."""
    x, y = tiny_models.meta_arrays()
    model = tiny_models.two_layer_model()
    model.set_weights(weighted.base_model.get_weights())
    return float(loss(y, model(x)))


@pytest.mark.parametrize("form", ["object", "name"])
def test_another_loss_of_the_meta_set(form):
    meta_loss = {
        "object": keras.losses.SparseCategoricalCrossentropy(),
        "name": tiny_models.SPARSE_LOSS,
    }[form]
    weighted = eager(
        tiny_models.two_layer_model,
        loss=kcn.LogitAdjustedCrossentropy([8, 8, 80]),
        meta_loss=meta_loss,
        optimizer=keras.optimizers.SGD(0.0),
    )
    history = fit(weighted, epochs=1)
    plain = keras.losses.SparseCategoricalCrossentropy()
    expected = expected_meta_loss(weighted, plain)
    assert history["meta_loss"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("form", ["loss", "list", "meta loss"])
def test_the_meta_set_is_not_adjusted_unless_asked_for(form):
    adjusted = kcn.LogitAdjustedCrossentropy([8, 8, 80])
    arguments = {
        "loss": {"loss": adjusted},
        "list": {"loss": [adjusted]},
        "meta loss": {"loss": adjusted, "meta_loss": adjusted},
    }[form]
    weighted = eager(
        tiny_models.two_layer_model,
        optimizer=keras.optimizers.SGD(0.0),
        **arguments,
    )
    meta_loss = fit(weighted, epochs=1)["meta_loss"][0]
    losses = [keras.losses.SparseCategoricalCrossentropy(), adjusted]
    meant, other = losses[::-1] if form == "meta loss" else losses
    expected = expected_meta_loss(weighted, meant)
    assert meta_loss == pytest.approx(expected, rel=1e-5)
    expected = expected_meta_loss(weighted, other)
    assert meta_loss != pytest.approx(expected, rel=1e-2)


def test_meta_set_that_misses_a_class():
    x, y = tiny_models.meta_arrays()
    with pytest.raises(ValueError, match=r"none of class\(es\) \[2\]"):
        fit(eager(), meta_data=(x[y < 2], y[y < 2]))


@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_of_arrays(shuffle):
    # The curves' labels would notice ids that are of other rows.
    rows = []
    x, y = tiny_models.arrays()
    x[:, 0] = np.arange(24)

    class Rows(keras.layers.Layer):
        def call(self, inputs):
            tf.py_function(
                lambda x: rows.append(x.numpy().tolist()), [inputs[:, 0]], []
            )
            return inputs

    weighted = eager(
        lambda: keras.Sequential(
            [
                keras.Input((4,)),
                Rows(),
                *tiny_models.linear().layers,
            ]
        )
    )
    fit(
        weighted, x, y=y, batch_size=5, epochs=1, meta_epochs=0, shuffle=shuffle
    )
    assert [len(batch) for batch in rows] == [5, 5, 5, 5, 4]
    seen = sum(rows, [])
    assert sorted(seen) == list(range(24))
    assert (seen == list(range(24))) is not shuffle

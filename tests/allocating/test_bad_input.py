"""What `CurveWeightedModel` refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models
from weighted_models import eager
from weighted_models import fit

import keras_curvenet as kcn

# Bad input.


def test_a_dataset_without_ids():
    data = tf.data.Dataset.from_tensor_slices(tiny_models.arrays()).batch(8)
    with pytest.raises(ValueError, match="keras_curvenet.with_sample_ids"):
        fit(eager(), data)


def test_loss_curves_are_missing():
    with pytest.raises(ValueError, match="Received: loss_curves=None"):
        fit(eager(), loss_curves=None)


def test_loss_curves_of_fewer_samples():
    curves = tiny_models.loss_curves(tiny_models.arrays()[1][:20])
    with pytest.raises(
        ValueError, match="each of the 24 samples.*Received: 20 curves"
    ):
        fit(eager(), loss_curves=curves)


def test_a_failed_fit_keeps_the_curves_of_the_one_before():
    weighted = eager(tiny_models.two_layer_model)
    fit(weighted, epochs=1)
    curves = tiny_models.loss_curves(tiny_models.arrays()[1][:20])
    with pytest.raises(ValueError, match="Received: 20 curves"):
        fit(weighted, loss_curves=curves)
    assert weighted.sample_weights().shape == (24,)


def test_loss_curves_of_another_type():
    values = tiny_models.loss_curves().values
    with pytest.raises(TypeError, match="Received: ndarray"):
        fit(eager(), loss_curves=values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_epochs": 5}, "curve_length=6.*needs curve_length=5"),
        ({"num_classes": 4}, "num_classes=3.*needs num_classes=4"),
    ],
)
@pytest.mark.parametrize("own_curve_net", [False, True])
def test_other_loss_curves_in_a_second_fit(changes, message, own_curve_net):
    weighted = eager(
        tiny_models.two_layer_model,
        curve_net=tiny_models.curve_net() if own_curve_net else None,
    )
    fit(weighted, epochs=1)
    with pytest.raises(ValueError, match=message):
        fit(weighted, loss_curves=tiny_models.loss_curves(**changes))


@pytest.mark.parametrize("argument", ["soft_labels", "balance_classes"])
@pytest.mark.parametrize("value", [1, 0, "auto"])
def test_invalid_switches(argument, value):
    with pytest.raises(ValueError, match=f"Received: {argument}={value!r}"):
        kcn.CurveWeightedModel(tiny_models.sequential(), **{argument: value})


def binary_columns():
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation="sigmoid")]
    )


@pytest.mark.filterwarnings("ignore:The loss curves are of")
@pytest.mark.parametrize(
    ("make_model", "loss", "curves"),
    [
        (tiny_models.two_layer_model, "mse", {}),
        (binary_columns, "BinaryCrossentropy", {}),
        (binary_columns, "bce", {}),
        (
            binary_columns,
            keras.losses.BinaryFocalCrossentropy(name="own"),
            {},
        ),
        (binary_columns, keras.losses.binary_crossentropy, {}),
        # A `label_fn` made other classes.
        (
            tiny_models.two_layer_model,
            tiny_models.SPARSE_LOSS,
            {"num_classes": 4},
        ),
    ],
)
def test_parts_that_the_loss_does_not_allow(make_model, loss, curves):
    x, y = tiny_models.arrays()
    y = y if "parse" in str(loss) else np.eye(3, dtype="float32")[y]

    def trained(**switches):
        weighted = eager(
            make_model,
            loss=loss,
            metrics=None,
            curve_net=tiny_models.curve_net(**curves),
            **switches,
        )
        return fit(
            weighted,
            x,
            y=y,
            epochs=1,
            loss_curves=tiny_models.loss_curves(**curves),
            meta_data=(x, y),
        )

    for switch in ("soft_labels", "balance_classes"):
        with pytest.raises(ValueError, match=f"Received: {switch}=True with"):
            trained(**{switch: True})
    history = trained()
    assert np.isfinite(history["loss"] + history["meta_loss"]).all()


def test_another_number_of_classes_warns():
    weighted = eager(curve_net=tiny_models.curve_net(num_classes=4))
    message = "are of 4 classes, and the base model predicts 3: soft labels"
    with pytest.warns(UserWarning, match=message) as record:
        weighted.fit(
            tiny_models.with_ids(),
            loss_curves=tiny_models.loss_curves(num_classes=4),
            meta_data=tiny_models.meta_dataset(),
            shuffle=False,
            verbose=0,
        )
    assert record[0].filename == __file__


@pytest.mark.parametrize("argument", ["soft_labels", "balance_classes"])
def test_parts_that_several_outputs_do_not_allow(argument):
    x, y = tiny_models.arrays()
    weighted = eager(
        tiny_models.two_outputs,
        loss={"label": tiny_models.SPARSE_LOSS, "size": "mse"},
        metrics=None,
        **{argument: True},
    )
    y = {"label": y, "size": x[:, :1]}
    with pytest.raises(ValueError, match=f"Received: {argument}=True with"):
        fit(weighted, x, y=y, meta_data=(x, y))


def test_class_weight():
    with pytest.raises(ValueError, match=r"Received: class_weight=\{0: 2.0\}"):
        fit(eager(), class_weight={0: 2.0})


def test_a_loss_that_reduces():
    def reduced(y_true, y_pred):
        losses = keras.losses.sparse_categorical_crossentropy(y_true, y_pred)
        return keras.ops.mean(losses)

    with pytest.raises(
        ValueError, match=r"'reduced' to give one value per sample"
    ):
        fit(eager(loss=reduced))


def test_no_loss():
    weighted = kcn.CurveWeightedModel(tiny_models.sequential())
    with pytest.raises(ValueError, match="Received: loss=None"):
        weighted.compile("sgd")


@pytest.mark.parametrize("meta_epochs", [-1, 1.5])
def test_invalid_meta_epochs(meta_epochs):
    with pytest.raises(
        ValueError, match=f"Received: meta_epochs={meta_epochs}"
    ):
        fit(eager(), meta_epochs=meta_epochs)


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "2"])
def test_invalid_meta_batch_size(value):
    with pytest.raises(
        ValueError, match=f"Received: meta_batch_size={value!r}"
    ):
        kcn.CurveWeightedModel(tiny_models.sequential(), meta_batch_size=value)


def test_base_model_not_built():
    base = keras.Sequential([keras.layers.Dense(3)], name="unbuilt")
    with pytest.raises(ValueError, match="Received: 'unbuilt'"):
        kcn.CurveWeightedModel(base)


def test_base_model_of_another_type():
    with pytest.raises(TypeError, match="Received: .*of type Dense"):
        kcn.CurveWeightedModel(keras.layers.Dense(3))


class OwnTrainStep(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


def test_a_base_model_with_its_own_train_step_warns():
    base = OwnTrainStep([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.warns(UserWarning, match="has its own train_step") as record:
        kcn.CurveWeightedModel(base)
    assert record[0].filename == __file__


@pytest.mark.parametrize(
    "arguments",
    [
        {"y": np.zeros(24)},
        {"sample_weight": np.zeros(24)},
        {"validation_split": 0.5},
    ],
)
def test_arguments_for_arrays_with_a_dataset(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"Received: `x` as a dataset.*{name}"):
        fit(eager(), **arguments)


def test_arrays_without_targets():
    x, _ = tiny_models.arrays()
    with pytest.raises(ValueError, match="y of type NoneType"):
        fit(eager(), x)


@pytest.mark.parametrize("validation_split", [1.0, -0.5])
def test_invalid_validation_split(validation_split):
    x, y = tiny_models.arrays()
    with pytest.raises(
        ValueError, match=f"Received: validation_split={validation_split}"
    ):
        fit(eager(), x, y=y, validation_split=validation_split)


def test_sample_weights_before_fit():
    with pytest.raises(ValueError, match="a model without loss curves"):
        eager().sample_weights()


def test_arrays_make_no_warning_about_shuffle():
    x, y = tiny_models.arrays()
    weighted = eager(tiny_models.two_layer_model)
    messages = tiny_models.caught_warnings(fit, weighted, x, y=y, epochs=1)
    assert not [m for m in messages if "shuffle" in m]


def test_a_recorder_is_refused():
    weighted = eager(tiny_models.two_layer_model)
    with pytest.raises(ValueError, match="Received: one in CurveWeighted"):
        fit(weighted, callbacks=[kcn.LossCurveRecorder()])
    assert np.isfinite(fit(weighted)["loss"]).all()


def test_load_weights_without_a_curve_net_warns(tmp_path):
    path = tmp_path / "all.weights.h5"
    weighted = eager(tiny_models.two_layer_model)
    fit(weighted)
    weighted.save_weights(path)
    fresh = kcn.CurveWeightedModel(tiny_models.two_layer_model())
    messages = tiny_models.caught_warnings(fresh.load_weights, path)
    assert any("no CurveNet before its first" in text for text in messages)


def test_an_unbuilt_curve_net_is_refused():
    class Unbuilt(keras.layers.Layer):
        pass

    with pytest.raises(ValueError, match="Received: 'unbuilt'"):
        kcn.CurveWeightedModel(
            tiny_models.two_layer_model(), curve_net=Unbuilt()
        )

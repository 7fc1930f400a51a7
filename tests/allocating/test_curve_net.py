import keras
import numpy as np
import pytest
import tiny_models

import keras_curvenet as kcn


def test_weights_of_a_batch():
    curve_net = tiny_models.curve_net()
    curves = np.random.default_rng(0).normal(size=(7, 6)).astype("float32")
    weights = curve_net([curves, np.arange(7) % 3])
    assert weights.shape == (7,)
    assert weights.dtype == "float32"


def test_weights_start_near_one():
    keras.utils.set_random_seed(0)
    curve_net = kcn.CurveNet(num_classes=3, curve_length=6)
    curves = np.random.default_rng(0).normal(size=(50, 6)).astype("float32")
    weights = curve_net([curves, np.arange(50) % 3]).numpy()
    # sigmoid(4.5) + 0.02 = 1.009, for features of zero.
    np.testing.assert_allclose(weights, 1.0, atol=0.05)


@pytest.mark.parametrize("scale", [-1e6, 1e6])
def test_weights_stay_in_range(scale):
    curve_net = tiny_models.curve_net(min_weight=0.1)
    logit = curve_net.logit
    logit.kernel.assign(np.zeros(logit.kernel.shape))
    logit.bias.assign([scale])
    weights = curve_net([np.ones((2, 6), "float32"), np.arange(2)]).numpy()
    np.testing.assert_allclose(weights, 0.1 if scale < 0 else 1.1, rtol=1e-6)


def test_forward_pass_by_hand():
    curve_net = kcn.CurveNet(
        num_classes=2,
        curve_length=2,
        curve_units=(2,),
        weight_units=(1,),
        min_weight=0.5,
    )
    (curve_layer,) = curve_net.curve_layers
    (weight_layer,) = curve_net.weight_layers
    curve_layer.kernel.assign([[1.0, -1.0], [2.0, 0.0]])
    curve_layer.bias.assign([0.0, 1.0])
    curve_net.class_embedding.embeddings.assign([[0.5, 1.0], [-1.0, 2.0]])
    weight_layer.kernel.assign([[1.0], [2.0]])
    weight_layer.bias.assign([-1.0])
    curve_net.logit.kernel.assign([[0.1]])
    curve_net.logit.bias.assign([-1.0])
    weights = curve_net([np.array([[1.0, 1.0], [3.0, -1.0]]), np.arange(2)])
    # Sample 0: relu([3, 0]) = [3, 0], plus twice [0.5, 1] = [4, 2];
    # relu(4 + 4 - 1) = 7; logit 0.7 - 1 = -0.3.
    # Sample 1: relu([1, -2]) = [1, 0], plus twice [-1, 2] = [-1, 4];
    # relu(-1 + 8 - 1) = 6; logit 0.6 - 1 = -0.4.
    expected = 0.5 + 1.0 / (1.0 + np.exp([0.3, 0.4]))
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-6)


def test_a_correction_of_the_label_quality_starts_at_it():
    keras.utils.set_random_seed(0)
    curve_net = kcn.CurveNet(
        num_classes=3, curve_length=6, min_weight=0.0, corrects_quality=True
    )
    rng = np.random.default_rng(0)
    curves = rng.normal(size=(50, 6)).astype("float32")
    quality = rng.normal(size=50).astype("float32")
    weights = curve_net([curves, np.arange(50) % 3, quality]).numpy()
    expected = 1.0 / (1.0 + np.exp(-quality))
    np.testing.assert_allclose(weights, expected, rtol=1e-5)
    curve_net.logit.bias.assign([-0.5])
    weights = curve_net([curves, np.arange(50) % 3, quality]).numpy()
    expected = 1.0 / (1.0 + np.exp(0.5 - quality))
    np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_sizes_of_the_reference():
    curve_net = kcn.CurveNet(num_classes=10, curve_length=38)
    shapes = [tuple(weight.shape) for weight in curve_net.get_weights()]
    assert sorted(shapes) == sorted(
        [(38, 128), (128,), (128, 128), (128,), (128, 64), (64,)]
        + [(10, 64), (64, 128), (128,), (128, 64), (64,), (64, 1), (1,)]
    )
    assert len(curve_net.trainable_variables) == 13


def test_config_round_trip():
    curve_net = tiny_models.curve_net(
        min_weight=0.3, corrects_quality=True, name="net"
    )
    clone = kcn.CurveNet.from_config(curve_net.get_config())
    assert clone.get_config() == curve_net.get_config()
    assert clone.curve_units == (4,)
    assert clone.min_weight == 0.3
    assert clone.corrects_quality is True


def test_save_and_load(tmp_path):
    curve_net = tiny_models.curve_net()
    curve_net.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    tiny_models.assert_all_equal(loaded.get_weights(), curve_net.get_weights())
    inputs = [np.ones((3, 6), "float32"), np.arange(3)]
    np.testing.assert_array_equal(loaded(inputs), curve_net(inputs))


def test_float32_under_a_mixed_policy():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        curve_net = tiny_models.curve_net()
        weights = curve_net([np.ones((2, 6), "float32"), np.arange(2)])
    finally:
        keras.config.set_dtype_policy(policy)
    assert weights.dtype == "float32"
    assert {layer.compute_dtype for layer in curve_net.layers} == {"float32"}


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"num_classes": 0}, r"Received: num_classes=\[?0"),
        ({"curve_length": -2}, r"Received: curve_length=\[?-2"),
        ({"curve_units": (4, 0)}, r"Received: curve_units=\(4, 0\)"),
        ({"curve_units": ()}, r"Received: curve_units=\(\)"),
        ({"weight_units": (2.5,)}, r"Received: weight_units=\(2.5,\)"),
        ({"min_weight": -0.1}, "min_weight=-0.1"),
    ],
)
def test_invalid_arguments(arguments, received):
    with pytest.raises(ValueError, match=received):
        tiny_models.curve_net(**arguments)


def test_corrections_are_relative_to_their_mean():
    keras.utils.set_random_seed(0)
    net = kcn.CurveNet(
        num_classes=3, curve_length=6, min_weight=0.0, corrects_quality=True
    )
    net.logit.kernel.assign(np.random.default_rng(0).normal(size=(64, 1)))
    curves = np.random.default_rng(1).normal(size=(5, 6)).astype("float32")
    inputs = [curves, np.array([0, 1, 2, 0, 1]), np.zeros(5, "float32")]

    def logits(training):
        weights = keras.ops.convert_to_numpy(net(inputs, training=training))
        return np.log(weights / (1.0 - weights))

    corrections = logits(training=False)
    assert corrections.std() > 0.1
    in_training = logits(training=True)
    np.testing.assert_allclose(
        in_training, corrections - corrections.mean(), atol=1e-5
    )
    # A tenth of the batch's mean went into the running mean.
    np.testing.assert_allclose(
        logits(training=False),
        corrections - 0.1 * corrections.mean(),
        atol=1e-5,
    )

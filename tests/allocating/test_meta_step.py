import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models
from weighted_models import eager
from weighted_models import fit
from weighted_models import one_linear_step

import keras_curvenet as kcn
from keras_curvenet.allocating.base_model import default_meta_optimizer
from keras_curvenet.allocating.curve_weighted_model import virtual_step


def test_virtual_step_by_hand():
    values = [tf.constant([1.0, 2.0]), tf.constant([[3.0]])]
    gradients = [tf.constant([10.0, -10.0]), tf.constant([[1.0]])]
    moved = virtual_step(values, gradients, 0.1)
    np.testing.assert_allclose(moved[0], [0.0, 3.0], rtol=1e-6)
    np.testing.assert_allclose(moved[1], [[2.9]], rtol=1e-6)


def test_virtual_step_with_indexed_slices():
    values = [tf.constant([[1.0], [2.0], [3.0]])]
    rows = tf.IndexedSlices(
        tf.constant([[1.0], [1.0], [4.0]]), tf.constant([0, 0, 2]), [3, 1]
    )
    (moved,) = virtual_step(values, [rows], 0.5)
    # Row 0 is named twice: its gradients add up.
    np.testing.assert_allclose(moved, [[0.0], [2.0], [1.0]])


def test_virtual_step_keeps_the_dtype():
    (moved,) = virtual_step(
        [tf.constant([1.0], tf.float64)],
        [tf.constant([1.0], tf.float64)],
        tf.constant(0.5, tf.float32),
    )
    assert moved.dtype == tf.float64


@pytest.mark.parametrize(
    ("optimizer", "epsilon"),
    [
        (keras.optimizers.SGD(0.05), 1e-7),
        (keras.optimizers.AdamW(1e-3), 2e-9),
        (keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0)), 2e-6),
        (keras.optimizers.SGD(0.0), 1e-7),
        (
            keras.optimizers.Adam(
                keras.optimizers.schedules.CosineDecay(
                    0.0, 900, warmup_target=0.1, warmup_steps=128
                )
            ),
            2e-7,
        ),
    ],
    ids=["sgd", "adamw", "loss scale", "zero", "warm-up"],
)
def test_epsilon_of_the_default_meta_optimizer(optimizer, epsilon):
    meta_optimizer = default_meta_optimizer(optimizer)
    assert meta_optimizer.epsilon == pytest.approx(epsilon)
    assert float(meta_optimizer.learning_rate) == pytest.approx(1e-5)
    assert meta_optimizer.weight_decay == 1e-4


@pytest.mark.filterwarnings("ignore:Class.*fewer than 20 samples")
def test_the_default_rate_is_by_the_meta_set(tmp_path):
    weighted = eager(
        tiny_models.two_layer_model, curve_net=None, meta_optimizer=None
    )
    rates, one_step = [], tiny_models.with_ids(batch_size=24)
    for meta_data in (None, tiny_models.meta_dataset(), None):
        fit(weighted, one_step, meta_data=meta_data, epochs=1)
        rates.append(float(weighted.meta_optimizer.learning_rate))
    weighted.save(tmp_path / "weighted.keras")
    loaded = keras.models.load_model(tmp_path / "weighted.keras")
    fit(loaded, one_step, epochs=1)
    rates.append(float(loaded.meta_optimizer.learning_rate))
    assert rates == pytest.approx([1e-5, 1e-4, 1e-5, 1e-4])


def test_a_rate_that_is_set_stays():
    own = eager(curve_net=None, meta_optimizer=keras.optimizers.Adam(1e-5))
    changed = eager(curve_net=None, meta_optimizer=None)
    changed.meta_optimizer.learning_rate = 1e-4
    published = eager(meta_optimizer=None)  # Its CurveNet corrects nothing.
    rates = []
    for weighted in (own, changed, published):
        fit(weighted, tiny_models.with_ids(batch_size=24), epochs=1)
        rates.append(float(weighted.meta_optimizer.learning_rate))
    assert rates == pytest.approx([1e-5, 1e-4, 1e-3])


@pytest.mark.parametrize("top_layers", [1, None])
def test_one_step_of_a_linear_model_by_hand(top_layers):
    # loss_i = (theta * x_i - y_i)^2 at theta = 0, x = (1, 2), y = (1, -1):
    # gradients -2 and 4. With weights 1 and learning rate 0.1,
    # theta' = 0 - 0.1 * (-2 + 4) / 2 = -0.1.
    # Meta loss (theta' - 1)^2 = 1.21, its gradient at theta' -2.2.
    # dtheta'/dw = -0.1 / 2 * (-2, 4) = (0.1, -0.2).
    # dmeta/dw = (-0.22, 0.44). Both samples are a class of their own.
    # Weights are relative to their mean: dmeta/dw = (-0.22, 0.44) minus
    # its mean 0.11. One step of size 1 on CurveNet: w = 1 - (-0.33, 0.33) =
    # (1.33, 0.67). The actual step uses the new weights:
    # theta = 0 - 0.1 * (1.33 * -2 + 0.67 * 4) / 2 = -0.001.
    # Weighted loss (1.33 * 1 + 0.67 * 1) / 2 = 1.
    # Effective sample size 2^2 / (2 * (1.33^2 + 0.67^2)) = 0.9018...
    weighted, logs = one_linear_step(
        run_eagerly=top_layers is None, top_layers=top_layers
    )
    np.testing.assert_allclose(
        weighted.curve_net.table, [1.33, 0.67], rtol=1e-6
    )
    theta = weighted.base_model.get_weights()[0]
    np.testing.assert_allclose(theta, [[-0.001]], rtol=1e-4)
    np.testing.assert_allclose(
        weighted.sample_weights(), [1.33, 0.67], rtol=1e-6
    )
    assert logs == pytest.approx(
        {
            "loss": 1.0,
            "meta_loss": 1.21,
            "mean_weight": 1.0,
            "effective_sample_size": 4.0 / 4.4356,
        },
        rel=1e-5,
    )


def test_virtual_step_ignores_the_optimizers_momentum():
    weighted, _ = one_linear_step(
        keras.optimizers.Adam(0.1, weight_decay=0.5, clipnorm=0.01)
    )
    # The numbers of the test above, whatever the optimizer.
    np.testing.assert_allclose(
        weighted.curve_net.table, [1.33, 0.67], rtol=1e-6
    )


# The meta gradient in float64, against central finite differences that use
# nothing of the package but CurveNet's own forward pass.

VIRTUAL_LEARNING_RATE = 0.5  # Exact in every float type.


@pytest.fixture
def float64():
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


def smooth_model(normalized, activation=None):
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(5, activation="tanh", name="first"),
    ]
    if normalized:
        layers.append(keras.layers.BatchNormalization(name="first_norm"))
    layers.append(keras.layers.Dense(4, activation="tanh", name="second"))
    if normalized:
        layers.append(keras.layers.BatchNormalization(name="second_norm"))
    layers.append(keras.layers.Dense(3, activation, name="logits"))
    return keras.Sequential(layers, name=f"output_{activation}")


class Unsplittable(keras.Model):
    """A model around a model, whose graph can't be seen."""

    def __init__(self, inner):
        super().__init__(name=inner.name)
        self.inner = inner
        self.built = True

    def call(self, inputs, training=None):
        return self.inner(inputs, training=training)


def float64_curve_net():
    return tiny_models.curve_net(
        curve_units=(3,), weight_units=(2,), dtype="float64"
    )


def loss_of(model):
    return keras.losses.SparseCategoricalCrossentropy(
        from_logits="softmax" not in model.name
    )


def learned_gradient(model, curve_net, run_eagerly=True, **arguments):
    """The meta gradient that one step of `fit` follows, as one vector."""
    weighted = kcn.CurveWeightedModel(
        model,
        curve_net=curve_net,
        soft_labels=False,
        balance_classes=False,
        **arguments,
    )
    weighted.compile(
        keras.optimizers.SGD(VIRTUAL_LEARNING_RATE),
        loss_of(model),
        meta_optimizer=keras.optimizers.SGD(1.0),
        run_eagerly=run_eagerly,
    )
    before = flat_values(curve_net)
    weighted.fit(
        *tiny_models.arrays(),
        batch_size=tiny_models.NUM_SAMPLES,
        shuffle=False,
        verbose=0,
        loss_curves=tiny_models.loss_curves(),
        meta_data=tiny_models.meta_dataset(),
    )
    return before - flat_values(curve_net)


def flat_values(layer):
    values = tiny_models.values_of(layer.trainable_variables)
    return np.concatenate([value.ravel() for value in values])


def finite_differences(model, curve_net, watched, running=None, step=1e-5):
    x, y = tiny_models.arrays()
    x_meta, y_meta = tiny_models.meta_arrays()
    curves = tiny_models.loss_curves()
    from_logits = loss_of(model).get_config()["from_logits"]
    inputs = [
        tf.constant(curves.class_centered(), tf.float64),
        tf.constant(curves.labels),
    ]

    @tf.function
    def meta_loss(theta):
        weights = curve_net(inputs)
        for variable, value in zip(watched, theta, strict=True):
            variable.assign(value)
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(
                y, y_pred, from_logits=from_logits
            )
            if running is None:
                losses *= weights / tf.reduce_mean(weights)
            else:
                log_predicted = tf.nn.log_softmax(y_pred)
                sureness = tf.reduce_sum(running**2, axis=1)
                stand_ins = (1.0 - weights) * sureness
                losses *= weights
                losses -= stand_ins * tf.reduce_sum(
                    running * log_predicted, axis=1
                )
            loss = tf.reduce_mean(losses)
        variables = [variable.value for variable in watched]
        for variable, gradient in zip(
            watched, tape.gradient(loss, variables), strict=True
        ):
            variable.assign_sub(VIRTUAL_LEARNING_RATE * gradient)
        meta_losses = keras.losses.sparse_categorical_crossentropy(
            y_meta, model(x_meta, training=True), from_logits=from_logits
        )
        for variable, value in zip(watched, theta, strict=True):
            variable.assign(value)
        return tf.reduce_mean(meta_losses)

    theta = [tf.constant(variable.numpy()) for variable in watched]
    differences = []
    for variable in curve_net.trainable_variables:
        start = variable.numpy()
        for index in np.ndindex(*start.shape):
            values = []
            for sign in (1.0, -1.0):
                moved = start.copy()
                moved[index] += sign * step
                variable.assign(moved)
                values.append(float(meta_loss(theta)))
            differences.append((values[0] - values[1]) / (2.0 * step))
        variable.assign(start)
    return np.array(differences)


def relative_error(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize(
    ("top_layers", "watched"),
    [
        (1, ["logits"]),
        (2, ["second", "second_norm", "logits"]),
        (None, ["first", "first_norm", "second", "second_norm", "logits"]),
    ],
)
def test_meta_gradient_equals_finite_differences(
    float64, top_layers, watched, normalized
):
    keras.utils.set_random_seed(3)
    model, curve_net = smooth_model(normalized), float64_curve_net()
    variables = [
        variable
        for layer in model.layers
        if layer.name in watched
        for variable in layer.trainable_variables
    ]
    expected = finite_differences(model, curve_net, variables)
    gradient = learned_gradient(
        model,
        curve_net,
        run_eagerly=not normalized,
        top_layers=top_layers,
    )
    assert np.linalg.norm(expected) > 1e-4
    assert relative_error(gradient, expected) < 1e-6


@pytest.mark.parametrize("top_layers", [1, None])
def test_meta_gradient_of_softmax_outputs(float64, top_layers):
    # Keras computes the loss from the logits it finds beside the softmax.
    keras.utils.set_random_seed(3)
    model = smooth_model(False, "softmax")
    curve_net = float64_curve_net()
    watched = model.trainable_variables[-2:] if top_layers else None
    expected = finite_differences(
        model, curve_net, watched or model.trainable_variables
    )
    gradient = learned_gradient(
        model,
        curve_net,
        run_eagerly=top_layers is None,
        top_layers=top_layers,
    )
    assert np.linalg.norm(expected) > 1e-4
    assert relative_error(gradient, expected) < 1e-6


@pytest.mark.parametrize("top_layers", [1, 2, None])
def test_meta_gradient_of_soft_labels(float64, top_layers):
    # Of a target mixed of label and belief, TensorFlow's crossentropy
    # would have no second derivative: a gradient of zero.
    keras.utils.set_random_seed(3)
    model = smooth_model(True)
    curve_net = float64_curve_net()
    weighted = kcn.CurveWeightedModel(
        model,
        curve_net=curve_net,
        top_layers=top_layers,
        soft_labels=True,
        balance_classes=False,
    )
    weighted.compile(
        keras.optimizers.SGD(0.0),
        loss_of(model),
        meta_optimizer=keras.optimizers.SGD(1.0),
        run_eagerly=top_layers != 2,
    )
    arguments = {
        "batch_size": tiny_models.NUM_SAMPLES,
        "shuffle": False,
        "verbose": 0,
        "meta_data": tiny_models.meta_dataset(),
    }
    data, ids = tiny_models.arrays(), np.arange(tiny_models.NUM_SAMPLES)
    curves = tiny_models.loss_curves()
    weighted.fit(*data, loss_curves=curves, meta_epochs=0, **arguments)
    # Running predictions differ from present ones: else its term is still.
    present = np.random.default_rng(0).dirichlet([0.5] * 3, len(ids))
    followed = weighted.prepared.loss.running_predictions
    for _ in range(9):
        followed.update(ids, tf.constant(present, tf.float32))
    running = followed.of_batch(ids, tf.zeros([len(ids), 3]))
    expected = finite_differences(
        model,
        curve_net,
        weighted.watched_variables,
        tf.cast(running, "double"),
    )
    weighted.optimizer.learning_rate = VIRTUAL_LEARNING_RATE
    before = flat_values(curve_net)
    weighted.fit(*data, **arguments)
    gradient = before - flat_values(curve_net)
    assert np.linalg.norm(expected) > 1e-4
    assert relative_error(gradient, expected) < 1e-4  # Losses are float32.


@pytest.mark.parametrize("top_layers", [["logits"], ["second", "logits"]])
def test_split_and_unsplit_gradients_are_equal(float64, top_layers):
    gradients = []
    for wrap in (lambda model: model, Unsplittable):
        keras.utils.set_random_seed(3)
        model, curve_net = smooth_model(True), float64_curve_net()
        weighted = kcn.CurveWeightedModel(wrap(model), top_layers=top_layers)
        gradients.append(
            (
                weighted.shares_forward_pass,
                learned_gradient(wrap(model), curve_net, top_layers=top_layers),
            )
        )
    (shares, split), (unsplit_shares, unsplit) = gradients
    assert shares and not unsplit_shares
    assert np.linalg.norm(split) > 1e-4
    assert relative_error(split, unsplit) < 1e-6


def test_all_layers_equal_the_top_ones_where_the_bottom_is_frozen(float64):
    gradients = []
    for top_layers in (1, None):
        keras.utils.set_random_seed(3)
        model, curve_net = smooth_model(False), float64_curve_net()
        for layer in model.layers[:-1]:
            layer.trainable = False
        gradients.append(
            learned_gradient(model, curve_net, top_layers=top_layers)
        )
    assert np.linalg.norm(gradients[0]) > 1e-4
    assert relative_error(gradients[0], gradients[1]) < 1e-6


def test_fewer_watched_layers_give_another_gradient(float64):
    gradients = []
    for top_layers in (1, 2):
        keras.utils.set_random_seed(3)
        gradients.append(
            learned_gradient(
                smooth_model(False), float64_curve_net(), top_layers=top_layers
            )
        )
    assert relative_error(*gradients) > 1e-3

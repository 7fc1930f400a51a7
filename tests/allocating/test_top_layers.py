import re

import keras
import numpy as np
import pytest
import tiny_models

import keras_curvenet as kcn
from keras_curvenet.allocating import top_layers

layers = keras.layers


def normalized_model():
    """Normalization after the first, between the others and after the last."""
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(4, name="one"),
            layers.BatchNormalization(name="norm_one"),
            layers.Dense(4, name="two"),
            layers.LayerNormalization(name="norm_two"),
            layers.Dropout(0.2),
            layers.Dense(3, name="three"),
            layers.BatchNormalization(name="norm_three"),
        ]
    )


def nested_model():
    """A Sequential and a Functional model inside a Functional one."""
    stem = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(4, name="stem_one"),
            layers.BatchNormalization(name="stem_norm"),
            layers.Dense(4, name="stem_two"),
        ],
        name="stem",
    )
    x = keras.Input((4,))
    hidden = layers.Dense(4, name="block_one")(x)
    hidden = layers.Dense(4, name="block_two")(hidden)
    block = keras.Model(x, hidden, name="block")
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(3, name="head")(block(stem(x))))


def residual_model():
    """An edge from below the cut to above it, around the watched layer."""
    x = keras.Input((4,))
    hidden = layers.Dense(4, activation="tanh", name="below")(x)
    hidden = layers.BatchNormalization(name="below_norm")(hidden)
    hidden = layers.Dropout(0.3, seed=1)(hidden)
    watched = layers.Dense(4, activation="tanh", name="watched")(hidden)
    total = layers.Add()([watched, hidden])
    return keras.Model(x, layers.Dense(3, name="head")(total))


def raw_operations_model():
    """Operations that are no layers, on both sides of the cut."""
    x = keras.Input((4,))
    hidden = layers.Dense(4, name="below")(keras.ops.sin(x))
    hidden = keras.ops.reshape(hidden, (-1, 4)) * 2.0
    logits = layers.Dense(3, name="head")(hidden)
    return keras.Model(x, keras.ops.softmax(logits + hidden[:, :1]))


def two_inputs_model():
    inputs = {name: keras.Input((4,), name=name) for name in ("a", "b")}
    hidden = layers.Concatenate()([inputs["a"], inputs["b"]])
    hidden = layers.Dense(4, activation="tanh", name="below")(hidden)
    return keras.Model(inputs, layers.Dense(3, name="head")(hidden))


def shared_layer_model():
    """One layer that is called twice, below and at the top."""
    x = keras.Input((4,))
    shared = layers.Dense(4, activation="tanh", name="shared")
    hidden = layers.Dense(4, activation="tanh", name="between")(shared(x))
    return keras.Model(x, shared(hidden))


def names_of(watched):
    """Names of layers, without the numbers that Keras adds."""
    return [re.sub(r"_\d+$", "", layer.name) for layer in watched]


@pytest.mark.parametrize(
    ("num_layers", "expected"),
    [
        (1, ["three", "norm_three"]),
        (2, ["two", "norm_two", "three", "norm_three"]),
        (3, ["one", "norm_one", "two", "norm_two", "three", "norm_three"]),
    ],
)
def test_normalization_is_watched_but_not_counted(num_layers, expected):
    watched = top_layers.watched_layers(normalized_model(), num_layers)
    assert names_of(watched) == expected


@pytest.mark.parametrize(
    ("num_layers", "expected"),
    [
        (1, ["head"]),
        (2, ["block_two", "head"]),
        (4, ["stem_two", "block_one", "block_two", "head"]),
        (
            5,
            ["stem_one", "stem_norm", "stem_two"]
            + ["block_one", "block_two", "head"],
        ),
    ],
)
def test_nested_models_are_flattened(num_layers, expected):
    watched = top_layers.watched_layers(nested_model(), num_layers)
    assert names_of(watched) == expected


def test_nested_sequential_is_flattened():
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="a"), layers.Dense(4)]
    )
    model = keras.Sequential([keras.Input((4,)), inner])
    assert names_of(top_layers.watched_layers(model, 2))[0] == "a"


def test_frozen_layers_are_skipped():
    model = normalized_model()
    model.get_layer("three").trainable = False
    model.get_layer("norm_three").trainable = False
    watched = top_layers.watched_layers(model, 1)
    assert names_of(watched) == ["two", "norm_two"]


def test_layers_by_name():
    watched = top_layers.watched_layers(nested_model(), ["block_one", "head"])
    assert names_of(watched) == ["block_one", "head"]


def test_a_nested_model_by_name():
    model = nested_model()
    split = top_layers.split_model(model, ["block"])
    expected = model.get_layer("block").trainable_variables
    assert [id(v) for v in split.variables] == [id(v) for v in expected]


def test_none_watches_all_trainable_variables():
    model = normalized_model()
    split = top_layers.split_model(model, None)
    assert top_layers.watched_layers(model, None) is None
    assert [id(v) for v in split.variables] == [
        id(v) for v in model.trainable_variables
    ]


def convolutional_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(2, 3, name="conv"),
            layers.Flatten(),
            layers.Dense(3, name="head"),
        ]
    )


def one_layer_model():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, name="only")])


@pytest.mark.parametrize(
    ("make_model", "expected"),
    [
        (tiny_models.sequential, ["middle", "head"]),
        (tiny_models.functional, ["middle", "head"]),
        (normalized_model, ["two", "norm_two", "three", "norm_three"]),
        (nested_model, ["block_two", "head"]),
        (convolutional_model, ["head"]),
        (one_layer_model, ["only"]),
        (tiny_models.masked_sequence, ["dense", "head"]),
    ],
)
def test_the_head(make_model, expected):
    watched = top_layers.watched_layers(make_model(), "head")
    assert names_of(watched) == expected


def test_the_head_is_the_default():
    weighted = kcn.CurveWeightedModel(tiny_models.sequential())
    assert weighted.top_layers == "head"
    expected = [
        variable
        for name in ("middle", "head")
        for variable in weighted.base_model.get_layer(name).trainable_variables
    ]
    assert [id(v) for v in weighted.watched_variables] == [
        id(v) for v in expected
    ]
    assert weighted.shares_forward_pass


@pytest.mark.parametrize(
    "make_model", [tiny_models.subclassed, tiny_models.two_outputs]
)
def test_the_head_is_all_layers_where_their_order_is_not_known(make_model):
    model = make_model()
    assert top_layers.watched_layers(model, "head") is None
    split = top_layers.split_model(model, "head")
    assert len(split.variables) == len(model.trainable_variables)


def test_the_head_skips_frozen_layers():
    model = convolutional_model()
    model.get_layer("head").trainable = False
    assert names_of(top_layers.watched_layers(model, "head")) == ["conv"]


def test_watched_variables_of_the_wrapper():
    weighted = kcn.CurveWeightedModel(tiny_models.sequential(), top_layers=1)
    head = weighted.base_model.get_layer("head")
    assert [id(v) for v in weighted.watched_variables] == [
        id(head.kernel),
        id(head.bias),
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (4, "between 1 and 3 .*Received: top_layers=4"),
        (0, "Received: top_layers=0"),
        (-1, "Received: top_layers=-1"),
        (True, "Received: top_layers=True"),
        (1.0, "Received: top_layers=1.0"),
        ([], r"Received: top_layers=\[\]"),
        ("three", "Received: top_layers='three'"),
        (["three", "four"], "Received: 'four', no such layer"),
    ],
)
def test_invalid_top_layers(value, message):
    with pytest.raises(ValueError, match=message):
        kcn.CurveWeightedModel(normalized_model(), top_layers=value)


def test_a_message_on_a_deep_model_is_short():
    hidden = [layers.Dense(2, name=f"hidden_layer_{i}") for i in range(50)]
    model = keras.Sequential([keras.Input((4,)), *hidden])
    with pytest.raises(ValueError, match="hidden_layer_49.$") as error:
        top_layers.split_model(model, ["nope"])
    assert len(str(error.value)) < 500


def test_a_name_of_several_layers():
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="twice")], name="inner"
    )
    model = keras.Sequential(
        [keras.Input((4,)), inner, layers.Dense(3, name="twice")]
    )
    with pytest.raises(ValueError, match="'twice', several layers"):
        top_layers.split_model(model, ["twice"])


def test_subclassed_model_needs_names():
    model = tiny_models.subclassed()
    with pytest.raises(
        ValueError,
        match="'subclassed' is subclassed or.*Received: top_layers=1",
    ):
        kcn.CurveWeightedModel(model, top_layers=1)
    split = top_layers.split_model(model, ["head"])
    assert [id(v) for v in split.variables] == [
        id(v) for v in model.softmax.trainable_variables
    ]


def test_a_subclassed_functional_model_with_its_own_call_needs_names():
    class Doubled(keras.Model):
        def __init__(self):
            x = keras.Input((4,))
            super().__init__(x, layers.Dense(3)(x), name="doubled")

        def call(self, inputs):
            return 2.0 * super().call(inputs)

    with pytest.raises(ValueError, match="Received: top_layers=1"):
        kcn.CurveWeightedModel(Doubled(), top_layers=1)


def test_a_sequential_model_with_its_own_call_needs_names():
    class Doubled(keras.Sequential):
        def call(self, inputs):
            return 2.0 * super().call(inputs)

    model = Doubled([keras.Input((4,)), layers.Dense(3, name="only")])
    with pytest.raises(ValueError, match="is subclassed or"):
        top_layers.split_model(model, 1)
    assert not top_layers.split_model(model, ["only"]).shares_forward_pass
    assert top_layers.watched_layers(model, "head") is None


def test_several_outputs_need_names():
    with pytest.raises(
        ValueError, match="has several outputs. Received: top_layers=1"
    ):
        kcn.CurveWeightedModel(tiny_models.two_outputs(), top_layers=1)


@pytest.mark.parametrize("value", [None, ["head"], "head"])
def test_no_trainable_variables(value):
    model = tiny_models.sequential()
    model.trainable = False
    with pytest.raises(ValueError, match="have none. Make them trainable"):
        kcn.CurveWeightedModel(model, top_layers=value)


def test_int_without_trainable_layers():
    model = tiny_models.sequential()
    model.trainable = False
    with pytest.raises(ValueError, match="Received: top_layers=1"):
        kcn.CurveWeightedModel(model, top_layers=1)


@pytest.mark.parametrize(
    ("make_model", "value", "shares"),
    [
        (tiny_models.sequential, 1, True),
        (tiny_models.functional, 2, True),
        (tiny_models.functional, ["head"], True),
        (tiny_models.subclassed, ["head"], False),
        (tiny_models.sequential, None, False),
        (tiny_models.functional, None, False),
        (tiny_models.linear, 1, False),
        (tiny_models.two_outputs, ["label", "size"], True),
        (residual_model, ["watched", "head"], True),
        (residual_model, ["below", "head"], False),
        (nested_model, 1, True),
        (shared_layer_model, ["shared"], False),
    ],
)
def test_shares_forward_pass(make_model, value, shares):
    weighted = kcn.CurveWeightedModel(make_model(), top_layers=value)
    assert weighted.shares_forward_pass is shares


def inputs_for(model):
    rng = np.random.default_rng(0)
    arrays = {
        tensor.name: rng.normal(size=(6, *tensor.shape[1:])).astype("float32")
        for tensor in model.inputs
    }
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def reset_seeds(model):
    for layer in model._flatten_layers():
        if isinstance(layer, layers.Dropout):
            layer.seed_generator.state.assign([1, 1])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("make_model", "value"),
    [
        (tiny_models.sequential, 1),
        (tiny_models.functional, 2),
        (residual_model, 1),
        (residual_model, 2),
        (residual_model, ["watched"]),
        (nested_model, 2),
        (raw_operations_model, 1),
        (two_inputs_model, 1),
        (tiny_models.two_outputs, ["label", "size"]),
    ],
)
def test_top_of_bottom_equals_the_model(make_model, value, training):
    keras.utils.set_random_seed(0)
    model = make_model()
    split = top_layers.split_model(model, value)
    assert split.shares_forward_pass
    x = inputs_for(model)
    start = tiny_models.values_of(model.non_trainable_variables)
    reset_seeds(model)
    expected = model(x, training=training)
    expected_state = tiny_models.values_of(model.non_trainable_variables)
    for variable, start_value in zip(
        model.non_trainable_variables, start, strict=True
    ):
        variable.assign(start_value)
    reset_seeds(model)
    actual = split.top(split.bottom(x, training), training)
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
    tiny_models.assert_all_close(
        keras.tree.flatten(actual), keras.tree.flatten(expected), 1e-6
    )
    for left, right in zip(
        model.non_trainable_variables, expected_state, strict=True
    ):
        np.testing.assert_allclose(left.numpy(), right, rtol=1e-6)


def test_masks_reach_the_top():
    model = tiny_models.masked_sequence()
    split = top_layers.split_model(model, 1)
    assert split.shares_forward_pass
    x = keras.ops.convert_to_tensor([[1, 2, 0, 0, 0], [3, 3, 3, 0, 0]])
    outputs = split.top(split.bottom(x, True), True)
    np.testing.assert_array_equal(
        outputs._keras_mask, model(x, training=True)._keras_mask
    )


def test_the_unsplit_top_passes_training_where_it_is_taken():
    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3, name="dense")
            self.dense.build((None, 4))
            self.built = True

        def call(self, inputs):
            return self.dense(inputs)

    model = Plain()
    split = top_layers.split_model(model, None)
    x = np.ones((2, 4), "float32")
    np.testing.assert_array_equal(
        split.top(split.bottom(x, True), True), model(x)
    )


@pytest.mark.parametrize(
    ("make_model", "value"),
    [
        (tiny_models.sequential, 1),
        (tiny_models.sequential, None),
        (nested_model, 2),
        (residual_model, 1),
    ],
)
def test_the_base_model_is_left_as_it_was(make_model, value):
    model = make_model()
    nodes = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
    output, names = model.layers[-1].output, names_of(model.layers)
    split = top_layers.split_model(model, value)
    split.bottom(np.ones((2, 4), "float32"), training=False)
    assert model.layers[-1].output is output
    assert names_of(model.layers) == names
    assert [
        len(layer._inbound_nodes) for layer in model._flatten_layers()
    ] == nodes

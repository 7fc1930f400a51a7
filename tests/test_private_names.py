"""Every private name of Keras and TensorFlow still means what it did.

A test for each, through the functions of `private_names.py`.
"""

import ast
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
import testing_utils

import keras_curvenet
from keras_curvenet import private_names

PACKAGE = pathlib.Path(keras_curvenet.__file__).parent


def compiled_model(**kwargs):
    model = testing_utils.tiny_model("functional")
    arguments = {"loss": testing_utils.sparse_loss(), "metrics": ["accuracy"]}
    model.compile("sgd", run_eagerly=True, **{**arguments, **kwargs})
    return model


def test_compile_loss_matches_losses_and_outputs():
    compile_loss = private_names.CompileLoss(
        {"a": "mse", "b": "mae"}, {"a": 1.0, "b": 10.0}, output_names=["a", "b"]
    )
    y_true = {"a": tf.constant([[1.0]]), "b": tf.constant([[5.0]])}
    y_pred = {"a": tf.constant([[3.0]]), "b": tf.constant([[2.0]])}
    assert float(compile_loss(y_true, y_pred)) == 2.0**2 + 10.0 * 3.0


def test_functional_is_the_class_of_graphs_of_layers():
    assert type(testing_utils.tiny_model("functional")) is (
        private_names.Functional
    )
    subclassed = testing_utils.tiny_model("subclassed")
    assert not isinstance(subclassed, private_names.Functional)


def test_compile_config_has_what_was_compiled():
    loss = testing_utils.sparse_loss()
    found = private_names.compile_arguments_of(
        compiled_model(loss=loss, loss_weights=[2.0])
    )
    assert found["loss"] is loss
    assert found["loss_weights"] == [2.0]
    assert found["metrics"] == ["accuracy"]
    assert {"optimizer", "weighted_metrics"} <= set(found)


def test_flat_losses_have_paths_and_resolved_losses():
    compile_loss = private_names.CompileLoss(["mse", "crossentropy"])
    labels = tf.constant([1])
    compile_loss([tf.ones([1, 1]), labels], [tf.ones([1, 1]), tf.ones([1, 3])])
    (first, mse), (second, crossentropy) = private_names.flat_losses_of(
        compile_loss
    )
    assert (first, second) == ((0,), (1,))
    assert mse.name == "mean_squared_error" or mse.name == "mse"
    expected = keras.losses.sparse_categorical_crossentropy
    assert crossentropy.fn is expected


def test_keras_mask_is_the_mask_of_the_layers():
    embedded = keras.layers.Embedding(3, 2, mask_zero=True)(np.array([[1, 0]]))
    mask = private_names.mask_of(embedded)
    assert np.asarray(mask).tolist() == [[True, False]]
    assert private_names.mask_of(tf.ones([1, 2])) is None


def test_symbolic_build_builds_model_metrics_and_optimizer():
    model = testing_utils.tiny_model(built=False)
    model.compile("sgd", testing_utils.sparse_loss(), metrics=["accuracy"])
    spec = tf.TensorSpec([None, 4]), tf.TensorSpec([None], tf.int32), None
    private_names.build_symbolically(model, spec)
    assert model.built and len(model.variables) == 4
    names = [metric.name for metric in model.metrics]
    assert "loss" in names
    assert any(v.path.startswith("accuracy") for v in model.metrics_variables)


def test_maybe_symbolic_build_is_called_before_training():
    model, iterators = compiled_model(), []
    private_names.replace_symbolic_build(model, iterators.append)
    model.fit(*testing_utils.tiny_data(), batch_size=5, verbose=0)
    (iterator,) = iterators
    spec, _ = iterator.data_adapter.get_tf_dataset().element_spec
    assert spec.shape == (5, testing_utils.NUM_INPUTS)


def test_made_functions_run_the_steps():
    model, steps = compiled_model(), []

    def make_function(step):
        steps.append(step)
        return lambda iterator: step(next(iterator))

    private_names.replace_made_functions(model, make_function)
    history = model.fit(*testing_utils.tiny_data(), verbose=0)
    assert steps == [model.train_step]
    assert "accuracy" in history.history


def test_initial_epoch_is_where_fit_starts():
    model, epochs = compiled_model(), []
    note = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: private_names.set_first_epoch(model, 2),
        on_epoch_begin=lambda epoch, logs: epochs.append(epoch),
    )
    data = testing_utils.tiny_data()
    model.fit(*data, epochs=4, callbacks=[note], verbose=0)
    assert epochs == [2, 3]
    private_names.set_first_epoch(model, None)
    assert model.fit(*data, verbose=0).epoch == [0]


def test_dataset_of_an_iterator():
    dataset = tf.data.Dataset.range(3).batch(2)
    assert private_names.dataset_of(iter(dataset)) is dataset
    assert private_names.dataset_of(iter([1])) is None


def test_inputs_of_a_dataset():
    one, other = tf.data.Dataset.range(3), tf.data.Dataset.range(4)
    (found,) = private_names.inputs_of(one.batch(2))
    assert found is one
    found = private_names.inputs_of(tf.data.Dataset.zip(one, other))
    assert found[0] is one and found[1] is other
    assert list(private_names.inputs_of(one)) == []


@pytest.mark.parametrize("again", [True, False])
def test_reshuffling(again):
    numbers = tf.data.Dataset.range(3)
    shuffled = numbers.shuffle(3, reshuffle_each_iteration=again)
    assert private_names.reshuffles(shuffled) is again
    assert private_names.reshuffles(numbers) is False


@pytest.mark.parametrize(("given", "said"), [(True, "true"), (False, "false")])
def test_what_a_map_was_told_of_its_order(given, said):
    mapped = tf.data.Dataset.range(3).map(
        lambda x: x, num_parallel_calls=2, deterministic=given
    )
    assert private_names.said_deterministic(mapped) == said
    silent = tf.data.Dataset.range(3).map(lambda x: x, num_parallel_calls=2)
    assert private_names.said_deterministic(silent) in (None, "default")


def test_flattened_layers_are_all_within():
    inner = keras.Sequential([keras.layers.Dense(2), keras.layers.ReLU()])
    holder = keras.layers.TimeDistributed(inner)
    found = private_names.all_layers_of(holder)
    assert {*map(id, found)} == {*map(id, [inner, *inner.layers])}


def test_nodes_by_depth_are_the_calls_in_order():
    inputs = keras.Input((4,))
    shared = keras.layers.Dense(4)
    first = shared(inputs)
    second = shared(first)
    outputs = keras.layers.Add()([first, second])
    calls = private_names.calls_in_order(keras.Model(inputs, outputs))
    operations = [node.operation for node in calls]
    assert operations == [shared, shared, outputs._keras_history.operation]
    assert calls[1].arguments.args[0] is first


# Nobody else uses any.

NAMES = {
    "CompileLoss",
    "Functional",
    "_compile_config",
    "_flat_losses",
    "_keras_mask",
    "_symbolic_build",
    "_maybe_symbolic_build",
    "_make_function",
    "_initial_epoch",
    "_dataset",
    "_inputs",
    "_reshuffle_each_iteration",
    "_deterministic",
    "_flatten_layers",
    "_nodes_by_depth",
}

# Documented, for all their underscore.
PUBLIC = {"_replace", "_asdict", "_fields"}


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def private_uses(path):
    """Set of private names that a file uses and neither assigns nor defines."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    functions = {n.name for n in nodes if isinstance(n, ast.FunctionDef)}
    attributes = [
        (
            node.attr,
            isinstance(node.ctx, ast.Store),
            isinstance(node.value, ast.Name)
            and node.value.id in ("self", "cls"),
        )
        for node in nodes
        if isinstance(node, ast.Attribute)
    ]
    own = {name for name, is_set, is_own in attributes if is_set and is_own}
    used = NAMES & (functions | {name for name, _, _ in attributes})
    for name, _, is_own in attributes:
        if is_private(name) and name not in functions | PUBLIC:
            if not (is_own and name in own):
                used.add(name)
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names]
            modules += [getattr(node, "module", None) or ""]
            parts = {part for name in modules for part in name.split(".")}
            used |= {p for p in parts if is_private(p) or p == "src"}
    return used


@pytest.mark.parametrize(
    "folder", ["probing", "allocating", "resuming", "inspecting", "."]
)
def test_no_other_module_uses_private_names(folder):
    paths = set((PACKAGE / folder).glob("*.py" if folder == "." else "**/*.py"))
    paths.discard(pathlib.Path(private_names.__file__))
    assert paths
    used = {path.name: private_uses(path) for path in sorted(paths)}
    assert {name: found for name, found in used.items() if found} == {}


def test_such_uses_are_found_where_they_are():
    found = private_uses(pathlib.Path(private_names.__file__))
    assert {"_flat_losses", "_make_function", "src"} <= found

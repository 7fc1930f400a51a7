"""SLMO: which layers are watched, and where the model is split for it.

Skip layer meta optimization treats the bottom layers as constants in the
virtual and the meta step: only the top layers' variables are watched.
"""

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any

import keras

from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.private_names import Functional
from keras_curvenet.private_names import all_layers_of
from keras_curvenet.private_names import calls_in_order

_NORMALIZATION_LAYERS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
)


@dataclasses.dataclass(frozen=True)
class SplitModel:
    """A model as two functions, the upper of which holds all watched variables.

    `top(bottom(x, training), training)` equals `model(x, training)`. Where the
    model can't be split, `bottom` returns its input.
    """

    bottom: Callable[..., Any]
    top: Callable[..., Any]
    variables: list
    shares_forward_pass: bool


def split_model(model, top_layers):
    """`SplitModel` of a built model; ValueError for impossible `top_layers`."""
    watched = watched_layers(model, top_layers)
    variables = _unique(
        variable
        for layer in ([model] if watched is None else watched)
        for variable in layer.trainable_variables
    )
    if not variables:
        raise invalid_value(
            "top_layers",
            "layers with trainable variables",
            f"top_layers={top_layers!r}, whose layers in model '{model.name}' "
            "have none. Make them trainable, or name others.",
        )
    parts = None if watched is None else _split_graph(model, watched)
    if parts is None:
        whole = call_with_training(model)
        return SplitModel(lambda x, training: x, whole, variables, False)
    return SplitModel(*parts, variables, shares_forward_pass=True)


def watched_layers(model, top_layers):
    """List of the layers that `top_layers` stands for; None means all."""
    is_head = isinstance(top_layers, str) and top_layers == "head"
    if top_layers is None or (is_head and not _has_order(model)):
        return None
    is_bool = isinstance(top_layers, bool)
    if is_head or (isinstance(top_layers, numbers.Integral) and not is_bool):
        return _last_layers(model, top_layers)
    if isinstance(top_layers, (list, tuple)) and top_layers:
        return [_layer_named(model, name) for name in top_layers]
    expected = '"head", an int >= 1, a list of layer names, or None for all'
    raise invalid_value("top_layers", expected, f"top_layers={top_layers!r}.")


def _last_layers(model, top_layers):
    """The last layers with weights, and all normalization after the first.

    The head is the last one, and a Dense one before a Dense one.
    """
    if not _has_order(model):
        raise invalid_value(
            "top_layers",
            "a list of layer names, or None for all layers, because model "
            f"'{model.name}' is subclassed or has several outputs",
            f"top_layers={top_layers}. Its layers: {_names(model.layers)}",
        )
    leaves = _trainable_leaves(model)
    counted = [x for x in leaves if not isinstance(x, _NORMALIZATION_LAYERS)]
    if not counted:
        return []
    if top_layers == "head":
        last = counted[-2:]
        are_dense = all(isinstance(layer, keras.layers.Dense) for layer in last)
        top_layers = len(last) if are_dense else 1
    if not 1 <= top_layers <= len(counted):
        raise invalid_value(
            "top_layers",
            f"an int between 1 and {len(counted)} (the layers of model "
            f"'{model.name}' with trainable weights, without normalization)",
            f"top_layers={top_layers}. Pass a smaller value, or None for all.",
        )
    return leaves[leaves.index(counted[-top_layers]) :]


def _layer_named(model, name):
    """The one layer of a name, at any depth."""
    layers = _unique(all_layers_of(model))
    found = [layer for layer in layers if layer.name == name]
    if len(found) != 1:
        problem = "no such layer" if not found else "several layers of the name"
        raise invalid_value(
            "top_layers",
            f"names of layers of model '{model.name}', each of one layer",
            f"{name!r}, {problem}. Its layers: {_names(layers)}",
        )
    return found[0]


def _has_order(model):
    """Bool: whether it is known which layers of a model are the last."""
    return _is_graph(model) and len(getattr(model, "outputs", [])) <= 1


def _is_graph(layer):
    """Bool: whether it is a Functional or Sequential model, by its `call`."""
    return type(layer).call in (Functional.call, keras.Sequential.call)


def _trainable_leaves(model):
    """The layers with weights in order, those of nested models among them."""
    leaves = []
    for layer in model.layers:
        if _is_graph(layer):
            leaves.extend(_trainable_leaves(layer))
        elif layer.trainable_variables:
            leaves.append(layer)
    return _unique(leaves)


def _functional(model):
    """The Functional model that computes what `model` does, or None."""
    if not _is_graph(model):
        return None
    if isinstance(model, Functional):
        return model
    outputs = getattr(model, "outputs", [])
    has_one = len(outputs) == 1
    return keras.Model(model.inputs[0], outputs[0]) if has_one else None


def _split_graph(model, watched):
    """Functions `(bottom, top)`; None where there is nothing to share.

    All that comes after a watched layer is top. So nothing is shared where a
    watched layer reads the model's input.
    """
    graph = _functional(model)
    if graph is None:
        return None
    watched_ids = set(map(id, watched))
    top_nodes, made_by_top = [], set()
    for node in calls_in_order(graph):
        reads_top = not made_by_top.isdisjoint(map(id, node.input_tensors))
        if reads_top or not watched_ids.isdisjoint(_layer_ids(node.operation)):
            top_nodes.append(node)
            made_by_top.update(map(id, node.outputs))
    read = _unique(t for node in top_nodes for t in node.input_tensors)
    frontier = [tensor for tensor in read if id(tensor) not in made_by_top]
    if set(map(id, graph.inputs)).issuperset(map(id, frontier)):
        return None
    if not made_by_top.issuperset(map(id, graph.outputs)):
        return None
    bottom = keras.Model(graph.input, frontier, name=f"{graph.name}_bottom")
    return (
        lambda x, training: keras.tree.flatten(bottom(x, training=training)),
        _function_of_nodes(top_nodes, frontier, graph.output),
    )


def _layer_ids(operation):
    """The `id`s of the layers whose variables an operation may use."""
    if not isinstance(operation, keras.Layer):
        return []
    return map(id, [operation, *all_layers_of(operation)])


def _function_of_nodes(nodes, inputs, outputs):
    """Function `(features, training)` that runs a part of a graph.

    It calls the user's own layers and adds nothing to them, where a
    `keras.Model` of the same calls would leave its nodes behind.
    """

    def run(features, training):
        tensors = dict(zip(map(id, inputs), features, strict=True))
        for node in nodes:
            args, kwargs = node.arguments.fill_in(tensors)
            # As in a Functional model: the flag that the call of the model
            # gets, not the one that its making recorded.
            if _takes_training(node.operation):
                kwargs["training"] = training
            made = keras.tree.flatten(node.operation(*args, **kwargs))
            tensors.update(zip(map(id, node.outputs), made, strict=True))
        return keras.tree.map_structure(lambda t: tensors[id(t)], outputs)

    return run


def call_with_training(model):
    """Function `(x, training)` that calls a model, which may take x only."""
    if _takes_training(model):
        return lambda x, training: model(x, training=training)
    return lambda x, training: model(x)


def _takes_training(layer):
    """Bool: whether a layer's `call` has an argument `training`."""
    return "training" in getattr(layer, "call_signature_parameters", ())


def _unique(items):
    """The items in order, each object once."""
    return list({id(item): item for item in items}.values())


def _names(layers):
    """The names of the last layers, for a message."""
    more = "... " if len(layers) > 8 else ""
    return f"{more}{', '.join(layer.name for layer in layers[-8:])}."

"""SLMO: which layers are watched, and where the model is split for it.

Skip layer meta optimization treats the bottom layers as constants in the
virtual and the meta step: only the top layers' variables are watched.
"""

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any

import keras

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
    model's graph can't be split, `bottom` returns its input and `top` is the
    whole model.

    Attributes:
        bottom: Function `(x, training) -> features`.
        top: Function `(features, training) -> predictions`.
        variables: List of the watched Keras variables.
        shares_forward_pass: Bool, whether the bottom does anything.
    """

    bottom: Callable[..., Any]
    top: Callable[..., Any]
    variables: list
    shares_forward_pass: bool


def split_model(model, top_layers):
    """Splits a built model below its watched layers, where that can be done.

    Args:
        model: A built `keras.Model`.
        top_layers: `"head"`, int, list of layer names, or None: see
            `CurveWeightedModel`.

    Raises:
        ValueError: If `top_layers` does not fit the model.
    """
    watched = watched_layers(model, top_layers)
    if watched is None:
        variables = list(model.trainable_variables)
    else:
        variables = _unique(
            variable
            for layer in watched
            for variable in layer.trainable_variables
        )
    if not variables:
        raise ValueError(
            "Invalid value for argument `top_layers`. Expected layers with "
            f"trainable variables. Received: top_layers={top_layers!r}, whose "
            f"layers in model '{model.name}' have none. Make them trainable, "
            "or name others."
        )
    graph = _graph_of(model)
    if graph is not None and watched is not None:
        split = _split_graph(graph, watched, variables)
        if split is not None:
            return split
    return SplitModel(
        bottom=lambda x, training: x,
        top=call_with_training(model),
        variables=variables,
        shares_forward_pass=False,
    )


def watched_layers(model, top_layers):
    """List of the layers that `top_layers` stands for; None means all."""
    if top_layers is None:
        return None
    if isinstance(top_layers, str) and top_layers == "head":
        return _head_layers(model)
    is_bool = isinstance(top_layers, bool)
    if isinstance(top_layers, numbers.Integral) and not is_bool:
        return _last_layers(model, int(top_layers))
    if isinstance(top_layers, (list, tuple)) and top_layers:
        return [_layer_named(model, name) for name in top_layers]
    raise ValueError(
        'Invalid value for argument `top_layers`. Expected "head", an int '
        ">= 1, a non-empty list of layer names, or None for all layers. "
        f"Received: top_layers={top_layers!r}."
    )


def _head_layers(model):
    """The last layer with weights, and a Dense one before a Dense one.

    None, which stands for all layers, where their order is not known.
    """
    has_order = _is_graph(model) or isinstance(model, keras.Sequential)
    if not has_order or len(getattr(model, "outputs", None) or []) > 1:
        return None
    last = [
        layer
        for layer in _leaf_layers(model)
        if _is_trainable(layer) and not isinstance(layer, _NORMALIZATION_LAYERS)
    ][-2:]
    if not last:
        return []
    are_dense = all(isinstance(layer, keras.layers.Dense) for layer in last)
    return _last_layers(model, len(last) if are_dense else 1)


def _last_layers(model, num_layers):
    """The last layers with weights, and the normalization after the first."""
    if not _is_graph(model) and not isinstance(model, keras.Sequential):
        raise ValueError(
            "Invalid value for argument `top_layers`. Expected a list of layer "
            f"names, or None for all layers, because model '{model.name}' is "
            "subclassed and the order of its layers is not known. Received: "
            f"top_layers={num_layers}. Its layers: "
            f"{[layer.name for layer in model.layers]}."
        )
    if len(getattr(model, "outputs", None) or []) > 1:
        raise ValueError(
            "Invalid value for argument `top_layers`. Expected a list of layer "
            f"names, or None for all layers, because model '{model.name}' has "
            f"{len(model.outputs)} outputs. Received: top_layers={num_layers}. "
            f"Its layers: {[layer.name for layer in model.layers]}."
        )
    leaves = [layer for layer in _leaf_layers(model) if _is_trainable(layer)]
    candidates = [
        index
        for index, layer in enumerate(leaves)
        if not isinstance(layer, _NORMALIZATION_LAYERS)
    ]
    if not 1 <= num_layers <= len(candidates):
        raise ValueError(
            "Invalid value for argument `top_layers`. Expected an int between "
            f"1 and {len(candidates)} (the number of layers with trainable "
            f"weights in base model '{model.name}', without normalization), a "
            "list of layer names, or None. Received: "
            f"top_layers={num_layers}. Pass a smaller value, or "
            "`top_layers=None` to use every layer."
        )
    first = candidates[-num_layers]
    return [
        layer
        for index, layer in enumerate(leaves)
        if index >= first
        and (index in candidates or isinstance(layer, _NORMALIZATION_LAYERS))
    ]


def _layer_named(model, name):
    """The one layer of a name, at any depth."""
    layers = _unique(all_layers_of(model))
    found = [layer for layer in layers if layer.name == name]
    if len(found) != 1:
        problem = "no such layer" if not found else "several layers of the name"
        raise ValueError(
            "Invalid value for argument `top_layers`. Expected names of layers "
            f"of model '{model.name}', each of one layer. Received: {name!r}, "
            f"{problem}. Its layers: {[layer.name for layer in layers]}."
        )
    return found[0]


def _leaf_layers(model):
    """The layers in order, those of nested models in place of the model."""
    leaves = []
    for layer in model.layers:
        if _is_graph(layer) or isinstance(layer, keras.Sequential):
            leaves.extend(_leaf_layers(layer))
        else:
            leaves.append(layer)
    return _unique(leaves)


def _is_graph(model):
    return isinstance(model, Functional) and (
        type(model).call is Functional.call
    )


def _is_trainable(layer):
    return bool(layer.trainable_variables)


def _graph_of(model):
    """The Functional model that computes `model`, or None."""
    if isinstance(model, keras.Sequential):
        is_known = type(model).call is keras.Sequential.call
        if not is_known or len(getattr(model, "outputs", None) or []) != 1:
            return None
        return keras.Model(model.inputs[0], model.outputs[0])
    return model if _is_graph(model) else None


def _split_graph(graph, watched, variables):
    """Splits a Functional model below its watched layers, or returns None.

    All that comes after a watched layer is top. That leaves nothing shared
    where a watched layer reads the model's input.
    """
    watched_ids = {id(layer) for layer in watched}
    top_nodes, made_by_top = [], set()
    for node in calls_in_order(graph):
        holds_watched = any(
            id(layer) in watched_ids for layer in _with_sublayers(node)
        )
        if holds_watched or any(
            id(tensor) in made_by_top for tensor in node.input_tensors
        ):
            top_nodes.append(node)
            made_by_top.update(id(tensor) for tensor in node.outputs)
    frontier = _unique(
        tensor
        for node in top_nodes
        for tensor in node.input_tensors
        if id(tensor) not in made_by_top
    )
    inputs = {id(tensor) for tensor in graph.inputs}
    if all(id(tensor) in inputs for tensor in frontier):
        return None
    if any(id(tensor) not in made_by_top for tensor in graph.outputs):
        return None
    bottom = keras.Model(graph.input, frontier, name=f"{graph.name}_bottom")
    return SplitModel(
        bottom=lambda x, training: keras.tree.flatten(
            bottom(x, training=training)
        ),
        top=_GraphTop(top_nodes, frontier, graph.output),
        variables=variables,
        shares_forward_pass=True,
    )


def _with_sublayers(node):
    """The layers whose variables a call may use."""
    operation = node.operation
    if isinstance(operation, keras.layers.Layer):
        return [operation, *all_layers_of(operation)]
    return []


class _GraphTop:
    """The calls of a Functional model that come after the split.

    It calls the user's own layers and adds nothing to them, where a
    `keras.Model` of the same calls would leave its nodes behind.
    """

    def __init__(self, nodes, inputs, outputs):
        self.nodes, self.inputs, self.outputs = nodes, inputs, outputs

    def __call__(self, features, training):
        tensors = {
            id(symbol): feature
            for symbol, feature in zip(self.inputs, features, strict=True)
        }
        for node in self.nodes:
            args, kwargs = node.arguments.fill_in(tensors)
            # As in a Functional model: the flag that the call of the model
            # gets, not the one that its making recorded.
            if takes_training(node.operation):
                kwargs["training"] = training
            outputs = keras.tree.flatten(node.operation(*args, **kwargs))
            tensors.update(
                (id(symbol), output)
                for symbol, output in zip(node.outputs, outputs, strict=True)
            )
        return keras.tree.map_structure(
            lambda symbol: tensors[id(symbol)], self.outputs
        )


def takes_training(layer):
    """Bool: whether a layer's `call` has an argument `training`."""
    return "training" in getattr(layer, "call_signature_parameters", ())


def call_with_training(model):
    """`model.__call__` that passes `training` where the model takes it."""
    if takes_training(model):
        return lambda x, training: model(x, training=training)
    return lambda x, training: model(x)


def _unique(items):
    """The items in order, each object once."""
    return list({id(item): item for item in items}.values())

"""Every private name of Keras and TensorFlow that this package needs.

Each stands here alone, with the reason why there is no public way.
`tests/test_private_names.py` has a test for each, which notices its going.
"""

# Matches losses, outputs, targets and loss weights as `compile` does. There is
# no public class that does.
from keras.src.trainers.compile_utils import CompileLoss as CompileLoss

# The class of `keras.Model(inputs, outputs)`. Only of such a model is the graph
# of layers known, unless its `call` was overridden.
from keras.src.models.functional import Functional as Functional  # isort: skip


def compile_arguments_of(model):
    """Dict of what a compiled model's `compile` was called with.

    `get_compile_config` gives the same in serialized form, from which objects
    whose class is not registered can't be made again.
    """
    return dict(model._compile_config.config)


def flat_losses_of(compile_loss):
    """List of `(path, loss)` of a `CompileLoss` that was called once.

    Only there are losses resolved to outputs.
    """
    return [(path, loss) for path, loss, *_ in compile_loss._flat_losses]


def mask_of(tensor):
    """The mask that the layers gave a tensor, or None.

    Keras hands it from layer to layer, and to losses, as this attribute.
    """
    return getattr(tensor, "_keras_mask", None)


def build_symbolically(model, batch_spec):
    """Builds a compiled model, its metrics and its loss from a batch's spec.

    Args:
        model: A compiled `keras.Model`.
        batch_spec: Specs `(x, y, sample_weight)`.

    Public methods build them with the first batch only.
    """
    model._symbolic_build(data_batch=batch_spec)


def replace_symbolic_build(model, build):
    """Lets a function of the epoch iterator stand for `fit`'s building.

    Under a strategy, Keras builds a model from the mean of a batch over the
    replicas. That fails where their parts differ in size (keras#19246).
    """
    model._maybe_symbolic_build = lambda iterator=None, data_batch=None: build(
        iterator
    )


def replace_made_functions(model, make_function):
    """Lets `make_function(step)` make what runs a step on an iterator.

    Keras's own reduces the logs of a step over all workers, which fails
    (keras#20585, keras#20329).
    """
    model._make_function = make_function


def set_first_epoch(model, epoch):
    """Lets the `fit` that begins start at an epoch, whatever it was told.

    `keras.callbacks.BackupAndRestore` does it in the same way. None lets the
    next `fit` start where it says.
    """
    model._initial_epoch = epoch


def dataset_of(iterator):
    """The dataset that an iterator of one device steps through, or None."""
    return getattr(iterator, "_dataset", None)


def inputs_of(dataset):
    """List of the datasets that a dataset was made from."""
    return dataset._inputs()


def reshuffles(dataset):
    """Bool: whether a dataset's own order is another one in each pass."""
    return bool(getattr(dataset, "_reshuffle_each_iteration", False))


def said_deterministic(dataset):
    """What a dataset's `map` or `interleave` was told of its order.

    "default" or None where nothing was said, and for other datasets.
    `options()` does not show it.
    """
    return getattr(dataset, "_deterministic", None)


def all_layers_of(layer):
    """List of the layers within a layer, at any depth, without itself.

    `layers` shows those of a model, not those that layers hold.
    """
    return list(layer._flatten_layers(include_self=False))


def calls_in_order(graph):
    """The calls of layers that make up a Functional model.

    Args:
        graph: A `Functional` model.

    Returns:
        List of Keras nodes, each after those it depends on. Running them one
        by one adds nothing to the layers, where a `keras.Model` of a part of
        them would leave its own nodes behind.
    """
    by_depth = graph._nodes_by_depth
    return [
        node
        for depth in sorted(by_depth, reverse=True)
        for node in by_depth[depth]
        if node.operation is not None and not node.is_input
    ]

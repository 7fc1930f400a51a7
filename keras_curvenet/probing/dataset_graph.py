"""What a dataset is made from, and whether its order is settled there."""

import collections

import tensorflow as tf

from keras_curvenet import private_names

# Attributes of datasets that are made here.
_MADE_FROM = "_keras_curvenet_made_from"
_NUM_PASSES = "_keras_curvenet_num_passes"

# Transformations that may run for several elements at once.
_PARALLEL = "Parallel", "Map", "Interleave"


def note_source(dataset, source):
    """Notes what a dataset is made from, which TensorFlow does not know."""
    setattr(dataset, _MADE_FROM, source)


def note_passes(dataset, num_passes):
    """Notes a variable that decides the order of a dataset's next pass."""
    setattr(dataset, _NUM_PASSES, num_passes)


def passes_behind(dataset):
    """List of the variables of `note_passes` that a dataset depends on."""
    nodes = all_behind(dataset)
    return [getattr(n, _NUM_PASSES) for n in nodes if hasattr(n, _NUM_PASSES)]


def inputs_of(dataset):
    """The datasets that a dataset is made from."""
    if hasattr(dataset, _MADE_FROM):
        return [getattr(dataset, _MADE_FROM)]
    return private_names.inputs_of(dataset)


def all_behind(dataset):
    """The dataset and all datasets it is made from, nearest first."""
    queue = collections.deque([dataset])
    seen = set()
    while queue:
        node = queue.popleft()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            queue.extend(inputs_of(node))


def is_deterministic(dataset):
    """Bool: whether what runs in parallel keeps its order, if not told else.

    The last option that says so is one of all that was before it, too.
    """
    said = (node.options().deterministic for node in all_behind(dataset))
    return next((value for value in said if value is not None), True)


def refuse_changing_order(origin, keeps_order, argument):
    """Raises ValueError where ids would name other samples in each epoch.

    Args:
        origin: The dataset that `with_sample_ids` made.
        keeps_order: Bool, what `is_deterministic` says of the whole dataset.
        argument: Name of the argument that the dataset was given as.
    """
    queue = [origin]
    while queue:
        node = queue.pop()
        if type(node).__name__ == "CacheDataset":
            continue  # A cache is filled once: its order is settled.
        if private_names.reshuffles(node) or hasattr(node, _NUM_PASSES):
            raise ValueError(
                f"Invalid value for argument `{argument}`. Expected sample ids "
                "that name the same samples in every epoch. Received: a "
                "dataset that is shuffled anew in every epoch before "
                "`with_sample_ids`, so that an id's label changes. Call "
                "`with_sample_ids` first and `shuffle` after it (for "
                "`tfds.load`: `shuffle_files=False`)."
            )
        if not _keeps_order(node, keeps_order):
            raise ValueError(
                f"Invalid value for argument `{argument}`. Expected sample ids "
                "that name the same samples in every epoch. Received: a "
                "dataset whose elements come in any order before "
                "`with_sample_ids`, by `deterministic=False` (a "
                f"{type(node).__name__.lstrip('_')}). Leave it out, of its "
                "arguments and of `tf.data.Options`."
            )
        queue.extend(inputs_of(node))


def _keeps_order(node, by_default):
    """Bool: whether a dataset has the same order in every epoch."""
    name = type(node).__name__
    if not any(part in name for part in _PARALLEL):
        return True
    said = private_names.said_deterministic(node)
    if said is None and name == "_ParallelInterleaveDataset":
        said = _said_in_graph(node)
    return said == "true" or (said != "false" and by_default)


def _said_in_graph(node):
    """What a parallel `interleave` was told, which only its graph keeps."""
    serialized = tf.raw_ops.DatasetToGraphV2(
        input_dataset=tf.data.experimental.to_variant(node),
        external_state_policy=1,  # Random states are left out, silently.
    )
    graph = tf.compat.v1.GraphDef.FromString(serialized.numpy())
    said = [
        operation.attr["deterministic"].s.decode()
        for operation in graph.node
        if operation.op.startswith("ParallelInterleave")
    ]
    return said[-1]  # Its own comes after those of what it is made of.

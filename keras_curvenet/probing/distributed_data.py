"""The dataset that `model.fit` was given, on one device or on several."""

import functools

import keras
import tensorflow as tf

from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.private_names import build_symbolically
from keras_curvenet.private_names import dataset_of
from keras_curvenet.private_names import replace_made_functions
from keras_curvenet.private_names import replace_symbolic_build
from keras_curvenet.probing.array_rows import refuse_sparse_spec
from keras_curvenet.probing.epoch_order import passes_unchanged
from keras_curvenet.probing.sample_ids import has_sample_ids
from keras_curvenet.replicas import has_strategy
from keras_curvenet.workers import function_of_workers
from keras_curvenet.workers import has_workers
from keras_curvenet.workers import refuse_different_workers

# Where a model under a strategy keeps it; no public name leads to it.
_DATASET = "_keras_curvenet_dataset"


def build_from_spec(model, dataset):
    """Builds a model under a strategy from what its data is said to be.

    Keras builds it from the mean of a batch over the replicas, which fails
    where their parts differ in size (keras#19246), or hold sample ids. The
    model keeps the dataset.
    """
    setattr(model, _DATASET, dataset)
    spec = dataset.element_spec
    if has_sample_ids(spec):
        spec = spec[:3]
    with model.distribute_strategy.scope():
        build_symbolically(model, spec)


def refuse_different_data(strategy, dataset):
    """Raises ValueError where workers have other batches, or another order."""
    if not has_workers(strategy):
        return
    policy = dataset.options().experimental_distribute.auto_shard_policy
    with passes_unchanged(dataset):
        first = next(dataset.take(1).as_numpy_iterator(), ())
    # Inputs may be augmented at random, by each worker for itself.
    compared = keras.tree.flatten(first[1:2] + first[3:4])
    refuse_different_workers(
        strategy,
        "the data",
        {
            "its size": str(int(dataset.cardinality())),
            "its form": str(dataset.element_spec),
            "its first batch": b"".join(part.tobytes() for part in compared),
        },
    )
    by_data = tf.data.experimental.AutoShardPolicy.DATA
    if has_sample_ids(dataset.element_spec) and policy != by_data:
        raise ValueError(
            "Expected a dataset with sample ids that is sharded by data among "
            "workers, as `with_sample_ids` leaves it. Received: the policy "
            f"{policy}, with which ids would name other samples on each "
            "worker. Leave `auto_shard_policy` as it is."
        )


def remember_dataset(model):
    """Lets a model under a strategy be built so, and keep its dataset."""
    if hasattr(model, _DATASET):
        return

    def build(iterator):
        dataset = iterator.data_adapter.get_tf_dataset()
        refuse_different_data(model.distribute_strategy, dataset)
        build_from_spec(model, dataset)

    setattr(model, _DATASET, None)
    build_with(model, build)


def build_with(model, build):
    """Lets `build(iterator)` build a model under a strategy; workers step."""
    replace_symbolic_build(model, build)
    if has_workers(model.distribute_strategy):
        replace_made_functions(
            model, functools.partial(function_of_workers, model)
        )


def dataset_behind(model, iterator=None):
    """The dataset that `model.fit` steps through.

    Args:
        model: A model that is fitted.
        iterator: What `fit` reads, needed on one device.
    """
    if has_strategy(model):
        dataset = getattr(model, _DATASET, None)
        if dataset is None:
            raise ValueError(
                "Expected `set_model(model)` of the LossCurveRecorder or "
                "BackupAndResume to be called before `fit`. Received: model "
                f"'{model.name}' under a strategy, without that call."
            )
        return dataset
    dataset = dataset_of(iterator)
    if dataset is None:
        raise invalid_value(
            "x",
            "`model.fit` to be given a `tf.data.Dataset` with sample ids",
            f"data that is read through a {type(iterator).__name__}. Use "
            "`keras_curvenet.with_sample_ids`, which takes arrays `(x, y)` and "
            "a `PyDataset` too.",
        )
    return dataset


def check_batch_spec(spec, argument="x"):
    """Raises ValueError unless batches with ids can be trained on."""
    refuse_sparse_spec(spec, argument)
    x, y, _, sample_id = spec
    if not sample_id.dtype.is_integer:
        raise invalid_value(
            argument,
            "int sample ids, as `with_sample_ids` gives them",
            f"ids of dtype {sample_id.dtype.name}. Keep names in an array of "
            "your own, which the ids index.",
        )
    if sample_id.shape.rank == 0 or any(
        leaf.shape.rank == 0 for leaf in keras.tree.flatten(x)
    ):
        raise invalid_value(
            argument,
            "a batched dataset",
            f"elements of {spec}. Call `batch` on it.",
        )
    for target in keras.tree.flatten(y):
        if target.dtype.name == "string":
            raise invalid_value(
                argument,
                "numbers as targets",
                "targets of dtype string. Number the classes, for example by "
                "`np.unique(labels, return_inverse=True)` or "
                "`keras.layers.StringLookup`.",
            )


def refuse_endless_epoch(dataset, steps_per_epoch):
    """Raises ValueError where an epoch has no end, which Keras accepts."""
    endless = tf.data.INFINITE_CARDINALITY
    if steps_per_epoch is None and int(dataset.cardinality()) == endless:
        raise invalid_value(
            "x",
            "a dataset that ends, or `fit(..., steps_per_epoch=...)`",
            "one that repeats without end, and steps_per_epoch=None. Leave "
            "`repeat` out, or give the number of steps.",
        )

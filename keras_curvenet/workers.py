"""Several worker processes that train together (`TF_CONFIG`)."""

import zlib

import keras
import tensorflow as tf

from keras_curvenet.version import __version__


def has_workers(strategy):
    """Bool: whether several processes train under a strategy."""
    kind = tf.distribute.MultiWorkerMirroredStrategy
    return isinstance(strategy, kind)


def is_chief(strategy):
    """Bool: whether this process is the one that writes files."""
    if not has_workers(strategy):
        return True
    resolver = strategy.cluster_resolver
    others = "chief" in resolver.cluster_spec().as_dict()
    if resolver.task_type == "worker":
        return resolver.task_id == 0 and not others
    return True  # The chief itself, or without a cluster.


def function_of_workers(model, step_function):
    """What runs a model's `train_step` or `test_step` on several workers.

    The logs of a step are those of this worker, since Keras can't reduce them
    (keras#20585, keras#20329); the logs of an epoch are of all of them.
    """
    strategy = model.distribute_strategy

    def step(iterator):
        logs = strategy.run(step_function, args=(iterator.get_next(),))
        return keras.tree.map_structure(
            lambda value: strategy.experimental_local_results(value)[0], logs
        )

    return step if model.run_eagerly else tf.function(step)


def sharded_by_data(dataset):
    """A dataset of which each worker takes its part of every batch.

    TensorFlow would give each worker files of its own where there are some:
    then ids would name other samples on each.
    """
    options = tf.data.Options()
    policy = tf.data.experimental.AutoShardPolicy.DATA
    options.experimental_distribute.auto_shard_policy = policy
    return dataset.with_options(options)


def refuse_different_workers(strategy, what, facts):
    """Raises ValueError on every worker where they are not alike.

    All of them wait here for each other. Without workers, this does nothing.

    Args:
        strategy: A `tf.distribute.Strategy`.
        what: String, what should be the same, for the message.
        facts: Dict from names to strings or bytes, the same names on all.
    """
    if not has_workers(strategy):
        return
    versions = __version__, tf.__version__, keras.__version__
    facts = {"the packages' versions": str(versions), **facts}
    sums = [
        zlib.crc32(fact.encode() if isinstance(fact, str) else fact)
        for fact in facts.values()
    ]

    def gather(own):
        context = tf.distribute.get_replica_context()
        return context.all_gather(tf.identity(own), axis=0)

    @tf.function
    def of_all_workers(own):
        return strategy.experimental_local_results(
            strategy.run(gather, args=(own,))
        )

    rows = of_all_workers(tf.constant([sums], tf.int64))[0].numpy()
    differing = [
        name
        for name, column in zip(facts, rows.T, strict=True)
        if len(set(column.tolist())) > 1
    ]
    if differing:
        raise ValueError(
            f"Expected {what} to be the same on all workers. Received: "
            f"workers that differ in {', '.join(differing)}. Run the same "
            "script on the same data and with the same packages everywhere, "
            "give the whole data to each worker (TensorFlow shares the batches "
            "out), and shuffle it by `keras_curvenet.shuffle_by_epoch` after "
            "`with_sample_ids`, which has a seed."
        )

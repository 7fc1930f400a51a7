"""A batch that is split over the replicas of a `tf.distribute` strategy.

On one device all of these functions give back what they get. Sums and means
over all replicas can be differentiated.
"""

import tensorflow as tf


def num_replicas():
    """Int: how many replicas train together here."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def of_all_replicas(values):
    """The values `(batch, ...)` of all replicas, one after the other."""
    if num_replicas() == 1:
        return values
    if values.dtype == tf.bool:
        return tf.cast(of_all_replicas(tf.cast(values, tf.int32)), tf.bool)
    context = tf.distribute.get_replica_context()
    # Without `identity`, several workers can't gather what a step was given.
    return context.all_gather(tf.identity(values), axis=0)


def sum_of_all_replicas(value):
    """The sum of a tensor over all replicas."""
    if num_replicas() == 1:
        return value
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def mean_of_all_replicas(values):
    """The mean of values `(batch,)` over the whole batch."""
    if num_replicas() == 1:
        return tf.reduce_mean(values)
    size = tf.cast(tf.shape(values)[0], values.dtype)
    return sum_of_all_replicas(tf.reduce_sum(values)) / sum_of_all_replicas(
        size
    )


def undo_scaling(loss):
    """A mean that Keras's losses divided by the number of replicas."""
    return loss * num_replicas()


def share_of_batch_mean(mean, size):
    """What a replica's mean adds to the mean of the whole batch.

    Args:
        mean: Float scalar, over the replica's part of the batch.
        size: Int scalar, samples in that part; none, perhaps.
    """
    if num_replicas() == 1:
        return mean
    size = tf.cast(size, mean.dtype)
    share = size / tf.maximum(sum_of_all_replicas(size), 1.0)
    return tf.math.multiply_no_nan(mean, share)


def apply_if_finite(optimizer, loss, gradients, variables):
    """Makes an optimizer's step where a loss is finite; elsewhere, nothing.

    Zero gradients would still move variables by momentum and weight decay.

    Args:
        optimizer: A built Keras optimizer.
        loss: Float scalar, the same on all replicas.
        gradients: List of gradients of `variables`, or None.
        variables: List of Keras variables.
    """
    is_finite = tf.math.is_finite(loss)

    def apply(gradients):
        optimizer.apply(gradients, variables)

    if not tf.distribute.has_strategy():
        tf.cond(is_finite, lambda: apply(gradients), lambda: None)
        return

    def apply_on_all(strategy, is_finite, gradients):
        def apply_on_each():
            strategy.extended.call_for_each_replica(apply, args=(gradients,))

        (is_finite, *_) = strategy.experimental_local_results(is_finite)
        tf.cond(is_finite, apply_on_each, lambda: None)

    # Only outside of replicas may all of them take one branch together.
    context = tf.distribute.get_replica_context()
    context.merge_call(apply_on_all, args=(is_finite, gradients))


def variable_of_all_replicas(value):
    """A variable to which all replicas assign the same.

    It is made in the present strategy's scope.
    """
    return tf.Variable(
        value,
        trainable=False,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


def has_strategy(model):
    """Bool: whether a model was made in a strategy's scope, of any size."""
    with model.distribute_strategy.scope():
        return tf.distribute.has_strategy()


def check_strategy(model, who):
    """Raises ValueError, in the name of `who`, for strategies that fail."""
    strategy = model.distribute_strategy
    is_mirrored = isinstance(
        strategy,
        tf.distribute.MirroredStrategy
        | tf.distribute.MultiWorkerMirroredStrategy,
    )
    others = tf.distribute.ParameterServerStrategy | tf.distribute.TPUStrategy
    is_default = strategy.num_replicas_in_sync == 1 and not is_mirrored
    if isinstance(strategy, others) or not (is_default or is_mirrored):
        raise ValueError(
            f"{who} works on one device, on several of one machine under "
            "`tf.distribute.MirroredStrategy`, and on several machines under "
            "`tf.distribute.MultiWorkerMirroredStrategy`. Received: model "
            f"'{model.name}' under {type(strategy).__name__}. Build it outside "
            "that strategy's scope."
        )
    if is_default:
        return
    for name, value in (
        ("steps_per_execution", model.steps_per_execution > 1),
        ("jit_compile", model.jit_compile is True),
    ):
        if value:
            raise ValueError(
                f"Invalid value for argument `{name}`. Expected `compile()` "
                "without it under a `tf.distribute` strategy, where Keras's "
                "own training fails with it (keras#19246). Received: "
                f"{name}={getattr(model, name)}. Leave it out."
            )

"""An order of samples that depends on nothing but a seed and the epoch."""

import contextlib
import random

import tensorflow as tf

from keras_curvenet.checked_arguments import as_int
from keras_curvenet.probing.dataset_graph import note_passes
from keras_curvenet.probing.dataset_graph import note_source
from keras_curvenet.probing.dataset_graph import passes_behind


def shuffle_by_epoch(dataset, buffer_size, seed=0):
    """Shuffles a dataset anew in every epoch, in an order that can be repeated.

    Use it after `with_sample_ids`, in place of `shuffle`, whose orders change
    when training is started again. Here they depend on the seed and on how many
    passes were made, which `BackupAndResume` sets to the epoch's number.

    Args:
        dataset: A `tf.data.Dataset`.
        buffer_size: Int >= 1, as of `Dataset.shuffle`: how many elements the
            next one is drawn from. The dataset's size shuffles it perfectly.
        seed: Int >= 0, or None for one drawn from Python's generator, which
            `keras.utils.set_random_seed` sets. Defaults to 0.

    Returns:
        A `tf.data.Dataset` of the same elements.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    x, y = np.zeros((100, 8), "float32"), np.zeros(100, "int32")
    train = kcn.with_sample_ids((x, y))
    train = kcn.shuffle_by_epoch(train, buffer_size=100).batch(32)
    ```
    """
    if not isinstance(dataset, tf.data.Dataset):
        raise TypeError(
            "Invalid value for argument `dataset`. Expected a "
            f"`tf.data.Dataset`. Received: {type(dataset).__name__}. Make one "
            "with `keras_curvenet.with_sample_ids`."
        )
    as_int("buffer_size", buffer_size, 1)
    if seed is not None:
        as_int("seed", seed, 0)
    return remade_each_pass(
        lambda epoch_seed: dataset.shuffle(
            buffer_size, seed=epoch_seed, reshuffle_each_iteration=False
        ),
        like=dataset,
        seed=seed,
    )


def remade_each_pass(make_dataset, like, seed):
    """A dataset that is made anew for each pass over it, with another seed.

    The next pass is that of epoch 0 at first, and `set_epoch` says otherwise.

    Args:
        make_dataset: Function of an int64 seed, a tensor, to a dataset.
        like: A dataset whose sample ids and size the result has.
        seed: Int >= 0, or None, as of `shuffle_by_epoch`.
    """
    if seed is None:
        seed = random.randrange(2**31)
    num_passes = tf.Variable(-1, dtype=tf.int64, trainable=False)
    # Two seeds share no order before a billion epochs.
    first_seed = int(seed) * 1_000_000_007

    def next_seed(_):
        return first_seed + num_passes.assign_add(1)

    def remade(epoch_seed):
        # The seed of this function's graph, in place of a global one: if that
        # is 0, TensorFlow takes the other for a Python number.
        tf.random.set_seed(1)
        return make_dataset(epoch_seed)

    dataset = tf.data.Dataset.from_tensors(0).map(next_seed)
    dataset = dataset.flat_map(remade)
    size = like.cardinality()
    if size != tf.data.UNKNOWN_CARDINALITY:  # As after `unbatch`.
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(size))
    dataset = dataset.with_options(like.options())
    note_source(dataset, like)
    note_passes(dataset, num_passes)
    return dataset


@contextlib.contextmanager
def passes_unchanged(dataset):
    """Lets a look at a dataset leave the order of its later passes as it is."""
    before = [(passes, passes.numpy()) for passes in passes_behind(dataset)]
    yield
    for passes, number in before:
        passes.assign(number)


def set_epoch(dataset, epoch):
    """Lets the next pass over a dataset be that of an epoch."""
    for passes in passes_behind(dataset):
        passes.assign(epoch - 1)

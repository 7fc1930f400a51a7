"""Orders that depend on a seed and an epoch alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import testing_utils

import keras_curvenet as kcn
from keras_curvenet.probing.epoch_order import passes_unchanged
from keras_curvenet.probing.epoch_order import set_epoch
from keras_curvenet.probing.sample_ids import is_weighted
from keras_curvenet.probing.sample_ids import num_samples_of


def passes(dataset, count):
    return [[int(x) for x in dataset] for _ in range(count)]


def numbers(seed=0, buffer_size=30):
    return kcn.shuffle_by_epoch(tf.data.Dataset.range(30), buffer_size, seed)


def test_each_pass_has_another_order_of_all_elements():
    orders = passes(numbers(), 4)
    assert all(sorted(order) == list(range(30)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


def test_orders_are_those_of_the_seed():
    assert passes(numbers(5), 3) == passes(numbers(5), 3)
    first, second = passes(numbers(5), 3), passes(numbers(6), 3)
    assert all(order not in second for order in first)


def test_an_epoch_has_its_order_whatever_was_before():
    dataset = numbers()
    orders = passes(dataset, 4)
    set_epoch(dataset, 2)
    assert passes(dataset, 2) == orders[2:]
    set_epoch(dataset, 0)
    assert passes(dataset, 4) == orders


def test_an_epoch_of_one_dataset_leaves_others_alone():
    one, other = numbers(), numbers()
    orders = passes(other, 4)
    set_epoch(other, 1)
    set_epoch(one.batch(2).prefetch(1), 3)
    assert passes(other, 3) == orders[1:]
    assert passes(one, 1) == orders[3:]


def test_all_that_is_zipped_or_shuffled_again_follows_the_epoch():
    def make():
        twice = kcn.shuffle_by_epoch(numbers(1), 30, seed=2).batch(3)
        return tf.data.Dataset.zip(twice, numbers(3).batch(3))

    def orders(dataset, count):
        return [
            [[int(x) for x in np.ravel(pair)] for pair in dataset]
            for _ in range(count)
        ]

    dataset = make()
    set_epoch(dataset, 2)
    assert orders(dataset, 1) == orders(make(), 3)[2:]


def test_a_look_leaves_the_order_of_later_passes():
    dataset = numbers()
    with passes_unchanged(dataset.batch(2)):
        looked_at = passes(dataset, 2)
    assert passes(dataset, 2) == looked_at


@pytest.mark.parametrize("global_seed", [0, 1])
def test_the_global_seed_changes_nothing(global_seed):
    orders = passes(numbers(), 2)
    keras.utils.set_random_seed(global_seed)
    assert passes(numbers(), 2) == orders


def test_without_a_seed_pythons_generator_decides():
    keras.utils.set_random_seed(1)
    first = passes(numbers(None), 2)
    keras.utils.set_random_seed(1)
    assert passes(numbers(None), 2) == first
    assert passes(numbers(None), 2) != first


def test_batches_with_ids_are_unbatched_and_shuffled():
    x, y = testing_utils.tiny_data()
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    train = kcn.with_sample_ids(batches).unbatch()  # Of unknown size.
    train = kcn.shuffle_by_epoch(train, buffer_size=20)
    assert num_samples_of(train) == 20
    orders = [[int(ids) for _, _, _, ids in train] for _ in range(2)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(20))


def test_a_small_buffer_shuffles_nearby():
    (order,) = passes(numbers(buffer_size=3), 1)
    # At most two others can wait in the buffer.
    assert all(x <= position + 2 for position, x in enumerate(order))


def test_ids_and_weights_are_still_known():
    x, y = testing_utils.tiny_data()
    train = kcn.shuffle_by_epoch(kcn.with_sample_ids((x, y)), 20).batch(6)
    assert num_samples_of(train) == 20
    assert not is_weighted(train)
    assert int(train.cardinality()) == 4
    ids = np.concatenate([batch[3] for batch in train])
    assert sorted(ids) == list(range(20))
    for inputs, labels, _, batch_ids in train:
        np.testing.assert_array_equal(inputs, x[batch_ids])
        np.testing.assert_array_equal(labels, y[batch_ids])


def test_ids_given_after_it_are_refused():
    dataset = tf.data.Dataset.from_tensor_slices(testing_utils.tiny_data())
    train = kcn.with_sample_ids(kcn.shuffle_by_epoch(dataset, 20))
    with pytest.raises(ValueError, match="call `with_sample_ids` first|first"):
        num_samples_of(train.batch(4))


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"dataset": [1, 2]}, TypeError, "dataset"),
        ({"buffer_size": 0}, ValueError, "buffer_size"),
        ({"buffer_size": 2.5}, ValueError, "buffer_size"),
        ({"buffer_size": "all"}, ValueError, "buffer_size"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": True}, ValueError, "seed"),
    ],
)
def test_bad_arguments(arguments, error, name):
    good = {"dataset": tf.data.Dataset.range(3), "buffer_size": 3}
    with pytest.raises(error, match=f"argument `{name}`"):
        kcn.shuffle_by_epoch(**{**good, **arguments})

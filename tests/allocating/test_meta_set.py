import itertools
import time
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models

from keras_curvenet.allocating import meta_set


def first_batches(meta_data, count, batch_size=None):
    dataset = meta_set.meta_batches(
        meta_data, batch_size, tiny_models.NUM_CLASSES
    )
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def dataset_of(*arrays, batch_size=6):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size)


def test_arrays_come_in_full_batches_without_end():
    x, y = tiny_models.meta_arrays()
    batches = first_batches((x, y), 9, batch_size=4)
    assert [len(batch[0]) for batch in batches] == [4] * 9
    # Six samples: three batches of four are each sample twice.
    labels = np.concatenate([batch[1] for batch in batches[:3]])
    np.testing.assert_array_equal(np.sort(labels), np.sort([*y, *y]))
    np.testing.assert_array_equal(batches[0][2], np.ones(4))


def test_a_batch_larger_than_the_meta_set_is_full():
    (batch,) = first_batches(tiny_models.meta_arrays(), 1, batch_size=10)
    assert batch[0].shape == (10, 4)


def test_rows_stay_together():
    x, y = tiny_models.meta_arrays()
    weight = np.arange(6, dtype="float32")
    for batch in first_batches((x, y, weight), 5, batch_size=4):
        rows = batch[2].astype(int)
        np.testing.assert_array_equal(batch[0], x[rows])
        np.testing.assert_array_equal(batch[1], y[rows])


def test_a_datasets_own_batches_repeat():
    x, y = tiny_models.meta_arrays()
    batches = first_batches(dataset_of(x, y, batch_size=4), 4)
    for pass_over_the_set in (batches[:2], batches[2:]):
        large, small = sorted(pass_over_the_set, key=lambda b: -len(b[0]))
        np.testing.assert_array_equal(large[0], x[:4])
        np.testing.assert_array_equal(small[0], x[4:])
        np.testing.assert_array_equal(small[2], np.ones(2))


def test_batches_past_an_epochs_steps_are_used():
    keras.utils.set_random_seed(0)
    x, y = tiny_models.meta_arrays()
    dataset = meta_set.meta_batches(dataset_of(x, y, batch_size=1), None, 3)
    first = [int(next(iter(dataset))[1][0]) for _ in range(20)]
    assert set(first) == {0, 1, 2}  # The first batch of 20 epochs.


def test_an_endless_dataset_of_unknown_size():
    x, y = tiny_models.meta_arrays()

    def generate():
        while True:
            yield x, y

    spec = dataset_of(x, y, batch_size=6).element_spec
    dataset = tf.data.Dataset.from_generator(generate, output_signature=spec)
    for batch in first_batches(dataset, 2):
        np.testing.assert_array_equal(batch[1], y)


def test_targets_that_are_not_the_curves_classes():
    x, y = tiny_models.meta_arrays()
    dataset = meta_set.meta_batches((x, y - 5.0), 6, None)
    assert next(iter(dataset))[1].shape == (6,)


def test_labels_out_of_range():
    x, y = tiny_models.meta_arrays()
    with pytest.raises(ValueError, match="Received: labels such as .7"):
        first_batches((x, np.where(y == 2, 7, y)), 1, batch_size=2)


def test_a_dataset_is_batched_anew():
    x, y = tiny_models.meta_arrays()
    batches = first_batches(dataset_of(x, y), 3, batch_size=4)
    assert [len(batch[0]) for batch in batches] == [4, 4, 4]
    np.testing.assert_array_equal(batches[1][0], [*x[4:], *x[:2]])


def test_an_infinite_dataset_is_not_read_through():
    batches = first_batches(dataset_of(*tiny_models.meta_arrays()).repeat(), 3)
    assert [len(batch[0]) for batch in batches] == [6, 6, 6]


def test_a_dataset_of_unknown_size():
    dataset = dataset_of(*tiny_models.meta_arrays()).filter(lambda x, y: True)
    assert len(first_batches(dataset, 3)) == 3


def test_weights_of_a_dataset_are_kept():
    weight = np.arange(6, dtype="float32")
    dataset = dataset_of(*tiny_models.meta_arrays(), weight)
    (batch,) = first_batches(dataset, 1)
    np.testing.assert_array_equal(batch[2], weight)


def test_structured_elements():
    x, y = tiny_models.meta_arrays()
    (batch,) = first_batches(({"a": x, "b": x}, {"c": y, "d": x}), 1, 4)
    assert batch[0]["b"].shape == (4, 4)
    assert batch[1]["c"].shape == (4,)
    assert batch[2].shape == (4,)


def test_one_hot_targets_have_each_class():
    x, y = tiny_models.meta_arrays()
    (batch,) = first_batches((x, np.eye(3, dtype="float32")[y]), 1, 4)
    assert batch[1].shape == (4, 3)


@pytest.mark.parametrize("as_dataset", [False, True])
@pytest.mark.parametrize("one_hot", [False, True])
def test_a_missing_class(as_dataset, one_hot):
    x, y = tiny_models.meta_arrays()
    x, y = x[y != 1], y[y != 1]
    if one_hot:
        y = np.eye(3, dtype="float32")[y]
    meta_data = dataset_of(x, y) if as_dataset else (x, y)
    with pytest.raises(
        ValueError, match=r"Received: none of class\(es\) \[1\]"
    ):
        first_batches(meta_data, 1, 4)


@pytest.mark.parametrize("target", [1.0, 0.9])
def test_a_missing_class_of_binary_targets(target):
    x = tiny_models.meta_arrays()[0]
    with pytest.raises(
        ValueError, match=r"Received: none of class\(es\) \[0\]"
    ):
        meta_set.meta_batches((x, np.full((6, 1), target)), 4, num_classes=2)


def test_strings_are_no_binary_targets():
    x = tiny_models.meta_arrays()[0]
    with pytest.raises(ValueError, match="Received: labels such as .b'cat'"):
        meta_set.meta_batches((x, np.repeat(["cat"], 6)), 4, num_classes=2)


def test_many_classes_take_linear_time():
    # A mask for each class would take more than a minute.
    start = time.process_time()
    labels = np.arange(500_000)
    assert meta_set._check_targets([labels], len(labels)) == 1
    curves = types.SimpleNamespace(labels=labels)
    counts = np.full(len(labels), 10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meta_set, "estimate_class_counts", lambda _: counts)
        held_out = meta_set._held_out_of(labels, curves)
    np.testing.assert_array_equal(held_out, labels)
    assert time.process_time() - start < 10.0


def test_an_unbatched_dataset():
    dataset = tf.data.Dataset.from_tensor_slices(tiny_models.meta_arrays())
    with pytest.raises(ValueError, match="Call `batch` on it"):
        first_batches(dataset, 1)


def test_a_dataset_with_ids():
    x, y = tiny_models.meta_arrays()
    (batch,) = first_batches(tiny_models.with_ids((x, y)), 1)
    assert len(batch) == 3
    np.testing.assert_array_equal(batch[1], y)


def test_a_dataset_without_targets():
    x, _ = tiny_models.meta_arrays()
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(3)
    with pytest.raises(ValueError, match="Received: elements of TensorSpec"):
        first_batches(dataset, 1)


def test_an_empty_dataset():
    with pytest.raises(ValueError, match="Received: an empty dataset"):
        first_batches(dataset_of(*tiny_models.meta_arrays()).take(0), 1)


def test_an_endless_dataset_of_nothing_known_is_accepted_lazily():
    dataset = dataset_of(*tiny_models.meta_arrays()).repeat()
    (batch,) = first_batches(dataset, 1, batch_size=2)
    assert len(batch[0]) == 2


@pytest.mark.parametrize(
    ("meta_data", "received"),
    [
        ((np.zeros((0, 4)), np.zeros(0)), r"shapes \[\(0, 4\), \(0,\)\]"),
        ((np.zeros((3, 4)), np.zeros(2)), r"shapes \[\(3, 4\), \(2,\)\]"),
        ((np.zeros((3, 4)),), "a tuple of 1"),
    ],
)
def test_invalid_arrays(meta_data, received):
    with pytest.raises(ValueError, match=f"`meta_data`.*Received: {received}"):
        first_batches(meta_data, 1, 4)


@pytest.mark.parametrize("meta_data", ["clean", 3, np.zeros((3, 4))])
def test_another_type(meta_data):
    name = type(meta_data).__name__
    with pytest.raises(TypeError, match=f"Received: {name}"):
        first_batches(meta_data, 1, 4)

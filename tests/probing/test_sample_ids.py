import keras
import numpy as np
import pytest
import tensorflow as tf
import testing_utils

import keras_curvenet as kcn
from keras_curvenet.probing import sample_ids

N = 12


def arrays():
    x, _ = testing_utils.tiny_data(N)
    return x, np.arange(N, dtype="int32")  # The target names the sample.


def slices():
    return tf.data.Dataset.from_tensor_slices(arrays())


def columns(dataset):
    """Stacked (x, y, sample_weight, sample_id) of an unbatched dataset."""
    rows = list(dataset.as_numpy_iterator())
    return [np.stack(column) for column in zip(*rows, strict=True)]


def generator_dataset():
    x, y = arrays()
    return tf.data.Dataset.from_generator(
        lambda: zip(x, y, strict=True),
        output_signature=(
            tf.TensorSpec((testing_utils.NUM_INPUTS,), tf.float32),
            tf.TensorSpec((), tf.int32),
        ),
    )


# --- What comes out ----------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        arrays,
        slices,
        generator_dataset,
        lambda: slices().filter(lambda x, y: True),
        lambda: slices().map(lambda x, y: (x, y)).prefetch(2),
        lambda: slices().batch(5).unbatch(),
        lambda: slices().interleave(
            lambda x, y: tf.data.Dataset.from_tensors((x, y))
        ),
    ],
    ids=["arrays", "slices", "generator", "filter", "map", "unbatch", "nested"],
)
def test_ids_count_the_samples_in_order(make):
    dataset = kcn.with_sample_ids(make())
    assert int(dataset.cardinality()) == N
    x, y, weights, ids = columns(dataset)
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(ids, np.arange(N))
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights, 1)
    np.testing.assert_array_equal(x, arrays()[0])
    np.testing.assert_array_equal(y, arrays()[1])
    assert y.dtype == np.int32


@pytest.mark.parametrize("from_arrays", [True, False])
def test_given_weights_are_kept(from_arrays):
    given = np.linspace(0, 2, N, dtype="float32")
    data = (*arrays(), given)
    if not from_arrays:
        data = tf.data.Dataset.from_tensor_slices(data)
    _, _, weights, ids = columns(kcn.with_sample_ids(data))
    np.testing.assert_array_equal(weights, given)
    np.testing.assert_array_equal(ids, np.arange(N))


def test_weights_of_none_are_ones():
    _, _, weights, _ = columns(kcn.with_sample_ids((*arrays(), None)))
    np.testing.assert_array_equal(weights, 1)


def test_float64_arrays_become_floatx():
    x, y = arrays()
    spec = kcn.with_sample_ids((x.astype("float64"), y)).element_spec
    assert spec[0].dtype == tf.float32


@pytest.mark.parametrize("container", [list, tuple, "dict"])
def test_several_inputs_and_outputs(container):
    x, y = arrays()

    def several(array):
        if container == "dict":
            return {"a": array, "b": array + 1}
        return container([array, array + 1])

    dataset = kcn.with_sample_ids((several(x), several(y)))
    key = "b" if container == "dict" else 1
    for sample, (inputs, targets, _, sample_id) in enumerate(dataset):
        assert int(sample_id) == sample
        np.testing.assert_array_equal(inputs[key], x[sample] + 1)
        assert int(targets[key]) == y[sample] + 1


def test_filtered_samples_get_no_id():
    kept = slices().filter(lambda x, y: y % 3 == 0)
    dataset = kcn.with_sample_ids(kept)
    assert int(dataset.cardinality()) == 4
    _, y, _, ids = columns(dataset)
    np.testing.assert_array_equal(ids, [0, 1, 2, 3])
    np.testing.assert_array_equal(y, [0, 3, 6, 9])


# --- The way to the model ----------------------------------------------------

TRANSFORMATIONS = {
    "shuffle": lambda data: data.shuffle(N),
    "batch": lambda data: data.batch(5).unbatch(),
    "padded_batch": lambda data: data.padded_batch(5).unbatch(),
    "map": lambda data: data.map(lambda x, y, w, i: (x + 1, y, w, i)),
    "prefetch": lambda data: data.prefetch(1),
    "repeat": lambda data: data.repeat(2).take(N),
    "cache": lambda data: data.cache(),
    "take": lambda data: data.take(N),
    "concatenate": lambda data: data.take(5).concatenate(data.skip(5)),
    "zip": lambda data: tf.data.Dataset.zip(data, tf.data.Dataset.range(N)).map(
        lambda sample, _: sample
    ),
    "options": lambda data: data.with_options(tf.data.Options()),
}


@pytest.mark.parametrize("name", list(TRANSFORMATIONS))
def test_ids_and_their_number_survive(name):
    data = TRANSFORMATIONS[name](kcn.with_sample_ids(arrays()))
    _, y, _, ids = columns(data)
    np.testing.assert_array_equal(np.sort(ids), np.arange(N))
    np.testing.assert_array_equal(ids, y)
    assert sample_ids.num_samples_of(data) == N


@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
@pytest.mark.parametrize("name", ["shuffle", "batch", "repeat", "zip"])
def test_number_of_samples_reaches_the_recorder(name):
    data = TRANSFORMATIONS[name](kcn.with_sample_ids(arrays()))
    model = testing_utils.tiny_model(units=N)
    model.compile("sgd", testing_utils.sparse_loss(), run_eagerly=True)
    recorder = kcn.LossCurveRecorder()
    model.fit(data.batch(4), callbacks=[recorder], verbose=0)
    values = recorder.loss_curves.values
    assert values.shape == (N, 1)
    assert np.isfinite(values).all()


def test_number_is_that_of_the_whole_after_take():
    data = kcn.with_sample_ids(arrays()).take(3).batch(2)
    assert sample_ids.num_samples_of(data) == N


def test_one_pass_over_a_dataset_of_unknown_size():
    passes = []

    def generate():
        passes.append(None)
        yield from zip(*arrays(), strict=True)

    dataset = tf.data.Dataset.from_generator(
        generate, output_signature=generator_dataset().element_spec
    )
    kcn.with_sample_ids(dataset)
    assert len(passes) == 1


# --- The order of the data ---------------------------------------------------


@pytest.mark.parametrize(
    "shuffle",
    [
        lambda data: data.shuffle(N),
        lambda data: data.shuffle(N, seed=1),
        lambda data: data.shuffle(N).map(lambda x, y: (x, y)).prefetch(1),
        lambda data: data.cache().shuffle(N),
        lambda data: tf.data.Dataset.zip(
            data.map(lambda x, y: x).shuffle(N), data.map(lambda x, y: y)
        ),
    ],
)
def test_reshuffling_dataset_is_refused(shuffle):
    train = kcn.with_sample_ids(shuffle(slices())).batch(2)
    with pytest.raises(ValueError, match="Received: .*shuffled anew in every"):
        sample_ids.num_samples_of(train)


def test_reshuffling_dataset_is_refused_before_training():
    model = testing_utils.tiny_model("sequential")
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    x, y = testing_utils.tiny_data()
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x))
    train = kcn.with_sample_ids(data).batch(4)
    before = model.get_weights()
    recorder = kcn.LossCurveRecorder()
    with pytest.raises(ValueError, match="an id's label changes"):
        model.fit(train, epochs=3, callbacks=[recorder], verbose=0)
    for left, right in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    "shuffle",
    [
        lambda data: data.shuffle(N, reshuffle_each_iteration=False),
        lambda data: data.shuffle(N).cache(),
        lambda data: data.filter(lambda x, y: True).shuffle(N).cache(),
    ],
    ids=["once", "cached", "cached_of_unknown_size"],
)
def test_settled_order_is_accepted(shuffle):
    dataset = kcn.with_sample_ids(shuffle(slices()))
    _, first, _, _ = columns(dataset)
    _, second, _, ids = columns(dataset.repeat(1))
    np.testing.assert_array_equal(ids, np.arange(N))
    np.testing.assert_array_equal(first, second)
    assert sorted(first) == list(range(N))


def in_any_order(data):
    options = tf.data.Options()
    options.deterministic = False
    return data.with_options(options)


def readers(**arguments):
    """Slices that two readers read, each a half."""
    return tf.data.Dataset.range(2).interleave(
        lambda half: slices().skip(half * N // 2).take(N // 2),
        num_parallel_calls=2,
        **arguments,
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: kcn.with_sample_ids(readers(deterministic=False)),
        lambda: kcn.with_sample_ids(in_any_order(readers())),
        lambda: in_any_order(kcn.with_sample_ids(readers())),
        lambda: in_any_order(kcn.with_sample_ids(readers(deterministic=False))),
        lambda: kcn.with_sample_ids(
            slices()
            .map(lambda x, y: (x, y), 2, deterministic=False)
            .prefetch(1)
        ),
        lambda: kcn.with_sample_ids(
            slices().batch(2, num_parallel_calls=2, deterministic=False)
        ).unbatch(),
    ],
    ids=["interleave", "option", "later option", "both", "map", "batch"],
)
def test_readers_in_any_order_are_refused(make):
    with pytest.raises(ValueError, match="`deterministic=False` "):
        sample_ids.num_samples_of(make().batch(2))


@pytest.mark.parametrize(
    "make",
    [
        lambda: kcn.with_sample_ids(readers()),
        lambda: kcn.with_sample_ids(readers(deterministic=True)),
        lambda: in_any_order(kcn.with_sample_ids(readers(deterministic=True))),
        lambda: kcn.with_sample_ids(readers(deterministic=False).cache()),
        lambda: in_any_order(kcn.with_sample_ids(arrays())),
        lambda: kcn.with_sample_ids(slices()).map(
            lambda *row: row, 2, deterministic=False
        ),
    ],
    ids=["default", "told", "option", "cached", "arrays", "after the ids"],
)
def test_readers_in_one_order_are_accepted(make):
    assert sample_ids.num_samples_of(make().batch(2)) == N


def test_the_last_of_two_readers_counts():
    data = readers(deterministic=False).cache()
    data = data.interleave(
        lambda x, y: tf.data.Dataset.from_tensors((x, y)),
        num_parallel_calls=2,
        deterministic=True,
    )
    assert sample_ids.num_samples_of(kcn.with_sample_ids(data).batch(2)) == N


# --- Batches -----------------------------------------------------------------


def forget_size(tensor):
    shape = [None, *tensor.shape[1:]]
    return tf.ensure_shape(
        tf.numpy_function(lambda x: x, [tensor], tensor.dtype), shape
    )


@pytest.mark.parametrize(
    ("batch", "num_samples"),
    [
        (lambda data: data.batch(4), N),
        (lambda data: data.batch(4, drop_remainder=True), N - N % 4),
        (lambda data: data.batch(4, num_parallel_calls=2), N),
        (lambda data: data.padded_batch(4), N),
        (lambda data: data.batch(4).map(lambda x, y: (x + 0, y)), N),
        (
            lambda data: data.batch(4, drop_remainder=True).map(
                lambda x, y: (forget_size(x), forget_size(y))
            ),
            N - N % 4,
        ),
        (lambda data: data.batch(4).cache().prefetch(2), N),
        (lambda data: data.filter(lambda x, y: True).batch(4), N),
        (lambda data: data.batch(4).skip(1), N - 4),
        (lambda data: data.batch(4).take(2).repeat(2), 16),
        (lambda data: data.batch(2 * N), N),
        (lambda data: data.map(lambda x, y: (x, y, 1.0)).batch(4), N),
    ],
    ids=[
        "batch",
        "drop",
        "parallel",
        "padded",
        "map",
        "forgotten",
        "cache",
        "filter",
        "skip",
        "repeat",
        "one",
        "weighted",
    ],
)
def test_batches_keep_their_samples(batch, num_samples):
    batches = batch(slices())
    with_ids = kcn.with_sample_ids(batches)
    assert sample_ids.num_samples_of(with_ids) == num_samples
    assert int(with_ids.cardinality()) == len(list(batches))
    x, y, weights, ids = columns(with_ids.unbatch())
    expected = columns(batches.unbatch())
    np.testing.assert_array_equal(x, expected[0])
    np.testing.assert_array_equal(y, expected[1])
    np.testing.assert_array_equal(weights, 1.0)
    np.testing.assert_array_equal(ids, np.arange(num_samples))
    assert ids.dtype == np.int64


def test_batches_are_recorded_in_any_order():
    x, y = testing_utils.tiny_data()
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(6)
    train = kcn.with_sample_ids(batches).shuffle(4)
    model = testing_utils.tiny_model()
    model.compile(
        keras.optimizers.SGD(0.0),
        testing_utils.sparse_loss(),
        run_eagerly=True,
    )
    recorder = kcn.LossCurveRecorder()
    model.fit(train, epochs=2, callbacks=[recorder], verbose=0)
    expected = testing_utils.cross_entropy(model.predict(x, verbose=0), y)
    curves = recorder.loss_curves
    np.testing.assert_allclose(curves.values[:, 1], expected, rtol=1e-5)
    np.testing.assert_array_equal(curves.labels, y)


def test_a_folder_of_images(tmp_path):
    """Ids index `file_paths`; a folder that is shuffled is refused."""
    for label in range(2):
        (tmp_path / f"class_{label}").mkdir()
        for number in range(3):
            image = np.full((4, 4, 3), 40 * number + 100 * label, "uint8")
            path = tmp_path / f"class_{label}" / f"{number}.png"
            keras.utils.save_img(path, image, scale=False)

    def read(shuffle):
        return keras.utils.image_dataset_from_directory(
            tmp_path,
            image_size=(4, 4),
            batch_size=4,
            shuffle=shuffle,
            verbose=False,
        )

    train = kcn.with_sample_ids(read(False))
    assert sample_ids.num_samples_of(train) == 6
    assert train.class_names == ["class_0", "class_1"]
    for images, labels, _, ids in train.as_numpy_iterator():
        for image, label, sample_id in zip(images, labels, ids, strict=True):
            stored = keras.utils.load_img(train.file_paths[sample_id])
            assert image[0, 0, 0] == np.asarray(stored)[0, 0, 0]
            assert f"class_{label}" in train.file_paths[sample_id]
    with pytest.raises(ValueError, match="shuffled anew in every epoch"):
        sample_ids.num_samples_of(kcn.with_sample_ids(read(True)))


def test_shuffled_batches_are_refused():
    batches = slices().batch(4).shuffle(3)
    with pytest.raises(ValueError, match="shuffled anew in every epoch"):
        sample_ids.num_samples_of(kcn.with_sample_ids(batches))


# --- No function for each sample ---------------------------------------------


@pytest.mark.parametrize("make", [arrays, slices])
def test_no_function_is_run_for_each_sample(make, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a function for every element")

    for name in ("map", "scan", "flat_map"):
        monkeypatch.setattr(tf.data.Dataset, name, refuse)
    assert len(list(kcn.with_sample_ids(make()))) == N


# --- Errors ------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: slices().repeat(), "Received: an infinite one"),
        (lambda: slices().take(0), "Received: an empty dataset"),
        (
            lambda: slices().filter(lambda x, y: False),
            "Received: an empty dataset",
        ),
        (lambda: slices().map(lambda x, y: x), "Received: elements of Tensor"),
        (lambda: slices().map(lambda x, y: (x,)), r"Received: elements of \("),
        (
            lambda: slices().map(lambda x, y: (x, y, 1.0, y)),
            r"Received: elements of \(",
        ),
        (
            lambda: slices().map(lambda x, y: {"x": x, "y": y}),
            "Received: elements of {",
        ),
        (lambda: kcn.with_sample_ids(arrays()), "made already"),
        (
            lambda: kcn.with_sample_ids(arrays()).map(
                lambda x, y, w, i: (x, y)
            ),
            "made already",
        ),
        (
            lambda: (arrays()[0], arrays()[1][:-1]),
            r"Received: shapes \[\(12, 4\), \(11,\)\]",
        ),
        (
            lambda: (np.zeros((0, 2)), np.zeros(0)),
            r"Received: shapes \[\(0, 2\), \(0,\)\]",
        ),
        (lambda: (1.0, 2.0), r"Received: shapes \[\(\), \(\)\]"),
        (lambda: (arrays()[0],), "Received: a tuple of 1"),
        (lambda: (*arrays(), *arrays()), "Received: a tuple of 4"),
    ],
)
def test_data_that_cannot_work(make, match):
    with pytest.raises(ValueError, match=f"`dataset`.*{match}"):
        kcn.with_sample_ids(make())


@pytest.mark.parametrize(
    "data, match",
    [
        (np.zeros((3, 2)), "of type ndarray"),
        (iter([]), "of type list_iterator"),
        (None, "of type NoneType"),
    ],
)
def test_other_types(data, match):
    with pytest.raises(TypeError, match=match):
        kcn.with_sample_ids(data)


def test_two_datasets_with_ids_do_not_mix():
    first = kcn.with_sample_ids(arrays())
    second = kcn.with_sample_ids(arrays())
    model = testing_utils.tiny_model(units=N)
    model.compile("sgd", testing_utils.sparse_loss(), run_eagerly=True)
    with pytest.raises(ValueError, match="a dataset made of 2 of them"):
        model.fit(
            first.concatenate(second).batch(4),
            callbacks=[kcn.LossCurveRecorder()],
            verbose=0,
        )


def test_number_of_a_dataset_without_ids():
    with pytest.raises(ValueError, match="`meta_data`.*Received: elements"):
        sample_ids.num_samples_of(slices(), "meta_data")


# --- Helpers for the models --------------------------------------------------


def test_has_and_split_sample_ids():
    batch = next(iter(kcn.with_sample_ids(arrays()).batch(5)))
    assert sample_ids.has_sample_ids(batch)
    assert not sample_ids.has_sample_ids(batch[:3])
    data, ids = sample_ids.split_sample_ids(batch)
    assert len(data) == 3
    assert ids.dtype == tf.int64
    np.testing.assert_array_equal(ids, np.arange(5))

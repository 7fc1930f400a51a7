"""What people hold in their hands, and what is right for it: data."""

import pathlib

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
import wrong_uses
from wrong_uses import network

import keras_curvenet as kcn
from keras_curvenet.probing.array_rows import rows_of_arrays

N = 12
TEXTS = ["good film", "bad film", "no film"] * (N // 3)
LABELS = np.arange(N) % 3
FEATURES = np.random.default_rng(0).normal(size=(N, 4)).astype("float32")

few_samples = pytest.mark.filterwarnings(
    "ignore:(Class|All samples):UserWarning"
)


LOSS = "sparse_categorical_crossentropy"


def slices(*parts):
    return tf.data.Dataset.from_tensor_slices(parts)


def curves(labels=LABELS):
    """Of samples that are learned, all alike, so that all look right."""
    noise = np.random.default_rng(1).uniform(0.0, 0.1, (len(labels), 4))
    return kcn.LossCurves(np.linspace(1.0, 0.1, 4) + noise, labels, 3)


def fit(model, *data, meta_data=None, **kwargs):
    """The fitted `CurveWeightedModel` around a model."""
    weighted = kcn.CurveWeightedModel(model)
    weighted.compile("sgd", LOSS, run_eagerly=True)
    kwargs = {"loss_curves": curves(), "verbose": 0, **kwargs}
    history = weighted.fit(*data, meta_data=meta_data, **kwargs).history
    assert np.isfinite(history["loss"]).all()
    return weighted


def probe(data, epochs=2):
    """The `LossCurves` of a small network."""
    model = network()
    model.compile("sgd", LOSS, run_eagerly=True)
    recorder = kcn.LossCurveRecorder()
    model.fit(data, epochs=epochs, callbacks=[recorder], verbose=0)
    return recorder.loss_curves


def samples(dataset):
    """The parts of an unbatched dataset's elements, each as one array."""
    rows = list(dataset.as_numpy_iterator())
    return [np.array(part) for part in zip(*rows, strict=True)]


# --- Texts -------------------------------------------------------------------

TEXT_FORMS = {
    "list": TEXTS,
    "objects": np.array(TEXTS, object),
    "fixed width": np.array(TEXTS),
    "bytes": np.array(TEXTS).astype("S"),
    "series": pd.Series(TEXTS),
    "shuffled series": pd.Series(TEXTS, index=range(N)[::-1]),
    "series of objects": pd.Series(TEXTS, dtype=object),
    "tensor": tf.constant(TEXTS),
}


def text_model(names=("text",)):
    """Looks words up within the model."""
    inputs, vectors = {}, []
    for name in names:
        inputs[name] = keras.Input((), dtype="string", name=name)
        words = keras.layers.TextVectorization(
            vocabulary=["good", "bad", "no", "film"], output_sequence_length=3
        )
        vectors.append(keras.layers.Embedding(6, 4)(words(inputs[name])))
    mean = keras.layers.GlobalAveragePooling1D()(sum(vectors))
    outputs = keras.layers.Dense(3, activation="softmax")(mean)
    return keras.Model(
        inputs if len(inputs) > 1 else [*inputs.values()][0], outputs
    )


@pytest.mark.parametrize("form", TEXT_FORMS)
def test_texts_get_ids(form):
    x, y, _, ids = samples(kcn.with_sample_ids((TEXT_FORMS[form], LABELS)))
    assert [text.decode() for text in x] == TEXTS
    np.testing.assert_array_equal(y, LABELS)
    np.testing.assert_array_equal(ids, np.arange(N))


@few_samples
@pytest.mark.parametrize("form", TEXT_FORMS)
def test_texts_are_allocated(form):
    """As `x` and as `meta_data`, with a text vectorization inside."""
    texts = TEXT_FORMS[form]
    fit(text_model(), texts, LABELS, meta_data=(texts, LABELS))


@pytest.mark.parametrize("is_traced", [False, True])
def test_texts_are_probed_in_batches_of_one_static_size(is_traced):
    """A vectorization forgets the size of the batch, which targets keep."""
    model, recorder = text_model(), kcn.LossCurveRecorder()
    model.compile(
        "sgd", "sparse_categorical_crossentropy", run_eagerly=not is_traced
    )
    data = kcn.with_sample_ids((TEXTS, LABELS)).batch(4, drop_remainder=True)
    model.fit(data, verbose=0, callbacks=[recorder])
    assert np.isfinite(recorder.loss_curves.values[: N - N % 4]).all()


def arrow_texts():
    pytest.importorskip("pyarrow")
    return pd.Series(TEXTS, dtype="string[pyarrow]")


@few_samples
@pytest.mark.parametrize("form", [lambda: TEXTS, arrow_texts])
@pytest.mark.parametrize("container", [dict, list, tuple])
def test_texts_among_several_inputs(container, form):
    texts = form()
    inputs = {"title": texts, "text": np.array(TEXTS, object)}
    x = inputs if container is dict else container(inputs.values())
    model = text_model(("title", "text"))
    if container is not dict:
        model = keras.Model(list(model.input.values()), model.output)
    fit(model, x, LABELS)
    batch = next(iter(kcn.with_sample_ids((x, LABELS)).batch(N)))
    title = batch[0]["title" if container is dict else 0]
    assert [text.decode() for text in title.numpy()] == TEXTS


@few_samples
@pytest.mark.parametrize("is_dataset", [False, True])
def test_texts_without_meta_data(is_dataset):
    """The meta set is read from the texts themselves."""
    data = np.array(TEXTS, object), LABELS
    if is_dataset:
        data = (kcn.with_sample_ids(data).shuffle(N).batch(5),)
    weighted = fit(text_model(), *data)
    assert len(weighted.meta_sample_ids) > 2


@few_samples
def test_columns_of_a_csv_file_without_meta_data(tmp_path):
    path = tmp_path / "table.csv"
    pd.DataFrame({"text": TEXTS, "size": FEATURES[:, 0], "y": LABELS}).to_csv(
        path, index=False
    )
    data = tf.data.experimental.make_csv_dataset(
        str(path), 5, label_name="y", num_epochs=1, shuffle=False
    )
    text = keras.Input((), dtype="string", name="text")
    size = keras.Input((), name="size")
    one_hot = keras.layers.StringLookup(
        vocabulary=sorted(set(TEXTS)), output_mode="one_hot"
    )(text)
    outputs = keras.layers.Dense(3, "softmax")(
        keras.layers.concatenate([one_hot, size[:, None]])
    )
    model = keras.Model([text, size], outputs)
    fit(model, kcn.with_sample_ids(data))
    table = pd.read_csv(path)
    y = table.pop("y")
    fit(keras.models.clone_model(model), dict(table), y)


def test_one_long_text_does_not_widen_the_others():
    texts = ["a" * 100_000, *["short"] * 9_999]  # 4 GB at a fixed width.
    x, _ = rows_of_arrays((texts, np.zeros(10_000)))
    assert x.dtype == tf.string
    assert x.shape == (10_000,)


# --- Tables ------------------------------------------------------------------

MIXED = pd.DataFrame(
    {
        "is_new": LABELS > 0,
        "size": FEATURES[:, 0].astype("float64"),
        "count": LABELS,
        "visits": pd.array(LABELS, "Int64"),
    }
)


def test_a_table_of_bools_floats_and_ints_is_floatx():
    (x,) = kcn.with_sample_ids((MIXED, LABELS)).batch(N).map(lambda *b: b[0])
    assert x.dtype == tf.float32
    np.testing.assert_allclose(x, MIXED.to_numpy("float32"), rtol=1e-6)


@few_samples
def test_a_table_is_allocated():
    fit(network(), MIXED, pd.Series(LABELS, dtype=object))


@pytest.mark.parametrize(
    ("x", "received"),
    [
        (np.array([None] * N), "objects, of ['NoneType']"),
        (pd.Series(["a", None] * 6, dtype=object), "['NoneType', 'str']"),
        (MIXED.assign(text=TEXTS), "by name: `dict(table)`"),
        (MIXED.assign(visits=pd.array([None] * N, "Int64")), "NAType"),
        (pd.Series([{"a": 1}] * N), "objects, of ['dict']"),
    ],
)
def test_other_python_objects_are_refused(x, received):
    with pytest.raises(ValueError, match="`dataset`.*numbers or str") as raised:
        kcn.with_sample_ids((x, LABELS))
    assert received in str(raised.value)


# --- Sparse and ragged -------------------------------------------------------

SPARSE = tf.sparse.from_dense(FEATURES)
RAGGED = tf.ragged.constant([[1.0] * (1 + i % 3) for i in range(N)])
NOT_DENSE = {
    "scipy matrix": (scipy.sparse.csr_matrix(FEATURES), "`.toarray()`"),
    "scipy array": (scipy.sparse.csr_array(FEATURES), "`.toarray()`"),
    "sparse tensor": (SPARSE, "`tf.sparse.to_dense` in `dataset.map`"),
    "ragged tensor": (RAGGED, "`.to_tensor()`"),
}


@pytest.mark.parametrize("form", NOT_DENSE)
def test_sparse_arrays_are_refused(form):
    value, way = NOT_DENSE[form]
    with pytest.raises(ValueError, match="Expected dense arrays") as raised:
        kcn.with_sample_ids((value, LABELS))
    assert way in str(raised.value)
    with pytest.raises(ValueError, match="`x`. Expected dense arrays"):
        fit(network(), value, LABELS)
    with pytest.raises(ValueError, match="`meta_data`. Expected dense arrays"):
        fit(network(), FEATURES, LABELS, meta_data=(value, LABELS))


@pytest.mark.parametrize(
    ("x", "way"),
    [
        (SPARSE, "`tf.sparse.to_dense` in `dataset.map`"),
        (RAGGED, "`.to_tensor()` in `dataset.map`"),
    ],
    ids=["sparse", "ragged"],
)
def test_sparse_datasets_are_refused_before_training(x, way):
    with pytest.raises(ValueError, match="`dataset`. Expected dense") as raised:
        kcn.with_sample_ids(slices(x, LABELS))
    assert way in str(raised.value)
    later = kcn.with_sample_ids((FEATURES, LABELS)).batch(4)
    later = later.map(lambda _, y, w, i: (x, y, w, i))
    with pytest.raises(ValueError, match="`x`. Expected dense tensors"):
        probe(later)
    with pytest.raises(ValueError, match="`x`. Expected dense tensors"):
        fit(network(), later)
    with pytest.raises(ValueError, match="`meta_data`. Expected dense tens"):
        meta_data = slices(x, LABELS).batch(4)
        fit(network(), FEATURES, LABELS, meta_data=meta_data)


@few_samples
def test_sparse_datasets_made_dense_in_a_map():
    dense = slices(SPARSE, LABELS).map(lambda x, y: (tf.sparse.to_dense(x), y))
    train = kcn.with_sample_ids(dense).batch(4)
    assert probe(train).num_samples == N
    fit(network(), train)


# --- Data that lacks samples of the curves -----------------------------------


@few_samples
@pytest.mark.parametrize("is_shuffled", [True, False])
def test_a_dropped_remainder(is_shuffled):
    """What a pass lacks comes in another, or is replaced."""
    x, y = wrong_uses.x, wrong_uses.y
    wanted = kcn.select_meta_samples(curves(y))
    assert wanted.max() > 20
    data = kcn.with_sample_ids((x, y))
    if is_shuffled:
        data = data.shuffle(24, seed=0)
    data = data.batch(7, drop_remainder=True)
    weighted = fit(network(), data, loss_curves=curves(y))
    chosen = weighted.meta_sample_ids
    if is_shuffled:
        np.testing.assert_array_equal(chosen, wanted)
    else:
        assert set(y[chosen]) == {0, 1, 2}
        assert chosen.max() < 21


@few_samples
def test_the_rows_of_samples_that_come_in_another_pass():
    """Each pass drops other rows; the rows are those of the ids."""
    x, y = wrong_uses.x.copy(), wrong_uses.y
    x[:, 0] = np.arange(24)
    data = kcn.with_sample_ids((x, y)).shuffle(24, seed=0)
    weighted = fit(
        network(),
        data.batch(23, drop_remainder=True),
        loss_curves=curves(y),
        meta_epochs=1,
    )
    meta = next(iter(weighted.prepared.dataset))[1]
    np.testing.assert_array_equal(y[meta[0].numpy()[:, 0].astype(int)], meta[1])


@few_samples
def test_a_class_that_never_comes():
    order = np.argsort(LABELS, kind="stable")  # Class 2 comes last.
    data = kcn.with_sample_ids((FEATURES[order], LABELS[order]))
    data = data.batch(8, drop_remainder=True)
    with pytest.raises(ValueError, match=r"`x`.* data without class\(es\) \[2"):
        fit(network(), data, loss_curves=curves(LABELS[order]))


# --- Ids of one's own --------------------------------------------------------

ROWS = np.random.default_rng(2).permutation(N)


@pytest.mark.parametrize(
    "shuffle",
    [
        lambda data: data.shuffle(N).cache(),
        lambda data: data.batch(4).shuffle(3).cache(),
        lambda data: data.shuffle(N, reshuffle_each_iteration=False),
        lambda data: kcn.shuffle_by_epoch(data, N).cache(),
    ],
)
def test_a_shuffled_order_is_warned_of(shuffle):
    with pytest.warns(UserWarning, match="give your own `ids`"):
        kcn.with_sample_ids(shuffle(slices(FEATURES, LABELS)))


def row_of(x, y):
    return x["row"]


# What has the table's rows in another order, and how its ids are given.
OWN_IDS = {
    "arrays": lambda x, y: ((x, y), ROWS),
    "series": lambda x, y: ((x, y), pd.Series(ROWS)),
    "list": lambda x, y: ((x, y), ROWS.tolist()),
    "arrays, function": lambda x, y: ((x, y), row_of),
    "dataset": lambda x, y: (slices(x, y), ROWS),
    "batches": lambda x, y: (slices(x, y).batch(5), ROWS),
    "function": lambda x, y: (slices(x, y).shuffle(N).cache(), row_of),
    "reshuffled": lambda x, y: (slices(x, y).shuffle(N), row_of),
    "reshuffled batches": lambda x, y: (
        slices(x, y).shuffle(N).batch(5),
        row_of,
    ),
    "weighted": lambda x, y: (
        slices(x, y).map(lambda x, y: (x, y, 1.0)).batch(5),
        lambda x, y, weight: x["row"],
    ),
}


@pytest.mark.parametrize("form", OWN_IDS)
def test_ids_index_a_table(form):
    x = {"features": FEATURES[ROWS], "row": ROWS}
    dataset, ids = OWN_IDS[form](x, ROWS % 3)
    train = kcn.with_sample_ids(dataset, ids=ids)
    train = train.map(lambda x, y, w, i: (x["features"], y, w, i))
    if len(train.element_spec[3].shape) == 0:
        train = train.batch(5)
    assert train.element_spec[2].dtype == tf.float32
    for _ in range(2):
        batches = list(train.as_numpy_iterator())
        assert len(batches) == int(train.cardinality()) == 3
        parts = zip(*batches, strict=True)
        features, _, _, sample_ids = map(np.concatenate, parts)
        np.testing.assert_array_equal(features, FEATURES[sample_ids])
        np.testing.assert_array_equal(np.sort(sample_ids), range(N))
    np.testing.assert_array_equal(probe(train).labels, np.arange(N) % 3)


@few_samples
@pytest.mark.filterwarnings("ignore:.* do not tell how many")
@pytest.mark.filterwarnings("ignore:The network predicts hardly any")
def test_ids_of_a_part_of_a_table():
    train = kcn.with_sample_ids((FEATURES[4:8], LABELS[4:8]), ids=[4, 5, 6, 7])
    recorded = probe(train.batch(2))
    expected = [-1] * 4 + LABELS[4:8].tolist()
    np.testing.assert_array_equal(recorded.labels, expected)
    weighted = fit(network(), train.batch(2), loss_curves=recorded)
    assert weighted.meta_sample_ids.min() >= 4


@pytest.mark.parametrize(
    ("ids", "received"),
    [
        ([0] * N, f"id 0 for {N} samples"),
        (range(N - 1), r"ids of shape \(11,\)"),
        (np.arange(N) / 2, "dtype float64, such as 0.0"),
        ([f"img_{i}" for i in range(N)], "dtype <U6, such as img_0"),
        (np.arange(N) - 1, "ids from -1 to 10"),
        (np.arange(N) * 10**9, "ids from 0 to 11000000000"),
        (lambda x, y: y, "for 4 samples"),
        (lambda x, y: x, r"a function to TensorSpec\(shape=\(4,\)"),
        (lambda x, y: tf.as_string(y), "a function to .*tf.string"),
    ],
)
def test_ids_that_name_no_samples(ids, received):
    with pytest.raises(ValueError, match=f"`ids`.*Received: .*{received}"):
        kcn.with_sample_ids((FEATURES, LABELS), ids=ids)
    with pytest.raises(ValueError, match=f"`ids`.*Received: .*{received}"):
        kcn.with_sample_ids(slices(FEATURES, LABELS), ids=ids)


# --- Batches of Python -------------------------------------------------------


class Batches(keras.utils.PyDataset):
    """Batches of 5 in order, as long as nothing else is said."""

    def __init__(self, weighted=False, reshuffles=False, x=FEATURES):
        super().__init__()
        self.weighted, self.reshuffles, self.x = weighted, reshuffles, x
        self.order = np.arange(N)

    def __len__(self):
        return 3

    def __getitem__(self, index):
        rows = self.order[5 * index : 5 * index + 5]
        weights = [(rows + 1) / 10.0] if self.weighted else []
        return self.x[rows], LABELS[rows], *weights

    def on_epoch_end(self):
        if self.reshuffles:
            self.order = np.roll(self.order, 1)


@few_samples
@pytest.mark.parametrize("weighted", [False, True])
def test_py_dataset(weighted):
    train = kcn.with_sample_ids(Batches(weighted))
    assert int(train.cardinality()) == 3
    x, y, weights, ids = samples(train.unbatch())
    np.testing.assert_array_equal(x, FEATURES)
    np.testing.assert_array_equal(y, LABELS)
    np.testing.assert_array_equal(ids, np.arange(N))
    expected = np.arange(1, N + 1) / 10 if weighted else np.ones(N)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    np.testing.assert_array_equal(probe(train.shuffle(3)).labels, LABELS)
    fit(network(), train.shuffle(3))


def test_py_dataset_of_texts_and_of_other_lengths():
    train = kcn.with_sample_ids(Batches(x=np.array(TEXTS, object)))
    x, _, _, _ = samples(train.unbatch())
    assert [text.decode() for text in x] == TEXTS

    class Padded(Batches):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return x[:, : 4 - index], y

    train = kcn.with_sample_ids(Padded())
    assert [batch[0].shape for batch in train] == [(5, 4), (5, 3), (2, 2)]


def test_image_data_generator():
    images = np.arange(N).reshape(N, 1, 1, 1) * np.ones((1, 2, 2, 3))
    generator = tf.keras.preprocessing.image.ImageDataGenerator()
    train = kcn.with_sample_ids(
        generator.flow(images, LABELS, batch_size=5, shuffle=False)
    )
    x, y, _, ids = samples(train.unbatch())
    np.testing.assert_array_equal(x[:, 0, 0, 0], ids)
    np.testing.assert_array_equal(y, LABELS[ids])
    shuffled = generator.flow(images, LABELS, batch_size=5, shuffle=True)
    with pytest.raises(ValueError, match="with `shuffle=False`, and call"):
        kcn.with_sample_ids(shuffled)


def test_py_dataset_that_reshuffles_itself():
    train = kcn.with_sample_ids(Batches(reshuffles=True))
    with pytest.raises(ValueError, match="whose label changed in epoch 2"):
        probe(train)


class Endless(Batches):
    num_batches = None


class Empty(Batches):
    num_batches = 0


class OfDicts(Batches):
    def __getitem__(self, index):
        return {"x": self.x}


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (Endless, "a Endless with shuffle=True, or without end"),
        (Empty, "an empty PyDataset"),
        (OfDicts, "a batch of type dict"),
    ],
)
def test_py_dataset_that_cannot_work(make, received):
    with pytest.raises(ValueError, match=f"`dataset`.*Received: {received}"):
        kcn.with_sample_ids(make())


def test_python_data_given_directly_names_the_way():
    with pytest.raises(TypeError, match="`tf.data.Dataset.from_generator`"):
        kcn.with_sample_ids(iter(Batches()[0]))
    with pytest.raises(ValueError, match="`PyDataset`.*from_generator"):
        fit(network(), Batches())
    with pytest.raises(ValueError, match="`PyDataset`.* `keras_curvenet.with_"):
        probe(Batches())


# --- What is said of ids and other steps -------------------------------------


def test_a_map_after_the_ids():
    """As `with_sample_ids` documents it."""
    train = kcn.with_sample_ids((FEATURES, LABELS))
    train = train.map(lambda x, y, w, i: (x + 1.0, y, w, i))
    np.testing.assert_array_equal(samples(train)[0], FEATURES + 1.0)


def test_a_split_before_the_ids():
    """As `with_sample_ids` documents it."""
    data = slices(FEATURES, LABELS)
    train = kcn.with_sample_ids(data.skip(4)).batch(4)
    model = network()
    model.compile("sgd", LOSS, run_eagerly=True)
    recorder = kcn.LossCurveRecorder()
    history = model.fit(
        train,
        validation_data=data.take(4).batch(4),
        callbacks=[recorder],
        verbose=0,
    )
    assert "val_loss" in history.history
    assert recorder.loss_curves.num_samples == N - 4


def test_a_folder_that_is_split_keeps_its_file_paths(tmp_path):
    """As the refusal of a folder that is shuffled says."""
    for label in range(2):
        (tmp_path / f"class_{label}").mkdir()
        for number in range(10):
            image = np.full((4, 4, 3), 100 * label + 10 * number, "uint8")
            path = tmp_path / f"class_{label}" / f"{number}.png"
            keras.utils.save_img(path, image, scale=False)
    folder, validation = keras.utils.image_dataset_from_directory(
        tmp_path,
        validation_split=0.3,
        subset="both",
        seed=1,
        image_size=(4, 4),
        verbose=False,
    )
    with pytest.raises(ValueError, match=r"`\(folder.file_paths, labels\)`"):
        probe(kcn.with_sample_ids(folder))
    names = [pathlib.Path(path).parent.name for path in folder.file_paths]
    labels = [folder.class_names.index(name) for name in names]
    train = kcn.with_sample_ids((folder.file_paths, labels)).shuffle(20)

    def image_of(path):
        return tf.image.decode_png(tf.io.read_file(path), channels=3)

    train = train.map(lambda path, y, w, i: (image_of(path), y, w, i))
    for image, label, _, sample_id in train.as_numpy_iterator():
        stored = keras.utils.load_img(folder.file_paths[sample_id])
        np.testing.assert_array_equal(image, np.asarray(stored))
        assert label == int(image[0, 0, 0] >= 100)
    seen = np.concatenate([y for _, y in validation])
    assert len(labels) == 14 and set(seen) == {0, 1}


# --- Short messages ----------------------------------------------------------

MANY = 50_000
WIDE = {f"column_{i}": np.zeros(N) for i in range(300)}
LONG_USES = {
    "labels of a wrong type": lambda: fit(
        network(), np.zeros((MANY, 4)), [None] * MANY
    ),
    "labels of several lengths": lambda: kcn.with_sample_ids(
        (np.zeros((MANY, 4)), [[0]] * (MANY - 1) + [[0, 1]])
    ),
    "a list of arrays": lambda: kcn.with_sample_ids(
        ([np.zeros(4)] * MANY, np.zeros(MANY))
    ),
    "columns without targets": lambda: kcn.with_sample_ids(
        slices(WIDE, LABELS).map(lambda x, y: x)
    ),
    "columns in the probe": lambda: probe(slices(WIDE, LABELS).batch(4)),
    "unbatched columns": lambda: probe(kcn.with_sample_ids((WIDE, LABELS))),
    "unbatched meta data": lambda: fit(
        network(), FEATURES, LABELS, meta_data=slices(WIDE, LABELS)
    ),
    "ids twice": lambda: kcn.with_sample_ids(
        kcn.with_sample_ids((WIDE, LABELS))
    ),
    "ids of a wrong type": lambda: kcn.with_sample_ids(
        (FEATURES, LABELS), ids=["x" * 9] * N
    ),
    "long labels of the meta set": lambda: fit(
        network(),
        FEATURES,
        LABELS,
        meta_data=(FEATURES, ["x" * MANY] * N),
    ),
    "class weights": lambda: fit(
        network(),
        FEATURES,
        LABELS,
        class_weight=dict.fromkeys(range(MANY), 1.0),
    ),
    "epochs": lambda: fit(network(), FEATURES, LABELS, epochs=[1] * MANY),
}


@pytest.mark.parametrize("name", LONG_USES)
def test_messages_are_short(name):
    with pytest.raises(ValueError, match="Invalid value for arg") as raised:
        LONG_USES[name]()
    assert len(str(raised.value)) < 500

"""What counts in a loss, and which samples count, in people's own scripts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvenet as kcn

pytestmark = pytest.mark.filterwarnings("ignore:Class.es.*have fewer than")

N, CLASSES, LENGTH = 24, 3, 5
SPARSE = keras.losses.SparseCategoricalCrossentropy


def data():
    """Inputs `(N, 4)` that tell the class, and labels of three classes."""
    rng = np.random.default_rng(0)
    y = np.arange(N, dtype="int32") % CLASSES
    x = rng.normal(size=(N, 4)) + 2.0 * np.eye(4)[y]
    return x.astype("float32"), y


def classifier(loss=None, *first_layers, outputs=CLASSES, rate=0.1):
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            *first_layers,
            keras.layers.Dense(outputs, activation="softmax"),
        ]
    )
    loss = SPARSE() if loss is None else loss
    model.compile(keras.optimizers.SGD(rate), loss, run_eagerly=True)
    return model


def tagger(loss):
    """A class for each of LENGTH positions."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((LENGTH, 4)),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    return model


def probe(model, arrays, change=None, epochs=1, **kwargs):
    """The curves that a script records."""
    dataset = kcn.with_sample_ids(arrays).batch(8)
    dataset = dataset if change is None else dataset.map(change)
    recorder = kcn.LossCurveRecorder(**kwargs)
    model.fit(dataset, epochs=epochs, callbacks=[recorder], verbose=0)
    return recorder.loss_curves


def curves(labels=None, unseen=()):
    """Curves of good labels, and of samples that were never seen."""
    labels = np.array(data()[1] if labels is None else labels)
    rng = np.random.default_rng(1)
    values = rng.uniform(0.1, 0.2, size=(len(labels), 6))
    unseen = list(unseen)
    values[unseen], labels[unseen] = np.nan, -1
    return kcn.LossCurves(values, labels, CLASSES)


def allocate(model, x, y=None, loss_curves=None, switches=(), **kwargs):
    """A `CurveWeightedModel` after its `fit`, and the logs."""
    weighted = kcn.CurveWeightedModel(model, **dict(switches))
    weighted.compile(keras.optimizers.SGD(0.1), model.loss, run_eagerly=True)
    history = weighted.fit(
        x,
        y,
        loss_curves=curves() if loss_curves is None else loss_curves,
        **{"batch_size": None if y is None else 8, "verbose": 0, **kwargs},
    )
    return weighted, history.history


def refused(match, function, *args, **kwargs):
    """Asserts that a call ends in a sentence of ours."""
    with pytest.raises(ValueError, match=match) as error:
        function(*args, **kwargs)
    assert len(str(error.value)) < 500


def assert_trained_as(model, other):
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    for left, right in pairs:
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)


# --- Positions that do not count ---------------------------------------------


def sequences():
    """Inputs, targets, and which positions count: 1 to LENGTH of them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, LENGTH, 4)).astype("float32")
    y = rng.integers(1, CLASSES, size=(N, LENGTH)).astype("int32")
    counts = np.arange(LENGTH) <= np.arange(N)[:, np.newaxis] % LENGTH
    return x, y, counts


def mean_over(counts, x, y):
    """By hand: each sequence's mean loss over the positions that count."""
    p = tagger("mse").predict(x, verbose=0)
    losses = -np.log(np.take_along_axis(p, y[..., np.newaxis], 2)[..., 0])
    return np.where(counts, losses, 0.0).sum(axis=1) / counts.sum(axis=1)


@pytest.mark.parametrize(
    "how", ["ignore 0", "ignore -1", "ignore 255", "weights", "both"]
)
def test_positions_that_do_not_count(how):
    x, y, counts = sequences()
    expected, loss, arrays = mean_over(counts, x, y), SPARSE(), [x, y]
    if how.startswith("ignore"):
        ignored = int(how.split()[1])
        loss, arrays[1] = SPARSE(ignore_class=ignored), y * counts
        arrays[1] = np.where(counts, y, ignored)
    if how == "both":  # The first two by class, all after the third by weight.
        loss, y = SPARSE(ignore_class=0), np.where(np.arange(LENGTH) < 1, 0, y)
        counts = counts | (np.arange(LENGTH) == 1)
        expected = mean_over(counts & (y != 0), x, y)
        arrays[1] = y
    if how in ("weights", "both"):
        arrays.append(counts.astype("float32"))
    found = probe(tagger(loss), tuple(arrays)).values[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_position_weights_only_say_what_counts():
    x, y, counts = sequences()
    found = probe(tagger(SPARSE()), (x, y, 7.0 * counts)).values[:, 0]
    np.testing.assert_allclose(found, mean_over(counts, x, y), rtol=1e-4)


def test_pixels_of_a_void_class():
    x = np.random.default_rng(0).normal(size=(N, 2, 2, 4)).astype("float32")
    y = np.full((N, 2, 2), 255)
    y[:, 0, 0] = data()[1]  # One pixel is annotated.
    model = keras.Sequential(
        [keras.Input((2, 2, 4)), keras.layers.Conv2D(3, 1)]
    )
    loss = SPARSE(from_logits=True, ignore_class=255)
    model.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    logits = model.predict(x, verbose=0)[:, 0, 0]
    expected = SPARSE(from_logits=True, reduction=None)(y[:, 0, 0], logits)
    found = probe(model, (x, y)).values[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("how", ["ignore", "weights"])
def test_positions_that_do_not_count_are_not_trained_on(how):
    x, y, counts = sequences()
    models = []
    for filler in (0.0, 9.0):
        x[~counts] = filler
        arrays, loss = (x, y, counts.astype("float32")), SPARSE()
        if how == "ignore":
            arrays, loss = (x, y * counts), SPARSE(ignore_class=0)
        model = tagger(loss)
        recorded = kcn.LossCurves(curves().values, np.zeros(N, int), 1)
        dataset = kcn.with_sample_ids(arrays).batch(8)
        allocate(model, dataset, loss_curves=recorded, epochs=2)
        models.append(model)
    assert_trained_as(*models)


# --- Samples that do not count -----------------------------------------------

UNLABELLED = np.array([2, 3, 7, 11])


def unlabelled(how):
    """A loss and arrays in which some samples have no label."""
    x, y = data()
    if how == "weights":
        y[UNLABELLED] = 0  # Filler labels.
        return SPARSE(), (x, y, np.isin(np.arange(N), UNLABELLED) * -1.0 + 1.0)
    ignored = {"ignore -1": -1, "ignore 255": 255, "ignore 0": 0}[how]
    y[UNLABELLED] = ignored
    return SPARSE(ignore_class=ignored), (x, y)


HOW = pytest.mark.parametrize("how", ["ignore -1", "ignore 255", "weights"])


@HOW
@pytest.mark.filterwarnings("ignore:The network predicts hardly any")
def test_samples_without_a_label_are_never_seen(how):
    loss, arrays = unlabelled(how)
    recorded = probe(classifier(loss), arrays, epochs=3)
    is_unseen = np.isin(np.arange(N), UNLABELLED)
    assert (np.isnan(recorded.values).all(axis=1) == is_unseen).all()
    assert (np.isnan(recorded.margins).all(axis=1) == is_unseen).all()
    assert ((recorded.labels == -1) == is_unseen).all()
    others = kcn.LossCurves(
        recorded.values[~is_unseen],
        recorded.labels[~is_unseen],
        margins=recorded.margins[~is_unseen],
        predicted_classes=recorded.predicted_classes[~is_unseen],
    )
    np.testing.assert_array_equal(
        kcn.estimate_class_counts(recorded), kcn.estimate_class_counts(others)
    )
    for chosen in (
        kcn.select_meta_samples(recorded),
        kcn.find_label_issues(recorded),
    ):
        assert not np.isin(chosen, UNLABELLED).any()


def test_a_class_that_is_ignored_has_no_samples():
    loss, arrays = unlabelled("ignore 0")
    recorded = probe(classifier(loss), arrays)
    assert set(recorded.labels.tolist()) == {-1, 1, 2}
    assert ((recorded.labels == -1) == (arrays[1] == 0)).all()


def test_a_sequence_of_padding_alone_is_never_seen():
    x, y, counts = sequences()
    counts[5] = False
    recorded = probe(tagger(SPARSE(ignore_class=0)), (x, y * counts))
    assert np.flatnonzero(np.isnan(recorded.values[:, 0])).tolist() == [5]
    assert recorded.labels[5] == -1 and recorded.labels[4] == 0


@HOW
def test_samples_without_a_label_are_not_trained_on(how):
    # Whatever their inputs are: neither by label nor by running prediction.
    loss, (x, *rest) = unlabelled(how)
    models, counted = [], []
    for filler in (0.0, 9.0):
        x[UNLABELLED] = filler
        model = classifier(loss)
        dataset = kcn.with_sample_ids((x, *rest)).batch(8)
        weighted, _ = allocate(
            model, dataset, loss_curves=curves(unseen=UNLABELLED), epochs=2
        )
        models.append(model)
        counted.append(weighted.prepared.loss.frequencies.logarithms.numpy())
        assert not np.isin(weighted.meta_sample_ids, UNLABELLED).any()
    assert_trained_as(*models)
    np.testing.assert_allclose(*counted, rtol=1e-4)


def test_soft_labels_take_the_mean_over_what_counts():
    # As Keras does for `ignore_class`: beside two samples, two are ignored.
    x, y = data()
    logs = []
    for num_rows, ignored in ((2, []), (4, [2, 3])):
        labels = y[:4].copy()
        labels[ignored] = -1
        _, history = allocate(
            classifier(SPARSE(ignore_class=-1)),
            x[:num_rows],
            labels[:num_rows],
            curves(y[:4], unseen=[2, 3]),
            meta_epochs=0,
            switches={"balance_classes": False},
        )
        logs.append(history["loss"])
    np.testing.assert_allclose(*logs, rtol=1e-5)


# --- Class weights as sample weights -----------------------------------------


def rare_class():
    """12 samples of class 0, 8 of class 1, 4 of class 2; balancing weights."""
    y = np.repeat(np.arange(3, dtype="int32"), [12, 8, 4])
    x = (np.random.default_rng(0).normal(size=(N, 4)) + np.eye(4)[y]) / 2
    weights = np.array([2 / 3, 1.0, 2.0], "float32")
    return x.astype("float32"), y, weights


@pytest.mark.parametrize("form", ["arrays", "dataset", "mapped", "in batches"])
def test_classes_are_not_balanced_twice(form):
    x, y, weights = rare_class()
    y_arguments = {"y": None}
    if form == "arrays":
        train = x
        y_arguments = {"y": y, "sample_weight": weights[y], "shuffle": False}
    elif form == "dataset":
        train = kcn.with_sample_ids((x, y, weights[y])).batch(8)
    elif form == "mapped":
        train = kcn.with_sample_ids((x, y)).batch(8)
        train = train.map(lambda x, y, w, i: (x, y, tf.gather(weights, y), i))
    else:
        train = tf.data.Dataset.from_tensor_slices((x, y, weights[y])).batch(8)
        train = kcn.with_sample_ids(train)
    weighted, _ = allocate(
        classifier(),
        train,
        loss_curves=curves(y),
        meta_epochs=0,
        switches={"soft_labels": False},
        **y_arguments,
    )
    quality = weighted.sample_weights()
    expected = np.bincount(y, quality * weights[y])
    frequencies = weighted.prepared.loss.frequencies
    for _ in range(2):
        np.testing.assert_allclose(
            np.exp(frequencies.logarithms), expected / expected.sum(), rtol=1e-3
        )
        frequencies.follow()  # Takes what the epoch counted.


def test_class_weight_says_that_classes_are_balanced():
    x, y = data()
    many = {label: 1.0 for label in range(1000)}
    match = "classes are balanced already"
    refused(match, allocate, classifier(), x, y, class_weight=many)


def test_weights_of_zero_alone():
    x, y = data()
    arguments = classifier(), x, y
    refused("nothing to train on", allocate, *arguments, sample_weight=0.0 * y)


def test_oversized_weights_do_not_enlarge_the_virtual_step():
    x, y = data()
    found = []
    for scale in (1.0, 1e5):
        weights = scale * (1.0 + np.arange(N) % 2).astype("float32")
        model = classifier()
        weighted = kcn.CurveWeightedModel(model)
        # The actual step is the user's: with weights of 1e5, a rate of 1e-6.
        weighted.compile(
            keras.optimizers.SGD(0.1, clipnorm=1e-6), SPARSE(), run_eagerly=True
        )
        history = weighted.fit(
            x,
            y,
            sample_weight=weights,
            shuffle=False,
            verbose=0,
            loss_curves=curves(),
            meta_data=(x, y),
        )
        found.append(
            [history.history["meta_loss"][0], *weighted.sample_weights()]
        )
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)


# --- What the model fills itself ---------------------------------------------


class Impute(keras.layers.Layer):
    """Puts 0 in place of NaN, as many models for tables do."""

    def call(self, x):
        return keras.ops.where(keras.ops.isnan(x), 0.0, x)


@pytest.mark.parametrize("run_eagerly", [True, False])
def test_gaps_that_the_model_fills(run_eagerly):
    x, y = data()
    gaps = np.random.default_rng(2).uniform(size=x.shape) < 0.3
    models = []
    for filler in (np.nan, 0.0):
        model = classifier(None, Impute())
        weighted = kcn.CurveWeightedModel(model)
        weighted.compile(
            keras.optimizers.SGD(0.1), SPARSE(), run_eagerly=run_eagerly
        )
        weighted.fit(
            np.where(gaps, filler, x).astype("float32"),
            y,
            batch_size=8,
            shuffle=False,
            verbose=0,
            loss_curves=curves(),
            meta_data=(x, y),
        )
        models.append(model)
    assert_trained_as(*models)


def test_nothing_is_left_to_train_on():
    x, y = data()
    refused(
        "Received: none in epoch 1: for 24 sample",
        allocate,
        classifier(),
        np.full_like(x, np.nan),
        y,
        meta_data=(x, y),
    )


# --- The meta set ------------------------------------------------------------


def test_a_class_that_no_curve_has_is_not_demanded():
    x, y = data()
    x, y = x[y > 0], y[y > 0]  # The model has an output for class 0.
    allocate(classifier(), x, y, curves(y), meta_data=(x, y))
    match = r"none of class\(es\) \[2\]"
    arguments = classifier(), x, y, curves(y)
    refused(match, allocate, *arguments, meta_data=(x[y == 1], y[y == 1]))


# --- Losses of other reductions, and own ones --------------------------------


class OwnCall(keras.losses.Loss):
    """Overrides `__call__`, and returns a value per sample."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)


class OwnMean(OwnCall):
    """Overrides `__call__`, and returns the mean."""

    def __call__(self, *args, **kwargs):
        return keras.ops.mean(super().__call__(*args, **kwargs))


def own_values():
    """A loss of a class that nobody can import, with a `call` of its own."""

    class OwnValues(keras.losses.Loss):
        from_logits = False

        def call(self, y_true, y_pred):
            return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)

    return OwnValues(reduction="none")


UNREDUCED = {
    "own, none": own_values(),
    "none": SPARSE(reduction="none"),
    "None": SPARSE(reduction=None),
    "__call__": OwnCall(),
    "sum": SPARSE(reduction="sum"),
    "mean_with_sample_weight": SPARSE(reduction="mean_with_sample_weight"),
}


@pytest.mark.parametrize("name", UNREDUCED)
def test_losses_of_any_reduction_are_recorded(name):
    x, y = data()
    expected = probe(classifier(rate=0.0), (x, y))
    found = probe(classifier(UNREDUCED[name], rate=0.0), (x, y))
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "soft_labels"),
    [
        ("own, none", False),
        ("none", None),
        ("None", False),
        ("__call__", None),
        ("sum", None),
        ("sum", False),
        ("mean_with_sample_weight", None),
    ],
)
def test_losses_of_any_reduction_train(name, soft_labels):
    # Each as plain Keras: the sum of a batch where nothing is reduced.
    x, y = data()
    own = np.full(N, 2.0, "float32")
    scale = {"mean_with_sample_weight": 0.5}.get(name, 8.0)
    models, parts = [], []
    for loss, rate in ((UNREDUCED[name], 0.01), (SPARSE(), 0.01 * scale)):
        model = classifier(loss)
        weighted = kcn.CurveWeightedModel(model, soft_labels=soft_labels)
        weighted.compile(keras.optimizers.SGD(rate), loss, run_eagerly=True)
        weighted.fit(
            x,
            y,
            sample_weight=own,
            batch_size=8,
            shuffle=False,
            verbose=0,
            loss_curves=curves(),
            meta_epochs=0,
        )
        models.append(model)
        parts.append(weighted.prepared.loss)
    if name != "__call__":  # It does not tell what its predictions are.
        assert parts[0].frequencies is not None
        assert (parts[0].running_predictions is None) == (soft_labels is False)
        assert_trained_as(*models)


def test_an_own_call_that_reduces():
    x, y = data()
    match = "one value per sample.*from `call`"
    refused(match, probe, classifier(OwnMean()), (x, y))


# --- Augmentations that change labels ----------------------------------------


def mixed(x, y, sample_weight, sample_id):
    """As MixUp: another share of each partner in each epoch."""
    draw = np.random.default_rng().uniform
    share = tf.numpy_function(lambda: draw(0.1, 0.9), [], tf.float64)
    share = tf.cast(tf.reshape(share, []), tf.float32)
    x = share * x + (1.0 - share) * x[::-1]
    y = share * y + (1.0 - share) * y[::-1]
    return x, y, sample_weight, sample_id


def noisy(x, y, sample_weight, sample_id):
    """As RandAugment: other inputs, the same labels."""
    return x + tf.random.normal(tf.shape(x)), y, sample_weight, sample_id


def one_hot_classifier():
    return classifier(keras.losses.CategoricalCrossentropy())


def test_mixed_samples_are_named_in_the_probe():
    x, y = data()
    arrays = x, np.eye(CLASSES, dtype="float32")[y]
    arguments = one_hot_classifier(), arrays, mixed
    refused("leave MixUp and CutMix out", probe, *arguments, epochs=9)


def test_mixed_samples_are_named_in_allocating():
    x, y = data()
    train = kcn.with_sample_ids((x, np.eye(CLASSES, dtype="float32")[y]))
    train = train.batch(8).map(mixed)
    arguments = one_hot_classifier(), train
    refused("leave MixUp and CutMix out", allocate, *arguments, epochs=9)


def test_augmentations_that_keep_labels():
    x, y = data()
    arrays = x, np.eye(CLASSES, dtype="float32")[y]
    recorded = probe(one_hot_classifier(), arrays, noisy, epochs=2)
    np.testing.assert_array_equal(recorded.labels, y)
    train = kcn.with_sample_ids(arrays).batch(8).map(noisy)
    allocate(one_hot_classifier(), train, loss_curves=curves(y))


# --- KerasHub ----------------------------------------------------------------


@keras.saving.register_keras_serializable(package="what_people_do")
class Task(keras.Model):
    """As `keras_hub.models.Task`: its `fit` preprocesses (x, y, weight)."""

    def fit(self, x=None, y=None, **kwargs):
        def preprocess(x, y=None, sample_weight=None):
            return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

        return super().fit(x.map(preprocess), **kwargs)


def task():
    x = keras.Input((4,))
    model = Task(x, keras.layers.Dense(CLASSES, activation="softmax")(x))
    model.compile(keras.optimizers.SGD(0.1), SPARSE(), run_eagerly=True)
    return model


def test_a_task_is_probed_as_the_model_that_it_is():
    x, y = data()
    whole = task()
    model = keras.Model(whole.inputs, whole.outputs)
    model.compile(keras.optimizers.SGD(0.1), SPARSE(), run_eagerly=True)
    before = whole.get_weights()[0]
    assert probe(model, (x, y)).num_samples == N
    assert (whole.get_weights()[0] != before).any()  # It shares the layers.


def test_a_task_as_base_model():
    x, y = data()
    with pytest.warns(UserWarning, match="own fit.*preprocessor.*map over"):
        allocate(task(), x, y)
    whole = task()
    model = keras.Model(whole.inputs, whole.outputs)
    model.compile(keras.optimizers.SGD(0.1), SPARSE())
    allocate(model, x, y)  # Without a warning.

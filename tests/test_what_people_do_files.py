"""What people hold in their hands: damaged files, pandas, names, other tools.

Each row is a case that was observed, with what is right.
"""

import inspect
import pathlib
import re
import time
import types
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

import keras_curvenet as kcn
from keras_curvenet.probing.curve_folder import CurveFolder
from keras_curvenet.probing.curve_folder import RecordedColumns

N, EPOCHS = 40, 4
rng = np.random.default_rng(0)
losses = rng.uniform(0.1, 2.0, size=(EPOCHS, N)).astype("float32")
margins = rng.normal(size=(EPOCHS, N)).astype("float32")
labels = np.arange(N) % 2
predicted = np.where(margins > 0, labels, 1 - labels).astype("int16")


def assert_short_and_ours(error):
    assert "Invalid value for argument `" in str(error.value)
    assert len(str(error.value)) < 500


# Damaged folders of curves: none loads as other numbers.


def flip(position, bit=0):
    """Flips one bit of a file, counted from its end where negative."""

    def damage(path):
        content = bytearray(path.read_bytes())
        content[position] ^= 1 << bit
        path.write_bytes(content)

    return damage


def cut(size):
    return lambda path: path.write_bytes(path.read_bytes()[:size])


def longer(path):
    path.write_bytes(path.read_bytes() + b"\0")


def swap(path):
    """Swaps a file with the next one of its kind, or another one."""
    kind = path.name.split("-")[0]
    others = [p for p in path.parent.glob("*.npy") if p != path]
    other = max(others, key=lambda p: (p.name.startswith(kind), p.name))
    contents = path.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    path.write_bytes(contents[1])


DAMAGES = {
    "empty": cut(0),
    "half a magic": cut(3),
    "half a header": cut(60),
    "no data": cut(128),
    "a value less": cut(-4),
    "a byte less": cut(-1),
    "a byte more": longer,
    "another magic": flip(0),
    "another version": flip(6),
    "a longer header": flip(8, 2),
    "a much longer header": flip(9, 6),
    "a header's brace": flip(10),
    "a header's quote": flip(11, 6),
    "other types": flip(21, 4),
    "another byte order": flip(21),
    "another number of bytes": flip(23, 1),
    "another order": flip(43, 1),
    "another length": flip(61, 1),
    "the header's end": flip(127, 2),
    "the first value's sign": flip(131, 7),
    "a value's last bit": flip(128),
    "the last value": flip(-1, 6),
    "missing": lambda path: path.unlink(),
    "swapped": swap,
}


def curves_in(folder):
    """Curves of all epochs, as a recorder writes them."""
    recorded = RecordedColumns(
        list(losses), list(margins), list(predicted), labels, 2
    )
    CurveFolder(folder).save(recorded)


@pytest.mark.parametrize("kind", ["losses", "margins", "predicted", "labels"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_curves_is_named(damage, kind, tmp_path):
    curves_in(tmp_path)
    path = sorted(tmp_path.glob(f"{kind}-*"))[-1 if kind == "labels" else 2]
    DAMAGES[damage](path)
    with pytest.raises(ValueError, match=path.name[:12]) as error:
        kcn.LossCurves.load(tmp_path)
    assert_short_and_ours(error)
    if kind == "labels":
        with pytest.raises(ValueError, match=path.name):
            kcn.LossCurves.load(tmp_path, until_damage=True)
        return
    assert "until_damage=True)` reads the 2 epoch(s)" in str(error.value)
    with pytest.warns(UserWarning, match=r": the 2 epoch\(s\) before it"):
        curves = kcn.LossCurves.load(tmp_path, until_damage=True)
    np.testing.assert_array_equal(curves.values, losses[:2].T)
    np.testing.assert_array_equal(curves.margins, margins[:2].T)
    np.testing.assert_array_equal(curves.predicted_classes, predicted[:2].T)
    np.testing.assert_array_equal(curves.labels, labels)


def test_a_damaged_first_epoch_leaves_nothing_to_read(tmp_path):
    curves_in(tmp_path)
    flip(-1)(next(tmp_path.glob("losses-00000-*")))
    for until_damage in (False, True):
        with pytest.raises(ValueError, match="losses-00000-0.npy") as error:
            kcn.LossCurves.load(tmp_path, until_damage=until_damage)
        assert "until_damage" not in str(error.value)


def test_no_bit_of_a_manifest_changes_what_is_read(tmp_path):
    curves_in(tmp_path)
    path = tmp_path / "curves.json"
    content = path.read_bytes()
    for position in range(len(content)):
        flip(position, position % 8)(path)
        with pytest.raises(ValueError, match="curves.json|Error") as error:
            kcn.LossCurves.load(tmp_path)
        assert_short_and_ours(error)
        path.write_bytes(content)
    for size in range(0, len(content), 7):
        cut(size)(path)
        with pytest.raises(ValueError, match="argument `filepath`"):
            kcn.LossCurves.load(tmp_path)
    path.write_bytes(content)
    kcn.LossCurves.load(tmp_path, until_damage=True)  # Whole again.


def test_a_recorder_does_not_go_on_from_damaged_curves(tmp_path):
    curves_in(tmp_path)
    flip(-1)(next(tmp_path.glob("losses-00001-*")))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    recorder = kcn.LossCurveRecorder(filepath=tmp_path)
    data = kcn.with_sample_ids((np.zeros((N, 3)), labels)).batch(N)
    with pytest.raises(ValueError, match="losses-00001-3.npy is damaged"):
        model.fit(
            data,
            epochs=5,
            initial_epoch=4,
            verbose=0,
            callbacks=[recorder],
        )


# Where files go.


def test_curves_are_saved_into_a_folder_that_is_missing(tmp_path):
    path = tmp_path / "runs" / "first" / "curves.npz"
    kcn.LossCurves(losses.T, labels).save(path)
    np.testing.assert_array_equal(kcn.LossCurves.load(path).values, losses.T)


@pytest.mark.parametrize("place", ["a folder", "a folder/file/curves.npz"])
def test_no_message_names_a_file_that_nobody_knows(place, tmp_path):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "file").write_text("")
    with pytest.raises(OSError, match="a folder") as error:
        kcn.LossCurves(losses.T, labels).save(tmp_path / place)
    assert ".tmp" not in str(error.value)


# One value for each sample, in a pandas object whose index is shuffled: its
# position is the sample's id.

order = rng.permutation(N)[::-1]
curves = kcn.LossCurves(
    np.where(np.arange(N) % 5 == 0, losses + 3.0, losses).T,
    labels,
    margins=margins.T,
)
images = [np.full((2, 2), sample_id, "uint8") for sample_id in range(N)]
paths = [f"{sample_id}.png" for sample_id in range(N)]
texts = [f"text {sample_id}" for sample_id in range(N)]
weights = rng.uniform(size=N)
predictions = rng.dirichlet([1.0, 1.0], size=N)


def page(tmp_path, **kwargs):
    path = kcn.write_report(curves, tmp_path / "report", **kwargs)
    table = pathlib.Path(path).with_name("report.csv")
    return pathlib.Path(path).read_text("utf-8") + table.read_text("utf-8")


def drawn(figure):
    """What a figure shows, in numbers and texts."""
    (ax,) = figure.axes
    cells = ax.child_axes
    shown = [
        *[line.get_xydata().tolist() for line in ax.lines],
        *[patch.get_xy().tolist() for patch in ax.patches],
        *[cell.images[0].get_array().tolist() for cell in cells],
        *[cell.get_title() for cell in cells],
    ]
    assert shown
    return repr(shown)


# What is called with a value of this kind, and the value.
ONE_FOR_EACH_SAMPLE = {
    "values": (lambda v, _: kcn.LossCurves(v, labels).values, losses.T),
    "margins": (
        lambda v, _: kcn.LossCurves(losses.T, labels, margins=v).margins,
        margins.T,
    ),
    "predicted classes": (
        lambda v, _: (
            kcn.LossCurves(
                losses.T, labels, predicted_classes=v
            ).predicted_classes
        ),
        predicted.T,
    ),
    "labels": (lambda v, _: kcn.LossCurves(losses.T, v).labels, labels),
    "report: images": (lambda v, path: page(path, images=v), images),
    "report: paths": (
        lambda v, path: page(path, file_paths=v, rows=texts),
        paths,
    ),
    "report: texts": (lambda v, path: page(path, rows=v), texts),
    "report: weights": (lambda v, path: page(path, sample_weights=v), weights),
    "report: predictions": (
        lambda v, path: page(path, predictions=v),
        predictions,
    ),
    "sheet: images": (
        lambda v, _: drawn(kcn.plots.plot_label_issues(curves, v)),
        images,
    ),
    "sheet: predictions": (
        lambda v, _: drawn(kcn.plots.plot_label_issues(curves, images, v)),
        predictions,
    ),
    "sheet: ids": (
        lambda v, _: drawn(
            kcn.plots.plot_label_issues(curves, images, sample_ids=v)
        ),
        order[:6],
    ),
    "curves: true labels": (
        lambda v, _: drawn(kcn.plots.plot_loss_curves(curves, v)),
        labels[order],
    ),
    "weights: labels": (
        lambda v, _: drawn(kcn.plots.plot_sample_weights(weights, v)),
        labels[order],
    ),
    "weights": (
        lambda v, _: drawn(kcn.plots.plot_sample_weights(v, labels)),
        weights,
    ),
    "table: weights": (
        lambda v, _: kcn.label_report(curves, sample_weights=v).to_csv(),
        weights,
    ),
    "table: predictions": (
        lambda v, _: kcn.label_report(curves, v).to_csv(),
        predictions,
    ),
    "issues: rates by class": (
        lambda v, _: kcn.find_label_issues(curves, v),
        np.array([0.1, 0.4]),
    ),
    "noise: labels": (
        lambda v, _: kcn.datasets.corrupt_labels(v, 0.5),
        labels,
    ),
    "tail: labels": (
        lambda v, _: kcn.datasets.long_tailed_indices(v, 0.2),
        labels,
    ),
}


@pytest.mark.filterwarnings("ignore:.*do not tell how many labels")
@pytest.mark.parametrize("name", ONE_FOR_EACH_SAMPLE)
def test_pandas_goes_by_position(name, tmp_path):
    use, value = ONE_FOR_EACH_SAMPLE[name]
    kind = pd.DataFrame if np.ndim(value) == 2 else pd.Series
    index = np.random.default_rng(1).permutation(len(value))
    given = kind(value if kind is pd.DataFrame else list(value), index=index)
    np.testing.assert_array_equal(use(given, tmp_path), use(value, tmp_path))


# Names of classes, however people hold them.

NAMES = {
    "list": ["cat", "dog"],
    "tuple": ("cat", "dog"),
    "array": np.array(["cat", "dog"]),
    "array of objects": np.array(["cat", "dog"], object),
    "Series": pd.Series(["cat", "dog"], index=[1, 0]),
    "Index": pd.Index(["cat", "dog"]),
    "dict by class": {1: "dog", 0: "cat"},
    "dict by NumPy's ints": dict(
        zip(np.arange(2), ["cat", "dog"], strict=True)
    ),
    "class_indices of Keras": {"cat": 0, "dog": 1},
    "more than there are": ["cat", "dog", "cow"],
}


@pytest.mark.filterwarnings("ignore:.*do not tell how many labels")
@pytest.mark.parametrize("kind", NAMES)
def test_names_of_classes(kind, tmp_path):
    expected = page(tmp_path, class_names=["cat", "dog"])
    assert page(tmp_path, class_names=NAMES[kind]) == expected
    sheet = kcn.plots.plot_label_issues(
        curves, images, class_names=NAMES[kind], sample_ids=[0, 1]
    )
    titles = [cell.get_title() for cell in sheet.axes[0].child_axes]
    assert titles[0].startswith("given: cat\n")
    assert titles[1].startswith("given: dog\n")


# Names that are the same, empty or odd, and what TensorBoard calls them.
ODD_NAMES = {
    "numbers": ([10, 20], ["10", "20"]),
    "NumPy's numbers": (np.array([10, 20]), ["10", "20"]),
    "the same": (["crane", "crane"], ["crane (0)", "crane (1)"]),
    "empty": (["", "dog"], ["(0)", "dog"]),
    "blank": ([" ", "\n"], ["(0)", "(1)"]),
    "nearly the same": (["a b", "a\nb"], ["a b (0)", "a b (1)"]),
    "a table's line": (["a|b", "c\nd"], ["a|b", "c d"]),
    "paths": (["animals/cat", "/dog/"], ["animals/cat", "/dog/"]),
    "no UTF-8": (["\udcff", "dog"], ["\\udcff", "dog"]),
    "other scripts": (["猫", "chien à poil"], ["猫", "chien à poil"]),
    "mathematics": (["$\\frac$", "$x"], ["$\\frac$", "$x"]),
    "HTML": (["<b>cat</b>", "&amp;"], ["<b>cat</b>", "&amp;"]),
}


def board_of(log_dir, class_names):
    """A `CurveTensorBoard` beside a model that was given weights."""
    board = kcn.CurveTensorBoard(log_dir, class_names=class_names)
    weighted = types.SimpleNamespace(
        loss_curves=curves,
        sample_weights=lambda: weights,
        distribute_strategy=tf.distribute.get_strategy(),
    )
    board.set_model(weighted)
    return board


def test_too_few_names_end_training_before_it_begins(tmp_path):
    board = board_of(tmp_path, ["cat"])
    with pytest.raises(ValueError, match="Received: 1 names") as error:
        board.on_train_begin()
    assert_short_and_ours(error)


@pytest.mark.filterwarnings("ignore:.*do not tell how many labels")
@pytest.mark.parametrize("kind", ODD_NAMES)
def test_odd_names_of_classes_on_a_board(kind, tmp_path):
    names, expected = ODD_NAMES[kind]
    board = board_of(tmp_path, names)
    board.on_train_begin()
    board.on_epoch_end(0)
    board.on_train_end()
    events = event_accumulator.EventAccumulator(
        str(tmp_path / "curves"), size_guidance={"tensors": 0}
    ).Reload()
    for label, name in enumerate(expected):
        (event,) = events.Tensors(f"mean_weight/{name}")
        mean = weights[labels == label].mean()
        assert tf.make_ndarray(event.tensor_proto) == pytest.approx(mean)
    (event,) = events.Tensors("noise_rates")
    table = tf.make_ndarray(event.tensor_proto).item().decode()
    rows = re.split(r"\n", table)[2:]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [4, 4]


@pytest.mark.filterwarnings("ignore:.*do not tell how many labels")
@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
@pytest.mark.parametrize(
    "kind", ["the same", "empty", "no UTF-8", "other scripts", "mathematics"]
)
def test_odd_names_of_classes_in_pictures_and_reports(kind, tmp_path):
    names, expected = ODD_NAMES[kind]
    sheet = kcn.plots.plot_label_issues(
        curves, images, class_names=names, sample_ids=[0, 1]
    )
    sheet.savefig(tmp_path / "sheet.png")
    titles = [cell.get_title() for cell in sheet.axes[0].child_axes]
    assert [title.split("\n")[0] for title in titles] == [
        f"given: {name}" for name in expected
    ]
    titles = re.findall(r"<h3>(.*?)</h3>", page(tmp_path, class_names=names))
    assert sorted(titles) == sorted(expected)


# Into other tools and back.


def test_a_label_report_goes_through_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    report = kcn.label_report(curves, predictions, weights.astype("float32"))
    report.to_parquet(tmp_path / "report.parquet")
    again = pd.read_parquet(tmp_path / "report.parquet")
    pd.testing.assert_frame_equal(again, report)
    columns = {"score", "is_issue", "suggested_label", "sample_weight"}
    assert columns < set(again)
    values = curves.to_dataframe()
    values.to_parquet(tmp_path / "curves.parquet")
    again = pd.read_parquet(tmp_path / "curves.parquet")
    pd.testing.assert_frame_equal(again, values)


def cleanlab_example():
    """What the docstring of `label_report` does with cleanlab."""
    docstring = inspect.getdoc(kcn.label_report)
    return re.search(r"```\n(seen.*?)```", docstring, re.DOTALL).group(1)


def stand_in_for_cleanlab():
    """What cleanlab does with arrays of the kinds that it demands."""

    def find_label_issues(labels, pred_probs, return_indices_ranked_by):
        assert labels.dtype.kind == "i" and labels.min() == 0
        assert pred_probs.shape == (len(labels), labels.max() + 1)
        np.testing.assert_allclose(pred_probs.sum(axis=1), 1.0, rtol=1e-5)
        confidence = pred_probs[np.arange(len(labels)), labels]
        return np.argsort(confidence)[:5]

    filters = types.SimpleNamespace(find_label_issues=find_label_issues)
    return types.SimpleNamespace(filter=filters)


@pytest.mark.parametrize("package", ["stand-in", "cleanlab"])
def test_into_cleanlab_and_back(package):
    if package == "stand-in":
        cleanlab = stand_in_for_cleanlab()
    else:
        cleanlab = pytest.importorskip("cleanlab")
        pytest.importorskip("cleanlab.filter")
    told = labels.copy()
    told[:6] = 1 - told[:6]
    seen = losses.T.copy()
    seen[-1], told[-1] = np.nan, -1
    probabilities = np.eye(2, dtype="float32")[labels] * 0.8 + 0.1
    probabilities[-1] = 0.0  # There are none.
    names = {
        "np": np,
        "kcn": kcn,
        "cleanlab": cleanlab,
        "curves": kcn.LossCurves(seen, told),
        "probabilities": probabilities,
    }
    exec(cleanlab_example(), names)
    found = names["report"].query("is_cleanlab_issue").sample_id
    assert set(found) <= set(range(6)) and len(found) >= 5


# Many classes.


@pytest.fixture(scope="module")
def curves_of_many_classes():
    num_samples, num_classes = 200_000, 20_000
    values = rng.uniform(size=(num_samples, 4)).astype("float32")
    values[::5] += 2.0
    many = rng.permutation(np.arange(num_samples) % num_classes)
    return kcn.LossCurves(values, many)


MANY_CLASSES = {
    "scores": kcn.label_quality_scores,
    "issues": lambda c: kcn.find_label_issues(c, np.full(c.num_classes, 0.2)),
    "meta samples": kcn.select_meta_samples,
    "noise rates": kcn.estimate_noise_rates,
    "verdicts": kcn.sample_verdicts,
}


@pytest.mark.parametrize("name", MANY_CLASSES)
def test_time_is_linear_in_classes(name, curves_of_many_classes):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        began = time.process_time()
        MANY_CLASSES[name](curves_of_many_classes)
        # A mask of all samples for each class takes 20 s.
        assert time.process_time() - began < 2.0
    assert all(len(str(one.message)) < 250 for one in caught)


def test_rates_by_class_find_as_many_of_each(curves_of_many_classes):
    rates = np.where(np.arange(20_000) % 2, 0.3, 0.1)
    issues = kcn.find_label_issues(curves_of_many_classes, rates)
    found = np.bincount(curves_of_many_classes.labels[issues])
    np.testing.assert_array_equal(found, 10 * rates)


# Messages stay short.

words = ["no label at all"] * 50_000

LONG_VALUES = {
    "labels": lambda: kcn.LossCurves(np.ones((50_000, 2)), words),
    "long labels": lambda: kcn.LossCurves(np.ones((2, 2)), ["x" * 10**6] * 2),
    "rows as labels": lambda: kcn.LossCurves(
        np.ones((2, 2)), np.array([[0] * 10**5, "a"], object)
    ),
    "uneven labels": lambda: kcn.LossCurves(np.ones((2, 2)), [[0] * 9, [1]]),
    "values": lambda: kcn.LossCurves([["x" * 10**5] * 2] * 9, [0] * 9),
    "number of classes": lambda: kcn.LossCurves(
        losses.T, labels, num_classes=words
    ),
    "rates": lambda: kcn.find_label_issues(curves, np.ones(50_000)),
    "samples per class": lambda: kcn.select_meta_samples(curves, words),
    "seed": lambda: kcn.select_meta_samples(curves, seed=words),
    "path to save to": lambda: kcn.LossCurves(losses.T, labels).save(words),
    "recorder's path": lambda: kcn.LossCurveRecorder(words),
    "log_dir": lambda: kcn.CurveTensorBoard(words),
    "skip_epochs": lambda: curves.class_centered(words),
    "ids": lambda: kcn.plots.plot_label_issues(
        curves, images, sample_ids=words
    ),
    "max_images": lambda: kcn.plots.plot_label_issues(
        curves, images, max_images=words
    ),
    "weights": lambda: kcn.plots.plot_sample_weights(words, words),
    "folder": lambda: kcn.write_report(curves, words),
    "class names": lambda: kcn.write_report(
        curves, "report", class_names=[type("T" * 900, (), {})()] * 2
    ),
    "rows": lambda: kcn.write_report(curves, "report", rows=words),
}


@pytest.mark.filterwarnings("ignore:.* do not tell how many")
@pytest.mark.parametrize("name", LONG_VALUES)
def test_a_message_is_short_whatever_was_given(name):
    with pytest.raises((TypeError, ValueError)) as error:
        LONG_VALUES[name]()
    assert_short_and_ours(error)

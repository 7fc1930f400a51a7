import sys

import matplotlib.figure
import numpy as np
import planted
import pytest

import keras_curvenet as kcn


def curves_and_truth():
    curves, is_wrong = planted.curves_of([200, 150, 40])
    other = np.array([1, 0, 0])[curves.labels]
    return curves, np.where(is_wrong, other, curves.labels)


def legend_of(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().texts]


def test_loss_curves_by_verdict():
    curves, _ = curves_and_truth()
    figure = kcn.plots.plot_loss_curves(curves)
    (ax,) = figure.axes
    verdicts = kcn.sample_verdicts(curves)
    names = ["clean head", "clean tail", "suspect"]
    expected = [f"{name} (n = {(verdicts == name).sum()})" for name in names]
    assert legend_of(figure) == expected
    for line, name in zip(ax.lines, names, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 21))
        mean = curves.values[verdicts == name].mean(axis=0)
        np.testing.assert_allclose(line.get_ydata(), mean, rtol=1e-5)
    assert len(ax.collections) == 3  # A band for each curve.
    members = curves.values[verdicts == "suspect"]
    low, high = np.quantile(members, [0.25, 0.75], axis=0)
    heights = ax.collections[2].get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(low.min())
    assert heights.max() == pytest.approx(high.max())
    assert ax.get_xlabel() == "epoch" and ax.get_ylabel() == "training loss"
    assert ax.get_title()


def test_loss_curves_by_true_labels():
    curves, truth = curves_and_truth()
    legend = legend_of(kcn.plots.plot_loss_curves(curves, truth))
    is_wrong = curves.labels != truth
    is_tail = truth == 2
    assert legend == [
        f"right label, head (n = {(~is_wrong & ~is_tail).sum()})",
        f"right label, tail (n = {(~is_wrong & is_tail).sum()})",
        f"wrong label, head (n = {(is_wrong & ~is_tail).sum()})",
    ]
    assert is_tail.sum() == 30  # All wrong labels of class 2 are of class 0.


def test_sample_weights_in_per_cent_of_each_group():
    curves, truth = curves_and_truth()
    weights = np.random.default_rng(0).uniform(0.02, 1.02, len(truth))
    figure = kcn.plots.plot_sample_weights(weights, curves.labels, truth)
    (ax,) = figure.axes
    assert len(ax.patches) == 4
    for patch in ax.patches:
        heights = patch.get_xy()[:, 1]
        assert heights.sum() / 2.0 == pytest.approx(100.0)
    assert "n = " in legend_of(figure)[0]
    assert ax.get_ylabel() == "share of the group (%)"
    groups = legend_of(kcn.plots.plot_sample_weights(weights, curves.labels))
    assert groups == ["head (n = 350)", "tail (n = 40)"]


@pytest.mark.parametrize("by_epochs", [False, True])
def test_sheet_of_label_issues(by_epochs):
    curves, _ = curves_and_truth()
    images = np.random.default_rng(0).uniform(size=(390, 5, 6, 1))
    others = (curves.labels + 1) % 3
    predictions = None if by_epochs else np.eye(3)[others]
    if by_epochs:
        predicted = np.tile(others[:, np.newaxis], curves.num_epochs)
        curves = kcn.LossCurves(
            curves.values, curves.labels, predicted_classes=predicted
        )
    figure = kcn.plots.plot_label_issues(
        curves, images, predictions, class_names=["cat", "dog", "cow"]
    )
    sheet, *cells = [figure.axes[0], *figure.axes[0].child_axes]
    issues = kcn.find_label_issues(curves)
    assert len(cells) == 24
    text = f"24 of {len(issues)} label issues, worst first, among 390 samples"
    assert sheet.get_title() == text
    names = ["cat", "dog", "cow"]
    for cell, sample_id in zip(cells, issues, strict=False):
        (picture,) = cell.images
        np.testing.assert_allclose(
            picture.get_array(), images[sample_id, ..., 0]
        )
        label = curves.labels[sample_id]
        given, quality, predicted = cell.get_title().splitlines()
        assert given == f"given: {names[label]}"
        score = kcn.label_quality_scores(curves)[sample_id]
        assert quality == f"quality {score:.2f}"
        assert predicted == f"predicted: {names[(label + 1) % 3]}"


def test_sheet_of_chosen_samples_from_a_dict():
    curves, _ = curves_and_truth()
    images = {7: np.zeros((4, 4, 3), "uint8"), 3: np.full((4, 4), 9.0)}
    figure = kcn.plots.plot_label_issues(curves, images, sample_ids=[7, 3])
    cells = figure.axes[0].child_axes
    assert [cell.get_title().splitlines()[0] for cell in cells] == [
        f"given: {curves.labels[7]}",
        f"given: {curves.labels[3]}",
    ]


def test_sheet_without_issues():
    curves = kcn.LossCurves(np.ones((6, 4)), [0, 0, 0, 1, 1, 1])
    figure = kcn.plots.plot_label_issues(curves, np.zeros((6, 2, 2)))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["no label issues were found"]


@pytest.mark.parametrize("plot", ["loss_curves", "sample_weights", "issues"])
def test_given_axes_are_drawn_into(plot):
    curves, _ = curves_and_truth()
    figure = matplotlib.figure.Figure()
    ax = figure.add_subplot()
    if plot == "loss_curves":
        returned = kcn.plots.plot_loss_curves(curves, ax=ax)
    elif plot == "sample_weights":
        weights = np.ones(390)
        returned = kcn.plots.plot_sample_weights(weights, curves.labels, ax=ax)
    else:
        images = np.zeros((390, 2, 2))
        returned = kcn.plots.plot_label_issues(curves, images, ax=ax)
    assert returned is figure
    assert figure.axes == [ax]
    assert ax.get_title()


@pytest.mark.parametrize("num_classes", [100, 1000])
def test_many_classes_still_fit_the_legend(num_classes):
    rng = np.random.default_rng(0)
    labels = np.arange(4 * num_classes) % num_classes
    curves = kcn.LossCurves(rng.uniform(size=(len(labels), 5)), labels)
    legend = legend_of(kcn.plots.plot_loss_curves(curves, labels))
    assert len(legend) == 1
    weights = rng.uniform(size=len(labels))
    assert len(legend_of(kcn.plots.plot_sample_weights(weights, labels))) == 1


def test_nothing_to_see():
    curves = kcn.LossCurves(np.full((4, 3), np.nan), [-1] * 4)
    (ax,) = kcn.plots.plot_loss_curves(curves).axes
    assert [text.get_text() for text in ax.texts] == [
        "no sample with a finite loss"
    ]
    (ax,) = kcn.plots.plot_sample_weights(np.full(4, np.nan), [0] * 4).axes
    assert [text.get_text() for text in ax.texts] == [
        "no sample with a finite weight"
    ]


def test_gaps_in_curves():
    curves, _ = curves_and_truth()
    values = curves.values.copy()
    values[:, 4], values[::7, 9], values[5, 2] = np.nan, np.nan, np.inf
    gaps = kcn.LossCurves(values, curves.labels)
    (ax,) = kcn.plots.plot_loss_curves(gaps).axes
    for line in ax.lines:
        assert len(line.get_xdata()) == 19
        assert np.isfinite(line.get_ydata()).all()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((390, 7)), "samples of shape \\(7,\\)"),
        (np.zeros((390, 4, 4, 2)), "samples of shape"),
        (np.zeros((3, 4, 4)), "images without it"),
        ({}, "images without it"),
    ],
)
def test_no_images_where_images_are_needed(images, message):
    curves, _ = curves_and_truth()
    with pytest.raises(ValueError, match=message):
        kcn.plots.plot_label_issues(curves, images, sample_ids=[9])


def test_sheet_of_no_samples():
    curves, _ = curves_and_truth()
    figure = kcn.plots.plot_label_issues(curves, {}, sample_ids=[])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["no samples were given"]


@pytest.mark.parametrize("sample_ids", [[390], [-1], [True, False], [[1]]])
def test_invalid_sample_ids(sample_ids):
    curves, _ = curves_and_truth()
    with pytest.raises(ValueError, match="argument `sample_ids`"):
        kcn.plots.plot_label_issues(curves, {}, sample_ids=sample_ids)


def test_negative_losses_are_drawn_whole():
    curves, _ = curves_and_truth()
    shifted = kcn.LossCurves(curves.values - 3.0, curves.labels)
    (ax,) = kcn.plots.plot_loss_curves(shifted).axes
    assert ax.get_ylim()[0] < ax.dataLim.ymin < 0.0


def test_invalid_arguments():
    curves, truth = curves_and_truth()
    with pytest.raises(ValueError, match="Received: -1 for some"):
        kcn.plots.plot_loss_curves(curves, np.where(truth == 2, -1, truth))
    with pytest.raises(ValueError, match="argument `weights`"):
        kcn.plots.plot_sample_weights(np.ones((390, 1)), truth)
    with pytest.raises(ValueError, match="argument `max_images`"):
        kcn.plots.plot_label_issues(curves, {}, max_images=0)
    with pytest.raises(ValueError, match="argument `true_labels`"):
        kcn.plots.plot_loss_curves(curves, truth[:5])
    with pytest.raises(ValueError, match="argument `labels`"):
        kcn.plots.plot_sample_weights(np.ones(390), truth[:5])
    images = np.zeros((390, 2, 2))
    with pytest.raises(ValueError, match="argument `predictions`"):
        kcn.plots.plot_label_issues(curves, images, np.ones((390, 2)))
    with pytest.raises(ValueError, match="Received: 1 names"):
        kcn.plots.plot_label_issues(
            curves, images, class_names=["a"], sample_ids=[389]
        )


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("matplotlib", kcn.plots.plot_loss_curves),
        ("pandas", kcn.label_report),
        ("pandas", kcn.LossCurves.to_dataframe),
    ],
)
def test_a_missing_package_is_named(package, call, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.figure", None)
    curves = kcn.LossCurves(np.ones((4, 3)), [0, 0, 1, 1])
    with pytest.raises(ImportError, match=f"pip install {package}"):
        call(curves)

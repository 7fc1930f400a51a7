import json
import re
import sys

import keras
import numpy as np
import pandas as pd
import planted
import pytest
from report_pages import parsed
from report_pages import report_of
from sklearn.datasets import load_digits

import keras_curvenet as kcn
from keras_curvenet.inspecting.report import class_summaries
from keras_curvenet.inspecting.report import write_report

NAMES = ["cat", "dog", "cow"]


@pytest.fixture(scope="module")
def curves():
    return planted.curves_of([80, 60, 20])[0]


def suggesting(curves):
    """Predictions of the next class for each label issue."""
    is_issue = kcn.label_quality_scores(curves) < 0.5
    return np.eye(3)[(curves.labels + is_issue) % 3]


def sample_id(sample):
    """The id of a row, whose first cell it is."""
    return next(sample.all("th")).text


def test_summary(curves, tmp_path):
    page = report_of(curves, tmp_path)
    issues = kcn.find_label_issues(curves)
    text = page.section("summary").text
    figures = [element.text for element in page.all("dd")][:5]
    share = f"{100 * len(issues) / 160:.1f} %"
    assert figures == ["160", "3", "20", str(len(issues)), share]
    assert f"an estimated {share} are wrong: {len(issues)} label issues" in text
    assert "never seen" not in text
    assert not list(page.all(css_class="warning"))


def test_noise_rates_by_class(curves, tmp_path):
    page = report_of(curves, tmp_path, class_names=NAMES)
    header, *rows = page.section("classes").rows()
    assert header[:4] == ["class", "given label", "samples", "label issues"]
    rates = kcn.estimate_noise_rates(curves)
    counts = np.bincount(curves.labels)
    expected = [
        [str(label), NAMES[label], str(counts[label])]
        + [f"{rates[label] * counts[label]:.0f}", f"{100 * rates[label]:.1f} %"]
        for label in (0, 1, 2)
    ]
    assert [row[:5] for row in rows] == expected  # Most label issues first.
    widths = [bar.attributes["width"] for bar in page.all("rect")]
    assert widths == [f"{100 * rates[label]:.1f}%" for label in (0, 1, 2)]


def test_threshold_counts_are_exact(curves, tmp_path):
    page = report_of(curves, tmp_path)
    below = json.loads(page.section("below").text)
    scores = kcn.label_quality_scores(curves)
    for step in range(101):
        is_below = scores < step / 100
        assert below["total"][step] == is_below.sum()
        for label in range(3):
            count = (is_below & (curves.labels == label)).sum()
            assert below["classes"][label][step] == count
    for sample in page.all(css_class="sample"):
        quality_bin = int(sample.attributes["data-bin"])
        score = scores[int(sample_id(sample))]
        assert quality_bin / 100 <= score < (quality_bin + 1) / 100
    slider = page.section("threshold").attributes
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "100", "50")


def test_quality_on_the_edge_of_a_bin():
    scores = np.array([0.0, 0.07, 0.29, 0.5, 0.57, 0.99, 1.0])
    below = class_summaries.num_below(scores)
    expected = [(scores < step / 100).sum() for step in range(101)]
    np.testing.assert_array_equal(below, expected)


def test_matrix_of_given_against_suggested(curves, tmp_path):
    predictions = suggesting(curves)
    page = report_of(
        curves, tmp_path, predictions=predictions, class_names=NAMES
    )
    assert page.section("pairs") is None
    header, *rows = page.section("matrix").rows()
    assert header[1:] == NAMES
    counts = np.bincount(
        curves.labels[kcn.label_quality_scores(curves) < 0.5], minlength=3
    )
    for label, row in enumerate(rows):
        expected = np.zeros(3, int)
        expected[(label + 1) % 3] = counts[label]
        assert row == [NAMES[label], *map(str, expected)]
    shades = [cell.attributes["class"] for cell in page.all("td", "shade-9")]
    assert len(shades) == 1  # The largest.


def test_many_classes_are_listed_by_pairs(tmp_path):
    curves, is_wrong = planted.curves_of([8] * 40)
    suggested = np.where(is_wrong, curves.labels // 2, curves.labels)
    page = report_of(curves, tmp_path, predictions=np.eye(40)[suggested])
    assert page.section("matrix") is None
    _, *rows = page.section("pairs").rows()
    issues = kcn.find_label_issues(curves)
    given = curves.labels[issues]
    is_other = given != suggested[issues]
    pairs = {
        (str(a), str(b))
        for a, b in zip(given, suggested[issues], strict=True)
        if a != b
    }
    assert len(rows) == 30 < len(pairs)
    assert {tuple(row[:2]) for row in rows} <= pairs
    counts = [int(row[2]) for row in rows]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) <= is_other.sum()
    assert f"pairs of {len(pairs)}." in page.section("pairs").text


def test_pictures(curves, tmp_path):
    page = report_of(curves, tmp_path)
    (picture,) = page.section("pictures").all("img")
    assert picture.attributes["src"].startswith("data:image/png;base64,iVBOR")
    assert "Mean loss curve" in picture.attributes["alt"]
    weights = np.linspace(0.0, 1.0, 160)
    page = report_of(curves, tmp_path, sample_weights=weights)
    assert len(list(page.section("pictures").all("img"))) == 2


def test_worst_of_each_class(curves, tmp_path):
    page = report_of(curves, tmp_path, max_samples_per_class=5)
    scores = kcn.label_quality_scores(curves)
    order = np.argsort(scores, kind="stable")
    groups = list(page.section("worst").all("section", "group"))
    assert [next(group.all("h3")).text for group in groups] == ["0", "1", "2"]
    for label, group in enumerate(groups):
        ids = [int(sample_id(s)) for s in group.all(css_class="sample")]
        assert ids == order[curves.labels[order] == label][:5].tolist()
        qualities = [row[1] for row in group.rows()[1:]]
        assert qualities == [f"{scores[i]:.2f}" for i in ids]
    num_issues = (scores < 0.5).sum()
    assert f"15 of {num_issues} label issues are shown" in (
        page.section("worst").text
    )


def test_class_without_issues(tmp_path):
    curves, is_wrong = planted.curves_of([60, 40], noise_rate=0.2)
    values = curves.values.copy()
    values[60:] = np.linspace(2.0, 0.1, 20)
    curves = kcn.LossCurves(values, curves.labels)
    assert kcn.estimate_noise_rates(curves)[1] == 0.0
    page = report_of(curves, tmp_path)
    assert page.section("classes").rows()[2][:4] == ["1", "40", "0", "0.0 %"]


def test_cap_shows_issues_first_and_each_class(tmp_path, monkeypatch):
    monkeypatch.setattr(write_report, "_MOST_SAMPLES", 12)
    curves, _ = planted.curves_of([40, 30, 20, 20])
    page = report_of(curves, tmp_path)
    ids = [int(sample_id(s)) for s in page.all(css_class="sample")]
    assert len(ids) == 12
    assert np.bincount(curves.labels[ids]).tolist() == [3, 3, 3, 3]
    assert (kcn.label_quality_scores(curves)[ids] < 0.5).all()
    assert "left out to keep the page small" in page.section("worst").text


def test_rows_of_text(curves, tmp_path):
    texts = [f"text {i}" for i in range(160)]
    issues = kcn.find_label_issues(curves)
    texts[issues[curves.labels[issues] == 0][0]] = "long " * 1000
    page = report_of(
        curves,
        tmp_path,
        rows=texts,
        file_paths=[f"{i}.txt" for i in range(160)],
        predictions=suggesting(curves),
        class_names=NAMES,
        max_samples_per_class=3,
    )
    header, *rows = next(page.all("section", "group")).rows()
    assert header == ["id", "quality", "given", "suggested", "file", "text"]
    for row in rows:
        assert row[2:5] == ["cat", "dog", f"{row[0]}.txt"]
    longest = max((row[5] for row in rows), key=len)
    assert len(longest) <= 1000 and longest.endswith("\u2026")
    assert sum(row[5] == f"text {row[0]}" for row in rows) == 2


def test_rows_of_a_table(curves, tmp_path):
    frame = pd.DataFrame(
        {
            "income": np.arange(160) / 7,
            "city": [f"city {i}" for i in range(160)],
        },
        index=np.arange(160)[::-1],  # Positions are the ids, not the index.
    )
    page = report_of(curves, tmp_path, rows=frame)
    header, *rows = next(page.all("section", "group")).rows()
    assert header == ["id", "quality", "given", "income", "city"]
    for sample, _, _, income, city in rows:
        assert city == f"city {sample}"
        assert income == f"{int(sample) / 7:.6g}"
    wide = pd.DataFrame(np.zeros((160, 34)))
    page = report_of(curves, tmp_path, rows=wide)
    assert "4 columns are left out." in page.section("worst").text


def test_unseen_samples(curves, tmp_path):
    values, labels = curves.values.copy(), curves.labels.copy()
    values[:7], labels[:7] = np.nan, -1
    unseen = kcn.LossCurves(values, labels)
    page = report_of(unseen, tmp_path, class_names=NAMES)
    assert "7 samples were never seen" in page.section("summary").text
    ids = {int(sample_id(s)) for s in page.all(css_class="sample")}
    assert ids and not ids & set(range(7))
    table = pd.read_csv(tmp_path / "report.csv")
    assert (table.verdict == "unseen").sum() == 7
    assert table.label_name[table.verdict == "unseen"].isna().all()


def test_nothing_was_seen(tmp_path):
    curves = kcn.LossCurves(np.full((6, 4), np.nan), [-1] * 6, num_classes=2)
    page = report_of(
        curves, tmp_path, images=np.zeros((6, 4, 4)), sample_weights=np.ones(6)
    )
    assert "6 samples were never seen" in page.section("summary").text
    for name in (
        "classes",
        "matrix",
        "pairs",
        "pictures",
        "worst",
        "threshold",
    ):
        assert page.section(name) is None
    assert not list(page.all("script"))


def test_no_issues(tmp_path):
    curves = kcn.LossCurves(np.ones((6, 4)), [0, 0, 0, 1, 1, 1])
    page = report_of(curves, tmp_path, predictions=np.eye(2)[[1] * 6])
    assert "no label issues were found" in page.section("summary").text
    assert page.section("matrix") is None
    assert len(list(page.all(css_class="sample"))) == 6


def test_empty_sections_are_left_out(curves, tmp_path):
    page = report_of(curves, tmp_path)
    assert page.section("matrix") is None and page.section("pairs") is None
    header = next(page.all("section", "group")).rows()[0]
    assert header == ["id", "quality", "given"]
    page = report_of(curves, tmp_path, predictions=np.zeros((160, 3)))
    assert page.section("matrix") is None
    assert {row[3] for row in next(page.all("section", "group")).rows()} == {
        "suggested",
        "",
    }


def test_one_class(tmp_path):
    # As of a recorder whose targets are several labels or values.
    curves = planted.curves_of([60])[0]
    assert curves.num_classes == 1
    page = report_of(curves, tmp_path, predictions=np.ones((60, 1)))
    assert page.section("matrix") is None
    assert len(page.section("classes").rows()) == 2


def test_warning_of_label_quality_is_on_the_page(tmp_path):
    curves = planted.unclear_curves()
    with pytest.warns(UserWarning, match="do not tell how many") as caught:
        page = report_of(curves, tmp_path)
    assert len(caught) == 1
    (warning,) = page.all(css_class="warning")
    assert str(caught[0].message) in warning.text
    assert caught[0].filename.endswith("report_pages.py")  # Who called.
    # The least and the most that may be wrong.
    assert "The curves allow 6.9 % to 53.1 %." in page.text


def learned_curves(share):
    """Of right labels, so large a share is predicted in the end."""
    margins = np.full((100, 8), 3.0)
    margins[round(100 * share) :, 4:] = -0.1
    losses = np.log1p(np.exp(-margins))
    return kcn.LossCurves(losses, np.zeros(100, int), 1, margins)


def test_network_that_was_still_learning(tmp_path):
    curves = learned_curves(0.7)
    assert not kcn.find_label_issues(curves).size
    note = report_of(curves, tmp_path).section("still-learning").text
    assert "predicted only 70.0 % of the labels that look right" in note
    assert "Recording more epochs tells more" in note


def test_network_that_has_learned(tmp_path):
    page = report_of(learned_curves(0.75), tmp_path)
    assert page.section("still-learning") is None


def test_losses_alone_do_not_tell_what_was_learned(curves, tmp_path):
    assert report_of(curves, tmp_path).section("still-learning") is None


def test_digits_of_a_real_probe(tmp_path):
    keras.utils.set_random_seed(0)
    x, y = load_digits(return_X_y=True)
    noisy = kcn.datasets.corrupt_labels(y, 0.2, "symmetric", seed=0)
    model = keras.Sequential([keras.layers.Dense(10, "softmax")])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    recorder = kcn.LossCurveRecorder()
    train = kcn.with_sample_ids((x / 16.0, noisy)).shuffle(1797).batch(32)
    model.fit(train, epochs=10, callbacks=[recorder], verbose=0)
    page = report_of(recorder.loss_curves, tmp_path, images=x.reshape(-1, 8, 8))
    samples = list(page.all("li", "sample"))
    assert len(samples) == 240
    ids = [int(re.search(r" id (\d+)", s.text)[1]) for s in samples]
    assert (noisy != y)[ids].mean() > 0.9
    suggested = [int(re.search(r"suggested (\d)", s.text)[1]) for s in samples]
    assert (suggested == y[ids]).mean() > 0.7
    assert page.section("matrix") is not None


def test_earlier_report_is_replaced(curves, tmp_path):
    folder = tmp_path / "made" / "here"
    path = kcn.write_report(curves, folder)
    assert path == str(folder / "report.html")
    assert parsed(path).section("matrix") is None
    kcn.write_report(curves, str(folder), predictions=suggesting(curves))
    assert parsed(path).section("matrix") is not None
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["report.csv", "report.html"]


def test_page_can_be_read_aloud(curves, tmp_path):
    page = report_of(
        curves,
        tmp_path,
        images=np.zeros((160, 4, 4)),
        predictions=suggesting(curves),
        class_names=NAMES,
    )
    assert next(page.all("html")).attributes["lang"] == "en"
    assert next(page.all("title")).text
    assert all(image.attributes["alt"] for image in page.all("img"))
    for table in page.all("table"):
        assert next(table.all("caption")).text
        for header in table.all("th"):
            assert header.attributes["scope"] in ("col", "row")
    labelled = {label.attributes["for"] for label in page.all("label")}
    controls = {control.attributes["id"] for control in page.all("input")}
    assert labelled == controls == {"threshold"}


@pytest.mark.parametrize("package", ["jinja2", "matplotlib", "pandas", "PIL"])
def test_a_missing_package_is_named(package, curves, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError) as raised:
        kcn.write_report(curves, tmp_path / "report")
    assert f"A report needs {package}" in str(raised.value)
    assert "`pip install jinja2 matplotlib pandas pillow`" in str(raised.value)
    assert not (tmp_path / "report").exists()

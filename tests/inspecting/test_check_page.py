"""The questions of a report's page."""

import json

import numpy as np
import pandas as pd
import planted
import pytest
from report_pages import report_of

import keras_curvenet as kcn
from keras_curvenet.inspecting.checked_labels import labels_fingerprint

NAMES = ["cat", "dog", "<owl>"]


@pytest.fixture(scope="module")
def curves():
    return planted.curves_of([60, 60, 60])[0]


def test_no_questions_unless_asked_for(curves, tmp_path):
    page = report_of(curves, tmp_path)
    assert page.section("check") is None
    (script,) = (s for s in page.all("script") if not s.attributes)
    assert "localStorage" not in script.text


def test_what_is_asked(curves, tmp_path):
    texts = [f"What {i} says." for i in range(180)]
    page = report_of(
        curves,
        tmp_path,
        rows=texts,
        class_names=NAMES,
        predictions=np.eye(3)[curves.labels],
        num_labels_to_check=20,
    )
    check = page.section("check")
    # First of all, and only for who runs scripts.
    assert next(iter(page.all("section"))) is check
    assert "hidden" in check.attributes
    asked = kcn.labels_to_check(curves, 20).tolist()
    questions = list(check.all("li"))
    assert [int(q.attributes["data-id"]) for q in questions] == asked
    for sample_id, question in zip(asked, questions, strict=True):
        label = int(curves.labels[sample_id])
        assert question.attributes["data-label"] == str(label)
        (given,) = question.all("p", "given")
        assert given.text == f"labelled {NAMES[label]}"
        assert texts[sample_id] in question.text
        # Neither suggestions nor label quality, which would lead astray.
        assert "suggested" not in question.text and "0." not in question.text
        (select,) = question.all("select")
        options = [option.text for option in select.all("option")]
        others = [name for name in NAMES if name != NAMES[label]]
        assert options == ["not said", *others]
        buttons = [button.text for button in question.all("button")]
        assert buttons == ["right", "wrong", "can't tell"]


@pytest.mark.parametrize(
    ("sizes", "is_listed"), [([40, 40], False), ([9] * 20, True), ([9] * 21, 0)]
)
def test_classes_are_listed_where_they_are_few(sizes, is_listed, tmp_path):
    curves, _ = planted.curves_of(sizes)
    page = report_of(curves, tmp_path, num_labels_to_check=5)
    assert any(page.section("check").all("select")) == is_listed


def test_rows_of_a_table(curves, tmp_path):
    rows = pd.DataFrame({"<age>": np.arange(180), "name": "x"})
    page = report_of(curves, tmp_path, rows=rows, num_labels_to_check=5)
    for question in page.section("check").all("li"):
        cells = [[e.text for e in question.all(tag)] for tag in ("dt", "dd")]
        expected = [["<age>", "name"], [question.attributes["data-id"], "x"]]
        assert cells == expected


def test_images_are_large(curves, tmp_path):
    images = np.zeros((180, 400, 200, 3))
    page = report_of(curves, tmp_path, images=images, num_labels_to_check=5)
    for image in page.section("check").all("img"):
        assert image.attributes["height"] == "320"
        assert image.attributes["width"] == "160"
    for image in page.section("worst").all("img"):
        assert image.attributes["height"] == "96"


def test_answers_so_far(curves, tmp_path):
    first = kcn.labels_to_check(curves, 20)
    checked = {int(i): bool(i % 4) for i in first}
    page = report_of(curves, tmp_path, checked=checked, num_labels_to_check=30)
    check = page.section("check")
    asked = {int(q.attributes["data-id"]) for q in check.all("li")}
    assert len(asked) == 30 and not asked & set(checked)
    attributes = check.attributes
    assert attributes["data-num-samples"] == "180"
    assert attributes["data-fingerprint"] == labels_fingerprint(curves.labels)
    sizes, answers, wrong = json.loads(attributes["data-layers"])
    assert sum(sizes) == 180 and answers == [2] * 10
    assert sum(wrong) == sum(not answer for answer in checked.values())
    share = kcn.share_of_wrong_labels(curves, checked)
    assert (
        f"By the labels that were checked, {share.share:.1%} of 180 labels are "
        f"wrong (95 % interval: {share.lower:.1%} to {share.upper:.1%})."
    ).replace("%", " %").replace("  %", " %") in page.section("summary").text


def test_nothing_is_left_to_ask(curves, tmp_path):
    checked = dict.fromkeys(range(180), True)
    page = report_of(curves, tmp_path, checked=checked, num_labels_to_check=30)
    assert page.section("check") is None
    assert "0.0 % of 180 labels are wrong" in page.section("summary").text


def test_a_number_that_is_none(curves, tmp_path):
    with pytest.raises(ValueError, match="Received: num_labels_to_check=-1"):
        kcn.write_report(curves, tmp_path, num_labels_to_check=-1)

import numpy as np
import pandas as pd
import pytest

import keras_curvenet as kcn
from keras_curvenet.inspecting.checked_labels import as_answers
from keras_curvenet.inspecting.checked_labels import as_checked_labels
from keras_curvenet.inspecting.checked_labels import labels_fingerprint

CURVES = kcn.LossCurves(
    [[1.0, 0.5], [1.0, 0.4], [1.0, 0.3], [1.0, 0.2], [np.nan, np.nan]],
    labels=[0, 1, 2, 0, -1],
    num_classes=3,
)
HEADER = "sample_id,given_label,answer,right_label,num_samples,fingerprint\n"


def csv_of(path, *rows, labels=CURVES.labels):
    end = f",{len(labels)},{labels_fingerprint(labels)}\n"
    path.write_text(HEADER + "".join(row + end for row in rows))
    return path


@pytest.mark.parametrize(
    "answers",
    [
        {3: True, 0: False, 2: 1, 1: None},
        {np.int64(3): np.True_, 0: np.False_, 2: np.int32(1), 1: None},
        {3: 0, 0: False, 2: 1.0, 1: None},  # The right class is the label.
        pd.Series({3: True, 0: False, 2: 1, 1: None}),
        pd.Series({3: 0, 0: False, 2: 1, 1: pd.NA}, dtype=object),
        [{3: True, 0: False}, None, {2: 1, 1: None, 0: False}],
    ],
)
def test_answers_in_any_form(answers):
    checked = as_checked_labels(answers, CURVES)
    np.testing.assert_array_equal(checked.sample_ids, [0, 2, 3])
    np.testing.assert_array_equal(checked.is_right, [False, False, True])
    np.testing.assert_array_equal(checked.right_labels, [-1, 1, 0])
    np.testing.assert_array_equal(checked.not_told, [1])
    np.testing.assert_array_equal(np.sort(checked.asked), [0, 1, 2, 3])


def test_answers_of_a_page(tmp_path):
    path = csv_of(
        tmp_path / "checked_labels.csv",
        "3,0,right,",
        "2,2,wrong,1",
        "0,0,wrong,",
        "1,1,can't tell,",
    )
    for given in (path, str(path)):
        checked = as_checked_labels(given, CURVES)
        np.testing.assert_array_equal(checked.sample_ids, [0, 2, 3])
        np.testing.assert_array_equal(checked.is_right, [False, False, True])
        np.testing.assert_array_equal(checked.right_labels, [-1, 1, 0])
        np.testing.assert_array_equal(checked.not_told, [1])


def test_what_is_wrong_of_two_classes_is_of_the_other():
    curves = kcn.LossCurves(np.ones((3, 2)), labels=[0, 1, 1])
    checked = as_checked_labels({0: False, 1: False, 2: True}, curves)
    np.testing.assert_array_equal(checked.right_labels, [1, 0, 1])


@pytest.mark.parametrize(
    ("answers", "received"),
    [
        ({5: True}, "sample id 5"),
        ({-1: True}, "sample id -1"),
        ({4: True}, "sample id 4"),  # It was never seen.
        ({"3": True}, "sample id '3'"),
        ({0: 3}, "Received: 3"),
        ({0: "right"}, "Received: 'right'"),
        ({0: 0.5}, "Received: 0.5"),
        (pd.Series([True, False], [1, 1]), "differ for sample id 1"),
        ([{1: True}, {1: 2}], "differ for sample id 1"),
        ([{1: True}, {1: None}], "differ for sample id 1"),
        ({1: None}, "none, and 1 that nobody could tell"),
        ({}, "none, and 0 that nobody could tell"),
    ],
)
def test_answers_that_are_none(answers, received):
    with pytest.raises(ValueError, match=f"`checked`.*{received}"):
        as_answers(answers, CURVES)


@pytest.mark.parametrize("answers", [3, np.ones(5, bool), {1, 2}])
def test_answers_of_another_kind(answers):
    with pytest.raises(TypeError, match="`checked`.*Expected a dict"):
        as_answers(answers, CURVES)


@pytest.mark.parametrize(
    ("rows", "labels", "received"),
    [
        (["1,1,right,"], [0, 1, 2, 0], "on other labels, of 4 samples"),
        (["1,1,right,"], [0, 1, 2, 1, -1], "on other labels, of 5 samples"),
        (["1,1,right,", "1,1,wrong,"], None, "differ for sample id 1"),
        (["1,1,maybe,"], None, "'maybe'"),
        (["one,1,right,"], None, "'one'"),
        (["7,1,right,"], None, "sample id 7"),
        (["1,1,wrong,9"], None, "Received: 9"),
        ([], None, "none, and 0"),
    ],
)
def test_files_that_do_not_fit(rows, labels, received, tmp_path):
    labels = CURVES.labels if labels is None else np.array(labels)
    path = csv_of(tmp_path / "answers.csv", *rows, labels=labels)
    with pytest.raises(ValueError, match=f"`checked`.*{received}"):
        as_answers(path, CURVES)


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"\xff\xfe\x00", b'"\n'])
def test_files_of_another_kind(content, tmp_path):
    path = tmp_path / "answers.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="`checked`"):
        as_answers(path, CURVES)

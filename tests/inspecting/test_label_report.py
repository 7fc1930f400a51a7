import numpy as np
import pandas as pd
import planted
import pytest

import keras_curvenet as kcn


def test_report_by_hand(tmp_path):
    curves, is_wrong = planted.curves_of([30, 10])
    predictions = np.eye(2)[1 - curves.labels]
    weights = np.linspace(0.1, 1.0, 40, dtype=np.float32)
    report = kcn.label_report(curves, predictions, weights)
    assert list(report.columns) == [
        "sample_id",
        "label",
        "score",
        "is_issue",
        "verdict",
        "suggested_label",
        "sample_weight",
    ]
    assert len(report) == 40
    assert (np.diff(report.score) >= 0.0).all()
    rows = report.sort_values("sample_id")
    np.testing.assert_array_equal(rows.label, curves.labels)
    np.testing.assert_array_equal(rows.is_issue, is_wrong)
    np.testing.assert_array_equal(rows.suggested_label, 1 - curves.labels)
    np.testing.assert_array_equal(rows.sample_weight, weights)
    assert set(report[report.is_issue].verdict) == {"suspect"}
    report.to_csv(tmp_path / "report.csv", index=False)
    again = pd.read_csv(tmp_path / "report.csv")
    np.testing.assert_array_equal(again.sample_id, report.sample_id)


def test_samples_without_predictions_have_no_suggestion():
    curves, _ = planted.curves_of([30, 10])
    predictions = np.eye(2)[curves.labels]
    predictions[3] = 0.0
    report = kcn.label_report(curves, predictions).set_index("sample_id")
    assert report.suggested_label[3] == -1
    assert (report.suggested_label.drop(3) >= 0).all()


def test_predicted_classes_suggest_labels():
    curves, is_wrong = planted.curves_of([30, 10])
    predicted = np.tile(curves.labels[:, np.newaxis], curves.num_epochs)
    # The label in all epochs but the last: another one only for issues.
    predicted[:, -1] = 1 - curves.labels
    curves = kcn.LossCurves(
        curves.values, curves.labels, predicted_classes=predicted
    )
    rows = kcn.label_report(curves).sort_values("sample_id")
    np.testing.assert_array_equal(rows.is_issue, is_wrong)
    expected = np.where(is_wrong, 1 - curves.labels, curves.labels)
    np.testing.assert_array_equal(rows.suggested_label, expected)
    given = np.eye(2)[curves.labels]
    rows = kcn.label_report(curves, given).sort_values("sample_id")
    np.testing.assert_array_equal(rows.suggested_label, curves.labels)


def test_report_of_losses_alone():
    curves, _ = planted.curves_of([30, 10])
    columns = ["sample_id", "label", "score", "is_issue", "verdict"]
    assert list(kcn.label_report(curves).columns) == columns


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("predictions", np.ones((3, 2))),
        ("predictions", np.ones(40)),
        ("sample_weights", np.ones(39)),
    ],
)
def test_invalid_arguments(argument, value):
    curves, _ = planted.curves_of([30, 10])
    with pytest.raises(ValueError, match=f"argument `{argument}`"):
        kcn.label_report(curves, **{argument: value})


def test_curves_to_dataframe():
    curves, _ = planted.curves_of([3, 2], num_epochs=2)
    table = curves.to_dataframe()
    assert list(table.columns) == ["sample_id", "label", "loss_1", "loss_2"]
    np.testing.assert_array_equal(table.sample_id, np.arange(5))
    np.testing.assert_array_equal(table.label, curves.labels)
    np.testing.assert_array_equal(table[["loss_1", "loss_2"]], curves.values)

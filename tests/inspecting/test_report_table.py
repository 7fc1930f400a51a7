import numpy as np
import pandas as pd
import planted

import keras_curvenet as kcn


def test_table_beside_the_page(tmp_path):
    curves, _ = planted.curves_of([30, 10])
    predictions = np.eye(2)[1 - curves.labels]
    predictions[3] = 0.0
    weights = np.linspace(0.0, 1.0, 40)
    paths = [f"folder/{i}.txt" for i in range(40)]
    kcn.write_report(
        curves,
        tmp_path,
        class_names=["cat", "dog"],
        file_paths=paths,
        rows=paths,
        predictions=predictions,
        sample_weights=weights,
    )
    table = pd.read_csv(tmp_path / "report.csv")
    assert list(table.columns) == [
        "sample_id",
        "file_path",
        "label",
        "label_name",
        "score",
        "is_issue",
        "verdict",
        "suggested_label",
        "suggested_label_name",
        "sample_weight",
    ]
    expected = kcn.label_report(curves, predictions, weights)
    for column in expected:
        np.testing.assert_array_equal(table[column], expected[column])
    assert table.file_path.tolist() == [paths[i] for i in table.sample_id]
    names = np.array(["cat", "dog"])
    np.testing.assert_array_equal(table.label_name, names[table.label])
    table = table.set_index("sample_id")
    assert table.suggested_label[3] == -1
    assert np.isnan(table.suggested_label_name[3])
    assert table.suggested_label_name[4] == "dog"


def test_table_of_curves_alone(tmp_path):
    curves, _ = planted.curves_of([30, 10])
    kcn.write_report(curves, tmp_path)
    columns = list(pd.read_csv(tmp_path / "report.csv").columns)
    assert columns == list(kcn.label_report(curves).columns)

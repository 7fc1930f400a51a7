"""The example scripts run from start to end, cut short by Keras."""

import json
import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

import keras_curvenet as kcn

pytestmark = pytest.mark.slow

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
SHORT = {"KERAS_MAX_EPOCHS": "2", "KERAS_MAX_STEPS_PER_EPOCH": "2"}


def run(script, *arguments, limits=SHORT):
    return finished(script, *arguments, limits=limits).stdout


def finished(script, *arguments, limits=SHORT, log_level="3"):
    environment = {**os.environ, **limits, "TF_CPP_MIN_LOG_LEVEL": log_level}
    process = subprocess.run(
        [sys.executable, EXAMPLES / script, *arguments],
        env={name: value for name, value in environment.items() if value},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return process


def test_quickstart(tmp_path):
    path, picture = tmp_path / "figures.json", tmp_path / "picture.png"
    arguments = f"--output={path}", f"--picture={picture}"
    process = finished("quickstart.py", *arguments, log_level=None)
    assert not re.search(
        r"^[IWEF]\d{4} |absl::InitializeLog", process.stderr, re.MULTILINE
    ), "TensorFlow's messages"
    printed = process.stdout
    for name, rows in json.loads(path.read_text()).items():
        ((last, best, tail),) = rows
        assert 0.0 <= last <= best <= 1.0
        assert 0.0 <= tail <= 1.0
        assert f"{name:20}{last:>12.3f}{best:>8.3f}{tail:>8.3f}" in printed
    assert "epoch 2 of 30" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in printed


class Digits(tfds.core.GeneratorBasedBuilder):
    """Scikit-learn's digits as a dataset of TFDS: nothing is downloaded."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(8, 8, 1)),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {
            "train": self._generate_examples(slice(0, 1500)),
            "test": self._generate_examples(slice(1500, None)),
        }

    def _generate_examples(self, rows):
        digits = load_digits()
        images = (digits.images[rows] * 15).astype("uint8")[..., np.newaxis]
        for row, image in enumerate(images):
            label = int(digits.target[rows][row])
            yield row, {"image": image, "label": label}


def test_noisy_long_tailed_images(tmp_path, monkeypatch):
    output, logs = tmp_path / "output", tmp_path / "logs"
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    Digits(data_dir=tmp_path).download_and_prepare()
    run(
        "noisy_long_tailed_images.py",
        "--dataset=digits",
        "--max_per_class=40",
        "--imbalance_factor=0.5",
        "--meta_per_class=2",
        f"--output_dir={output}",
        f"--log_dir={logs}",
    )
    figures = json.loads((output / "figures.json").read_text())
    curves = kcn.LossCurves.load(output / "loss_curves.npz")
    assert curves.num_samples == figures["samples"]
    assert set(figures["test accuracy"]) == {
        "plain",
        "weighted by curves",
        "true labels",
    }
    assert (output / "sample_weights.npy").exists()
    assert any(logs.rglob("events.out.tfevents.*"))


def test_find_label_issues(tmp_path):
    output = tmp_path / "issues"
    printed = run(
        "find_label_issues.py", "--noise_rate=0.3", f"--output_dir={output}"
    )
    lines = (output / "label_issues.csv").read_text().splitlines()
    assert lines[0] == "sample_id,label,score,is_issue,suggested_label"
    assert len(lines) == 1798
    assert (output / "label_issues.png").stat().st_size > 1000
    assert "among the first     10:" in printed
    assert len(re.findall(r"^ +\d( +\d+){3}$", printed, re.MULTILINE)) == 10


def test_distributed(tmp_path):
    for _ in range(2):  # The second is resumed at its end.
        printed = run(
            "distributed.py", "--devices=2", f"--backup_dir={tmp_path}"
        )
        assert "On 2 devices" in printed


def test_distributed_workers(tmp_path):
    printed = run("distributed.py", "--workers=2", f"--backup_dir={tmp_path}")
    assert printed.count("On 2 devices") == 1  # One of them prints.
    assert {path.name for path in tmp_path.iterdir()} == {"probe", "allocate"}


def test_as_published():
    printed = run("as_published.py", "--seeds=0")
    rows = re.findall(
        r"^(\w[^\d\n]+?) +(\d\.\d{3}) +(\d\.\d{3})$", printed, re.M
    )
    assert [name for name, _, _ in rows] == [
        "plain",
        "Meta-Weight-Net",
        "CurveNet as published",
    ]
    assert all(0.0 <= float(last) <= float(best) for _, last, best in rows)


REPORTS = {  # The table that a script leaves: its rows and some columns.
    "correct_labels.py": (898, {"suggested_label", "corrected_by_person"}),
    "image_folder.py": (1797, {"path", "class", "suggested_class", "score"}),
    "tabular.py": (284, {"label_quality", "sample_weight", "suggested_label"}),
    "rule_labels.py": (4000, {"text", "by_rules", "label", "is_checked"}),
    "text.py": (10000, {"text", "given", "suggested", "score"}),
}


@pytest.mark.parametrize("script", REPORTS)
def test_a_guide_ends_with_a_table(script, tmp_path):
    path = tmp_path / "table.csv"
    fewer = {"rule_labels.py": ["--rounds=1"], "tabular.py": ["--seeds=0"]}
    printed = run(script, f"--output={path}", *fewer.get(script, []))
    table = pd.read_csv(path)
    num_rows, columns = REPORTS[script]
    assert len(table) == num_rows
    assert columns <= set(table)
    assert str(path) in printed


def test_check_labels(tmp_path):
    printed = run("check_labels.py", f"--output_dir={tmp_path}")
    rows = re.findall(r"^ +(\d+) +(0\.\d{3})", printed, re.MULTILINE)
    assert [int(num_answers) for num_answers, _ in rows] == [0, 10, 25, 50, 100]
    assert abs(float(rows[-1][1]) - 0.315) < 0.06
    assert 'id="check"' in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("script", ["fine_tuning.py", "own_train_step.py"])
def test_a_guide_ends_with_a_picture(script, tmp_path):
    path = tmp_path / "picture.png"
    one_seed = ["--seeds=0"] if script == "fine_tuning.py" else []
    printed = run(script, f"--output={path}", *one_seed)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 5000
    accuracies = re.findall(r"^  \D*(\d\.\d{3})$", printed, re.MULTILINE)
    assert len(accuracies) >= 3
    assert all(0.0 <= float(accuracy) <= 1.0 for accuracy in accuracies)


def test_image_folder_reads_a_folder_of_ones_own(tmp_path):
    folder, path = tmp_path / "images", tmp_path / "table.csv"
    for name, rows in (("cat", range(60)), ("dog", range(60, 120))):
        (folder / name).mkdir(parents=True)
        for row in rows:
            image = np.full((8, 8, 1), 2.0 * row)
            keras.utils.save_img(folder / name / f"{row}.png", image)
    printed = run(
        "image_folder.py",
        f"--folder={folder}",
        f"--output={path}",
        "--validation_split=0.25",
        limits={"KERAS_MAX_EPOCHS": "2"},
    )
    assert "val_accuracy" in printed
    table = pd.read_csv(path)
    assert sorted(table.path) == sorted(map(str, folder.rglob("*.png")))
    is_held_out = table["class"].isna()
    assert 10 < is_held_out.sum() < 50
    assert (table.score.isna() == is_held_out).all()
    assert all(
        pathlib.Path(row.path).parent.name == row["class"]
        for _, row in table[~is_held_out].iterrows()
    )
    held_out = {pathlib.Path(p).parent.name for p in table.path[is_held_out]}
    assert held_out == {"cat", "dog"}


def test_other_frameworks(tmp_path):
    printed = run(
        "other_frameworks.py", "--epochs=2", f"--output_dir={tmp_path}"
    )
    table = pd.read_csv(tmp_path / "curves.csv")
    assert len(table) == len(np.load(tmp_path / "weights.npy")) == 898
    assert {"loss_2", "margin_2", "weight"} <= set(table)
    has_parquet = (tmp_path / "curves.parquet").exists()
    assert has_parquet != ("pyarrow is not installed" in printed)
    assert "holds the same losses: True" in printed


def test_resume():
    # Steps that are left out would go on in the next epoch.
    printed = run("resume.py", "--epochs=2", limits={})
    assert printed.count("killed") == 2
    rows = re.findall(r"^(\D+?) +([\d,]+) +(\d+)$", printed, re.MULTILINE)
    assert len(rows) == 7
    assert all(number == "0" for _, _, number in rows)

"""The example scripts run from start to end, cut short by Keras."""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

import keras_curvenet as kcn

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def run(script, *arguments):
    short = {"KERAS_MAX_EPOCHS": "2", "KERAS_MAX_STEPS_PER_EPOCH": "2"}
    environment = {**os.environ, **short, "TF_CPP_MIN_LOG_LEVEL": "3"}
    finished = subprocess.run(
        [sys.executable, EXAMPLES / script, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return finished.stdout


def test_quickstart(tmp_path):
    path = tmp_path / "figures.json"
    printed = run("quickstart.py", "--seeds=0", f"--output={path}")
    for name, rows in json.loads(path.read_text()).items():
        ((last, best, tail),) = rows
        assert 0.0 <= last <= best <= 1.0
        assert 0.0 <= tail <= 1.0
        assert name in printed


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

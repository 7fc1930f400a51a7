"""The README's code runs, and its commands are the ones that CI runs."""

import pathlib
import re

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_use_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    names = {}
    keras.utils.set_random_seed(0)
    exec(code, names)
    weights = names["weighted"].sample_weights()
    assert weights.shape == (1797,)
    assert np.isfinite(weights).all()
    is_wrong = names["y"] != load_digits().target
    assert weights[is_wrong].mean() < weights[~is_wrong].mean()
    assert (tmp_path / "classifier.keras").exists()
    assert "accuracy" in capsys.readouterr().out


def test_ci_runs_the_test_command():
    quickstart, tests = (block.strip() for block in blocks("sh"))
    script = (ROOT / ".ci" / "run").read_text()
    assert tests in script.splitlines()
    path = quickstart.split()[-1]
    assert (ROOT / path).exists()


def test_readme_takes_three_minutes():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize(
    "link", sorted(set(re.findall(r"\]\((?!http)(.*?)\)", README)))
)
def test_link_leads_somewhere(link):
    assert (ROOT / link).exists()

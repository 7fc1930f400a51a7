"""The comparison's losses and figures, its pages, and a run of its command."""

import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

BENCHMARKS = pathlib.Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_on_path(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


# Probabilities 0.25 and 0.75, of which the given label has the first.
LOGITS = np.log([[0.25, 0.75]]).astype("float32")
NO_ADJUSTMENT = np.zeros(2, "float32")


@pytest.mark.parametrize(
    ("name", "choice", "expected"),
    [
        ("crossentropy", {}, -np.log(0.25)),
        (
            "crossentropy",
            {"label_smoothing": 0.2},
            -0.9 * np.log(0.25) - 0.1 * np.log(0.75),
        ),
        ("generalized_crossentropy", {"q": 0.5}, (1.0 - 0.5) / 0.5),
        (
            "symmetric_crossentropy",
            {"alpha": 0.5},
            -0.5 * np.log(0.25) + 4.0 * 0.75,
        ),
        (
            "bootstrapping",
            {"trust": 0.6},
            -0.6 * np.log(0.25) - 0.4 * np.log(0.75),
        ),
    ],
)
def test_losses_by_hand(name, choice, expected):
    import baselines

    loss = getattr(baselines, name)(NO_ADJUSTMENT, **choice)
    found = loss(keras.ops.array([0]), keras.ops.array(LOGITS))
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


def test_adjusted_logits_count_frequent_classes_less():
    import baselines

    adjustment = baselines.log_frequencies(np.array([0, 1, 1, 1]), 2)
    loss = baselines.crossentropy(adjustment)
    even = keras.ops.zeros((1, 2))
    found = loss(keras.ops.array([0]), even)
    np.testing.assert_allclose(found, [-np.log(0.25)], rtol=1e-5)


def test_early_learning_regularization_by_hand():
    import baselines

    loss = baselines.EarlyLearningRegularization(NO_ADJUSTMENT, 3, strength=2.0)
    found = loss(keras.ops.array([[0, 1]]), keras.ops.array(LOGITS))
    # Beliefs are 0.3 of the prediction, from nothing: 0.075 and 0.225.
    agreement = 0.25 * 0.075 + 0.75 * 0.225
    expected = -np.log(0.25) + 2.0 * np.log(1.0 - agreement)
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


def test_co_teaching_leaves_out_what_the_other_finds_large():
    import baselines

    def network():
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])

    model = baselines.CoTeaching(
        [network(), network()], NO_ADJUSTMENT, forgotten=0.5, ramp=1
    )
    model.compile(keras.optimizers.SGD(0.1))
    x = np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]], "float32")
    y = np.array([0, 0, 0, 1])
    for each in (model.first, model.second):
        each.set_weights([np.array([[1.0, 0.0], [9.0, 0.0]]), np.zeros(2)])
    model.fit(x[:1], y[:1], verbose=0)  # From the next step on, half is out.
    before = model.first.get_weights()[0][1]
    model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.first.get_weights()[0][1], before)


def test_calibration_error_by_hand():
    import trials

    confidences = np.array([0.9, 0.9, 0.5, 0.5])
    is_right = np.array([True, True, True, False])
    found = trials.calibration_error(confidences, is_right)
    np.testing.assert_allclose(found, 0.05)  # 0.1 of one half of the samples.


def test_pages_are_what_results_say():
    import report

    for path, text in report.pages().items():
        assert path.read_text(encoding="utf-8") == text, path.name


def test_results_are_a_page():
    text = (BENCHMARKS / "RESULTS.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    for link in re.findall(r"\]\((?!http)([^)]+)\)", text):
        assert (BENCHMARKS / link).exists(), link


@pytest.mark.slow
def test_quick_comparison(tmp_path):
    arguments = [
        BENCHMARKS / "accuracy.py",
        "--preset=quick",
        f"--output={tmp_path / 'rows.jsonl'}",
    ]
    first, again = (
        subprocess.run(
            [sys.executable, *arguments, *more],
            capture_output=True,
            text=True,
        )
        for more in ([], ["--methods=plain;defaults"])
    )
    assert first.returncode == 0, first.stderr
    assert "7 runs are missing" in first.stdout
    assert "0 runs are missing" in again.stdout
    found = dict(re.findall(r"digits +(.+?) +(0\.\d+)", first.stdout))
    assert float(found["defaults"]) > float(found["plain"])

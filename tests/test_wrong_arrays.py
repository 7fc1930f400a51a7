"""Wrong uses of loss curves, biased data and what looks at them."""

import numpy as np
import pytest
from wrong_uses import check
from wrong_uses import curves
from wrong_uses import folder
from wrong_uses import garbage
from wrong_uses import strings
from wrong_uses import values
from wrong_uses import x
from wrong_uses import y

import keras_curvenet as kcn

# The use, its error, and what its message holds.
WRONG_USES = {
    "curves 1d": (
        lambda: kcn.LossCurves(values[0], [0] * 5),
        ValueError,
        "argument `values`",
        "Received: values of shape (5,).",
    ),
    "curves empty": (
        lambda: kcn.LossCurves(np.zeros((0, 3)), []),
        ValueError,
        "argument `values`",
        "Received: values of shape (0,",
    ),
    "curves strings": (
        lambda: kcn.LossCurves(np.array([["a", "b"]]), [0]),
        ValueError,
        "argument `values`",
        "Received: values of another kind",
    ),
    "curves None": (
        lambda: kcn.LossCurves(None, [0]),
        ValueError,
        "argument `values`",
        "Received: values of shape ().",
    ),
    "curves ragged": (
        lambda: kcn.LossCurves([[1, 2], [1]], [0, 1]),
        ValueError,
        "argument `values`",
        "Received: values of another kind",
    ),
    "curves complex": (
        lambda: kcn.LossCurves(values * 1j, [0] * 6),
        ValueError,
        "argument `values`",
        "Received: values of another kind",
    ),
    "curves -inf": (
        lambda: kcn.LossCurves(-np.inf * np.ones((2, 2)), [0, 1]),
        ValueError,
        "argument `values`",
        "Received: -inf for 4 value(s).",
    ),
    "curves labels short": (
        lambda: kcn.LossCurves(values, [0]),
        ValueError,
        "argument `labels`",
        "Received: labels of shape (1,).",
    ),
    "curves labels float": (
        lambda: kcn.LossCurves(values, [0.5] * 6),
        ValueError,
        "argument `labels`",
        "Received: labels of dtype float64,",
    ),
    "curves labels str": (
        lambda: kcn.LossCurves(values, list("abcdef")),
        ValueError,
        "argument `labels`",
        "Received: labels of dtype <U1,",
    ),
    "curves labels none": (
        lambda: kcn.LossCurves(values, None),
        ValueError,
        "argument `labels`",
        "Received: labels of shape ().",
    ),
    "curves labels 2d": (
        lambda: kcn.LossCurves(values, np.eye(6)),
        ValueError,
        "argument `labels`",
        "Received: labels of shape (6,",
    ),
    "curves labels -2": (
        lambda: kcn.LossCurves(values, [-2] * 6),
        ValueError,
        "argument `labels`",
        "Received: [-2, -2, -2] for",
    ),
    "curves labels nan": (
        lambda: kcn.LossCurves(values, [np.nan] * 6),
        ValueError,
        "argument `labels`",
        "Received: labels of dtype float64,",
    ),
    "curves num_classes": (
        lambda: kcn.LossCurves(values, [0, 1, 2, 3, 4, 5], num_classes=3),
        ValueError,
        "argument `labels`",
        "Received: a label of 5,",
    ),
    "curves num_classes 0": (
        lambda: kcn.LossCurves(values, [0] * 6, num_classes=0),
        ValueError,
        "argument `num_classes`",
        "Received: num_classes=0.",
    ),
    "curves num_classes str": (
        lambda: kcn.LossCurves(values, [0] * 6, num_classes="3"),
        ValueError,
        "argument `num_classes`",
        "Received: num_classes='3'.",
    ),
    "curves num_classes float": (
        lambda: kcn.LossCurves(values, [0] * 6, num_classes=2.5),
        ValueError,
        "argument `num_classes`",
        "Received: num_classes=2.5.",
    ),
    "curves margins shape": (
        lambda: kcn.LossCurves(values, [0] * 6, margins=values[:, :3]),
        ValueError,
        "argument `margins`",
        "Received: margins of shape (6,",
    ),
    "curves margins str": (
        lambda: kcn.LossCurves(values, [0] * 6, margins="none"),
        ValueError,
        "argument `margins`",
        "Received: margins of another kind",
    ),
    "curves margins inf": (
        lambda: kcn.LossCurves(values, [0] * 6, margins=values * np.inf),
        ValueError,
        "argument `margins`",
        "Received: +inf for 30 value(s).",
    ),
    "curves margins of unseen": (
        lambda: kcn.LossCurves(
            np.where(np.arange(6)[:, None] == 2, np.nan, values),
            [0, 0, -1, 0, 0, 0],
            margins=values,
        ),
        ValueError,
        "argument `margins`",
        "Received: margins of sample id(s) [2].",
    ),
    "curves predicted classes of unseen": (
        lambda: kcn.LossCurves(
            np.where([[0], [0], [1], [0], [0], [0]], np.nan, values),
            [0, 0, -1, 0, 0, 0],
            predicted_classes=np.zeros(values.shape, int),
        ),
        ValueError,
        "argument `predicted_classes`",
        "Received: predicted_classes of sample id(s) [2].",
    ),
    "curves load none": (
        lambda: kcn.LossCurves.load(folder() + "/no.npz"),
        FileNotFoundError,
        "[Errno 2] No such file or directory:",
    ),
    "curves load garbage": (
        lambda: kcn.LossCurves.load(garbage()),
        ValueError,
        "argument `filepath`",
        "Received: filepath='",
        " w",
    ),
    "curves load int": (
        lambda: kcn.LossCurves.load(7),
        TypeError,
        "argument `filepath`",
        "Received: filepath=7.",
    ),
    "curves save int": (
        lambda: curves().save(7),
        TypeError,
        "argument `filepath`",
        "Received: filepath=7.",
    ),
    "curves skip neg": (
        lambda: curves().class_centered(-1),
        ValueError,
        "argument `skip_epochs`",
        "Received: skip_epochs=-1.",
    ),
    "curves skip all": (
        lambda: curves().class_centered(6),
        ValueError,
        "Expected loss curves of at least two",
        "Received: 6 recorded epoch(s) and",
    ),
    "curves skip str": (
        lambda: curves().class_centered("2"),
        ValueError,
        "argument `skip_epochs`",
        "Received: skip_epochs='2'.",
    ),
    "tail labels str": (
        lambda: kcn.datasets.long_tailed_indices(strings, 0.1),
        ValueError,
        "argument `labels`",
        "Received: <U3 of shape (24,).",
    ),
    "tail factor 0": (
        lambda: kcn.datasets.long_tailed_indices(y, 0),
        ValueError,
        "argument `imbalance_factor`",
        "Received: imbalance_factor=0.",
    ),
    "tail factor str": (
        lambda: kcn.datasets.long_tailed_indices(y, "0.1"),
        ValueError,
        "argument `imbalance_factor`",
        "Received: imbalance_factor='0.1'.",
    ),
    "tail factor 2": (
        lambda: kcn.datasets.long_tailed_indices(y, 2.0),
        ValueError,
        "argument `imbalance_factor`",
        "Received: imbalance_factor=2.0.",
    ),
    "tail max str": (
        lambda: kcn.datasets.long_tailed_indices(y, 0.5, max_per_class="5"),
        ValueError,
        "argument `max_per_class`",
        "Received: max_per_class='5'.",
    ),
    "tail seed str": (
        lambda: kcn.datasets.long_tailed_indices(y, 0.5, seed="a"),
        ValueError,
        "argument `seed`",
        "Received: seed='a'.",
    ),
    "tail empty": (
        lambda: kcn.datasets.long_tailed_indices([], 0.5),
        ValueError,
        "argument `labels`",
        "Received: float64 of shape (0,).",
    ),
    "noise rate str": (
        lambda: kcn.datasets.corrupt_labels(y, "0.4"),
        ValueError,
        "argument `noise_rate`",
        "Received: noise_rate='0.4'.",
    ),
    "noise rate 2": (
        lambda: kcn.datasets.corrupt_labels(y, 2),
        ValueError,
        "argument `noise_rate`",
        "Received: noise_rate=2.",
    ),
    "noise rate nan": (
        lambda: kcn.datasets.corrupt_labels(y, float("nan")),
        ValueError,
        "argument `noise_rate`",
        "Received: noise_rate=nan.",
    ),
    "noise kind": (
        lambda: kcn.datasets.corrupt_labels(y, 0.1, kind="pairs"),
        ValueError,
        "argument `kind`",
        "Received: kind='pairs'.",
    ),
    "noise kind none": (
        lambda: kcn.datasets.corrupt_labels(y, 0.1, kind=None),
        ValueError,
        "argument `kind`",
        "Received: kind=None.",
    ),
    "noise num_classes": (
        lambda: kcn.datasets.corrupt_labels(y, 0.1, num_classes=2),
        ValueError,
        "argument `labels`",
        "Received: labels from 0 to",
    ),
    "noise num_classes str": (
        lambda: kcn.datasets.corrupt_labels(y, 0.1, num_classes="x"),
        ValueError,
        "argument `num_classes`",
        "Received: num_classes='x'.",
    ),
    "noise labels 2d": (
        lambda: kcn.datasets.corrupt_labels(np.eye(3), 0.1),
        ValueError,
        "argument `labels`",
        "Received: float64 of shape (3,",
    ),
    "noise labels float": (
        lambda: kcn.datasets.corrupt_labels(y + 0.5, 0.1),
        ValueError,
        "argument `labels`",
        "Received: float64 of shape (24,).",
    ),
    "noise seed": (
        lambda: kcn.datasets.corrupt_labels(y, 0.1, seed=-1),
        ValueError,
        "argument `seed`",
        "Received: seed=-1.",
    ),
    "quality ndarray": (
        lambda: kcn.label_quality_scores(values),
        TypeError,
        "argument `curves`",
        "Received: ndarray.",
    ),
    "quality none": (
        lambda: kcn.label_quality_scores(None),
        TypeError,
        "argument `curves`",
        "Received: NoneType.",
    ),
    "quality one epoch": (
        lambda: kcn.label_quality_scores(
            kcn.LossCurves(values[:, :1], [0] * 6)
        ),
        ValueError,
        "argument `curves`",
        "Received: <LossCurves num_samples=6, num_epoch",
    ),
    "issues list": (
        lambda: kcn.find_label_issues([1]),
        TypeError,
        "argument `curves`",
        "Received: list.",
    ),
    "noise rates str": (
        lambda: kcn.estimate_noise_rates("curves"),
        TypeError,
        "argument `curves`",
        "Received: str.",
    ),
    "counts int": (
        lambda: kcn.estimate_class_counts(3),
        TypeError,
        "argument `curves`",
        "Received: int.",
    ),
    "meta 0": (
        lambda: kcn.select_meta_samples(curves(), samples_per_class=0),
        ValueError,
        "argument `samples_per_class`",
        "Received: samples_per_class=0.",
    ),
    "meta str": (
        lambda: kcn.select_meta_samples(curves(), samples_per_class="20"),
        ValueError,
        "argument `samples_per_class`",
        "Received: samples_per_class='20'.",
    ),
    "meta curves": (
        lambda: kcn.select_meta_samples(values),
        TypeError,
        "argument `curves`",
        "Received: ndarray.",
    ),
    "verdicts": (
        lambda: kcn.sample_verdicts(values),
        TypeError,
        "argument `curves`",
        "Received: ndarray.",
    ),
    "report ndarray": (
        lambda: kcn.label_report(values),
        TypeError,
        "argument `curves`",
        "Received: ndarray.",
    ),
    "report preds": (
        lambda: kcn.label_report(curves(), predictions=np.zeros((2, 2))),
        ValueError,
        "argument `predictions`",
        "Received: predictions of shape (2, 2).",
    ),
    "plots curves": (
        lambda: kcn.plots.plot_loss_curves(values),
        TypeError,
        "argument `curves`",
        "Received: ndarray.",
    ),
    "plots weights": (
        lambda: kcn.plots.plot_sample_weights("w", curves()),
        ValueError,
        "argument `weights`",
        "Received: weights of shape ().",
    ),
    "plots issues": (
        lambda: kcn.plots.plot_label_issues(
            kcn.LossCurves(np.eye(24, 6) * 9.0, y), images=x[:0]
        ),
        ValueError,
        "argument `images`",
        "Received: images without it.",
    ),
    "tensorboard dir": (
        lambda: kcn.CurveTensorBoard(None),
        TypeError,
        "argument `log_dir`",
        "Received: log_dir=None.",
    ),
}


@pytest.mark.filterwarnings("ignore:.*input ran out of data")
@pytest.mark.parametrize("name", WRONG_USES)
def test_wrong_use(name):
    check(*WRONG_USES[name])

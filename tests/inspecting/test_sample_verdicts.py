import numpy as np

import keras_curvenet as kcn


def test_verdicts_by_hand():
    rng = np.random.default_rng(0)
    falling, wrong = np.linspace(2.0, 0.1, 10), np.full(10, 2.0)
    levels = [falling] * 40 + [wrong] * 10 + [falling] * 8 + [wrong] * 2
    values = np.array(levels) + rng.uniform(0.0, 0.05, size=(60, 10))
    values = np.concatenate([values, np.full((1, 10), np.nan)])
    labels = [0] * 50 + [1] * 10 + [-1]
    verdicts = kcn.sample_verdicts(kcn.LossCurves(values, labels))
    expected = ["clean head"] * 40 + ["suspect"] * 10
    expected += ["clean tail"] * 8 + ["suspect"] * 2 + ["unseen"]
    assert verdicts.tolist() == expected


def test_balanced_classes_have_no_tail():
    values = np.random.default_rng(0).uniform(size=(90, 10))
    verdicts = kcn.sample_verdicts(kcn.LossCurves(values, np.arange(90) % 9))
    assert set(verdicts) <= {"clean head", "suspect"}


def test_classes_without_samples_do_not_count():
    values = np.random.default_rng(0).uniform(size=(20, 10))
    curves = kcn.LossCurves(values, np.arange(20) % 2, num_classes=50)
    assert "clean tail" not in kcn.sample_verdicts(curves)


def test_wrong_and_rare_by_hand():
    losses = [[2.0, 0.2]] * 7 + [[2.0, 1.9], [2.0, 0.6]]
    verdicts = kcn.sample_verdicts(kcn.LossCurves(losses, [0] * 8 + [1]))
    expected = ["clean head"] * 7 + ["suspect", "clean tail"]
    assert verdicts.tolist() == expected

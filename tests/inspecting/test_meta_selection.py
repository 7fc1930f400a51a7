import warnings

import numpy as np
import planted
import pytest

import keras_curvenet as kcn


def test_chosen_samples_are_balanced_and_right():
    curves, is_wrong = planted.curves_of([200, 100, 60])
    chosen = kcn.select_meta_samples(curves, samples_per_class=20)
    assert chosen.dtype == np.int64
    assert np.bincount(curves.labels[chosen]).tolist() == [20, 20, 20]
    assert len(set(chosen)) == 60
    assert not is_wrong[chosen].any()


def test_chosen_samples_are_not_only_the_easiest():
    curves, _ = planted.curves_of([400])
    scores = kcn.label_quality_scores(curves)
    chosen = kcn.select_meta_samples(curves, samples_per_class=20)
    ranks = np.argsort(np.argsort(-scores))[chosen]
    assert ranks.max() < 150  # The better half of 300 right labels.
    assert ranks.max() > 100


def test_the_seed_decides():
    curves, _ = planted.curves_of([100, 100])
    first, again, other = (
        kcn.select_meta_samples(curves, 10, seed=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_small_classes_give_what_they_have():
    curves, is_wrong = planted.curves_of([200, 8, 1])
    with pytest.warns(UserWarning, match=r"\[1, 2\] have fewer than 20"):
        chosen = kcn.select_meta_samples(curves)
    counts = np.bincount(curves.labels[chosen], minlength=3)
    assert counts.tolist() == [20, 6, 1]
    assert not is_wrong[chosen].any()


def test_a_class_of_suspects_only():
    curves, _ = planted.curves_of([200, 60])
    values = curves.values.copy()
    values[200:] = np.random.default_rng(0).uniform(3.0, 4.0, size=(60, 20))
    with pytest.warns(UserWarning, match=r"class\(es\) \[1\] look wrongly"):
        chosen = kcn.select_meta_samples(
            kcn.LossCurves(values, curves.labels), samples_per_class=20
        )
    assert np.bincount(curves.labels[chosen]).tolist() == [20, 20]


def test_one_class_and_two_epochs():
    curves = kcn.LossCurves(
        np.random.default_rng(0).uniform(size=(50, 2)), [0] * 50
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(kcn.select_meta_samples(curves, 5)) == 5


def test_unseen_samples_and_classes_are_left_out():
    curves, _ = planted.curves_of([100, 100])
    values, labels = curves.values.copy(), curves.labels.copy()
    values[100:110], labels[100:110] = np.nan, -1
    gaps = kcn.LossCurves(values, labels, num_classes=4)
    chosen = kcn.select_meta_samples(gaps, 10)
    assert np.bincount(labels[chosen]).tolist() == [10, 10]
    nothing = kcn.LossCurves(np.full((2, 3), np.nan), [-1, -1])
    with pytest.raises(ValueError, match="no sample was seen"):
        kcn.select_meta_samples(nothing)


@pytest.mark.parametrize("samples_per_class", [0, -1, 2.5, "all"])
def test_invalid_samples_per_class(samples_per_class):
    curves, _ = planted.curves_of([20])
    with pytest.raises(ValueError, match="Received: samples_per_class="):
        kcn.select_meta_samples(curves, samples_per_class)

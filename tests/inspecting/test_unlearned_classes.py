import numpy as np
import pytest
from test_label_suspicion import planted_margins

import keras_curvenet as kcn
from keras_curvenet.inspecting.unlearned_classes import spare_unlearned_classes

# Eight of ten right labels in a learned class, and all seem wrong in another.
LEARNED = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 4.0, 4.0]
UNLEARNED = [2.5, 2.6, 2.7, 2.8, 2.9, 3.1, 3.2, 3.3, 3.4, 3.5]


def spared(classes, num_suspects):
    values = np.concatenate(classes)
    labels = np.repeat(np.arange(len(classes)), [len(c) for c in classes])
    before = values.copy()
    result, num = spare_unlearned_classes(values, num_suspects, labels)
    np.testing.assert_array_equal(values, before)  # They are not changed.
    return np.split(result, np.cumsum([len(c) for c in classes])[:-1]), num


def test_an_unlearned_class_is_not_taken_for_wrong():
    # 12 of 20 are suspect, so 1.2 * 0.6 * 10 = 7.2, at most 8 of a class. The
    # threshold is (2.5 + 0.7) / 2 = 1.6: the class comes down by
    # (2.7 + 2.6) / 2 - 1.6 = 1.05.
    with pytest.warns(UserWarning, match=r"class\(es\) \[1\] look wrong"):
        (learned, unlearned), num = spared([LEARNED, UNLEARNED], 12)
    np.testing.assert_array_equal(learned, LEARNED)
    np.testing.assert_allclose(unlearned, np.array(UNLEARNED) - 1.05)
    assert num == 2 + 8


def test_a_class_most_of_which_is_wrong_stays_so():
    mostly_wrong = [0.0, 0.0, *[4.0] * 8]
    (learned, wrong), num = spared([LEARNED, mostly_wrong], 10)
    np.testing.assert_array_equal(learned, LEARNED)
    np.testing.assert_array_equal(wrong, mostly_wrong)
    assert num == 10


def test_a_class_of_one_sample_may_be_suspect():
    (_, single), num = spared([LEARNED, [3.0]], 3)
    assert single == [3.0] and num == 3


def test_nearly_all_labels_may_be_suspect():
    """1.2 times their share is more than there are of a class."""
    mostly_wrong = [0.0, *[4.0] * 9]
    classes, num = spared([mostly_wrong, mostly_wrong], 18)
    np.testing.assert_array_equal(classes, [mostly_wrong, mostly_wrong])
    assert num == 18


def test_no_suspects_and_nothing_but_suspects():
    for num_suspects in (0, 20):
        classes, num = spared([LEARNED, UNLEARNED], num_suspects)
        np.testing.assert_array_equal(classes, [LEARNED, UNLEARNED])
        assert num == num_suspects


def test_a_class_that_is_half_learned():
    half = [0.0, 0.1, *UNLEARNED[:8]]
    (_, reduced), num = spared([LEARNED, half], 10)  # Without a warning.
    # 8 of 10 are more than 6, but its surest are as sure as the others'.
    np.testing.assert_array_equal(reduced, half)
    assert num == 10
    # Now they are not, and (2.7 + 2.6) / 2 - (2.5 + 1.3) / 2 = 0.75.
    half[:2] = 1.2, 1.3
    (_, reduced), num = spared([LEARNED, half], 10)
    np.testing.assert_allclose(reduced, np.array(half) - 0.75)
    assert num == 8


def test_scores_follow():
    """Of a rare class, the network is sure of nothing."""
    curves, is_wrong = planted_margins(0.3)
    is_rare = np.arange(2000) % 20 == 0
    labels = np.where(is_rare, 3, np.arange(2000) % 3)
    margins = curves.margins - 4.0 * is_rare[:, np.newaxis]
    curves = kcn.LossCurves(curves.values, labels, 4, margins)
    with pytest.warns(UserWarning, match="look wrong"):
        scores = kcn.label_quality_scores(curves)
    issues = kcn.find_label_issues(curves)
    assert set(issues) == set(np.flatnonzero(scores < 0.5))
    assert (np.diff(scores[issues]) >= 0.0).all()
    rare = is_rare & is_wrong, is_rare & ~is_wrong
    assert scores[rare[0]].max() < 0.5 < np.median(scores[rare[1]])

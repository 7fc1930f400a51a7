import numpy as np
import pytest

import keras_curvenet as kcn
from keras_curvenet.inspecting import class_votes
from keras_curvenet.inspecting.suggested_labels import suggested_labels

LABELS = [0, 2, 1, 1, 3, -1]
PREDICTED = [
    [0, 0, 0, 0],  # Always the label.
    [0, 1, 2, 2],  # The label most often; of two others, 1 was last.
    [3, 2, 3, 2],  # Never the label; 2 was last.
    [-1, 1, -1, 0],  # Seen twice; once each.
    [1, 0, 0, -1],
    [-1, -1, -1, -1],  # Never seen.
]
VOTES = {
    "given": [4, 2, 0, 1, 0, 0],
    "other": [0, 1, 2, 1, 2, 0],
    "other_class": [-1, 1, 2, 0, 0, -1],
    "seen": [4, 4, 4, 2, 3, 0],
}


def curves_of(predicted, labels, num_classes=4):
    predicted = np.array(predicted)
    values = np.where(predicted < 0, np.nan, 1.0)
    return kcn.LossCurves(
        values, labels, num_classes, predicted_classes=predicted
    )


@pytest.mark.parametrize("chunk", [2, 2**14])
@pytest.mark.parametrize("num_classes", [4, 40_000])
def test_votes_by_hand(num_classes, chunk, monkeypatch):
    monkeypatch.setattr(class_votes, "_CHUNK", chunk)
    votes = class_votes.class_votes(curves_of(PREDICTED, LABELS, num_classes))
    assert {
        name: counts.tolist() for name, counts in votes._asdict().items()
    } == VOTES
    assert votes.other_class.dtype == np.int64


def test_the_first_tenth_of_the_epochs_does_not_count():
    votes = class_votes.class_votes(curves_of([[3] * 2 + [1] * 18], [3]))
    assert (votes.given[0], votes.other[0], votes.seen[0]) == (0, 18, 18)
    votes = class_votes.class_votes(curves_of([[3] * 2 + [1] * 7], [3]))
    assert (votes.given[0], votes.other[0], votes.seen[0]) == (2, 7, 9)


def test_more_epochs_than_a_byte_counts():
    votes = class_votes.class_votes(curves_of([[1] * 300], [3]))
    assert (votes.other[0], votes.other_class[0]) == (270, 1)


def test_curves_without_predicted_classes():
    curves = kcn.LossCurves(np.ones((2, 3)), [0, 1])
    with pytest.raises(ValueError, match="argument `curves`.*predicted class"):
        class_votes.class_votes(curves)


def test_suggested_labels_by_hand():
    curves = curves_of(PREDICTED, LABELS)
    nothing = np.zeros(6, bool)
    assert suggested_labels(curves, nothing).tolist() == [0, 2, 2, 1, 0, -1]
    assert suggested_labels(curves, ~nothing).tolist() == [0, 1, 2, 0, 0, -1]

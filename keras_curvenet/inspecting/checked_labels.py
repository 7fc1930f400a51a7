"""Labels that someone looked at: answers in any form, checked themselves."""

import collections.abc
import csv
import hashlib
import os
from collections.abc import Iterable
from typing import Any
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import invalid_type
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.probing.loss_curves import LossCurves

_COLUMNS = ("sample_id", "answer", "right_label", "num_samples", "fingerprint")
_ANSWERS = {"right": True, "wrong": False, "can't tell": None}


class CheckedLabels(NamedTuple):
    """What was answered, each sample once, by ascending id."""

    sample_ids: npt.NDArray[np.int64]
    is_right: npt.NDArray[np.bool_]
    right_labels: npt.NDArray[np.int64]  # -1 where nobody said.
    not_told: npt.NDArray[np.int64]  # Ids of others, which nobody could tell.

    @property
    def asked(self) -> npt.NDArray[np.int64]:
        """Ids of all that someone looked at."""
        return np.concatenate([self.sample_ids, self.not_told])

    def first(self, num_samples: int) -> "CheckedLabels":
        """The answers on the first samples."""
        told = self.sample_ids < num_samples
        return CheckedLabels(
            self.sample_ids[told],
            self.is_right[told],
            self.right_labels[told],
            self.not_told[self.not_told < num_samples],
        )


def as_checked_labels(checked: Any, curves: LossCurves) -> CheckedLabels:
    """The answers as arrays; TypeError or ValueError where they are none.

    Args:
        checked: Dict or `pandas.Series` from sample id to whether its label is
            right (bool), to its right class (int), or to None where nobody
            can tell. Or the path of a CSV file that a report's page saved. Or
            a list of these, or None for no answers.
        curves: `LossCurves` of the samples.
    """
    if isinstance(checked, CheckedLabels):
        return checked
    right_labels: dict[int, int | None] = {}  # -1 is wrong, None not told.
    for sample_id, answer in _pairs(checked, curves):
        label = _label_of(sample_id, curves)
        right = _right_label(answer, label, curves.num_classes)
        if right_labels.setdefault(int(sample_id), right) != right:
            expected = "one answer for each sample"
            received = f"several that differ for sample id {sample_id}."
            raise invalid_value("checked", expected, received)
    told = [i for i, right in sorted(right_labels.items()) if right is not None]
    sample_ids = np.array(told, np.int64)
    labels = np.array([right_labels[i] for i in told], np.int64)
    is_right = np.asarray(labels == curves.labels[sample_ids])
    not_told = np.array(sorted(right_labels.keys() - set(told)), np.int64)
    return CheckedLabels(sample_ids, is_right, labels, not_told)


def as_answers(checked: Any, curves: LossCurves) -> CheckedLabels:
    """The same with one answer or more; ValueError where there is none."""
    labels = as_checked_labels(checked, curves)
    if not labels.sample_ids.size:
        raise invalid_value(
            "checked",
            "an answer for one sample or more: right, wrong or the right class",
            f"none, and {len(labels.not_told)} that nobody could tell.",
        )
    return labels


def labels_fingerprint(labels: npt.NDArray[np.int64]) -> str:
    """A short text that is another one for other labels."""
    content = np.ascontiguousarray(labels, "<i8").tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


def _pairs(checked: Any, curves: LossCurves) -> Iterable[tuple[Any, Any]]:
    """Sample ids and answers, whatever they come in."""
    if checked is None:
        return []
    if isinstance(checked, list):
        return [pair for part in checked for pair in _pairs(part, curves)]
    if isinstance(checked, (str, os.PathLike)):
        return _read(os.fspath(checked), curves)
    if isinstance(checked, collections.abc.Mapping):
        return checked.items()
    if hasattr(checked, "notna") and hasattr(checked, "items"):
        # A Series, in which what is missing is of several types.
        told = checked[checked.notna()]
        missing = checked.index[checked.isna()]
        return [*told.items(), *((sample_id, None) for sample_id in missing)]
    raise invalid_type(
        "checked",
        "a dict or a pandas.Series from sample ids to answers, the path of a "
        "CSV file, or a list of these",
        f"{type(checked).__name__}.",
    )


def _label_of(sample_id: Any, curves: LossCurves) -> int:
    """The given label; ValueError unless such a sample was seen."""
    label = -1
    if isinstance(sample_id, (int, np.integer)):
        if 0 <= sample_id < curves.num_samples:
            label = int(curves.labels[sample_id])
    if label < 0:
        raise invalid_value(
            "checked",
            "ids of samples that were seen, of those from 0 to "
            f"{curves.num_samples - 1}",
            f"sample id {sample_id!r}.",
        )
    return label


def _right_label(answer: Any, label: int, num_classes: int) -> int | None:
    """The right class, -1 for one of several others, None if not told."""
    if answer is None:
        return None
    if isinstance(answer, (bool, np.bool_)):
        if answer:
            return label
        return 1 - label if num_classes == 2 else -1
    is_number = isinstance(answer, (int, float, np.number))
    if is_number and answer in range(num_classes):
        return int(answer)
    raise invalid_value(
        "checked",
        "True or False (is the label right?), the right class as an int from "
        f"0 to {num_classes - 1}, or None where nobody can tell",
        f"{answer!r}.",
    )


def _read(path: str, curves: LossCurves) -> Iterable[tuple[int, Any]]:
    """Sample ids and answers in a file; ValueError if it is on other labels."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            pairs = [_parsed(row, curves) for row in csv.DictReader(file)]
        except (csv.Error, KeyError, TypeError, ValueError) as error:
            raise invalid_value(
                "checked",
                f"a file with the columns {', '.join(_COLUMNS)}, as a report's "
                "page saves it, on these labels",
                f"'{path}', where this does not hold: {error}. Pass the "
                "curves that the page was made of, or answers as a dict.",
            ) from error
    return pairs


def _parsed(row: dict[str, str], curves: LossCurves) -> tuple[int, Any]:
    """A row of the file as a sample id and an answer."""
    found = int(row["num_samples"]), row["fingerprint"]
    if found != (curves.num_samples, labels_fingerprint(curves.labels)):
        raise ValueError(f"it is on other labels, of {found[0]} samples")
    answer: Any = _ANSWERS[row["answer"]]
    if answer is False and row["right_label"]:
        answer = int(row["right_label"])
    return int(row["sample_id"]), answer

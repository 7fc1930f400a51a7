"""Label quality on a few probes of the benchmarks' zoo."""

import importlib
import pathlib

import numpy as np
import pytest

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"
WRONG = {  # The round of a task.
    "cancer": 10,
    "digits": 12,
    "odd_digits": 9,
    "wine": 10,
    "made_up2": 20,
    "made_up3": 19,
    "made_up4": 7,
    "made_up6": 9,
    "made_up8": 4,
    "made_up9": 9,
    "made_up11": 22,
    "made_up12": 1,
    "made_up14": 9,
    "made_up16": 19,
    "made_up19": 14,
    "made_up20": 17,
    "made_up21": 17,
    "made_up22": 19,
    "made_up23": 5,
}
NONE_WRONG = {
    "digits": 20,
    "odd_digits": 15,
    "wine": 6,
    "made_up4": 23,
    "made_up12": 20,
}
LEAST_OVER_MEAN_MARGIN = -0.003
MOST_OFF = 0.11
MOST_FOUND_OF_NONE = 0.2


@pytest.fixture(scope="module")
def measured():
    """Function from rounds by task to the benchmarks' figures of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        probe_zoo = importlib.import_module("probe_zoo")
        label_quality = importlib.import_module("label_quality")

    def of(rounds):
        made = [probe_zoo.probe(*task) for task in rounds.items()]
        return [label_quality.measured(probe) for probe in made]

    return of


def test_ranks_and_counts_wrong_labels(measured):
    figures = measured(WRONG)
    gains = [one.auroc - one.auroc_of_margin for one in figures]
    assert np.mean(gains) >= LEAST_OVER_MEAN_MARGIN
    assert np.mean([one.off for one in figures]) <= MOST_OFF


def test_finds_few_where_none_is_wrong(measured):
    figures = measured(NONE_WRONG)
    assert {one.wrong for one in figures} == {0.0}
    assert np.mean([one.found for one in figures]) <= MOST_FOUND_OF_NONE

"""Accuracy against cost and against noise, and found against wrong labels."""

import matplotlib
import numpy as np
from accuracy import MAIN_METHODS
from accuracy import MAIN_TASKS
from evidence import DEFAULTS
from evidence import GROUPS
from evidence import ISSUE_METHODS
from tasks import TASKS

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

# Points that would lie on that of the defaults.
_ALIKE = ("defaults, averaged weights", "defaults, clean meta set")
_RATES = {"none": 0.0, "noise_0.2": 0.2, "clothes": 0.4, "noise_0.6": 0.6}


def draw(evidence, path):
    """Saves the three pictures side by side."""
    # The same file for the same figures.
    matplotlib.rcParams.update({"svg.hashsalt": "0", "font.size": 9})
    figure, (cost, noise, found) = plt.subplots(
        1, 3, figsize=(12, 3.6), layout="constrained"
    )
    _draw_cost(evidence, cost)
    _draw_noise(evidence, noise)
    _draw_found(evidence, found)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def _draw_cost(evidence, axes):
    """Mean accuracy on those full settings that most methods have run on."""
    methods = [m for group in list(GROUPS.values())[:2] for m in group]
    tasks = [
        task
        for task in MAIN_TASKS
        if sum(bool(evidence.runs(task, m)) for m in methods) > len(methods) / 2
    ]
    points = sorted(
        (
            evidence.mean(tasks, method, "last"),
            evidence.cost(tasks, method),
            method,
        )
        for method in methods
        if method not in _ALIKE
        if tasks and all(evidence.runs(task, method) for task in tasks)
    )
    middle = np.mean([cost for _, cost, _ in points]) if points else 0.0
    for number, (y, x, method) in enumerate(points):
        is_own = method.startswith(DEFAULTS)
        axes.plot(x, y, "o", color="C1" if is_own else "C0", markersize=4)
        axes.annotate(
            f" {method} ",
            (x, y),
            fontsize=6,
            # Neighbours in accuracy are named above and below their points.
            verticalalignment="top" if number % 2 else "bottom",
            horizontalalignment="right" if x > middle else "left",
        )
    axes.set(
        xlabel="CPU time over plain",
        ylabel=f"test accuracy, mean of {len(tasks)} settings",
    )


def _draw_noise(evidence, axes):
    for method in MAIN_METHODS:
        points = [
            (rate, evidence.mean([task], method, "last"))
            for task, rate in _RATES.items()
        ]
        axes.plot(*zip(*points, strict=True), marker="o", label=method)
    axes.set(xlabel="labels redrawn, Fashion-MNIST", ylabel="test accuracy")
    axes.legend(fontsize=6)


def _draw_found(evidence, axes):
    for marker, (method, words) in zip(
        "osv^", ISSUE_METHODS.items(), strict=True
    ):
        points = [
            (
                evidence.mean([task], method, "wrong"),
                evidence.mean([task], method, "found"),
            )
            for task in TASKS
            if evidence.values(task, method, "found")
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker, label=words)
    axes.plot([0, 0.6], [0, 0.6], ":", color="gray")
    axes.set(xlabel="labels that are wrong", ylabel="found")
    axes.legend(fontsize=6)

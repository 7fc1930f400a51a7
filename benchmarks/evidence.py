"""What the runs of a comparison say, as means, differences and cells."""

from collections import defaultdict

import numpy as np

DEFAULTS = "defaults"
GROUPS = {
    "no clean data": (
        "plain",
        "plain, long",
        "logit adjustment",
        "logit adjustment, long",
        "label smoothing",
        "generalized crossentropy",
        "symmetric crossentropy",
        "bootstrapping",
        "MixUp",
        "weight averaging",
        "ELR",
        "cleanlab",
        "margins (AUM)",
        "weights fixed",
        "defaults",
        "defaults, averaged weights",
    ),
    "20 clean samples a class, or 50 checked labels": (
        "Meta-Weight-Net, clean meta set",
        "CurveNet as published, clean meta set",
        "defaults, clean meta set",
        "defaults, 50 checked labels",
    ),
    "told how many labels are wrong": (
        "small losses (O2U-Net)",
        "Co-teaching",
    ),
    "told which labels are wrong, or the right ones": (
        "right labels alone",
        "right labels alone, adjusted",
        "true labels",
        "true labels, adjusted",
    ),
}
ISSUE_METHODS = {
    "defaults": "`label_quality_scores`, 1 probe",
    "cleanlab": "cleanlab, 4 probes' epochs",
    "margins (AUM)": "AUM, 2 probes",
    "small losses (O2U-Net)": "O2U-Net, 1 probe, told how many",
}


class Evidence:
    """The rows of tests, by task, method and seed."""

    def __init__(self, rows):
        self.rows = [row for row in rows if row["split"] == "test"]
        self._runs = defaultdict(dict)
        for row in self.rows:
            self._runs[row["task"], row["method"]][row["seed"]] = row

    def runs(self, task, method):
        """Dict from seeds to rows."""
        return self._runs.get((task, method), {})

    def values(self, task, method, name):
        """List of a figure's values, one a seed that has it."""
        rows = self.runs(task, method).values()
        return [row[name] for row in rows if name in row]

    def mean(self, tasks, method, name):
        """Mean over tasks of the means over seeds; NaN where one is missing."""
        means = [self.values(task, method, name) for task in tasks]
        if not means or not all(means):
            return np.nan
        return float(np.mean([np.mean(values) for values in means]))

    def differences(self, tasks, method, other=DEFAULTS):
        """What the last epochs differ by, run by run of the same seed."""
        return [
            row["last"] - self.runs(task, other)[seed]["last"]
            for task in tasks
            for seed, row in self.runs(task, method).items()
            if seed in self.runs(task, other)
        ]

    def cost(self, tasks, method):
        """CPU time, over that of plain training of the same seeds."""
        ratios = [
            row["cpu_seconds"] / self.runs(task, "plain")[seed]["cpu_seconds"]
            for task in tasks
            for seed, row in self.runs(task, method).items()
            if seed in self.runs(task, "plain")
        ]
        return float(np.median(ratios)) if ratios else np.nan


def number(value, digits=3, sign=False):
    """A number for a table; nothing where there is none."""
    if np.isnan(value):
        return ""
    return f"{value:{'+' if sign else ''}.{digits}f}"


def with_error(values, sign=True):
    """Mean and standard error."""
    if len(values) == 0:
        return ""
    text = number(float(np.mean(values)), sign=sign)
    if len(values) < 2:
        return text
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{text} ± {error:.3f}"


def accuracy_cell(evidence, task, method):
    """Mean and deviation of the last epochs, and the mean of the best."""
    last = evidence.values(task, method, "last")
    if not last:
        return ""
    text = f"{np.mean(last):.3f}"
    if len(last) > 1:
        text += f" ± {np.std(last, ddof=1):.3f}"
    return f"{text} ({np.mean(evidence.values(task, method, 'best')):.3f})"


def table(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

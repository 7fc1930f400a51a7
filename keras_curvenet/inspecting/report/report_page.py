"""The report's HTML page, which needs nothing but itself.

All that data says is text in it, escaped by jinja2; a policy in its head lets
the browser load nothing, and run no script but ours.
"""

import base64
import hashlib
import importlib.resources

import numpy as np

from keras_curvenet.inspecting import plots
from keras_curvenet.inspecting.label_quality import label_quality_scores
from keras_curvenet.inspecting.label_suspicion import label_suspicion
from keras_curvenet.inspecting.report.class_summaries import class_summaries
from keras_curvenet.inspecting.report.class_summaries import num_below
from keras_curvenet.inspecting.report.thumbnails import data_uri
from keras_curvenet.version import __version__

_MOST_CLASSES = 1000  # In the table of classes.
_MOST_CLASSES_OF_MATRIX = 30
_MOST_PAIRS = 30
_NUM_SHADES = 10

# A network that predicts less of the labels that look right is still learning.
_LEARNED = 0.75


def report_page(curves, table, class_names, shown, doubts, share, check):
    """The page as a string, of a `label_report` and `ShownSamples`.

    The doubts are what label quality warned of. `share` is the `ShareOfWrong`
    by answers, and `check` what `check_page` returns, or None.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["hash"] = _policy_hash
    return environment.get_template("report.html.jinja").render(
        share=share,
        check=check,
        style=_own_files("css", check),
        script=_own_files("js", check),
        version=__version__,
        doubts=doubts,
        pictures=_pictures(curves, table),
        columns=shown.columns,
        num_columns_left_out=shown.num_columns_left_out,
        **_numbers(curves, table, class_names, shown.groups),
    )


def _numbers(curves, table, class_names, groups):
    """What the template says in numbers, as a dict."""
    seen = table[table["score"].notna()]
    labels, scores = seen["label"].to_numpy(), seen["score"].to_numpy()
    summaries = class_summaries(labels, scores, _MOST_CLASSES)
    classes = [
        {
            "label": label,
            "name": class_names[label],
            "num_samples": num_samples,
            "num_issues": num_issues,
        }
        for label, num_samples, num_issues in zip(
            *(column.tolist() for column in summaries[:3]), strict=True
        )
    ]
    num_classes = len(np.unique(labels))
    shown = [sample for group in groups.values() for sample in group]
    issues = seen[seen["is_issue"]]
    predicted = share_predicted(curves, label_quality_scores(curves) >= 0.5)
    share_range = label_suspicion(curves).share_range
    return {
        "num_samples": curves.num_samples,
        "num_epochs": curves.num_epochs,
        "num_seen": len(seen),
        "num_issues": len(issues),
        "share_predicted": predicted if predicted < _LEARNED else None,
        "share_range": share_range if share_range[1] > 0.0 else None,
        "num_classes": num_classes,
        "num_classes_left_out": num_classes - len(classes),
        "has_names": any(c["name"] != str(c["label"]) for c in classes),
        "classes": classes,
        "below": {
            "total": num_below(scores).tolist(),
            "classes": summaries.num_below.tolist(),
        },
        "groups": _in_order(groups, classes),
        "num_shown": len(shown),
        "num_issues_shown": sum(s["quality"] < 0.5 for s in shown),
        "has_suggestions": "suggested_label" in seen,
        "has_paths": any(s["path"] is not None for s in shown),
        "has_pictures": any(s["thumbnail"] is not None for s in shown),
        **_confusions(issues, num_classes, class_names),
    }


def share_predicted(curves, looks_right):
    """Share of the labels that look right which the network itself predicts.

    In the last half of the epochs. Where it is small, the network was still
    learning what is right, and more epochs tell more. NaN of losses without
    margins, and where no label looks right.
    """
    num_predicted, num_seen = 0, 0
    margin_columns = curves.margin_columns or []
    for column in margin_columns[curves.num_epochs // 2 :]:
        margins = column[looks_right]
        num_predicted += np.count_nonzero(margins > 0.0)
        num_seen += np.count_nonzero(~np.isnan(margins))
    return num_predicted / num_seen if num_seen else np.nan


def _in_order(groups, classes):
    """The classes' samples in the order of the table of classes."""
    order = dict.fromkeys(c["label"] for c in classes)
    order.update(dict.fromkeys(groups))
    return [groups[label] for label in order if label in groups]


def _confusions(issues, num_classes, class_names):
    """Given against suggested labels: a matrix, or pairs of many classes."""
    nothing = {"matrix": [], "matrix_names": [], "pairs": [], "num_pairs": 0}
    if "suggested_label" not in issues or num_classes < 2:
        return nothing
    issues = issues[issues["suggested_label"] >= 0]
    if issues.empty:
        return nothing
    sizes = issues.groupby(["label", "suggested_label"]).size()
    sizes = sizes.sort_values(ascending=False, kind="stable")
    pairs = sizes.reset_index().to_numpy()
    labels = np.unique(pairs[:, :2])
    names = [class_names[label] for label in labels.tolist()]
    if len(labels) > _MOST_CLASSES_OF_MATRIX:
        confused = pairs[pairs[:, 0] != pairs[:, 1]]
        named = [
            [class_names[given], class_names[suggested], count]
            for given, suggested, count in confused[:_MOST_PAIRS].tolist()
        ]
        return {**nothing, "pairs": named, "num_pairs": len(confused)}
    counts = np.zeros((len(labels), len(labels)), np.int64)
    rows, columns = np.searchsorted(labels, pairs[:, :2]).T
    counts[rows, columns] = pairs[:, 2]
    shades = -(-counts * (_NUM_SHADES - 1) // counts.max())
    matrix = [
        {"name": name, "cells": list(zip(*cells, strict=True))}
        for name, *cells in zip(
            names, counts.tolist(), shades.tolist(), strict=True
        )
    ]
    return {**nothing, "matrix": matrix, "matrix_names": names}


def _pictures(curves, table):
    """List of dicts with the URIs of pictures, and what they show."""
    pictures = []
    if (curves.labels >= 0).any():
        figure = plots.plot_loss_curves(curves)
        pictures.append(
            {
                "uri": data_uri(plots.png_of(figure), "png"),
                "text": "Mean loss curve of samples that are probably labelled "
                "rightly, in frequent (head) and rare (tail) classes, and of "
                "suspects. The bands hold the middle half of each group.",
            }
        )
        if "sample_weight" in table:
            figure = plots.plot_sample_weights(
                table["sample_weight"], table["label"]
            )
            pictures.append(
                {
                    "uri": data_uri(plots.png_of(figure), "png"),
                    "text": "How much the samples of frequent (head) and rare "
                    "(tail) classes weigh in training.",
                }
            )
    return pictures


def _own_files(kind, check):
    """The page's style or script, with that of its questions where asked."""
    folder = importlib.resources.files(__package__)
    parts = ("report", "check_page") if check else ("report",)
    files = [folder.joinpath(f"{part}.{kind}") for part in parts]
    return "\n".join(file.read_text("utf-8") for file in files).strip()


def _policy_hash(text):
    """A style's or script's name in a Content-Security-Policy."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"

"""The part of a report's page that asks which of a few labels are right."""

import numpy as np

from keras_curvenet.inspecting.checked_labels import as_checked_labels
from keras_curvenet.inspecting.checked_labels import labels_fingerprint
from keras_curvenet.inspecting.label_quality import label_quality_scores
from keras_curvenet.inspecting.labels_to_check import labels_to_check
from keras_curvenet.inspecting.ranking_layers import layers_of_ranking
from keras_curvenet.inspecting.report.shown_samples import shown_samples
from keras_curvenet.inspecting.share_of_wrong import answer_counts

# Of so many classes, a person finds the right one in a list. Of two, what is
# wrong is of the other.
_FEW_CLASSES = range(3, 21)

# In pixels: what is to be judged is shown larger than what is to be found.
_LARGEST_SIDE = 320


def check_page(
    curves, num_labels, checked, table, class_names, file_paths, images, rows
):
    """What the page asks as a dict, or None where nothing is left to ask.

    In it are the counts by which the page estimates how many labels are wrong:
    of each layer of the ranking the samples, and of the answers so far the
    wrong ones and all.
    """
    sample_ids = labels_to_check(curves, num_labels, checked=checked)
    if not sample_ids.size:
        return None
    asked = table[np.isin(table["sample_id"], sample_ids)]
    shown = shown_samples(
        asked, class_names, file_paths, images, rows, _LARGEST_SIDE
    )
    samples = {s["id"]: s for group in shown.groups.values() for s in group}
    layers = layers_of_ranking(label_quality_scores(curves))
    questions = [
        {
            **samples[sample_id],
            "label": int(curves.labels[sample_id]),
            "layer": int(layers[sample_id]),
        }
        for sample_id in sample_ids.tolist()
    ]
    so_far = answer_counts(layers, as_checked_labels(checked, curves))
    is_few = curves.num_classes in _FEW_CLASSES
    return {
        "questions": questions,
        "columns": shown.columns,
        "class_names": class_names if is_few else [],
        "num_samples": curves.num_samples,
        "fingerprint": labels_fingerprint(curves.labels),
        "layers": [counts.tolist() for counts in so_far],
    }

"""What is known of every sample's label, as a table."""

import numpy as np

from keras_curvenet.checked_arguments import imported
from keras_curvenet.inspecting.checked_labels import as_checked_labels
from keras_curvenet.inspecting.given_values import as_numbers
from keras_curvenet.inspecting.label_quality import label_quality_scores
from keras_curvenet.inspecting.sample_verdicts import sample_verdicts
from keras_curvenet.inspecting.suggested_labels import suggested_labels


def label_report(curves, predictions=None, sample_weights=None, checked=None):
    """Everything known of each sample's label, as a pandas table.

    Worst first; `report.to_csv(path, index=False)` or `report.to_parquet(path)`
    writes it for other tools.

    Args:
        curves: `LossCurves` of two epochs or more.
        predictions: Float `(num_samples, num_classes)`, probabilities from
            elsewhere for suggested labels. Or None for the classes that the
            network predicted in the curves' epochs, where these are known.
        sample_weights: Float `(num_samples,)`, as `sample_weights()` of a
            `CurveWeightedModel` gives them, or None.
        checked: Answers, as `label_quality_scores` takes them, or None.

    Returns:
        A `pandas.DataFrame` with a row for each sample and the columns
        `sample_id`, `label`, `score` (label quality), `is_issue`, `verdict`;
        where predictions or predicted classes are known `suggested_label` (-1
        for samples without): the likeliest, or most often predicted class, of
        label issues another than the label, of checked samples what was
        answered; and with weights `sample_weight`.

    Raises:
        ImportError: If pandas is not installed.
        ValueError: If predictions or weights do not fit the curves.

    Example:

    ```python
    import keras_curvenet as kcn

    losses = [[2.0, 0.2], [2.1, 0.3], [2.0, 1.9], [1.9, 0.2]]
    curves = kcn.LossCurves(losses, labels=[0, 0, 0, 0])
    kcn.label_report(curves).to_csv("report.csv", index=False)
    ```

    Into cleanlab, with class probabilities of a model that was not trained on
    these samples, and its label issues back in:

    ```
    seen = np.flatnonzero(curves.labels >= 0)
    found = cleanlab.filter.find_label_issues(
        curves.labels[seen],
        probabilities[seen],
        return_indices_ranked_by="self_confidence",
    )
    report = kcn.label_report(curves, probabilities)
    report["is_cleanlab_issue"] = report["sample_id"].isin(seen[found])
    ```
    """
    pd = imported("pandas", "The report")
    scores = label_quality_scores(curves, checked)
    is_issue = scores < 0.5
    columns = {
        "sample_id": np.arange(curves.num_samples),
        "label": curves.labels,
        "score": scores,
        "is_issue": is_issue,
        "verdict": sample_verdicts(curves, checked),
    }
    suggested = suggested_labels(curves, is_issue, predictions)
    if suggested is not None:
        answers = as_checked_labels(checked, curves)
        is_known = answers.right_labels >= 0
        known = answers.right_labels[is_known]
        suggested[answers.sample_ids[is_known]] = known
        columns["suggested_label"] = suggested
    if sample_weights is not None:
        weights = as_numbers("sample_weights", sample_weights, len(scores))
        columns["sample_weight"] = weights
    return pd.DataFrame(columns).sort_values(
        "score", kind="stable", ignore_index=True
    )

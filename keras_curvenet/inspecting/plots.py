"""Pictures of loss curves, sample weights and label issues.

They need matplotlib, which is imported when a picture is drawn.
"""

import io
import reprlib

import numpy as np

from keras_curvenet.checked_arguments import as_int
from keras_curvenet.checked_arguments import imported
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.inspecting.given_values import as_class_names
from keras_curvenet.inspecting.given_values import as_numbers
from keras_curvenet.inspecting.label_quality import find_label_issues
from keras_curvenet.inspecting.label_quality import label_quality_scores
from keras_curvenet.inspecting.label_suspicion import check_curves
from keras_curvenet.inspecting.sample_images import by_position
from keras_curvenet.inspecting.sample_images import image_of
from keras_curvenet.inspecting.sample_verdicts import sample_verdicts
from keras_curvenet.inspecting.sample_verdicts import tail_classes
from keras_curvenet.inspecting.suggested_labels import suggested_labels

__all__ = ["plot_label_issues", "plot_loss_curves", "plot_sample_weights"]

# Colours that colour-blind people tell apart (Okabe and Ito), with line styles
# for print: by group.
_STYLES = {
    "head": ("#0072B2", "-"),
    "tail": ("#56B4E9", "--"),
    "suspect": ("#D55E00", "-."),
    "right label, head": ("#0072B2", "-"),
    "right label, tail": ("#56B4E9", "--"),
    "wrong label, head": ("#D55E00", "-."),
    "wrong label, tail": ("#E69F00", ":"),
}


def plot_loss_curves(curves, true_labels=None, ax=None):
    """Draws the mean loss curve of each group of samples.

    The band around a curve holds the middle half of the group. Groups are of
    the true labels where these are given, or else of `sample_verdicts`.

    Reference: Jiang et al., 2022, figure 1.

    Args:
        curves: `LossCurves` of two epochs or more.
        true_labels: Int `(num_samples,)`, or None.
        ax: Matplotlib axes to draw into, or None for a new figure.

    Returns:
        The matplotlib figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If `true_labels` do not fit the curves.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    losses = np.random.default_rng(0).uniform(size=(30, 8))
    curves = kcn.LossCurves(losses, labels=np.arange(30) % 3)
    kcn.plots.plot_loss_curves(curves).savefig("loss_curves.png")
    ```
    """
    groups = _groups_of_curves(curves, true_labels)
    ax = _axes(ax, integer_x=True)
    epochs = np.arange(1, curves.num_epochs + 1)
    values = np.where(np.isfinite(curves.values), curves.values, np.nan)
    for name, members in groups.items():
        rows = values[members]
        rows = rows[~np.isnan(rows).all(axis=1)]
        if not len(rows):
            continue
        style = _style(name, len(rows))
        seen = ~np.isnan(rows).all(axis=0)
        x, rows = epochs[seen], rows[:, seen]
        low, high = np.nanquantile(rows, [0.25, 0.75], axis=0)
        ax.fill_between(x, low, high, color=style["color"], alpha=0.2, lw=0)
        ax.plot(x, np.nanmean(rows, axis=0), **style)
    title = "Loss curves by group: mean and middle half"
    ax.set(title=title, xlabel="epoch", ylabel="training loss")
    return _finished(ax, "no sample with a finite loss")


def plot_sample_weights(weights, labels, true_labels=None, ax=None):
    """Draws the distribution of sample weights in frequent and rare classes.

    Each group's histogram is in per cent of that group, so that small groups
    can be seen beside large ones.

    Args:
        weights: Float `(num_samples,)`, as `sample_weights()` gives them.
        labels: Int `(num_samples,)`, the observed classes. Classes with fewer
            than half as many samples as the mean over classes are the tail.
        true_labels: Int `(num_samples,)`, or None. Where given, right and
            wrong labels are drawn apart.
        ax: Matplotlib axes to draw into, or None for a new figure.

    Returns:
        The matplotlib figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the arguments do not have the same length.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    weights = np.random.default_rng(0).uniform(size=30)
    labels = np.repeat([0, 1, 2], [20, 8, 2])
    kcn.plots.plot_sample_weights(weights, labels).savefig("weights.png")
    ```
    """
    weights = as_numbers("weights", weights, np.size(weights))
    weights = weights.astype(np.float64)
    labels = as_numbers("labels", labels, len(weights), "iu")
    is_tail = _is_tail(labels)
    groups = {"head": ~is_tail, "tail": is_tail}
    if true_labels is not None:
        true_labels = as_numbers("true_labels", true_labels, len(weights), "iu")
        groups = _groups_of_labels(labels != true_labels, is_tail)
    ax = _axes(ax)
    finite = np.isfinite(weights) & (labels >= 0)
    bins = np.linspace(0.0, max(1.02, weights[finite].max(initial=0.0)), 41)
    for name, members in groups.items():
        group = weights[members & finite]
        if not len(group):
            continue
        shares = np.full(len(group), 100.0 / len(group))
        style = _style(name, len(group))
        ax.hist(group, bins, weights=shares, histtype="step", **style)
    ax.set_title("Sample weights by class frequency")
    ax.set(xlabel="sample weight", ylabel="share of the group (%)")
    return _finished(ax, "no sample with a finite weight")


def plot_label_issues(
    curves,
    images,
    predictions=None,
    sample_ids=None,
    class_names=None,
    max_images=24,
    ax=None,
):
    """Draws a sheet of the samples whose labels are most probably wrong.

    Each image stands under its given label, its label quality and, where
    predictions are known, the label that they suggest.

    Args:
        curves: `LossCurves` of two epochs or more.
        images: Array `(num_samples, height, width)` or with 1, 3 or 4
            channels, by sample id; or a dict from sample id to such an image,
            of those that are drawn.
        predictions: Float `(num_samples, num_classes)`, probabilities from
            elsewhere for suggested labels. Or None for the classes that the
            network predicted in the curves' epochs, where these are known.
        sample_ids: Ids to draw, in this order, or None for the worst that
            `find_label_issues` finds.
        class_names: Sequence of strings, or None for the numbers.
        max_images: Int >= 1, the largest number of images. Defaults to 24.
        ax: Matplotlib axes whose place the sheet takes, or None for a new
            figure.

    Returns:
        The matplotlib figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If images are no images, or an argument does not fit the
            curves.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    rng = np.random.default_rng(0)
    curves = kcn.LossCurves(rng.uniform(size=(30, 8)), np.arange(30) % 3)
    images = rng.uniform(size=(30, 8, 8))
    kcn.plots.plot_label_issues(curves, images).savefig("issues.png")
    ```
    """
    as_int("max_images", max_images, 1)
    scores = label_quality_scores(curves)
    if sample_ids is None:
        issues, what = find_label_issues(curves), "label issues, worst first,"
        nothing = "no label issues were found"
    else:
        issues, what = _as_ids(sample_ids, curves.num_samples), "given samples"
        nothing = "no samples were given"
    shown = issues[:max_images].tolist()
    images = by_position(images)
    pictures = [image_of(images, sample_id) for sample_id in shown]
    names = as_class_names(class_names, curves.num_classes)
    suggested = suggested_labels(curves, scores < 0.5, predictions)
    columns = min(8, max(1, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    ax = _axes(ax, size=(8.0, 0.5 + 1.6 * rows))
    ax.set_title(
        f"{len(shown)} of {len(issues):,} {what} among "
        f"{curves.num_samples:,} samples"
    )
    ax.axis("off")
    if not shown:
        ax.text(0.5, 0.5, nothing, ha="center")
    for place, (sample_id, picture) in enumerate(
        zip(shown, pictures, strict=True)
    ):
        row, column = divmod(place, columns)
        left, bottom = (column + 0.05) / columns, 1.0 - (row + 0.98) / rows
        cell = ax.inset_axes([left, bottom, 0.9 / columns, 0.58 / rows])
        cell.imshow(picture, cmap="gray" if picture.ndim == 2 else None)
        label = curves.labels[sample_id]
        given = names[label] if label >= 0 else label
        text = f"given: {given}\nquality {scores[sample_id]:.2f}"
        if suggested is not None and suggested[sample_id] >= 0:
            text += f"\npredicted: {names[suggested[sample_id]]}"
        cell.set_title(text, fontsize=6, parse_math=False)
        cell.axis("off")
    return ax.figure


def png_of(figure):
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def _style(name, size):
    color, style = _STYLES[name.removeprefix("clean ")]
    label = f"{name} (n = {size:,})"
    return {"color": color, "ls": style, "lw": 2, "label": label}


def _axes(ax, size=(6.4, 4.0), integer_x=False):
    if ax is not None:
        return ax
    # Not through pyplot: no window, and nothing to close.
    module = imported("matplotlib.figure", "A picture", "matplotlib")
    figure = module.Figure(figsize=size, layout="constrained")
    ax = figure.add_subplot()
    ax.xaxis.get_major_locator().set_params(integer=integer_x)
    return ax


def _finished(ax, nothing):
    """The figure with a legend, or a word on why there is nothing to see."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend()
        if ax.dataLim.ymin >= 0.0:
            ax.set_ylim(bottom=0.0)
    else:
        place = {"transform": ax.transAxes, "ha": "center", "va": "center"}
        ax.text(0.5, 0.5, nothing, **place)
    return ax.figure


def _groups_of_curves(curves, true_labels):
    """Dict from a group's name to bool `(num_samples,)`."""
    if true_labels is None:
        verdicts = sample_verdicts(curves)
        names = ("clean head", "clean tail", "suspect")
        return {name: verdicts == name for name in names}
    check_curves(curves)
    size = curves.num_samples
    true_labels = as_numbers("true_labels", true_labels, size, "iu")
    if true_labels.min() < 0:
        expected = "the class of every sample"
        received = f"{true_labels.min()} for some."
        raise invalid_value("true_labels", expected, received)
    is_wrong = curves.labels != true_labels
    return _groups_of_labels(is_wrong, _is_tail(true_labels))


def _groups_of_labels(is_wrong, is_tail):
    return {
        "right label, head": ~is_wrong & ~is_tail,
        "right label, tail": ~is_wrong & is_tail,
        "wrong label, head": is_wrong & ~is_tail,
        "wrong label, tail": is_wrong & is_tail,
    }


def _is_tail(labels):
    """Bool `(num_samples,)`: samples of classes with few of these labels."""
    counts = np.bincount(labels[labels >= 0], minlength=1)
    return tail_classes(counts, counts > 0)[np.maximum(labels, 0)]


def _as_ids(sample_ids, num_samples):
    ids = np.asarray(sample_ids)
    if ids.size == 0:
        return ids.astype(np.int64)
    is_ids = ids.ndim == 1 and ids.dtype.kind in "iu"
    if not is_ids or ids.min() < 0 or ids.max() >= num_samples:
        raise invalid_value(
            "sample_ids",
            f"ints from 0 to {num_samples - 1}",
            f"sample_ids={reprlib.repr(sample_ids)}.",
        )
    return ids

"""Draws `architecture.svg`: the data's way through the files.

python docs/architecture.py
"""

import pathlib

import matplotlib
from matplotlib import pyplot as plt

FOLDERS = {  # Name, from where to where it is drawn, and its colour.
    "probing": (3.05, 4.35, "#DCEBF7"),
    "inspecting": (1.6, 2.9, "#FBEBD5"),
    "allocating": (-0.75, 1.45, "#DDF1E8"),
}
BOXES = {  # Name: what it makes, and where its middle is.
    "your data": ("x, y", 0.0, 3.6),
    "sample_ids.py": ("ids beside samples", 1.0, 3.6),
    "loss_curve_recorder.py": ("loss and margin, in `fit`", 2.0, 3.6),
    "loss_curves.py": ("values, margins, labels", 3.0, 3.6),
    "label_quality.py": ("scores, label issues", 2.7, 2.15),
    "meta_selection.py": ("ids of a trusted set", 1.7, 2.15),
    "label_report.py, plots.py": ("tables and pictures", 4.0, 2.15),
    "fit_arguments.py": ("x, y, weight, id", 1.0, 0.8),
    "meta_set.py": ("trusted batches", 1.95, 0.8),
    "prepared_fit.py": ("curves, quality", 3.2, 0.8),
    "curve_net.py": ("sample weights", 3.2, -0.4),
    "curve_weighted_model.py": ("the three steps", 2.1, -0.05),
    "training_loss.py": ("soft labels, balance", 1.0, -0.4),
    "your model": ("trained", 0.0, -0.4),
}
ARROWS = [
    ("your data", "sample_ids.py"),
    ("sample_ids.py", "loss_curve_recorder.py"),
    ("loss_curve_recorder.py", "loss_curves.py"),
    ("loss_curves.py", "label_quality.py"),
    ("loss_curves.py", "prepared_fit.py"),
    ("label_quality.py", "label_report.py, plots.py"),
    ("label_quality.py", "meta_selection.py"),
    ("label_quality.py", "prepared_fit.py"),
    ("meta_selection.py", "meta_set.py"),
    ("sample_ids.py", "fit_arguments.py"),
    ("prepared_fit.py", "curve_net.py"),
    ("meta_set.py", "curve_weighted_model.py"),
    ("curve_weighted_model.py", "curve_net.py"),
    ("curve_weighted_model.py", "training_loss.py"),
    ("fit_arguments.py", "training_loss.py"),
    ("training_loss.py", "your model"),
]


def draw():
    figure, ax = plt.subplots(figsize=(10, 5.2))
    for folder, (low, high, colour) in FOLDERS.items():
        ax.axhspan(low, high, color=colour)
        ax.text(-0.55, high - 0.08, f"{folder}/", va="top", weight="bold")
    texts = {
        name: ax.text(
            x,
            y,
            f"{name}\n{made}",
            ha="center",
            va="center",
            fontsize=8,
            bbox={"boxstyle": "round", "facecolor": "white"},
        )
        for name, (made, x, y) in BOXES.items()
    }
    figure.canvas.draw()  # Boxes have their sizes from here on.
    for start, end in ARROWS:
        ax.annotate(
            "",
            BOXES[end][1:],
            BOXES[start][1:],
            arrowprops={
                "arrowstyle": "->",
                "patchA": texts[start].get_bbox_patch(),
                "patchB": texts[end].get_bbox_patch(),
            },
        )
    ax.set(xlim=(-0.6, 4.6), ylim=(-0.75, 4.35))
    ax.axis("off")
    figure.tight_layout(pad=0.0)
    return figure


if __name__ == "__main__":
    matplotlib.rcParams["svg.fonttype"] = "none"  # Text stays text.
    matplotlib.rcParams["svg.hashsalt"] = "keras_curvenet"
    path = pathlib.Path(__file__).with_suffix(".svg")
    draw().savefig(path, metadata={"Date": None})

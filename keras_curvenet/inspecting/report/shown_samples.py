"""The samples that a report shows, with their pictures or rows."""

import warnings
from typing import NamedTuple

import numpy as np

from keras_curvenet.inspecting.report.class_summaries import quality_bins
from keras_curvenet.inspecting.report.thumbnails import LARGEST_SIDE
from keras_curvenet.inspecting.report.thumbnails import thumbnail_of_file
from keras_curvenet.inspecting.report.thumbnails import thumbnail_of_image
from keras_curvenet.inspecting.sample_images import image_of

# Of a row, a page shows the first so many columns and characters.
_MOST_COLUMNS = 30
_MOST_CHARACTERS = 1000
_MOST_CHARACTERS_OF_CELL = 200


class ShownSamples(NamedTuple):
    """What a page shows of samples."""

    groups: dict  # From class label to a list of dicts, one for each sample.
    columns: list  # The names of the cells of a row.
    num_columns_left_out: int


def worst_samples(table, max_samples_per_class, most_samples):
    """The worst of each class, as rows of a `label_report`, worst first.

    Where these are more than `most_samples`, label issues come before others,
    and each class's worst before any class's second.
    """
    seen = table[table["score"].notna()]
    ranks = seen.groupby("label").cumcount()
    worst = seen.assign(rank=ranks)[ranks < max_samples_per_class]
    worst = worst.sort_values(
        ["is_issue", "rank", "score"],
        ascending=[False, True, True],
        kind="stable",
    )
    return worst[:most_samples].sort_values("score", kind="stable")


def shown_samples(
    worst, class_names, file_paths, images, rows, largest_side=LARGEST_SIDE
):
    """`ShownSamples` with thumbnails of images or of files, or with rows."""
    sample_ids = worst["sample_id"].tolist()
    thumbnails = {}
    if images is not None:
        thumbnails = _thumbnails_of_images(images, sample_ids, largest_side)
    elif rows is None and file_paths is not None:
        thumbnails = _thumbnails_of_files(file_paths, sample_ids, largest_side)
    columns, num_columns_left_out, cells = _cells(rows, sample_ids)
    suggested = worst.get("suggested_label", np.full(len(worst), -1))
    groups = {}
    for sample_id, label, score, quality_bin, suggestion in zip(
        sample_ids,
        worst["label"].tolist(),
        worst["score"].tolist(),
        quality_bins(worst["score"]).tolist(),
        np.asarray(suggested).tolist(),
        strict=True,
    ):
        sample = {
            "id": sample_id,
            "given": class_names[label],
            "suggested": None if suggestion < 0 else class_names[suggestion],
            "quality": score,
            "bin": quality_bin,
            "path": None if file_paths is None else file_paths[sample_id],
            "thumbnail": thumbnails.get(sample_id),
            "cells": cells.get(sample_id, []),
        }
        groups.setdefault(label, []).append(sample)
    return ShownSamples(groups, columns, num_columns_left_out)


def _thumbnails_of_images(images, sample_ids, largest_side):
    """Dict from sample id to `Thumbnail`; a warning on values like NaN."""
    thumbnails, not_finite = {}, []
    for sample_id in sample_ids:
        image = image_of(images, sample_id)
        if not np.isfinite(image).all():
            not_finite.append(sample_id)
        thumbnails[sample_id] = thumbnail_of_image(image, largest_side)
    if not_finite:
        warnings.warn(
            f"{len(not_finite)} of {len(thumbnails)} images shown hold values "
            f"that are not finite, such as sample id {not_finite[0]}. NaN is "
            "drawn black.",
            stacklevel=2,
        )
    return thumbnails


def _thumbnails_of_files(file_paths, sample_ids, largest_side):
    """Dict from sample id to `Thumbnail`; a warning counts what is no image."""
    thumbnails, unreadable = {}, []
    for sample_id in sample_ids:
        path = file_paths[sample_id]
        try:
            thumbnails[sample_id] = thumbnail_of_file(path, largest_side)
        except Exception as error:  # Pillow raises many kinds.
            unreadable.append(f"{path!r} ({error})")
    if unreadable:
        warnings.warn(
            f"{len(unreadable)} of {len(sample_ids)} files shown could not be "
            f"read as images, such as {unreadable[0]}. Their paths are shown. "
            "For files that are no images, pass `rows`.",
            stacklevel=2,
        )
    return thumbnails


def _cells(rows, sample_ids):
    """Names of columns, how many are left out, and cells by sample id."""
    if rows is None:
        return [], 0, {}
    if not hasattr(rows, "columns"):
        texts = [[_short(rows[i], _MOST_CHARACTERS)] for i in sample_ids]
        return ["text"], 0, dict(zip(sample_ids, texts, strict=True))
    chosen = rows.iloc[sample_ids, :_MOST_COLUMNS]
    cells = [
        [_cell(value) for value in row]
        for row in chosen.itertuples(index=False, name=None)
    ]
    return (
        [_cell(name) for name in chosen.columns],
        rows.shape[1] - chosen.shape[1],
        dict(zip(sample_ids, cells, strict=True)),
    )


def _cell(value):
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return _short(text, _MOST_CHARACTERS_OF_CELL)


def _short(text, most):
    return text if len(text) <= most else text[: most - 1] + "\u2026"

"""A report on a dataset's labels: a page to look at, and a table."""

import os
import warnings

from keras_curvenet.checked_arguments import as_int
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.inspecting.given_values import as_class_names
from keras_curvenet.inspecting.label_report import label_report
from keras_curvenet.inspecting.label_suspicion import check_curves
from keras_curvenet.inspecting.label_suspicion import label_suspicion
from keras_curvenet.inspecting.report import report_arguments
from keras_curvenet.inspecting.report.check_page import check_page
from keras_curvenet.inspecting.report.report_page import report_page
from keras_curvenet.inspecting.report.report_table import with_names
from keras_curvenet.inspecting.report.shown_samples import shown_samples
from keras_curvenet.inspecting.report.shown_samples import worst_samples
from keras_curvenet.inspecting.share_of_wrong import share_of_wrong_labels
from keras_curvenet.probing.whole_files import whole_file

# A page of so many thumbnails is still below 10 MB.
_MOST_SAMPLES = 1000


def write_report(
    curves,
    folder,
    images=None,
    class_names=None,
    file_paths=None,
    rows=None,
    predictions=None,
    sample_weights=None,
    max_samples_per_class=24,
    num_labels_to_check=0,
    checked=None,
):
    """Writes a page and a table on a dataset's labels, to hand to others.

    `report.html` is one file that any browser opens, without a server or a
    network: estimated noise rates by class, given against suggested labels,
    pictures of the curves, the worst samples of each class by a threshold that
    can be moved, and whether the network was still learning. What there is no
    data for is left out. Of names and texts, none is executed.

    `report.csv` has a row for each sample, worst first: the columns of
    `label_report`, and `file_path`, `label_name` and `suggested_label_name`
    where these are known. Where a spreadsheet would take such a name for a
    formula (it begins with `=`, `+`, `-` or `@`, or a part after a separator or
    quotation mark does), an apostrophe stands before it.

    At most 1,000 samples are shown: label issues before others, and each
    class's worst before any class's second. Only they are looked at one by one.

    With `num_labels_to_check` the page begins with samples, spread over the
    ranking, and asks whether their labels are right. From the answers it
    estimates how many labels are wrong. The browser keeps them, and saves them
    as a CSV file for `checked`.

    Args:
        curves: `LossCurves` of two epochs or more.
        folder: Path of the folder to write into. It is made where it is not
            there; earlier reports in it are replaced.
        images: Array `(num_samples, height, width)` or with 1, 3 or 4
            channels, or what else gives an image by sample id; or a dict of
            those that are shown (the first `max_samples_per_class` of each
            class in the `label_report`). None for other data.
        class_names: Names by class, a sequence, an array or a dict, or None
            for the numbers.
        file_paths: Sequence of paths by sample id, such as the `file_paths`
            of `keras.utils.image_dataset_from_directory`, or None. Without
            `images` and `rows`, those of samples that are shown are read as
            images (BMP, GIF, JPEG, PNG, TIFF or WebP).
        rows: For text, a sequence of strings by sample id; for tabular data, a
            `pandas.DataFrame` whose row positions are the sample ids. Or None.
            Long ones are shortened on the page.
        predictions: Float `(num_samples, num_classes)`, probabilities from
            elsewhere for suggested labels. Or None for the classes that the
            network predicted in the curves' epochs, where these are known.
        sample_weights: Float `(num_samples,)`, as `sample_weights()` of a
            `CurveWeightedModel` gives them, or None.
        max_samples_per_class: Int >= 1, the largest number of samples shown of
            each class.
        num_labels_to_check: Int >= 0, how many labels the page asks to check:
            those of `labels_to_check(curves, num_labels_to_check,
            checked=checked)`. Defaults to 0.
        checked: Answers, as `label_quality_scores` takes them, or None.

    Returns:
        The path of `report.html`.

    Raises:
        ImportError: If jinja2, matplotlib, pandas or Pillow is not installed,
            or with `checked` scikit-learn.
        TypeError: If an argument is of another kind. Nothing is written.
        ValueError: If an argument does not fit the curves, images are no
            images (nothing is written), or the folder can't be written into.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    rng = np.random.default_rng(0)
    curves = kcn.LossCurves(rng.uniform(size=(30, 8)), np.arange(30) % 3)
    texts = [f"What sample {i} says." for i in range(30)]
    kcn.write_report(curves, "label_report", rows=texts)
    ```
    """
    report_arguments.require_packages()
    check_curves(curves)
    num_samples = curves.num_samples
    folder = report_arguments.as_folder(folder)
    as_int("max_samples_per_class", max_samples_per_class, 1)
    as_int("num_labels_to_check", num_labels_to_check, 0)
    names = as_class_names(class_names, curves.num_classes)
    if file_paths is not None:
        file_paths = report_arguments.as_file_paths(file_paths, num_samples)
    if rows is not None:
        rows = report_arguments.as_shown_rows(rows, images, num_samples)
    if images is not None:
        images = report_arguments.as_images(images, num_samples)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        table = label_report(curves, predictions, sample_weights, checked)
        doubts = label_suspicion(curves).doubts
        worst = worst_samples(table, max_samples_per_class, _MOST_SAMPLES)
        samples = names, file_paths, images, rows
        shown = shown_samples(worst, *samples)
        check = None
        if num_labels_to_check:
            check = check_page(
                curves, num_labels_to_check, checked, table, *samples
            )
        share = None
        if checked is not None:
            share = share_of_wrong_labels(curves, checked)
        page = report_page(curves, table, names, shown, doubts, share, check)
    # Each once: curves are read for the table and for a picture.
    for kind, text in dict.fromkeys(
        (one.category, str(one.message)) for one in caught
    ):
        warnings.warn(text, kind, stacklevel=2)
    known = None if class_names is None else names
    return _written(folder, page, with_names(table, known, file_paths))


def _written(folder, page, table):
    """Path of the page; ValueError where the folder can't be written into."""
    path = os.path.join(folder, "report.html")
    try:
        with whole_file(os.path.join(folder, "report.csv")) as file:
            table.to_csv(file, index=False, mode="wb", encoding="utf-8")
        with whole_file(path) as file:
            file.write(page.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise invalid_value(
            "folder",
            "a folder that can be written into",
            f"folder='{folder}' ({error}). Pass another path.",
        ) from error
    return path

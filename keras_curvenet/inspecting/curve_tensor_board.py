"""CurveTensorBoard: what becomes of the sample weights, in TensorBoard."""

import os
import re

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.checked_arguments import as_path
from keras_curvenet.inspecting import plots
from keras_curvenet.inspecting.given_values import as_class_names
from keras_curvenet.inspecting.label_quality import class_counts
from keras_curvenet.inspecting.label_quality import estimate_noise_rates
from keras_curvenet.workers import is_chief

# Classes that get a histogram and scalars of their own; the rest are in the
# overall ones and in that of the classes' means.
_MOST_CLASSES = 20

# What Markdown would not take for text.
_MARKS = re.compile(r"[\\`*_<>|\[\]]")


class CurveTensorBoard(keras.callbacks.Callback):
    """Writes sample weights and label issues for TensorBoard.

    For `CurveWeightedModel.fit`, beside `keras.callbacks.TensorBoard`. Each
    epoch: histograms of the sample weights, of the classes' mean weights and of
    the weights in each of the first 20 classes; these classes' mean weights;
    and the logs `meta_loss`, `mean_weight` and `effective_sample_size`. When
    training begins: a table of the estimated noise rates and, where images are
    given, pictures of the worst label issues and of the loss curves by group.

    Args:
        log_dir: Path of the folder to write to.
        images: Array of images by sample id, or None; what
            `keras_curvenet.plots.plot_label_issues` takes.
        class_names: Names by class, a sequence, an array or a dict, or None
            for the classes' numbers.

    Raises:
        ImportError: During `fit`, if images are given without matplotlib.
        ValueError: During `fit`, if the model is another or names are missing.

    Example:

    ```python
    import keras
    import keras_curvenet as kcn
    import numpy as np

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 4)), np.arange(80) % 2
    curves = kcn.LossCurves(rng.uniform(size=(80, 8)), labels=y)
    layers = [keras.Input((4,)), keras.layers.Dense(2, "softmax")]
    weighted = kcn.CurveWeightedModel(keras.Sequential(layers))
    weighted.compile("sgd", "sparse_categorical_crossentropy")
    board = kcn.CurveTensorBoard("logs")
    weighted.fit(x, y, epochs=2, loss_curves=curves, callbacks=[board])
    ```
    """

    def __init__(self, log_dir, images=None, class_names=None):
        super().__init__()
        self.log_dir = as_path("log_dir", log_dir)
        self.images = images
        self.class_names = class_names
        self._names = None
        self._writer = None

    def on_train_begin(self, logs=None):
        curves = getattr(self.model, "loss_curves", None)
        if curves is None:
            raise ValueError(
                "CurveTensorBoard writes what CurveWeightedModel learns. "
                "Expected it in the callbacks of `CurveWeightedModel.fit`. "
                f"Received: model '{self.model.name}' without loss curves."
            )
        names = as_class_names(self.class_names, curves.num_classes)
        lines = [" ".join(name.split()) for name in names]  # A tag is one.
        self._names = as_class_names(lines, curves.num_classes)
        if is_chief(self.model.distribute_strategy):
            folder = os.path.join(self.log_dir, "curves")
            self._writer = tf.summary.create_file_writer(folder)
        else:
            self._writer = tf.summary.create_noop_writer()
        with self._writer.as_default(step=0):
            tf.summary.text("noise_rates", self._table_of_noise_rates(curves))
            if self.images is not None:
                issues = plots.plot_label_issues(
                    curves, self.images, class_names=self.class_names
                )
                tf.summary.image("label_issues", _picture(issues))
                groups = plots.plot_loss_curves(curves)
                tf.summary.image("loss_curves", _picture(groups))

    def on_epoch_end(self, epoch, logs=None):
        labels = self.model.loss_curves.labels
        seen = labels >= 0
        labels, weights = labels[seen], self.model.sample_weights()[seen]
        counts = np.bincount(labels)
        means = np.bincount(labels, weights) / np.maximum(counts, 1)
        with self._writer.as_default(step=epoch):
            tf.summary.histogram("sample_weights", weights)
            tf.summary.histogram("mean_weight_of_classes", means[counts > 0])
            for label in np.flatnonzero(counts)[:_MOST_CLASSES]:
                name = self._names[label]
                members = weights[labels == label]
                tf.summary.histogram(f"sample_weights/{name}", members)
                tf.summary.scalar(f"mean_weight/{name}", means[label])
            for name in ("meta_loss", "mean_weight", "effective_sample_size"):
                if name in (logs or {}):
                    tf.summary.scalar(name, logs[name])
        self._writer.flush()

    def on_train_end(self, logs=None):
        self._writer.close()

    def _table_of_noise_rates(self, curves):
        """A Markdown table: each class, its samples, its estimated rate."""
        rates = estimate_noise_rates(curves)
        counts = class_counts(curves, curves.labels >= 0)
        rows = [
            "| class | samples | wrong labels (estimated) |",
            "|---|---|---|",
        ]
        for name, count, rate in zip(self._names, counts, rates, strict=True):
            name = _MARKS.sub(r"\\\g<0>", name)
            rows.append(f"| {name} | {count:,} | {rate:.0%} |")
        return "\n".join(rows)


def _picture(figure):
    """A figure as one image `(1, height, width, 4)`."""
    png = tf.image.decode_png(plots.png_of(figure), channels=4)
    return png[tf.newaxis]

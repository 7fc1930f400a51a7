"""Keras models trained on data with wrong labels and rare classes.

Probe: train as usual with a `LossCurveRecorder`. Allocate: train a
`CurveWeightedModel`, which weights each sample by its loss curve.
"""

import os
import sys

# Asked first: Keras fails in its own words where a backend is not installed.
_asked = os.environ.get("KERAS_BACKEND", "tensorflow")
if _asked == "tensorflow" or "keras" in sys.modules:
    import keras

    _backend = keras.config.backend()
else:
    _backend = _asked
if _backend != "tensorflow":
    raise ImportError(
        "keras_curvenet needs Keras's TensorFlow backend. Received: backend "
        f"'{_backend}'. Set KERAS_BACKEND=tensorflow in the environment before "
        "Keras is imported."
    )

from keras_curvenet import datasets
from keras_curvenet.allocating.curve_net import CurveNet
from keras_curvenet.allocating.curve_weighted_model import CurveWeightedModel
from keras_curvenet.inspecting import plots
from keras_curvenet.inspecting.curve_tensor_board import CurveTensorBoard
from keras_curvenet.inspecting.label_quality import estimate_class_counts
from keras_curvenet.inspecting.label_quality import estimate_noise_rates
from keras_curvenet.inspecting.label_quality import find_label_issues
from keras_curvenet.inspecting.label_quality import label_quality_scores
from keras_curvenet.inspecting.label_report import label_report
from keras_curvenet.inspecting.labels_to_check import labels_to_check
from keras_curvenet.inspecting.meta_selection import select_meta_samples
from keras_curvenet.inspecting.report.write_report import write_report
from keras_curvenet.inspecting.sample_verdicts import sample_verdicts
from keras_curvenet.inspecting.share_of_wrong import share_of_wrong_labels
from keras_curvenet.logit_adjustment import LogitAdjustedCrossentropy
from keras_curvenet.probing.epoch_order import shuffle_by_epoch
from keras_curvenet.probing.loss_curve_recorder import LossCurveRecorder
from keras_curvenet.probing.loss_curves import LossCurves
from keras_curvenet.probing.probing_schedule import ProbingSchedule
from keras_curvenet.probing.sample_ids import with_sample_ids
from keras_curvenet.resuming.backup_and_resume import BackupAndResume
from keras_curvenet.version import __version__

__all__ = [
    "BackupAndResume",
    "CurveNet",
    "CurveTensorBoard",
    "CurveWeightedModel",
    "LogitAdjustedCrossentropy",
    "LossCurveRecorder",
    "LossCurves",
    "ProbingSchedule",
    "__version__",
    "datasets",
    "estimate_class_counts",
    "estimate_noise_rates",
    "find_label_issues",
    "label_quality_scores",
    "label_report",
    "labels_to_check",
    "plots",
    "sample_verdicts",
    "select_meta_samples",
    "share_of_wrong_labels",
    "shuffle_by_epoch",
    "with_sample_ids",
    "write_report",
]

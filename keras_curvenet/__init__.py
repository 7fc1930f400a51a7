"""Keras models trained on data with wrong labels and rare classes.

Probe: train as usual with a `LossCurveRecorder`. Allocate: train a
`CurveWeightedModel`, which weights each sample by its loss curve.
"""

import keras

if keras.config.backend() != "tensorflow":
    raise ImportError(
        "keras_curvenet needs Keras's TensorFlow backend. Received: backend "
        f"'{keras.config.backend()}'. Set KERAS_BACKEND=tensorflow in the "
        "environment before Keras is imported."
    )

from keras_curvenet import datasets  # noqa: E402
from keras_curvenet.allocating.curve_net import CurveNet  # noqa: E402
from keras_curvenet.allocating.curve_weighted_model import (  # noqa: E402
    CurveWeightedModel,
)
from keras_curvenet.probing.loss_curve_recorder import (  # noqa: E402
    LossCurveRecorder,
)
from keras_curvenet.probing.loss_curves import LossCurves  # noqa: E402
from keras_curvenet.probing.probing_schedule import (  # noqa: E402
    ProbingSchedule,
)
from keras_curvenet.probing.sample_ids import with_sample_ids  # noqa: E402
from keras_curvenet.version import __version__  # noqa: E402

__all__ = [
    "CurveNet",
    "CurveWeightedModel",
    "LossCurveRecorder",
    "LossCurves",
    "ProbingSchedule",
    "__version__",
    "datasets",
    "with_sample_ids",
]

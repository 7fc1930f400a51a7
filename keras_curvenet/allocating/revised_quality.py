"""Label quality, judged once more by what the model has come to believe."""

import numpy as np
import numpy.typing as npt

from keras_curvenet.inspecting.label_quality import label_quality_scores
from keras_curvenet.inspecting.label_quality import quality_logits
from keras_curvenet.probing.class_predictions import label_margins

# Probabilities below it say no more than it does.
_LEAST_PROBABILITY = 1e-4

# How much of the log frequencies is taken out of beliefs: all of it makes rare
# classes likelier than they are, nothing of it hides them.
_FREQUENCY_SHARE = 0.5

# How much the curves' logit counts beside the beliefs'.
_CURVE_SHARE = 0.5

# Samples that are judged at a time.
_BLOCK = 65536


def quality_scores(loss_curves, beliefs, frequencies):
    """The label quality of all samples, revised where there are beliefs.

    Args:
        loss_curves: `LossCurves` of all samples.
        beliefs: `RunningPredictions` of the first samples, or None.
        frequencies: `ClassFrequencies`, what logits are adjusted by, or None.

    Returns:
        Float64 `(num_samples,)`, NaN for samples that were never seen.
    """
    quality = quality_logits(label_quality_scores(loss_curves))
    logits = quality.astype(np.float64)
    if beliefs is not None:
        nothing = np.zeros((1, beliefs.num_classes), np.float32)
        adjusted_by = nothing[0]
        if frequencies is not None:
            adjusted_by = frequencies.logarithms.numpy()
        for start in range(0, beliefs.num_samples, _BLOCK):
            ids = np.arange(start, min(start + _BLOCK, beliefs.num_samples))
            logits[ids] = revised_quality(
                quality[ids],
                np.maximum(loss_curves.labels[ids], 0),
                beliefs.of_batch(ids, nothing).numpy(),
                adjusted_by,
            )
    scores = 1.0 / (1.0 + np.exp(-logits))
    return np.where(loss_curves.labels >= 0, scores, np.nan)


def revised_quality(
    quality: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    believed: npt.NDArray[np.float32],
    log_frequencies: npt.NDArray[np.float32],
) -> npt.NDArray[np.float64]:
    """Logits of the label quality, by loss curves and beliefs.

    The sum of the belief's margin, the log-probability of the label minus the
    largest of the others, and half the curves' logit. Both err, and not on the
    same samples: `benchmarks/RESULTS.md`, "What the trained model finds". Do
    not train on it: weights that follow what the network believes confirm its
    errors ("What did not help" there).

    Args:
        quality: Float `(n,)`, logits of the label quality by the curves.
        labels: Int `(n,)`, the observed classes, >= 0.
        believed: Float `(n, num_classes)`, mean probabilities of the
            predictions that the loss was taken of; rows of zeros where there
            are none, of which the curves' logit stays.
        log_frequencies: Float `(num_classes,)`, what logits were adjusted by.

    Returns:
        Float64 `(n,)`.
    """
    logs = np.log(np.maximum(believed, _LEAST_PROBABILITY))
    logs -= _FREQUENCY_SHARE * log_frequencies
    margins = label_margins(logs, labels, from_logits=True).numpy()
    revised = margins + _CURVE_SHARE * quality.astype(np.float64)
    return np.where(believed.any(axis=1), revised, quality)

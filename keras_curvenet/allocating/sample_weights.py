"""What CurveNet makes of the curves: sample weights."""

import numpy as np
import tensorflow as tf

# Samples whose weights are taken at a time, of all.
_BLOCK = 8192


def weights_by(curve_net, prepared, training=False):
    """Weights `(batch,)` by the present CurveNet.

    Args:
        curve_net: A built model or layer from `[curves, labels]`, or one that
            `corrects_quality` from `[curves, labels, start]`.
        prepared: Tuple `(curves, labels, start)` as of `PreparedCurves`, of a
            batch.
        training: Bool.
    """
    curves, labels, start = prepared
    # A sample that was never seen has no class, and no curve but zeros.
    inputs = [curves, tf.maximum(labels, 0)]
    if getattr(curve_net, "corrects_quality", False):
        return curve_net([*inputs, start], training=training)
    return curve_net(inputs)


def weights_of_all(curve_net, prepared):
    """Float32 array `(num_samples,)`: the weight of every sample.

    Args:
        curve_net: As of `weights_by`.
        prepared: `PreparedCurves` of all samples.
    """
    num_samples = len(prepared.labels)
    blocks = [slice(i, i + _BLOCK) for i in range(0, num_samples, _BLOCK)]
    weights = [
        weights_by(curve_net, [rows[block] for rows in prepared.tables]).numpy()
        for block in blocks
    ]
    return np.concatenate(weights).astype(np.float32)

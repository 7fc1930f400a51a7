"""Where CurveNet starts: at the weights that label quality suggests."""

import keras
import numpy as np
import tensorflow as tf

_STEPS = 500
_BATCH_SIZE = 256
_LEARNING_RATE = 3e-3


def start_at_label_quality(curve_net, curves, labels, scores):
    """Fits a new CurveNet so that its weights are the label quality scores.

    From weights of 1, the network's first steps decide whether CurveNet finds
    the wrong labels: on one of five seeds of Fashion-MNIST it took to raising
    rare classes instead, wrong labels and all, and never came back
    (`benchmarks/RESULTS.md`, "Where the weights start").

    Args:
        curve_net: A `CurveNet`, whose variables are changed.
        curves: Float32 `(num_samples, curve_length)`, as it reads them.
        labels: Int `(num_samples,)`.
        scores: Float `(num_samples,)` in [0, 1], or NaN where unknown.
    """
    known = np.flatnonzero(~np.isnan(scores))
    if known.size == 0:
        return
    optimizer = keras.optimizers.Adam(_LEARNING_RATE)
    variables = curve_net.trainable_variables
    optimizer.build(variables)
    # Halfway between the ends, from where both are near.
    curve_net.logit.bias.assign(tf.zeros_like(curve_net.logit.bias))

    @tf.function(reduce_retracing=True)
    def step(curves, labels, scores):
        with tf.GradientTape() as tape:
            shares = curve_net([curves, labels]) - curve_net.min_weight
            loss = keras.losses.binary_crossentropy(scores, shares)
        optimizer.apply(tape.gradient(loss, variables), variables)

    rng = np.random.default_rng(0)
    size = min(_BATCH_SIZE, known.size)
    for _ in range(_STEPS):
        rows = rng.choice(known, size)
        step(curves[rows], labels[rows], scores[rows].astype(np.float32))

"""What others do about wrong labels, as losses and one training of two.

All losses are of adjusted logits, to which the log frequencies of the classes
are added: baselines balance classes as `CurveWeightedModel` does.
"""

import keras
import numpy as np
import tensorflow as tf


def log_frequencies(labels, num_classes, sample_weight=None):
    """Float32 `(num_classes,)`, of the labels' own counts."""
    counts = np.bincount(labels, sample_weight, minlength=num_classes)
    counts = np.maximum(counts, 1.0)
    return np.log(counts / counts.sum()).astype(np.float32)


def one_hot(y, logits):
    return tf.one_hot(tf.reshape(tf.cast(y, tf.int32), [-1]), logits.shape[-1])


def crossentropy(adjustment, label_smoothing=0.0):
    """Of classes, or of targets `(batch, num_classes)` such as mixtures.

    Reference: Szegedy et al., "Rethinking the Inception architecture for
    computer vision", 2016, for label smoothing.
    """

    def loss(y, logits):
        is_mixture = y.shape.rank == 2 and y.shape[-1] == logits.shape[-1]
        return keras.losses.categorical_crossentropy(
            y if is_mixture else one_hot(y, logits),
            logits + adjustment,
            from_logits=True,
            label_smoothing=label_smoothing,
        )

    return loss


def generalized_crossentropy(adjustment, q):
    """Zhang & Sabuncu, "Generalized cross entropy loss", 2018."""

    def loss(y, logits):
        probabilities = tf.nn.softmax(logits + adjustment)
        likelihoods = tf.reduce_sum(one_hot(y, logits) * probabilities, -1)
        return (1.0 - tf.maximum(likelihoods, 1e-7) ** q) / q

    return loss


def symmetric_crossentropy(adjustment, alpha, beta=1.0):
    """Wang et al., "Symmetric cross entropy", 2019; log 0 counts as -4."""
    forward = crossentropy(adjustment)

    def loss(y, logits):
        probabilities = tf.nn.softmax(logits + adjustment)
        likelihoods = tf.reduce_sum(one_hot(y, logits) * probabilities, -1)
        return alpha * forward(y, logits) + beta * 4.0 * (1.0 - likelihoods)

    return loss


def bootstrapping(adjustment, trust):
    """Reed et al., "Training on noisy labels with bootstrapping", 2015: hard.

    Args:
        adjustment: Float `(num_classes,)`, added to logits.
        trust: Float, the share of the given label in the target.
    """

    def loss(y, logits):
        believed = tf.one_hot(tf.argmax(logits, -1), logits.shape[-1])
        targets = trust * one_hot(y, logits) + (1.0 - trust) * believed
        return tf.nn.softmax_cross_entropy_with_logits(
            tf.stop_gradient(targets), logits + adjustment
        )

    return loss


class EarlyLearningRegularization:
    """Liu et al., "Early-learning regularization", 2020 (ELR).

    A loss whose targets `y` are `(batch, 2)`: labels beside sample ids.

    Args:
        adjustment: Float `(num_classes,)`, added to logits.
        num_samples: Int.
        strength: Float, lambda of the paper.
        momentum: Float, beta of the paper.
    """

    def __init__(self, adjustment, num_samples, strength, momentum=0.7):
        self._adjustment, self._strength = adjustment, strength
        self._momentum = momentum
        self._beliefs = tf.Variable(tf.zeros([num_samples, len(adjustment)]))
        self._loss = crossentropy(adjustment)
        self.__name__ = "elr"

    def __call__(self, y, logits):
        labels, ids = tf.unstack(tf.cast(y, tf.int32), axis=-1)
        probabilities = tf.clip_by_value(tf.nn.softmax(logits), 1e-4, 1 - 1e-4)
        share = tf.stop_gradient(probabilities)
        share /= tf.reduce_sum(share, -1, keepdims=True)
        momentum = self._momentum
        beliefs = momentum * tf.gather(self._beliefs, ids)
        beliefs += (1.0 - momentum) * share
        self._beliefs.scatter_update(tf.IndexedSlices(beliefs, ids))
        agreement = tf.reduce_sum(probabilities * beliefs, -1)
        pull = tf.math.log(tf.maximum(1.0 - agreement, 1e-4))
        return self._loss(labels, logits) + self._strength * pull


class CoTeaching(keras.Model):
    """Han et al., "Co-teaching", 2018: each network picks for the other.

    Args:
        networks: Two networks that give logits.
        adjustment: Float `(num_classes,)`, added to logits.
        forgotten: Float, the share of a batch that is left out in the end.
        ramp: Int, steps until then.
    """

    def __init__(self, networks, adjustment, forgotten, ramp):
        super().__init__()
        self.first, self.second = networks
        self._loss = crossentropy(adjustment)
        self._forgotten, self._ramp = forgotten, ramp

    def call(self, inputs, training=False):
        return self.first(inputs, training=training)

    def train_step(self, data):
        x, y = data
        step = tf.cast(self.optimizer.iterations, tf.float32)
        forgotten = self._forgotten * tf.minimum(step / self._ramp, 1.0)
        size = tf.cast(tf.shape(x)[0], tf.float32)
        num_kept = tf.cast(tf.math.ceil(size * (1.0 - forgotten)), tf.int32)
        with tf.GradientTape() as tape:
            first = self._loss(y, self.first(x, training=True))
            second = self._loss(y, self.second(x, training=True))
            by_first = tf.argsort(first)[:num_kept]
            by_second = tf.argsort(second)[:num_kept]
            loss = tf.reduce_mean(tf.gather(first, by_second))
            loss += tf.reduce_mean(tf.gather(second, by_first))
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}

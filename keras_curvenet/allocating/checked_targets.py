"""Training on the right labels, where someone said which they are."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_curvenet.inspecting.label_quality import quality_logits


def with_right_labels(curves, checked):
    """`PreparedCurves` with the labels that were said to be right.

    Weights of these samples start where those of right labels do.

    Args:
        curves: `PreparedCurves`.
        checked: `CheckedLabels` of their samples.
    """
    is_known = checked.right_labels >= 0
    sample_ids = checked.sample_ids[is_known]
    labels, start = curves.labels.copy(), curves.start.copy()
    labels[sample_ids] = checked.right_labels[is_known]
    start[sample_ids] = quality_logits(np.ones(len(sample_ids)))
    return dataclasses.replace(curves, labels=labels, start=start)


def with_right_targets(dataset, checked, num_samples):
    """Batches `(x, y, sample_weight, sample_id)` with the right classes.

    Args:
        dataset: Batches whose targets are classes: ints, one-hot or binary.
        checked: `CheckedLabels` of their samples.
        num_samples: Int, how many sample ids there are.
    """
    right_labels = np.full(num_samples, -1)
    right_labels[checked.sample_ids] = checked.right_labels

    def replace(x, y, sample_weight, sample_ids):
        labels = tf.numpy_function(
            lambda ids: right_labels[ids], [sample_ids], right_labels.dtype
        )
        labels.set_shape(sample_ids.shape)
        (target,) = tf.nest.flatten(y)
        if len(target.shape) == 2 and target.shape[1] != 1:
            right = tf.one_hot(labels, target.shape[1], dtype=target.dtype)
        else:
            right = tf.reshape(tf.cast(labels, target.dtype), tf.shape(target))
        is_known = tf.reshape(labels >= 0, [-1] + [1] * (len(target.shape) - 1))
        target = tf.where(is_known, right, target)
        y = tf.nest.pack_sequence_as(y, [target])
        return x, y, sample_weight, sample_ids

    return dataset.map(replace, tf.data.AUTOTUNE)

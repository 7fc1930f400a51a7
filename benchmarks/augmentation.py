"""Random views of images, made batch by batch in the input pipeline."""

import tensorflow as tf

_PADDING = 4


def cropped_and_flipped():
    """A function of image batches: pad by 4, crop and flip at random."""
    # Not `tf.random.uniform`: in `Dataset.map` after `tf.random.set_seed`, it
    # draws the same numbers in every epoch.
    generator = tf.random.Generator.from_seed(0)

    def augment(images):
        size, (height, width) = tf.shape(images)[0], images.shape[1:3]
        offsets = generator.uniform([2, size, 1], 0, 2 * _PADDING + 1, tf.int32)
        rows = offsets[0] + tf.range(height)
        columns = offsets[1] + tf.range(width)
        is_flipped = generator.uniform([size, 1]) < 0.5
        columns = tf.where(is_flipped, columns[:, ::-1], columns)
        border = [_PADDING, _PADDING]
        images = tf.pad(images, [[0, 0], border, border, [0, 0]])
        images = tf.gather(images, rows, axis=1, batch_dims=1)
        return tf.gather(images, columns, axis=2, batch_dims=1)

    return augment

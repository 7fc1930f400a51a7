"""The networks of the benchmarks."""

import keras


def small_cnn(input_shape, num_outputs):
    """Three blocks of strided convolution, BatchNormalization and ReLU."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            *_small_features(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(num_outputs),
        ]
    )


def small_extractor(input_shape):
    """`small_cnn` without its two Dense layers."""
    return keras.Sequential([keras.Input(input_shape), *_small_features()])


def _small_features():
    layers = []
    for filters in (16, 32, 64):
        layers += _block(filters, strides=2)
    return [*layers, keras.layers.Flatten()]


def human_cnn(input_shape, num_outputs):
    """Five convolutions in three stages, for augmented 32x32 images."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            *_block(16, strides=2),
            keras.layers.MaxPooling2D(),
            *_block(32),
            *_block(32),
            keras.layers.MaxPooling2D(),
            *_block(64),
            *_block(64),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(num_outputs),
        ]
    )


def _block(filters, strides=1):
    return [
        keras.layers.Conv2D(
            filters, 3, strides, padding="same", use_bias=False
        ),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
    ]


def mlp(input_shape, num_outputs):
    """One hidden layer, for tables."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(num_outputs),
        ]
    )


def head(input_shape, num_outputs):
    """Two Dense layers upon features that somebody else learned."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(num_outputs),
        ]
    )


def resnet32(input_shape, num_classes):
    """ResNet-32 for 32x32 images: three stages of five residual blocks.

    Reference: [He et al., 2016](https://arxiv.org/abs/1512.03385), section
    4.2, with parameter-free shortcuts. Names of the last stage's layers start
    with `stage3`.
    """
    inputs = keras.Input(input_shape)
    x = _convolution(inputs, 16, 1, "stem")
    x = keras.layers.ReLU()(x)
    for stage, filters in enumerate((16, 32, 64), start=1):
        for block in range(5):
            strides = 2 if stage > 1 and block == 0 else 1
            x = _residual_block(x, filters, strides, f"stage{stage}_{block}")
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes, name="head")(x))


def _residual_block(x, filters, strides, name):
    shortcut = x
    if strides > 1:
        shortcut = keras.layers.AveragePooling2D(strides)(x)
        padding = keras.ops.zeros_like(shortcut)
        shortcut = keras.layers.Concatenate()([shortcut, padding])
    x = _convolution(x, filters, strides, f"{name}_a")
    x = keras.layers.ReLU()(x)
    x = _convolution(x, filters, 1, f"{name}_b")
    return keras.layers.ReLU()(keras.layers.Add()([x, shortcut]))


def _convolution(x, filters, strides, name):
    x = keras.layers.Conv2D(
        filters, 3, strides, padding="same", use_bias=False, name=name
    )(x)
    return keras.layers.BatchNormalization(name=f"{name}_norm")(x)


def text_classifier(sequence_length, num_classes, vocabulary=5000):
    """Embedding, one LSTM and two Dense layers, on token ids."""
    return keras.Sequential(
        [
            keras.Input((sequence_length,), dtype="int32"),
            keras.layers.Embedding(vocabulary, 64),
            keras.layers.LSTM(64),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(num_classes),
        ]
    )


def bag_of_tokens(input_shape, num_outputs, vocabulary=5000):
    """The mean of the tokens' embeddings, and two Dense layers."""
    return keras.Sequential(
        [
            keras.Input(input_shape, dtype="int32"),
            keras.layers.Embedding(vocabulary, 64, mask_zero=True),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(num_outputs),
        ]
    )


def last_stage(model):
    """Names of the layers of ResNet-32's last stage and head."""
    return [
        layer.name
        for layer in model.layers
        if layer.trainable_variables
        and layer.name.startswith(("stage3", "head"))
    ]

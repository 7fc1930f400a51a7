"""A pre-trained feature extractor, networks upon it, and data for them."""

import functools

import clean_data
import keras
from networks import small_extractor

_EPOCHS = 3
_BATCH_SIZE = 128


def odd_classes(dataset):
    """The classes that the extractor of a dataset was not trained on."""
    pretrained_weights(dataset)  # Before networks are drawn by their seeds.
    return clean_data.half_of_classes(clean_data.images(dataset), 1)


def fine_tuned(dataset, input_shape, num_outputs):
    """Two Dense layers upon the pre-trained extractor, all of it trainable."""
    extractor = small_extractor(input_shape)
    extractor.set_weights(pretrained_weights(dataset))
    inputs = keras.Input(input_shape)
    features = keras.layers.Dense(64, activation="relu")(extractor(inputs))
    return keras.Model(inputs, keras.layers.Dense(num_outputs)(features))


@functools.cache
def pretrained_weights(dataset):
    """Weights learned from all images of the even classes, without noise."""
    data = clean_data.half_of_classes(clean_data.images(dataset), 0)
    keras.utils.set_random_seed(0)
    extractor = small_extractor(data.inputs.shape[1:])
    head = keras.layers.Dense(int(data.labels.max()) + 1)
    model = keras.Sequential([extractor, head])
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(
        data.prepared(data.inputs),
        data.labels,
        batch_size=_BATCH_SIZE,
        epochs=_EPOCHS,
        verbose=0,
    )
    return extractor.get_weights()

"""A pre-trained feature extractor, and networks upon it."""

import functools
import os
import pathlib

import clean_data
import keras
from networks import small_extractor

_EPOCHS = 3
_BATCH_SIZE = 128


def with_backbone(dataset, num_outputs, frozen, seed, folder=None):
    """A network with two Dense layers upon the pre-trained extractor.

    Args:
        dataset: String, a TFDS image dataset.
        num_outputs: Int.
        frozen: Bool: whether the features are fixed, or trained as well.
        seed: Int, of the Dense layers.
        folder: Path where the extractor is kept between processes, or None.
    """
    weights = pretrained_weights(dataset, folder)
    keras.utils.set_random_seed(seed)
    extractor = small_extractor(clean_data.images(dataset).inputs.shape[1:])
    extractor.set_weights(weights)
    extractor.trainable = not frozen
    inputs = keras.Input(extractor.input_shape[1:])
    features = extractor(inputs, training=False if frozen else None)
    features = keras.layers.Dense(64, activation="relu")(features)
    return keras.Model(inputs, keras.layers.Dense(num_outputs)(features))


@functools.cache
def pretrained_weights(dataset, folder):
    """Weights learned from all images of the even classes, without noise."""
    data = clean_data.half_of_classes(clean_data.images(dataset), 0)
    keras.utils.set_random_seed(0)
    extractor = small_extractor(data.inputs.shape[1:])
    path = folder and pathlib.Path(folder) / f"{dataset}-even.weights.h5"
    if path and path.exists():
        extractor.load_weights(path)
        return extractor.get_weights()
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
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{os.getpid()}.weights.h5")
        extractor.save_weights(temporary)
        temporary.replace(path)  # Whole, for processes beside this one.
    return extractor.get_weights()

"""What each dataset is made and trained with, where no flag says otherwise."""

import dataclasses
from collections.abc import Callable

import numpy as np
from augmentation import cropped_and_flipped
from networks import bag_of_tokens
from networks import human_cnn
from networks import mlp
from networks import small_cnn


def steps(epoch, epochs):
    """Factor of the learning rate: 0.1 after half and 3/4 of the epochs."""
    drops = (epoch >= epochs // 2) + (epoch >= 3 * epochs // 4)
    return 0.1**drops


def cosine(epoch, epochs):
    """Factor of the learning rate: from 1 to 0 along a cosine."""
    return float(1.0 + np.cos(np.pi * epoch / epochs)) / 2.0


def _rates(sgd=0.05, adamw=1e-3):
    return dataclasses.field(
        default_factory=lambda: {"sgd": sgd, "adamw": adamw}
    )


@dataclasses.dataclass(frozen=True)
class Settings:
    """Those of an image dataset such as Fashion-MNIST.

    Attributes:
        network: Function of an input shape and a number of outputs.
        optimizer: `"sgd"` or `"adamw"`.
        learning_rates: Dict from optimizer to learning rate.
        schedule: Function of an epoch and the number of epochs to the factor of
            the learning rate.
        batch_size: Int.
        epochs: Int.
        augment: Function that makes a function of batches of inputs, or None.
        probe_epochs: Int, epochs of the probe.
        constant_epochs: Int, those before its wave, or None for all.
        probe_factor: Float, factor of the learning rate in the probe.
        probe_augments: Bool, whether the probe augments, too.
        max_per_class: Int, samples of the largest class.
        imbalance_factor: Float, smallest class over largest.
        noise_kind: String, `corrupt_labels`'s, or whose labels are given.
        noise_rate: Float, `corrupt_labels`'s, or None with given labels.
        validation_per_class: Int, samples held out for choices.
    """

    network: Callable = small_cnn
    optimizer: str = "sgd"
    learning_rates: dict = _rates()
    schedule: Callable = steps
    batch_size: int = 64
    epochs: int = 30
    augment: Callable | None = None
    probe_epochs: int = 20
    constant_epochs: int | None = None
    probe_factor: float = 1.0
    probe_augments: bool = True
    max_per_class: int = 2000
    imbalance_factor: float = 0.05
    noise_kind: str = "uniform"
    noise_rate: float | None = 0.4
    validation_per_class: int = 200

    @property
    def learning_rate(self):
        return self.learning_rates[self.optimizer]


def _of_few_samples(max_per_class, imbalance_factor=1.0):
    return Settings(
        network=mlp,
        batch_size=32,
        max_per_class=max_per_class,
        imbalance_factor=imbalance_factor,
        noise_rate=0.3,
        validation_per_class=20,
    )


SETTINGS = {
    "fashion_mnist": Settings(),
    "docstrings": Settings(
        network=bag_of_tokens,
        optimizer="adamw",
        probe_epochs=10,
        max_per_class=8000,
    ),
    "human": Settings(
        network=human_cnn,
        learning_rates={"sgd": 0.1, "adamw": 1e-3},
        schedule=cosine,
        batch_size=128,
        augment=cropped_and_flipped,
        probe_factor=0.5,
        max_per_class=2400,
        imbalance_factor=0.1,
        noise_kind="worse",
        noise_rate=None,
        validation_per_class=500,
    ),
    "breast_cancer": _of_few_samples(max_per_class=250, imbalance_factor=0.2),
    "digits": _of_few_samples(max_per_class=90),
    "odd_digits": _of_few_samples(max_per_class=600),
    "digit_pairs": Settings(
        max_per_class=100, imbalance_factor=0.1, validation_per_class=20
    ),
}
FINETUNED_RATES = {"sgd": 0.01, "adamw": 2e-4}

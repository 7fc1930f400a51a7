"""The data sets of the comparison, and what they are trained with."""

import dataclasses
import functools
from collections.abc import Callable

import augmentation
import backbone
import biased_data
import clean_data
import keras
import networks
import numpy as np


def steps(share):
    """Factor of the learning rate: 0.1 after half and 3/4 of the training."""
    return 0.1 ** ((share >= 0.5) + (share >= 0.75))


def cosine(share):
    """Factor of the learning rate: from 1 to 0 along a cosine."""
    return float(1.0 + np.cos(np.pi * share)) / 2.0


def reference_steps(share):
    """That of the reference code, of 200 epochs: warm-up, two falls."""
    warm_up = min(1.0, (200 * share + 1) / 5)
    return warm_up * 0.1 ** ((share >= 0.4) + (share >= 0.5))


def constant(share):
    """Factor of the learning rate: always 1."""
    del share
    return 1.0


def sgd(rate):
    return keras.optimizers.SGD(
        rate, momentum=0.9, nesterov=True, weight_decay=5e-4
    )


def adamw(rate):
    return keras.optimizers.AdamW(rate, weight_decay=1e-3)


@dataclasses.dataclass(frozen=True)
class Task:
    """Where samples come from, how they are corrupted, and what learns them.

    Attributes:
        title: String, for tables.
        load: Function that makes `CleanData`.
        network: Function of an input shape and a number of outputs.
        optimizer: Function that makes an optimizer of a learning rate.
        learning_rate: Float.
        schedule: Function of the share of the training that is over to the
            factor of the learning rate. The probe's rate is constant.
        batch_size: Int.
        epochs, probe_epochs: Ints.
        probe_factor: Float, factor of the learning rate in the probe.
        cycle_epochs: Int, of `ProbingSchedule`, where a method has it.
        augment: Function that makes a function of batches of inputs, or None.
            The probe does not augment.
        is_pretrained: Bool, whether networks start from learned features.
        max_per_class, imbalance_factor: As of `long_tailed_indices`, by the
            true class; a factor of None leaves classes as they are.
        noise_kind, noise_rate: As of `corrupt_labels`; a rate of None takes
            the labels that people gave.
        meta_per_class, validation_per_class: Ints, clean samples held out.
    """

    title: str
    load: Callable
    network: Callable
    optimizer: Callable = sgd
    learning_rate: float = 0.05
    schedule: Callable = steps
    batch_size: int = 64
    epochs: int = 20
    probe_epochs: int = 20
    probe_factor: float = 1.0
    cycle_epochs: int = 3
    augment: Callable | None = None
    is_pretrained: bool = False
    max_per_class: int | None = None
    imbalance_factor: float | None = None
    noise_kind: str = "uniform"
    noise_rate: float | None = None
    meta_per_class: int = 20
    validation_per_class: int = 100

    def data(self, seed):
        """The `BiasedData` of a seed."""
        return biased_data.biased(self.load(), self, seed)

    def new_network(self, data, seed, num_outputs=None):
        """An untrained network, or one upon learned features."""
        keras.utils.set_random_seed(seed)
        return self.network(
            data.inputs.shape[1:], num_outputs or data.num_classes
        )

    def configuration(self):
        """All that decides a run but its method and seed, as JSON has it."""
        return {
            field.name: _named(getattr(self, field.name))
            for field in dataclasses.fields(self)
        }


def _named(value):
    """A function by its name, with its arguments."""
    if isinstance(value, functools.partial):
        words = map(str, [*value.args, *value.keywords.values()])
        return f"{value.func.__name__}({', '.join(words)})"
    return getattr(value, "__name__", value)


def _clothes(kind, rate, imbalance=0.05, most=800, title=None):
    return Task(
        title or f"Fashion-MNIST, {kind} {rate:g}",
        load=functools.partial(clean_data.images, "fashion_mnist"),
        network=networks.small_cnn,
        max_per_class=most,
        imbalance_factor=imbalance,
        noise_kind=kind,
        noise_rate=rate,
    )


def _features(kind, share):
    return Task(
        f"frozen features, people's labels, {share} wrong",
        load=functools.partial(clean_data.frozen_features, kind),
        network=networks.head,
        optimizer=adamw,
        learning_rate=1e-3,
        schedule=constant,
        batch_size=128,
        is_pretrained=True,
        validation_per_class=80,
    )


def balanced_digits(num_classes=10):
    """Digits, or even and odd ones: few samples, of shapes of all kinds."""
    return Task(
        "digits, uniform .3",
        load=functools.partial(clean_data.digits, num_classes),
        network=networks.mlp,
        batch_size=32,
        epochs=30,
        max_per_class=900 // num_classes,
        imbalance_factor=1.0,
        noise_rate=0.3,
        validation_per_class=20,
    )


TASKS = {
    "clothes": _clothes("uniform", 0.4),
    "photos": Task(
        "CIFAR-10, people's labels, .40 wrong",
        load=functools.partial(clean_data.human, "worse"),
        network=networks.human_cnn,
        learning_rate=0.1,
        schedule=cosine,
        batch_size=128,
        epochs=30,
        probe_factor=0.5,
        augment=augmentation.cropped_and_flipped,
        max_per_class=1200,
        imbalance_factor=0.1,
    ),
    "worse": _features("worse", ".39"),
    "random": _features("random", ".17"),
    "ag_news": Task(
        "AG-News, people's labels, .20 wrong",
        load=clean_data.ag_news,
        network=networks.mlp,
        optimizer=adamw,
        learning_rate=1e-3,
        schedule=constant,
        batch_size=128,
        epochs=15,
        probe_epochs=15,
        validation_per_class=250,
    ),
    "docstrings": Task(
        "docstrings, uniform .4",
        load=clean_data.paragraphs,
        network=networks.bag_of_tokens,
        optimizer=adamw,
        learning_rate=1e-3,
        probe_epochs=10,
        max_per_class=3000,
        imbalance_factor=0.05,
        noise_rate=0.4,
    ),
    "breast_cancer": Task(
        "breast cancer, a table, uniform .3",
        load=clean_data.breast_cancer,
        network=networks.mlp,
        batch_size=32,
        epochs=30,
        max_per_class=250,
        imbalance_factor=0.2,
        noise_rate=0.3,
        validation_per_class=20,
    ),
    "digits": balanced_digits(),
    "pair": _clothes("pair", 0.4),
    "none_balanced": _clothes(
        "uniform", 0.0, 1.0, 300, "Fashion-MNIST, balanced, none wrong"
    ),
    "none": _clothes(
        "uniform", 0.0, title="Fashion-MNIST, long-tailed, none wrong"
    ),
    "noise_0.2": _clothes("uniform", 0.2),
    "noise_0.6": _clothes("uniform", 0.6),
    "hundred": Task(
        "100 classes, uniform .4",
        load=clean_data.digit_pairs,
        network=networks.small_cnn,
        max_per_class=100,
        imbalance_factor=0.1,
        noise_rate=0.4,
        meta_per_class=10,
        validation_per_class=20,
    ),
    "fine_tuned": Task(
        "fine-tuned features, uniform .4",
        load=functools.partial(backbone.odd_classes, "fashion_mnist"),
        network=functools.partial(backbone.fine_tuned, "fashion_mnist"),
        learning_rate=0.01,
        is_pretrained=True,
        max_per_class=800,
        imbalance_factor=0.05,
        noise_rate=0.4,
    ),
}


def _reference(load, imbalance_factor, noise_rate, num_classes):
    return Task(
        f"CIFAR-{num_classes}, 1:{1 / imbalance_factor:.0f}, "
        f"{noise_rate or 'of people'}",
        load=load,
        network=networks.resnet32,
        learning_rate=0.1,
        schedule=reference_steps,
        batch_size=128,
        epochs=200,
        probe_epochs=300,
        cycle_epochs=15,
        augment=augmentation.cropped_and_flipped,
        max_per_class=None if noise_rate is None else 48000 // num_classes,
        imbalance_factor=None if noise_rate is None else imbalance_factor,
        noise_rate=noise_rate,
        meta_per_class=1000 // num_classes,
        validation_per_class=1000 // num_classes,
    )


# For a machine with a GPU and a network: tens of hours.
PAPER_TASKS = {
    f"cifar{classes}_{1 / factor:.0f}_{rate}": _reference(
        functools.partial(clean_data.images, f"cifar{classes}", True),
        factor,
        rate,
        classes,
    )
    for classes in (10, 100)
    for factor in (0.1, 0.02)
    for rate in (0.2, 0.6)
} | {
    "cifar10_n": _reference(clean_data.cifar10_n, 1.0, None, 10),
}

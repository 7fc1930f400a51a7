"""Small models, small data and counters, for all tests."""

import contextlib
import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf

NUM_INPUTS = 4
NUM_CLASSES = 3

MODEL_KINDS = ("sequential", "functional", "subclassed")


def tiny_data(num_samples=20, num_classes=NUM_CLASSES, seed=0):
    """Float32 inputs `(num_samples, NUM_INPUTS)` and int32 class labels."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_samples, NUM_INPUTS)).astype("float32")
    y = rng.integers(num_classes, size=num_samples).astype("int32")
    y[:num_classes] = np.arange(num_classes)  # Every class has a sample.
    return x, y


class TinyClassifier(keras.Model):
    """Two dense layers, subclassed."""

    def __init__(self, layers, **kwargs):
        super().__init__(**kwargs)
        self.stack = layers

    def call(self, x):
        for layer in self.stack:
            x = layer(x)
        return x


def tiny_model(
    kind="sequential", units=NUM_CLASSES, activation=None, built=True
):
    """A classifier of NUM_INPUTS inputs with one small hidden layer.

    Args:
        kind: One of MODEL_KINDS.
        units: Int, number of outputs.
        activation: Activation of the outputs; None for logits.
        built: Bool, whether the weights exist; a functional model's always do.
    """
    layers = [
        keras.layers.Dense(5, activation="tanh", name="hidden"),
        keras.layers.Dense(units, activation=activation, name="logits"),
    ]
    if kind == "functional":
        inputs = outputs = keras.Input((NUM_INPUTS,))
        for layer in layers:
            outputs = layer(outputs)
        return keras.Model(inputs, outputs)
    if kind == "sequential":
        model = keras.Sequential(layers)
    else:
        model = TinyClassifier(layers)
    if built:
        model(np.zeros((1, NUM_INPUTS), "float32"))
    return model


def sparse_loss(from_logits=True):
    """Sparse categorical cross-entropy."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)


def cross_entropy(logits, labels):
    """Per-sample cross-entropy in NumPy; labels have one rank less."""
    logits = np.asarray(logits, "float64")
    logits = logits - logits.max(axis=-1, keepdims=True)
    log_sums = np.log(np.exp(logits).sum(axis=-1))
    chosen = np.take_along_axis(logits, np.asarray(labels)[..., None], axis=-1)
    return log_sums - chosen[..., 0]


def assert_same_weights(model, other):
    """Asserts that two models' weights are equal bit for bit."""
    assert len(model.weights) == len(other.weights)
    for weight, other_weight in zip(
        model.get_weights(), other.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(weight, other_weight)


class _Counter:
    def __init__(self, count):
        self._count = count

    @property
    def count(self):
        """Int: what was counted so far."""
        return int(self._count())


@contextlib.contextmanager
def locked_by_another_process(path):
    """A file that another process has while this runs."""
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, sys\n"
            "file = open(sys.argv[1], 'ab')\n"
            "fcntl.lockf(file, fcntl.LOCK_EX)\n"
            "print('locked', flush=True)\n"
            "sys.stdin.read()",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"locked\n"
        yield
    finally:
        holder.communicate()


@contextlib.contextmanager
def _replaced_call(model, call):
    earlier = vars(model).get("call")
    object.__setattr__(model, "call", call)
    model.train_function = None
    try:
        yield
    finally:
        object.__delattr__(model, "call")
        if earlier is not None:
            object.__setattr__(model, "call", earlier)
        model.train_function = None


@contextlib.contextmanager
def count_traces(model):
    """Counts how often Python runs the model's `call`, in `counter.count`.

    In a compiled `fit` that is how often it is traced, in an eager one how
    often it is executed.
    """
    calls = []
    call = model.call

    def traced_call(*args, **kwargs):
        calls.append(None)
        return call(*args, **kwargs)

    with _replaced_call(model, traced_call):
        yield _Counter(lambda: len(calls))


@contextlib.contextmanager
def count_forward_passes(model):
    """Counts the executed calls of a model, traced or not."""
    passes = tf.Variable(0, dtype=tf.int64, trainable=False)
    call = model.call

    def counted_call(*args, **kwargs):
        passes.assign_add(1)
        return call(*args, **kwargs)

    with _replaced_call(model, counted_call):
        yield _Counter(passes.numpy)

"""Dense networks in NumPy, whose training keeps every sample's curves.

Small trainings take a second or so with it, and nothing decides what they give
but their arguments.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

_SMALLEST_PROBABILITY = 1e-30


@dataclasses.dataclass(frozen=True)
class Training:
    """How a network is made and trained.

    Attributes:
        hidden: Tuple of ints, units of the hidden layers.
        optimizer: `"sgd"` (Nesterov momentum 0.9) or `"adam"`.
        learning_rate: Float.
        epochs: Int.
        batch_size: Int.
        cosine: Bool, whether the rate falls to zero along a cosine.
        dropout: Float, of the hidden layers.
        decay: Float, of the weights, ten times as strong with Adam.
        noise: Float, deviation of what is added to the inputs.
    """

    hidden: tuple
    optimizer: str
    learning_rate: float
    epochs: int
    batch_size: int
    cosine: bool = False
    dropout: float = 0.0
    decay: float = 0.0
    noise: float = 0.0

    def rate(self, epoch):
        """Learning rate of an epoch."""
        if not self.cosine:
            return self.learning_rate
        falling = 0.5 * (1 + np.cos(np.pi * epoch / self.epochs))
        return self.learning_rate * falling


class Curves(NamedTuple):
    """What the forward passes of a training said of every sample.

    Attributes:
        losses: Float32 `(num_samples, epochs)`.
        margins: Float32 `(num_samples, epochs)`.
        predicted: Int16 `(num_samples, epochs)`, the likeliest classes.
    """

    losses: np.ndarray
    margins: np.ndarray
    predicted: np.ndarray


def trained(inputs, labels, num_classes, training, rng):
    """A network trained on given labels, and its `Curves`.

    Args:
        inputs: Float32 `(num_samples, num_features)`.
        labels: Int `(num_samples,)`.
        num_classes: Int.
        training: `Training`.
        rng: `np.random.Generator`.

    Returns:
        A `Network` and the `Curves` of its training.
    """
    sizes = (inputs.shape[1], *training.hidden, num_classes)
    network = Network(sizes, rng)
    update = _OPTIMIZERS[training.optimizer](network.variables, training.decay)
    shape = len(labels), training.epochs
    curves = Curves(
        np.empty(shape, np.float32),
        np.empty(shape, np.float32),
        np.empty(shape, np.int16),
    )
    for epoch in range(training.epochs):
        order = rng.permutation(len(labels))
        for start in range(0, len(labels), training.batch_size):
            rows = order[start : start + training.batch_size]
            batch = inputs[rows]
            if training.noise:
                drawn = rng.normal(size=batch.shape).astype(np.float32)
                batch = batch + training.noise * drawn
            outputs, kept = network.outputs(batch, training.dropout, rng)
            for curve, values in zip(
                curves, sample_values(outputs[-1], labels[rows]), strict=True
            ):
                curve[rows, epoch] = values
            gradients = network.gradients(outputs, kept, labels[rows])
            update(gradients, training.rate(epoch))
    return network, curves


def softmax(logits):
    """Probabilities of the rows of logits."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def sample_values(logits, labels):
    """Losses, margins and likeliest classes, each `(batch,)`."""
    rows = np.arange(len(labels))
    likelihoods = softmax(logits)[rows, labels]
    others = logits.copy()
    others[rows, labels] = -np.inf
    return (
        -np.log(np.maximum(likelihoods, _SMALLEST_PROBABILITY)),
        logits[rows, labels] - others.max(axis=1),
        logits.argmax(axis=1),
    )


class Network:
    """Dense layers, with ReLU but for the last.

    Args:
        sizes: Tuple of ints: features, hidden units of each layer, classes.
        rng: `np.random.Generator` that draws the weights.
    """

    def __init__(self, sizes, rng):
        layers = list(zip(sizes, sizes[1:], strict=False))
        self.weights = [
            (rng.normal(size=layer) * np.sqrt(2 / layer[0])).astype(np.float32)
            for layer in layers
        ]
        self.weights[-1] *= np.float32(0.3)  # Unsure at first.
        self.biases = [np.zeros(units, np.float32) for _, units in layers]

    @property
    def variables(self):
        """List of arrays that an optimizer changes in place."""
        return self.weights + self.biases

    def logits(self, inputs):
        """What the network says of inputs, `(num_samples, num_classes)`."""
        return self.outputs(inputs)[0][-1]

    def outputs(self, inputs, dropout=0.0, rng=None):
        """The inputs and what every layer makes of them.

        Args:
            inputs: Float32 `(batch, num_features)`.
            dropout: Float, the share of hidden units that are left out.
            rng: `np.random.Generator` that draws them.

        Returns:
            List of arrays, the last of them logits; and for every hidden
            layer the factors of its units, or 1.
        """
        outputs, kept = [inputs], []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            if len(outputs) > 1:
                factors = _dropped_out(outputs[-1].shape, dropout, rng)
                outputs[-1] = np.maximum(outputs[-1], 0) * factors
                kept.append(factors)
            outputs.append(outputs[-1] @ weight + bias)
        return outputs, kept

    def gradients(self, outputs, kept, labels):
        """Of the mean loss, in the order of `variables`."""
        gradient = softmax(outputs[-1])
        gradient[np.arange(len(labels)), labels] -= 1
        gradient = gradient / len(labels)
        of_weights, of_biases = [], []
        for layer in reversed(range(len(self.weights))):
            of_weights.insert(0, outputs[layer].T @ gradient)
            of_biases.insert(0, gradient.sum(axis=0))
            if layer:
                is_on = outputs[layer] > 0
                gradient = (gradient @ self.weights[layer].T) * is_on
                gradient = gradient * kept[layer - 1]
        return of_weights + of_biases


def _dropped_out(shape, dropout, rng):
    """Factors of units: 0 of those left out, more than 1 of the others."""
    if not dropout:
        return np.float32(1)
    return ((rng.random(shape) > dropout) / (1 - dropout)).astype(np.float32)


class NesterovSGD:
    """Gradient descent with Nesterov momentum.

    Args:
        variables: List of arrays to change in place.
        decay: Float, how fast weights shrink, as a share of the rate.
    """

    momentum = 0.9

    def __init__(self, variables, decay):
        self.variables, self.decay = variables, decay
        self.velocities = [np.zeros_like(variable) for variable in variables]

    def __call__(self, gradients, rate):
        for index, (variable, gradient) in enumerate(
            zip(self.variables, gradients, strict=True)
        ):
            velocity = self.momentum * self.velocities[index] + gradient
            self.velocities[index] = velocity
            variable -= rate * (gradient + self.momentum * velocity)
            _shrink(variable, rate * self.decay)


class Adam:
    """Adam with decoupled weight decay; arguments as of `NesterovSGD`."""

    epsilon = 1e-7

    def __init__(self, variables, decay):
        self.variables, self.decay, self.steps = variables, decay, 0
        self.means = [np.zeros_like(variable) for variable in variables]
        self.squares = [np.zeros_like(variable) for variable in variables]

    def __call__(self, gradients, rate):
        self.steps += 1
        for variable, gradient, mean, square in zip(
            self.variables, gradients, self.means, self.squares, strict=True
        ):
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient * gradient - square)
            direction = mean / (1 - 0.9**self.steps)
            size = np.sqrt(square / (1 - 0.999**self.steps))
            variable -= rate * direction / (size + self.epsilon)
            _shrink(variable, rate * self.decay * 10)


def _shrink(variable, share):
    """Weight decay, of the weights and not of biases."""
    if share and variable.ndim > 1:
        variable *= 1 - share


_OPTIMIZERS = {"sgd": NesterovSGD, "adam": Adam}

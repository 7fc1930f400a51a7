"""The mathematics of allocating: the virtual step and the meta gradient."""

import keras
import tensorflow as tf

# Epsilon of the default meta optimizer for a virtual step of rate 1.
_EPSILON_PER_RATE = 2e-6

# Steps at which a learning rate schedule is looked at for its largest rate.
_POWERS_OF_TWO = [2**power for power in range(21)]


def virtual_step(values, gradients, learning_rate):
    """One plain gradient step on tensors instead of variables.

    `theta' = theta - learning_rate * gradient`: no momentum, no weight decay.

    Args:
        values: List of tensors, theta.
        gradients: List of tensors or `tf.IndexedSlices` of the same shapes.
        learning_rate: Float scalar.

    Returns:
        List of tensors, theta'.
    """
    return [
        value
        - tf.cast(learning_rate, value.dtype) * tf.convert_to_tensor(gradient)
        for value, gradient in zip(values, gradients, strict=True)
    ]


def meta_gradients(
    weigh, training_gradients, meta_loss, top_values, learning_rate, variables
):
    """Gradient of the meta loss with respect to CurveNet's variables.

    The meta loss is taken after one virtual step on the weighted training
    loss, and differentiated through that step.

    Reference: Jiang et al., 2022, section on meta optimization; Meta-Weight-Net
    (Shu et al., 2019), equations 3 to 5.

    Args:
        weigh: Function without arguments: the batch's sample weights `(n,)`
            as CurveNet gives them.
        training_gradients: Function of the weights: the list of gradients of
            the batch's weighted training loss with respect to the top values,
            differentiable in the weights.
        meta_loss: Function of top values to the scalar loss of the meta batch.
        top_values: List of tensors, the watched layers' present values.
        learning_rate: Float scalar, the virtual step's.
        variables: CurveNet's trainable variables.

    Returns:
        A tuple of the meta loss and the list of its gradients.
    """
    with tf.GradientTape(watch_accessed_variables=False) as meta_tape:
        meta_tape.watch(variables)
        gradients = training_gradients(weigh())
        virtual_values = virtual_step(top_values, gradients, learning_rate)
        value = meta_loss(virtual_values)
    return value, meta_tape.gradient(
        value, variables, unconnected_gradients="zero"
    )


def default_meta_optimizer(optimizer):
    """The reference code's Adam, slower, and with a fitting epsilon.

    At the reference code's rate of 1e-3, CurveNet unlearned on people's labels
    what the curves knew, with a clean meta set too; at 3e-5 it still did harm
    where few of them are wrong. At 1e-5 it does none (`benchmarks/RESULTS.md`,
    "What CurveNet adds").

    Meta gradients are proportional to the virtual step's learning rate. With
    one epsilon for all rates, Adam would learn slowly where the rate is small,
    as that of Adam-like base optimizers is, and too fast where it is large:
    `benchmarks/EARLIER.md`, "Epsilon of the meta optimizer". A rate of 0.05
    gives Keras's epsilon of 1e-7.

    Args:
        optimizer: The base model's optimizer, whose rate may be a schedule.

    Returns:
        `keras.optimizers.Adam(1e-5, weight_decay=1e-4)` with that epsilon.
    """
    rate = _largest_rate(optimizer)
    epsilon = _EPSILON_PER_RATE * rate if rate > 0.0 else 1e-7
    return keras.optimizers.Adam(1e-5, weight_decay=1e-4, epsilon=epsilon)


def _largest_rate(optimizer):
    """The learning rate, or the largest of a schedule's at powers of two."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # Of loss scaling.
    rate = getattr(inner, "_learning_rate", inner.learning_rate)
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return max(float(rate(step)) for step in [0, *_POWERS_OF_TWO])
    return float(inner.learning_rate.numpy())

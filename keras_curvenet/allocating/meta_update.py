"""The mathematics of allocating: the virtual step and the meta gradient."""

import tensorflow as tf


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

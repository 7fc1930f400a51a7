"""What is given for each sample or class, by position, and checked."""

import collections
import collections.abc

import numpy as np

from keras_curvenet.checked_arguments import as_rows
from keras_curvenet.checked_arguments import invalid_type
from keras_curvenet.checked_arguments import invalid_value


def as_numbers(argument, values, num_samples, kinds="iuf", rank=1):
    """What `as_rows` returns; ValueError where it is of no such dtype."""
    values = as_rows(argument, values, num_samples, rank)
    if values.dtype.kind not in kinds:
        expected = "ints" if kinds == "iu" else "numbers"
        received = f"{argument} of dtype {values.dtype}."
        raise invalid_value(argument, expected, received)
    return values


def as_class_probabilities(predictions, curves):
    """Float `(num_samples, num_classes)`; ValueError where they are not."""
    predictions = as_numbers(
        "predictions", predictions, curves.num_samples, "biuf", rank=2
    )
    sums = predictions.sum(axis=1, dtype=np.float64)
    num_refused = np.count_nonzero(~np.isfinite(sums))
    if predictions.shape[1] != curves.num_classes or num_refused:
        raise invalid_value(
            "predictions",
            f"finite probabilities of {curves.num_classes} classes, zeros for "
            "samples without predictions",
            f"others for {num_refused} sample(s), in predictions of shape "
            f"{predictions.shape}.",
        )
    return predictions


def as_class_names(class_names, num_classes):
    """List of strings that differ; an error where classes have no name.

    Taken are sequences, arrays and dicts of strings or numbers by class, dicts
    from name to class, as Keras's `class_indices` are, and None for numbers.
    Names that are empty or of several classes get the class's number.
    """
    if class_names is None:
        return [str(label) for label in range(num_classes)]
    if isinstance(class_names, collections.abc.Mapping):
        if all(isinstance(name, str) for name in class_names):
            class_names = {label: n for n, label in class_names.items()}
        labels = [n for n in range(num_classes) if n in class_names]
        class_names = [class_names[label] for label in labels]
    elif hasattr(class_names, "tolist"):  # An array, or of pandas.
        class_names = class_names.tolist()
    if isinstance(class_names, (list, tuple)):
        class_names = [
            str(n) if isinstance(n, (int, np.integer)) else n
            for n in class_names
        ]
    names = as_strings("class_names", class_names, "a name for each class")
    if len(names) < num_classes:
        expected = f"a name for each of {num_classes} classes"
        raise invalid_value("class_names", expected, f"{len(names)} names.")
    # Only UTF-8 is text.
    names = [n.encode(errors="backslashreplace").decode() for n in names]
    names = names[:num_classes]
    times = collections.Counter(names)
    for label, name in enumerate(names):
        if not name.strip() or times[name] > 1:
            names[label] = f"{name} ({label})".strip()
    return names


def as_strings(argument, values, expected):
    """Object array of strings; TypeError where they are something else."""
    is_sequence = is_sized(values) and not isinstance(
        values, (str, bytes, collections.abc.Mapping, collections.abc.Set)
    )
    # One look at each type, not at each value.
    kinds = set(map(type, values)) if is_sequence else {type(values)}
    if not is_sequence or not all(issubclass(kind, str) for kind in kinds):
        received = sorted(kind.__name__ for kind in kinds)
        of = f" of {', '.join(received)}" if is_sequence else ""
        raise invalid_type(argument, expected, f"{type(values).__name__}{of}.")
    strings = np.empty(len(values), object)
    strings[:] = values
    return strings


def is_sized(values):
    """Bool: whether values have a length."""
    try:
        len(values)
    except TypeError:
        return False
    return True

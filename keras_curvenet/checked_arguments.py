"""Checks of arguments, all with the same words: `as_` converts or raises."""

import importlib
import math
import numbers
import os
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# Whatever was received, a message is shorter than 500 characters.
_FIRST, _LAST = 330, 150


def invalid_value(argument: str, expected: str, received: str) -> ValueError:
    """The ValueError of an argument, in the words that all have."""
    return ValueError(_words(argument, expected, received))


def invalid_type(argument: str, expected: str, received: str) -> TypeError:
    """The TypeError of an argument, in the same words."""
    return TypeError(_words(argument, expected, received))


def shortened(text: str) -> str:
    """The text, without its middle where it is long."""
    if len(text) <= _FIRST + _LAST:
        return text
    return f"{text[:_FIRST]} ... {text[-_LAST:]}"


def imported(module: str, what: str, packages: str | None = None) -> Any:
    """A module that may not be there; ImportError says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{what} needs {module}, which is not installed. Run "
            f"`pip install {packages or module}`."
        ) from error


def listed(items: Sequence[Any], most: int = 5) -> str:
    """The first of many items, for a message of one line."""
    first = f"[{', '.join(map(str, items[:most]))}]"
    rest = len(items) - most
    return f"{first} and {rest:,} more" if rest > 0 else first


def _words(argument: str, expected: str, received: str) -> str:
    return shortened(
        f"Invalid value for argument `{argument}`. Expected {expected}. "
        f"Received: {received}"
    )


def as_int(argument: str, value: Any, least: int) -> int:
    """The int; ValueError unless it is one, and at least `least`."""
    is_int = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_int or value < least:
        raise invalid_value(
            argument, f"an int >= {least}", f"{argument}={value!r}."
        )
    return int(value)


def as_ints(argument: str, values: Any, least: int) -> tuple[int, ...]:
    """The ints as a tuple; TypeError or ValueError unless they are ints."""
    if not isinstance(values, (list, tuple)):
        expected = "a list or tuple of ints"
        raise invalid_type(argument, expected, f"{argument}={values!r}.")
    try:
        return tuple(as_int(argument, value, least) for value in values)
    except ValueError as error:
        raise invalid_value(
            argument, f"ints >= {least}", f"{argument}={values}."
        ) from error


def as_float(
    argument: str,
    value: Any,
    is_good: Callable[[float], bool],
    expected: str,
) -> float:
    """The float; ValueError unless it is one for which `is_good` holds.

    Args:
        argument: Name of the argument.
        value: What was received.
        is_good: Function of the finite float to a bool.
        expected: What is expected, in words.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not is_good(float(value)):
        raise invalid_value(argument, expected, f"{argument}={value!r}.")
    return float(value)


def as_bool(argument: str, value: Any) -> bool:
    """The bool; ValueError unless it is True or False."""
    if not isinstance(value, bool):
        raise invalid_value(argument, "True or False", f"{argument}={value!r}.")
    return value


def as_path(argument: str, value: Any) -> str:
    """The path as a string; TypeError unless it is a path."""
    if not isinstance(value, (str, os.PathLike)):
        raise invalid_type(argument, "a path", f"{argument}={value!r}.")
    return os.fspath(value)


def as_rows(
    argument: str,
    values: Any,
    num_samples: int,
    rank: int = 1,
) -> npt.NDArray[Any]:
    """The values as an array with a row for each sample, by position.

    Args:
        argument: Name of the argument.
        values: Array, sequence or pandas object.
        num_samples: Int, how many samples there are.
        rank: Int, the rank that is expected.

    Raises:
        ValueError: If the shape is another one.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:  # Rows of several lengths.
        raise invalid_value(argument, "an array", f"{error}.") from error
    if array.ndim != rank or len(array) != num_samples:
        one = "value" if rank == 1 else "row"
        raise invalid_value(
            argument,
            f"one {one} for each of {num_samples} samples",
            f"{argument} of shape {array.shape}.",
        )
    return array

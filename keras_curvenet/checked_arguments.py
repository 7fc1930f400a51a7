"""Checks of arguments, all with the same words: `as_` converts or raises."""

import math
import numbers
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

# Characters of a value in a message, which has to stay readable.
_LONGEST = 160


def invalid_value(argument: str, expected: str, received: str) -> ValueError:
    """The ValueError of an argument, in the words that all have."""
    return ValueError(
        f"Invalid value for argument `{argument}`. Expected {expected}. "
        f"Received: {received}"
    )


def shortened(value: Any) -> str:
    """What a value looks like, cut where it is too long for a message."""
    text = str(value) if isinstance(value, Exception) else repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def as_int(argument: str, value: Any, least: int) -> int:
    """The int; ValueError unless it is one, and at least `least`."""
    is_int = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_int or value < least:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected an int >= "
            f"{least}. Received: {argument}={shortened(value)}."
        )
    return int(value)


def as_ints(argument: str, values: Any, least: int) -> tuple[int, ...]:
    """The ints as a tuple; TypeError or ValueError unless they are ints."""
    if not isinstance(values, (list, tuple)):
        raise TypeError(
            f"Invalid value for argument `{argument}`. Expected a list or "
            f"tuple of ints. Received: {argument}={shortened(values)}."
        )
    try:
        return tuple(as_int(argument, value, least) for value in values)
    except ValueError as error:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected ints >= "
            f"{least}. Received: {argument}={shortened(values)}."
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
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected {expected}. "
            f"Received: {argument}={shortened(value)}."
        )
    return float(value)


def as_bool(argument: str, value: Any) -> bool:
    """The bool; ValueError unless it is True or False."""
    if not isinstance(value, bool):
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected True or False. "
            f"Received: {argument}={shortened(value)}."
        )
    return value


def as_path(argument: str, value: Any) -> str:
    """The path as a string; TypeError unless it is a path."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(
            f"Invalid value for argument `{argument}`. Expected a path. "
            f"Received: {argument}={shortened(value)}."
        )
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
    array = np.asarray(values)
    if array.ndim != rank or len(array) != num_samples:
        one = "value" if rank == 1 else "row"
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected one {one} for "
            f"each of {num_samples} samples. Received: {argument} of shape "
            f"{array.shape}."
        )
    return array

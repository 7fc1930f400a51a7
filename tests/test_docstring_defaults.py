"""Defaults that docstrings name are those of the signatures."""

import ast
import inspect
import re

import griffe
import pytest
from test_public_interface import public_objects

import keras_curvenet as kcn

VALUE = r"(`[^`]+`|[^\s,;]+)"
DEFAULT = re.compile(rf"[Dd]efaults\s+to\s+{VALUE}|{VALUE}\s+by\s+default")


def documented_callables():
    """Names of all public functions and classes, and of their methods."""
    names = public_objects()
    for name in public_objects():
        value = eval(name, {"kcn": kcn})
        names += [
            f"{name}.{member}"
            for member in (vars(value) if inspect.isclass(value) else ())
            if member[0] != "_" and inspect.isroutine(getattr(value, member))
        ]
    return names


def named_defaults(function):
    """Yields each parameter with a default that the docstring names."""
    parameters = inspect.signature(function).parameters
    docstring = griffe.Docstring(inspect.getdoc(function) or "")
    for section in docstring.parse("google", warnings=False):
        if section.kind is griffe.DocstringSectionKind.parameters:
            for argument in section.value:
                for found in DEFAULT.findall(argument.description):
                    if not argument.name.startswith("*"):
                        named = "".join(found).rstrip(".").strip("`")
                        yield parameters[argument.name], named


def agrees(parameter, named):
    """Bool: whether a default is the one named; prose stands for None."""
    try:
        return repr(parameter.default) == repr(ast.literal_eval(named))
    except (SyntaxError, ValueError):
        return parameter.default is None


@pytest.mark.parametrize("name", documented_callables())
def test_named_defaults_are_those_of_the_signature(name):
    for parameter, named in named_defaults(eval(name)):
        assert agrees(parameter, named), f"{parameter}: {named}"


def test_defaults_that_differ_are_found():
    def function(a, b=2, c="x", d=None, e=(1, 2), f=None, g=True, h=1.0):
        """Has right and wrong defaults.

        Args:
            a: Int. Defaults to 1.
            b: Int. Defaults to 2.
            c: One of several. Defaults to
                `"y"`.
            d: Defaults to half of `b`, rounded up.
            e: Ints, `(1, 2)` by default.
            f: Int, 3 by default.
            g: Bool. Defaults to `min(b, 3)`.
            h: Float. Defaults to 1.0.
        """

    found = list(named_defaults(function))
    assert [parameter.name for parameter, _ in found] == list("abcdefgh")
    assert {p.name for p, named in found if not agrees(p, named)} == set("acfg")

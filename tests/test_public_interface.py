"""What the package promises in its names and docstrings."""

import inspect
import os
import re
import subprocess
import sys
import textwrap

import pytest

import keras_curvenet as kcn


def public_objects():
    modules = ("datasets", "plots")
    names = [f"kcn.{n}" for n in kcn.__all__ if n not in modules]
    names += [f"kcn.datasets.{n}" for n in kcn.datasets.__all__]
    names += [f"kcn.plots.{n}" for n in dir(kcn.plots) if n[:5] == "plot_"]
    return [name for name in names if name != "kcn.__version__"]


@pytest.mark.parametrize("name", public_objects())
def test_docstring_example_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = inspect.getdoc(eval(name))
    assert "Example:" in text
    examples = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert examples
    for example in examples:
        exec(textwrap.dedent(example), {})


@pytest.mark.parametrize("name", public_objects())
def test_docstring_names_every_argument(name):
    documented = inspect.getdoc(eval(name))
    parameters = inspect.signature(eval(name)).parameters.values()
    for parameter in parameters:
        stars = {parameter.VAR_KEYWORD: "**", parameter.VAR_POSITIONAL: "*"}
        prefix = re.escape(stars.get(parameter.kind, ""))
        assert re.search(rf"{prefix}\b{parameter.name}\b", documented)


@pytest.mark.parametrize("backend", ["jax", "torch", "numpy"])
def test_another_backend_is_refused(backend):
    finished = subprocess.run(
        [sys.executable, "-c", "import keras_curvenet"],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    assert finished.returncode != 0
    assert "ImportError: keras_curvenet needs Keras's TensorFlow" in (
        finished.stderr
    )
    assert f"Received: backend '{backend}'" in finished.stderr


@pytest.mark.slow
def test_import_needs_none_of_the_extras():
    extras = ["PIL", "jinja2", "matplotlib", "pandas", "sklearn"]
    extras += ["tensorflow_datasets"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({extras}))\n"
        "import keras_curvenet; print(keras_curvenet.__version__)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert finished.stdout.strip() == kcn.__version__, finished.stderr


@pytest.mark.slow
def test_import_loads_nothing_that_keras_does_not():
    code = (
        "import sys; import keras; before = {*sys.modules}\n"
        "import keras_curvenet; print(*{*sys.modules} - before)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    packages = {name.split(".")[0] for name in finished.stdout.split()}
    expected = {"keras", "tensorflow", *sys.stdlib_module_names}
    assert packages - expected == {"keras_curvenet"}, finished.stderr

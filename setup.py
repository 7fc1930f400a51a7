"""Packaging of keras_curvenet."""

import pathlib

import setuptools

ROOT = pathlib.Path(__file__).parent
VERSION = {}
exec((ROOT / "keras_curvenet" / "version.py").read_text(), VERSION)

CHECKING = ["scikit-learn"]
EXAMPLES = [
    *CHECKING,
    "absl-py",
    "importlib_resources",  # tensorflow-datasets imports it undeclared.
    "jinja2",
    "matplotlib",
    "pandas",
    "pillow",
    "tensorboard",
    "tensorflow-datasets",
]
BENCHMARKS = [*EXAMPLES, "cleanlab", "tqdm"]
DOCS = ["mkdocs>=1.6,<2", "mkdocstrings[python]"]
TEST = [
    *BENCHMARKS,
    *DOCS,
    "build",
    "hypothesis",
    "keras-tuner",
    "mypy",
    "playwright",
    "pre-commit",
    "pytest",
    "pytest-xdist",
    "ruff",
    "twine",
]

setuptools.setup(
    name="keras-curvenet",
    version=VERSION["__version__"],
    description="Keras models trained on wrong labels and rare classes.",
    # Its relative links lead nowhere on PyPI while the project has no URL.
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    packages=setuptools.find_packages(include=["keras_curvenet*"]),
    package_data={
        "keras_curvenet": [
            "py.typed",
            "**/*.css",
            "**/*.jinja",
            "**/*.js",
        ]
    },
    python_requires=">=3.11",
    install_requires=[
        "keras>=3.12,<3.16",
        "numpy>=1.26",
        "tensorflow>=2.18,<2.22",
    ],
    extras_require={
        "checking": CHECKING,
        "examples": EXAMPLES,
        "docs": DOCS,
        "test": TEST,
        "benchmarks": BENCHMARKS,
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)

"""Real text that needs no download: paragraphs of installed docstrings.

Which package a paragraph documents is the class. The packages are what
`pip install ".[benchmarks]"` installs, so that their versions say which text
it is. A paragraph that several packages have, as about 3 % are, counts for each
of them.
"""

import ast
import functools
import importlib.metadata
import importlib.util
import pathlib

import keras
import numpy as np

PACKAGES = {  # From the most to the fewest paragraphs.
    "tensorflow": "tensorflow",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "pandas": "pandas",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "keras": "keras",
    "tensorflow_datasets": "tensorflow-datasets",
}
NUM_TOKENS = 5000
SEQUENCE_LENGTH = 40
_LEAST_WORDS = 8
TEST_PER_CLASS = 200


def versions():
    """The packages' versions, of which the text is."""
    return {
        distribution: importlib.metadata.version(distribution)
        for distribution in PACKAGES.values()
    }


@functools.cache
def load():
    """Token ids and classes of the training and of the test paragraphs.

    Returns:
        A dict from "train" and "test" to int32 `(num_samples,
        SEQUENCE_LENGTH)`, padded with zeros in front, and int64
        `(num_samples,)`. The test set has as many of each class.
    """
    texts = [paragraphs(package) for package in PACKAGES]
    rows = {"test": [], "train": []}
    for label, own in enumerate(texts):
        order = np.random.default_rng(0).permutation(len(own))
        rows["test"] += [(own[i], label) for i in order[:TEST_PER_CLASS]]
        rows["train"] += [(own[i], label) for i in order[TEST_PER_CLASS:]]
    vectorization = keras.layers.TextVectorization(NUM_TOKENS, ragged=True)
    vectorization.adapt([text for text, _ in rows["train"]])
    return {
        split: (
            keras.utils.pad_sequences(
                vectorization([text for text, _ in pairs]).to_list(),
                maxlen=SEQUENCE_LENGTH,
                truncating="post",
            ),
            np.array([label for _, label in pairs], np.int64),
        )
        for split, pairs in rows.items()
    }


def paragraphs(package):
    """The paragraphs of a package's docstrings, each once, in a fixed order."""
    # Found without importing, which would run code.
    folder = pathlib.Path(importlib.util.find_spec(package).origin).parent
    found = {}
    for path in sorted(folder.rglob("*.py")):
        if "tests" in path.parts or "test" in path.stem:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                docstring = ast.get_docstring(node) or ""
                for paragraph in docstring.split("\n\n"):
                    words = paragraph.split()
                    if len(words) >= _LEAST_WORDS and ">>>" not in words:
                        found[" ".join(words)] = None
    return list(found)

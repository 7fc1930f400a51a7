"""What the tables of wrong uses share.

Each wrong use is an error of this package, which names what was expected and
what was received; none is raised inside TensorFlow, Keras or NumPy.
"""

import tempfile
import traceback

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvenet as kcn

N = 24
x = np.random.default_rng(0).normal(size=(N, 4)).astype("float32")
y = np.arange(N, dtype="int32") % 3
strings = np.array([f"s{i}" for i in range(N)])
values = np.random.default_rng(0).uniform(size=(6, 5))
slices = tf.data.Dataset.from_tensor_slices


def folder():
    return tempfile.mkdtemp()


def curves(num_epochs=6):
    losses = np.random.default_rng(1).uniform(size=(N, num_epochs))
    return kcn.LossCurves(losses, y)


def network():
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="tanh"),
            keras.layers.Dense(3, activation="softmax"),
        ],
        name="network",
    )


def model(loss="sparse_categorical_crossentropy"):
    compiled = network()
    compiled.compile("sgd", loss)
    return compiled


def weighted(run_eagerly=True, **kwargs):
    wrapper = kcn.CurveWeightedModel(network(), **kwargs)
    loss = "sparse_categorical_crossentropy"
    wrapper.compile("sgd", loss, run_eagerly=run_eagerly)
    return wrapper


def with_ids(arrays=(x, y)):
    return kcn.with_sample_ids(arrays).batch(8)


def probe(data=None, probed=None, recorder=None, **kwargs):
    recorder = recorder or kcn.LossCurveRecorder()
    arguments = {"epochs": 1, "verbose": 0, "callbacks": [recorder]}
    data = with_ids() if data is None else data
    (probed or model()).fit(data, **{**arguments, **kwargs})


def allocate(data=None, wrapper=None, **kwargs):
    arguments = {"epochs": 1, "verbose": 0, "loss_curves": curves()}
    arguments["meta_data"] = (x[:6], y[:6])
    data = with_ids() if data is None else data
    (wrapper or weighted()).fit(data, **{**arguments, **kwargs})


def named_by_strings():
    return slices((x, y, np.ones(N, "float32"), strings)).batch(8)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return x[:8], y[:8]


def garbage():
    path = folder() + "/garbage.npz"
    with open(path, "wb") as file:
        file.write(b"abc")
    return path


def a_file():
    path = folder() + "/file"
    open(path, "w").close()
    return path


def check(use, error, *parts):
    """Asserts that a use raises an error of ours with these parts."""
    with pytest.raises(error) as raised:
        use()
    for part in parts:
        assert part in str(raised.value)
    last = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert "keras_curvenet" in last.filename

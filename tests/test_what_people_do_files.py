"""What people hold in their hands: damaged files, pandas, names, other tools.

Each row is a case that was observed, with what is right.
"""

import pathlib
import re

import numpy as np
import pytest

import keras_curvenet as kcn
from keras_curvenet.probing.curve_folder import CurveFolder
from keras_curvenet.probing.curve_folder import RecordedColumns

N, EPOCHS = 40, 4
rng = np.random.default_rng(0)
losses = rng.uniform(0.1, 2.0, size=(EPOCHS, N)).astype("float32")
margins = rng.normal(size=(EPOCHS, N)).astype("float32")
labels = np.arange(N) % 2


def assert_short_and_ours(error):
    assert "Invalid value for argument `" in str(error.value)
    assert len(str(error.value)) < 500


# Damaged folders of curves: none loads as other numbers.


def flip(position, bit=0):
    """Flips one bit of a file, counted from its end where negative."""

    def damage(path):
        content = bytearray(path.read_bytes())
        content[position] ^= 1 << bit
        path.write_bytes(content)

    return damage


def cut(size):
    return lambda path: path.write_bytes(path.read_bytes()[:size])


def longer(path):
    path.write_bytes(path.read_bytes() + b"\0")


def swap(path):
    """Swaps a file with the next one of its kind, or another one."""
    kind = path.name.split("-")[0]
    others = [p for p in path.parent.glob("*.npy") if p != path]
    other = max(others, key=lambda p: (p.name.startswith(kind), p.name))
    contents = path.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    path.write_bytes(contents[1])


DAMAGES = {
    "empty": cut(0),
    "half a magic": cut(3),
    "half a header": cut(60),
    "no data": cut(128),
    "a value less": cut(-4),
    "a byte less": cut(-1),
    "a byte more": longer,
    "another magic": flip(0),
    "another version": flip(6),
    "a longer header": flip(8, 2),
    "a much longer header": flip(9, 6),
    "a header's brace": flip(10),
    "a header's quote": flip(11, 6),
    "other types": flip(21, 4),
    "another byte order": flip(21),
    "another number of bytes": flip(23, 1),
    "another order": flip(43, 1),
    "another length": flip(61, 1),
    "the header's end": flip(127, 2),
    "the first value's sign": flip(131, 7),
    "a value's last bit": flip(128),
    "the last value": flip(-1, 6),
    "missing": lambda path: path.unlink(),
    "swapped": swap,
}


def curves_in(folder):
    """Curves of all epochs, as a recorder writes them."""
    recorded = RecordedColumns(list(losses), list(margins), labels, 2)
    CurveFolder(folder).save(recorded)


@pytest.mark.parametrize("kind", ["losses", "margins", "labels"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_curves_is_named(damage, kind, tmp_path):
    curves_in(tmp_path)
    path = sorted(tmp_path.glob(f"{kind}-*"))[-1 if kind == "labels" else 2]
    DAMAGES[damage](path)
    with pytest.raises(ValueError, match=path.name[:12]) as error:
        kcn.LossCurves.load(tmp_path)
    assert_short_and_ours(error)
    if kind == "labels":
        with pytest.raises(ValueError, match=path.name):
            kcn.LossCurves.load(tmp_path, until_damage=True)
        return
    assert "`until_damage=True`" in str(error.value)
    with pytest.warns(UserWarning, match=r"The 2 epoch\(s\) before it are"):
        curves = kcn.LossCurves.load(tmp_path, until_damage=True)
    np.testing.assert_array_equal(curves.values, losses[:2].T)
    np.testing.assert_array_equal(curves.margins, margins[:2].T)
    np.testing.assert_array_equal(curves.labels, labels)


def test_a_damaged_first_epoch_leaves_nothing_to_read(tmp_path):
    curves_in(tmp_path)
    flip(-1)(next(tmp_path.glob("losses-00000-*")))
    for until_damage in (False, True):
        with pytest.raises(ValueError, match="losses-00000-0.npy") as error:
            kcn.LossCurves.load(tmp_path, until_damage=until_damage)
        assert "until_damage" not in str(error.value)


def test_no_bit_of_a_manifest_changes_what_is_read(tmp_path):
    curves_in(tmp_path)
    path = tmp_path / "curves.json"
    content = path.read_bytes()
    for position in range(len(content)):
        flip(position, position % 8)(path)
        with pytest.raises(ValueError, match="curves.json|Error") as error:
            kcn.LossCurves.load(tmp_path)
        assert_short_and_ours(error)
        path.write_bytes(content)
    for size in range(0, len(content), 7):
        cut(size)(path)
        with pytest.raises(ValueError, match="argument `filepath`"):
            kcn.LossCurves.load(tmp_path)
    path.write_bytes(content)
    kcn.LossCurves.load(tmp_path, until_damage=True)  # Whole again.


def test_a_recorder_does_not_go_on_from_damaged_curves(tmp_path):
    import keras

    curves_in(tmp_path)
    flip(-1)(next(tmp_path.glob("losses-00001-*")))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    recorder = kcn.LossCurveRecorder(filepath=tmp_path)
    data = kcn.with_sample_ids((np.zeros((N, 3)), labels)).batch(N)
    with pytest.raises(ValueError, match="losses-00001-2.npy is damaged"):
        model.fit(
            data,
            epochs=5,
            initial_epoch=4,
            verbose=0,
            callbacks=[recorder],
        )

"""Wrong uses of sample ids, the probe and backups."""

import keras
import pytest
import tensorflow as tf
from wrong_uses import a_file
from wrong_uses import check
from wrong_uses import model
from wrong_uses import named_by_strings
from wrong_uses import probe
from wrong_uses import slices
from wrong_uses import strings
from wrong_uses import x
from wrong_uses import y

import keras_curvenet as kcn

# The use, its error, and what its message holds.
WRONG_USES = {
    "ids of a list": (
        lambda: kcn.with_sample_ids([1, 2, 3]),
        ValueError,
        "argument `dataset`",
        "Received: shapes [(), (), ()].",
    ),
    "ids of None": (
        lambda: kcn.with_sample_ids(None),
        TypeError,
        "argument `dataset`",
        "Received: dataset of type NoneType.",
    ),
    "ids of a dict": (
        lambda: kcn.with_sample_ids({"x": x, "y": y}),
        TypeError,
        "argument `dataset`",
        "Received: dataset of type dict.",
    ),
    "ids of an array": (
        lambda: kcn.with_sample_ids(x),
        TypeError,
        "argument `dataset`",
        "Received: dataset of type ndarray.",
    ),
    "ids of unequal": (
        lambda: kcn.with_sample_ids((x, y[:5])),
        ValueError,
        "argument `dataset`",
        "Received: shapes [(24, 4), (5,)].",
    ),
    "ids of empty": (
        lambda: kcn.with_sample_ids((x[:0], y[:0])),
        ValueError,
        "argument `dataset`",
        "Received: shapes [(0, 4), (0,)].",
    ),
    "ids twice": (
        lambda: kcn.with_sample_ids(kcn.with_sample_ids((x, y))),
        ValueError,
        "argument `dataset`",
        "which `with_sample_ids` made already",
    ),
    "ids infinite": (
        lambda: kcn.with_sample_ids(slices((x, y)).repeat()),
        ValueError,
        "argument `dataset`",
        "Received: an infinite one. Call",
    ),
    "ids of x only": (
        lambda: kcn.with_sample_ids(slices(x)),
        ValueError,
        "argument `dataset`",
        "Received: elements of TensorSpec(shape=(4,), d",
    ),
    "ids of dict elements": (
        lambda: kcn.with_sample_ids(slices({"x": x, "y": y})),
        ValueError,
        "argument `dataset`",
        "Received: elements of {'x': TensorSpec(shape=(",
    ),
    "ids of four": (
        lambda: kcn.with_sample_ids(slices((x, y, y, y))),
        ValueError,
        "argument `dataset`",
        "Received: elements of (TensorSpec(shape=(4,), ",
    ),
    "ids of ragged list": (
        lambda: kcn.with_sample_ids(([[1], [1, 2]], [0, 1])),
        ValueError,
        "argument `dataset`",
        "Received: list, which is none (setting an array element",
    ),
    "ids of generator": (
        lambda: kcn.with_sample_ids(i for i in range(3)),
        TypeError,
        "argument `dataset`",
        "Received: dataset of type generator.",
    ),
    "rec no ids": (
        lambda: probe(slices((x, y)).batch(8)),
        ValueError,
        "argument `x`",
        "Received: elements of (TensorSpec(shape=(None,",
    ),
    "rec arrays": (
        lambda: probe(x, y=y),
        ValueError,
        "argument `x`",
        "Received: elements of (TensorSpec(shape=(None,",
    ),
    "rec unbatched": (
        lambda: probe(kcn.with_sample_ids((x, y))),
        ValueError,
        "argument `x`",
        "Received: elements of (TensorSpec(shape=(4,), ",
    ),
    "rec string ids": (
        lambda: probe(named_by_strings()),
        ValueError,
        "argument `x`",
        "Received: elements of (TensorSpec(shape=(None,",
    ),
    "rec string labels": (
        lambda: probe(kcn.with_sample_ids((x, strings)).batch(8)),
        ValueError,
        "argument `x`",
        "Received: targets of dtype string.",
    ),
    "rec labels out of range": (
        lambda: probe(kcn.with_sample_ids((x, y + 5)).batch(8)),
        ValueError,
        "Expected targets that are class labels",
        "Received: a label of",
    ),
    "rec negative labels": (
        lambda: probe(kcn.with_sample_ids((x, y - 1)).batch(8)),
        ValueError,
        "Expected targets that are class labels",
        "a label of -1",
    ),
    "rec twice": (
        lambda: probe(
            callbacks=[kcn.LossCurveRecorder(), kcn.LossCurveRecorder()]
        ),
        ValueError,
        "argument `callbacks`",
        "Received: several LossCurveRecorders. Leave on",
    ),
    "rec no loss": (
        lambda: probe(probed=model(loss=None)),
        ValueError,
        "Expected a model compiled with a loss.",
        "Received: model 'network' without one,",
    ),
    "rec loss reduced": (
        lambda: probe(probed=model(loss=lambda a, b: keras.ops.mean(b))),
        ValueError,
        "argument `loss`",
        "Received: values of shape ().",
    ),
    "rec label_fn str": (
        lambda: kcn.LossCurveRecorder(label_fn="argmax"),
        TypeError,
        "argument `label_fn`",
        "Received: label_fn='argmax'.",
    ),
    "rec label_fn bad shape": (
        lambda: probe(
            recorder=kcn.LossCurveRecorder(
                label_fn=lambda y: tf.zeros([3], tf.int32)
            )
        ),
        ValueError,
        "argument `label_fn`",
        "Received: int32 of shape (3,).",
    ),
    "rec label_fn float": (
        lambda: probe(
            recorder=kcn.LossCurveRecorder(
                label_fn=lambda y: tf.cast(y, tf.float32)
            )
        ),
        ValueError,
        "argument `label_fn`",
        "Received: float32 of shape (None,).",
    ),
    "rec filepath int": (
        lambda: kcn.LossCurveRecorder(filepath=3),
        TypeError,
        "argument `filepath`",
        "Received: filepath=3.",
    ),
    "rec filepath no folder": (
        lambda: probe(recorder=kcn.LossCurveRecorder(a_file() + "/none/c.npz")),
        ValueError,
        "argument `filepath`",
        "Received: filepath='",
    ),
    "rec filepath of file": (
        lambda: probe(recorder=kcn.LossCurveRecorder(a_file() + "/folder")),
        ValueError,
        "argument `filepath`",
        "Received: filepath='",
    ),
    "rec initial_epoch": (
        lambda: probe(epochs=5, initial_epoch=3),
        ValueError,
        "argument `initial_epoch`",
        "Received: initial_epoch=3. Start at 0,",
    ),
    "rec curves before": (
        lambda: kcn.LossCurveRecorder().loss_curves,
        ValueError,
        "No loss curves yet. Expected at least",
        "Received: 0 epochs.",
    ),
    "rec shuffled before ids": (
        lambda: probe(
            kcn.with_sample_ids(slices((x, y)).shuffle(24)).batch(8), epochs=3
        ),
        ValueError,
        "argument `x`",
        "Received: a dataset that is",
    ),
    "rec drop": (
        lambda: probe(
            kcn.with_sample_ids((x, y)).batch(100, drop_remainder=True)
        ),
        ValueError,
        "LossCurveRecorder recorded nothing in epoch 1. Expected",
        "Received: none. Use one recorder",
    ),
    "sched neg": (
        lambda: kcn.ProbingSchedule(-1, 3, 0.1, 0.01),
        ValueError,
        "argument `constant_epochs`",
        "Received: constant_epochs=-1.",
    ),
    "sched str": (
        lambda: kcn.ProbingSchedule("a", 3, 0.1, 0.01),
        ValueError,
        "argument `constant_epochs`",
        "Received: constant_epochs='a'.",
    ),
    "sched none": (
        lambda: kcn.ProbingSchedule(None, 3, 0.1, 0.01),
        ValueError,
        "argument `constant_epochs`",
        "Received: constant_epochs=None.",
    ),
    "sched low>high": (
        lambda: kcn.ProbingSchedule(1, 3, 0.01, 0.1),
        ValueError,
        "arguments `high`",
        "Received: high=0.01, low=0.1.",
    ),
    "sched high str": (
        lambda: kcn.ProbingSchedule(1, 3, "fast", 0.1),
        ValueError,
        "argument `high`",
        "Received: high='fast'.",
    ),
    "sched nan": (
        lambda: kcn.ProbingSchedule(1, 3, float("nan"), 0.1),
        ValueError,
        "argument `high`",
        "Received: high=nan.",
    ),
    "backup None": (
        lambda: kcn.BackupAndResume(None),
        TypeError,
        "argument `backup_dir`",
        "Received: backup_dir=None.",
    ),
    "backup int": (
        lambda: kcn.BackupAndResume(5),
        TypeError,
        "argument `backup_dir`",
        "Received: backup_dir=5.",
    ),
    "backup freq": (
        lambda: kcn.BackupAndResume("folder", 0),
        ValueError,
        "argument `save_freq`",
        "Received: save_freq=0.",
    ),
    "shuffle": (
        lambda: kcn.shuffle_by_epoch((x, y), 3),
        TypeError,
        "argument `dataset`",
        "Received: tuple. Make one with",
    ),
}


@pytest.mark.filterwarnings("ignore:.*input ran out of data")
@pytest.mark.parametrize("name", WRONG_USES)
def test_wrong_use(name):
    check(*WRONG_USES[name])

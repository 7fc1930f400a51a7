"""Wrong uses of CurveNet, CurveWeightedModel and its losses."""

import numpy as np
import pytest
from wrong_uses import Batches
from wrong_uses import N
from wrong_uses import allocate
from wrong_uses import check
from wrong_uses import model
from wrong_uses import named_by_strings
from wrong_uses import network
from wrong_uses import slices
from wrong_uses import strings
from wrong_uses import weighted
from wrong_uses import x
from wrong_uses import y

import keras_curvenet as kcn

# The use, its error, and what its message holds.
WRONG_USES = {
    "net classes": (
        lambda: kcn.CurveNet(0, 6),
        ValueError,
        "argument `num_classes`",
        "Received: num_classes=0.",
    ),
    "net length": (
        lambda: kcn.CurveNet(3, "6"),
        ValueError,
        "argument `curve_length`",
        "Received: curve_length='6'.",
    ),
    "net units": (
        lambda: kcn.CurveNet(3, 6, curve_units=4),
        TypeError,
        "argument `curve_units`",
        "Received: curve_units=4.",
    ),
    "la none": (
        lambda: kcn.LogitAdjustedCrossentropy(None),
        ValueError,
        "argument `class_counts`",
        "Received: class_counts=None.",
    ),
    "la neg": (
        lambda: kcn.LogitAdjustedCrossentropy([-1, 2]),
        ValueError,
        "argument `class_counts`",
        "Received: class_counts=[-1, 2].",
    ),
    "la str": (
        lambda: kcn.LogitAdjustedCrossentropy("auto"),
        ValueError,
        "argument `class_counts`",
        "Received: class_counts=auto.",
    ),
    "la zeros": (
        lambda: kcn.LogitAdjustedCrossentropy([0, 0]),
        ValueError,
        "argument `class_counts`",
        "Received: class_counts=[0, 0].",
    ),
    "la classes": (
        lambda: model(kcn.LogitAdjustedCrossentropy([1, 2])).fit(
            x, y, verbose=0
        ),
        ValueError,
        "argument `class_counts`",
        "Received: 2 counts.",
    ),
    "w none": (
        lambda: kcn.CurveWeightedModel(None),
        TypeError,
        "argument `base_model`",
        "Received: None of type NoneType.",
    ),
    "w top 0": (
        lambda: weighted(top_layers=0),
        ValueError,
        "argument `top_layers`",
        "Received: top_layers=0. Pass a smaller",
    ),
    "w top 9": (
        lambda: weighted(top_layers=9),
        ValueError,
        "argument `top_layers`",
        "Received: top_layers=9. Pass a smaller",
    ),
    "w top str": (
        lambda: weighted(top_layers="tail"),
        ValueError,
        "argument `top_layers`",
        "Received: top_layers='tail'.",
    ),
    "w top names": (
        lambda: weighted(top_layers=["nope"]),
        ValueError,
        "argument `top_layers`",
        "Received: 'nope', no such layer.",
    ),
    "w top float": (
        lambda: weighted(top_layers=1.5),
        ValueError,
        "argument `top_layers`",
        "Received: top_layers=1.5.",
    ),
    "w top empty": (
        lambda: weighted(top_layers=[]),
        ValueError,
        "argument `top_layers`",
        "Received: top_layers=[].",
    ),
    "w curve_net int": (
        lambda: kcn.CurveWeightedModel(network(), curve_net=3),
        TypeError,
        "argument `curve_net`",
        "Received: 3 of type int.",
    ),
    "w no compile": (
        lambda: allocate(wrapper=kcn.CurveWeightedModel(network())),
        ValueError,
        "Expected `compile()` to be called on the",
        "Received: base model 'network', which",
    ),
    "w meta_optimizer": (
        lambda: kcn.CurveWeightedModel(network()).compile(
            "sgd", "mse", meta_optimizer="sgdx"
        ),
        ValueError,
        "argument `meta_optimizer`",
        "Received: 'sgdx' (Could not interpret",
    ),
    "w meta_optimizer int": (
        lambda: kcn.CurveWeightedModel(network()).compile(
            "sgd", "mse", meta_optimizer=3
        ),
        ValueError,
        "argument `meta_optimizer`",
        "Received: 3 (Could not interpret",
    ),
    "w meta_loss": (
        lambda: kcn.CurveWeightedModel(network()).compile(
            "sgd", "mse", meta_loss="msex"
        ),
        ValueError,
        "argument `meta_loss`",
        "Received: 'msex' (Could not interpret",
    ),
    "w no ids": (
        lambda: allocate(slices((x, y)).batch(8)),
        ValueError,
        "argument `x`",
        "Received: elements of (TensorSpec(shape=(None,",
    ),
    "w unbatched": (
        lambda: allocate(kcn.with_sample_ids((x, y))),
        ValueError,
        "argument `x`",
        "Received: elements of (TensorSpec(shape=(4,), ",
    ),
    "w unbatched auto meta": (
        lambda: allocate(kcn.with_sample_ids((x, y)), meta_data=None),
        ValueError,
        "argument `x`",
        "Received: elements of (TensorSpec(shape=(4,), ",
    ),
    "w string ids": (
        lambda: allocate(named_by_strings()),
        ValueError,
        "argument `x`",
        "Received: elements of (TensorSpec(shape=(None,",
    ),
    "w string labels": (
        lambda: allocate(kcn.with_sample_ids((x, strings)).batch(8)),
        ValueError,
        "argument `x`",
        "Received: targets of dtype string.",
    ),
    "w string labels arrays": (
        lambda: allocate(x, y=strings),
        ValueError,
        "argument `x`",
        "Received: targets of dtype string.",
    ),
    "w string x": (
        lambda: allocate(strings, y=y),
        ValueError,
        "argument `x`",
        "Received: inputs of TensorSpec(shape=(None,), ",
    ),
    "w labels range": (
        lambda: allocate(x, y=y + 7),
        ValueError,
        "Expected targets that are class labels",
        "Received: a label of",
    ),
    "w label shape": (
        lambda: allocate(x, y=np.eye(3)[y]),
        ValueError,
        "argument `y`",
        "Received: targets of TensorSpec(shape=(None, 3",
    ),
    "w x shape": (
        lambda: allocate(x[:, :3], y=y),
        ValueError,
        "argument `x`",
        "Received: inputs of TensorSpec(shape=(None, 3)",
    ),
    "w x int obj": (
        lambda: allocate(np.array([None] * N), y=y),
        ValueError,
        "argument `x`",
        "Received: an array of Python",
    ),
    "w lengths": (
        lambda: allocate(x, y=y[:5]),
        ValueError,
        "argument `x`",
        "Received: shapes [(24, 4), (5,)].",
    ),
    "w curves list": (
        lambda: allocate(loss_curves=[1, 2]),
        TypeError,
        "argument `loss_curves`",
        "Received: list.",
    ),
    "w curves path": (
        lambda: allocate(loss_curves="curves.npz"),
        TypeError,
        "argument `loss_curves`",
        "Received: str.",
    ),
    "w curves one epoch": (
        lambda: allocate(loss_curves=kcn.LossCurves(np.ones((N, 1)), y)),
        ValueError,
        "Expected loss curves of at least two",
        "Received: 1 recorded epoch(s) and",
    ),
    "w curves nan": (
        lambda: allocate(
            loss_curves=kcn.LossCurves(np.full((N, 6), np.nan), y)
        ),
        ValueError,
        "argument `loss_curves`",
        "Received: <LossCurves num_samples=24, num_epoc",
    ),
    "w meta shape": (
        lambda: allocate(meta_data=(x[:, :3], y)),
        ValueError,
        "argument `meta_data`",
        "Received: inputs of TensorSpec(shape=(None, 3)",
    ),
    "w meta x": (
        lambda: allocate(meta_data=x),
        TypeError,
        "argument `meta_data`",
        "Received: ndarray.",
    ),
    "w meta None y": (
        lambda: allocate(meta_data=(x, None)),
        ValueError,
        "argument `meta_data`",
        "Received: a tuple of 1.",
    ),
    "w meta unbatched": (
        lambda: allocate(meta_data=slices((x, y))),
        ValueError,
        "argument `meta_data`",
        "Received: elements of (TensorSpec(shape=(4,), ",
    ),
    "w meta str": (
        lambda: allocate(meta_data="clean"),
        TypeError,
        "argument `meta_data`",
        "Received: str.",
    ),
    "w meta string labels": (
        lambda: allocate(meta_data=(x, strings)),
        ValueError,
        "argument `meta_data`",
        "Received: labels such as [b's0',",
    ),
    "w meta labels": (
        lambda: allocate(meta_data=(x, y + 4)),
        ValueError,
        "argument `meta_data`",
        "Received: labels such as [4,",
    ),
    "w meta missing class": (
        lambda: allocate(meta_data=(x, np.zeros(N, int))),
        ValueError,
        "argument `meta_data`",
        "Received: none of class(es) [1,",
    ),
    "w meta dataset shape": (
        lambda: allocate(meta_data=slices((x[:, :3], y)).batch(4)),
        ValueError,
        "argument `meta_data`",
        "Received: inputs of TensorSpec(shape=(None, 3)",
    ),
    "w meta dtype": (
        lambda: allocate(meta_data=(strings, y)),
        ValueError,
        "argument `meta_data`",
        "Received: inputs of TensorSpec(shape=(None,), ",
    ),
    "w meta onehot": (
        lambda: allocate(meta_data=(x, np.eye(3)[y])),
        ValueError,
        "argument `meta_data`",
        "Received: targets",
    ),
    "w meta empty": (
        lambda: allocate(meta_data=(x[:0], y[:0])),
        ValueError,
        "argument `meta_data`",
        "Received: shapes [(0, 4), (0,)].",
    ),
    "w meta_epochs str": (
        lambda: allocate(meta_epochs="all"),
        ValueError,
        "argument `meta_epochs`",
        "Received: meta_epochs='all'.",
    ),
    "w meta_epochs neg": (
        lambda: allocate(meta_epochs=-1),
        ValueError,
        "argument `meta_epochs`",
        "Received: meta_epochs=-1.",
    ),
    "w meta_epochs nan": (
        lambda: allocate(meta_epochs=float("nan")),
        ValueError,
        "argument `meta_epochs`",
        "Received: meta_epochs=nan.",
    ),
    "w epochs str": (
        lambda: allocate(epochs="3"),
        ValueError,
        "argument `epochs`",
        "Received: epochs='3'.",
    ),
    "w epochs float": (
        lambda: allocate(epochs=1.5),
        ValueError,
        "argument `epochs`",
        "Received: epochs=1.5.",
    ),
    "w initial_epoch str": (
        lambda: allocate(initial_epoch="0"),
        ValueError,
        "argument `initial_epoch`",
        "Received: initial_epoch='0'.",
    ),
    "w batch_size str": (
        lambda: allocate(x, y=y, batch_size="8"),
        ValueError,
        "argument `batch_size`",
        "Received: batch_size='8'.",
    ),
    "w batch_size 0": (
        lambda: allocate(x, y=y, batch_size=0),
        ValueError,
        "argument `batch_size`",
        "Received: batch_size=0.",
    ),
    "w sample_weight len": (
        lambda: allocate(x, y=y, sample_weight=np.ones(3)),
        ValueError,
        "argument `x`",
        "Received: shapes [(24, 4), (24,),",
    ),
    "w sample_weight str": (
        lambda: allocate(x, y=y, sample_weight="w"),
        ValueError,
        "argument `x`",
        "Received: shapes [(24, 4), (24,),",
    ),
    "w class_weight": (
        lambda: allocate(class_weight={0: 1}),
        ValueError,
        "argument `class_weight`",
        "Received: class_weight={0: 1}. Leave it",
    ),
    "w trust str": (
        lambda: allocate(trust_changed_labels="yes"),
        ValueError,
        "argument `trust_changed_labels`",
        "Received: trust_changed_labels='yes'.",
    ),
    "w changed labels": (
        lambda: allocate(x, weighted(run_eagerly=False), y=(y + 1) % 3),
        ValueError,
        "Expected the labels that the loss curves",
        "Received: 24 samples with another",
    ),
    "w callbacks str": (
        lambda: allocate(callbacks="rec"),
        TypeError,
        "argument `callbacks`",
        "Received: 'rec' in it.",
    ),
    "w recorder": (
        lambda: allocate(callbacks=[kcn.LossCurveRecorder()]),
        ValueError,
        "argument `callbacks`",
        "Received: one in CurveWeightedModel.fit. Leave",
    ),
    "w weights before": (
        lambda: weighted().sample_weights(),
        ValueError,
        "No sample weights yet. Expected `fit(..., loss_curves=...)`",
        "Received: a model without loss",
    ),
    "w validation": (
        lambda: allocate(validation_data=(x,)),
        ValueError,
        "argument `validation_data`",
        "Received: a tuple of 1.",
    ),
    "w validation_split ds": (
        lambda: allocate(validation_split=0.2),
        ValueError,
        "argument `validation_split`",
        "Received: `x` as a dataset,",
    ),
    "w generator": (
        lambda: allocate(iter([(x, y)])),
        ValueError,
        "arguments `x`",
        "Received: x of type list_iterator",
    ),
    "w pydataset": (
        lambda: allocate(Batches()),
        ValueError,
        "arguments `x`",
        "type Batches",
    ),
}


@pytest.mark.filterwarnings("ignore:.*input ran out of data")
@pytest.mark.parametrize("name", WRONG_USES)
def test_wrong_use(name):
    check(*WRONG_USES[name])

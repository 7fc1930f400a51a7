"""What is saved of `CurveWeightedModel` and its base model is read again."""

import json
import os
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models

import keras_curvenet as kcn

# Keras warns so for any model that is compiled and saved before training.
ignore_unbuilt_optimizer = "ignore:Skipping variable loading for optimizer"


def without_dropout(model):
    """Keras saves no seeds: Dropout would differ in what follows."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return model


def weighted_model(
    make_model=tiny_models.sequential, run_eagerly=True, **kwargs
):
    keras.utils.set_random_seed(3)
    weighted = kcn.CurveWeightedModel(
        without_dropout(make_model()),
        curve_net=tiny_models.curve_net(),
        **kwargs,
    )
    weighted.compile(
        keras.optimizers.Adam(0.01),
        tiny_models.SPARSE_LOSS,
        metrics=["accuracy"],
        meta_optimizer=keras.optimizers.Adam(0.02, beta_1=0.5),
        run_eagerly=run_eagerly,
    )
    return weighted


def fit(weighted, epochs=2):
    return weighted.fit(
        tiny_models.with_ids(),
        epochs=epochs,
        verbose=0,
        loss_curves=tiny_models.loss_curves(),
        meta_data=tiny_models.meta_dataset(),
    ).history


def all_variables(weighted):
    return [
        *tiny_models.values_of(weighted.weights),
        *tiny_models.values_of(weighted.optimizer.variables),
        *tiny_models.values_of(weighted.meta_optimizer.variables),
    ]


@pytest.mark.filterwarnings(ignore_unbuilt_optimizer)
@pytest.mark.parametrize(
    ("make_model", "top_layers", "trained", "run_eagerly"),
    [
        (tiny_models.sequential, 1, False, True),
        (tiny_models.sequential, 1, True, False),
        (tiny_models.functional, None, True, True),
        (tiny_models.subclassed, ["head"], True, True),
    ],
)
def test_round_trip(make_model, top_layers, trained, run_eagerly, tmp_path):
    weighted = weighted_model(make_model, run_eagerly, top_layers=top_layers)
    if trained:
        fit(weighted)
    weighted.save(tmp_path / "weighted.keras")
    loaded = keras.models.load_model(tmp_path / "weighted.keras")
    assert type(loaded) is kcn.CurveWeightedModel
    assert type(loaded.base_model) is type(weighted.base_model)
    assert loaded.top_layers == top_layers
    if trained:
        assert int(loaded.optimizer.iterations) == 6
        assert int(loaded.meta_optimizer.iterations) == 3
    assert loaded.meta_optimizer.get_config() == (
        weighted.meta_optimizer.get_config()
    )
    x, _ = tiny_models.arrays()
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0), weighted.predict(x, verbose=0)
    )
    saved = all_variables if trained else keras.Model.get_weights
    tiny_models.assert_all_equal(saved(loaded), saved(weighted))
    with pytest.raises(ValueError, match="a model without loss curves"):
        loaded.sample_weights()
    without_dropout(loaded.base_model)
    assert fit(loaded, epochs=1) == fit(weighted, epochs=1)
    tiny_models.assert_all_equal(all_variables(loaded), all_variables(weighted))
    np.testing.assert_array_equal(
        loaded.sample_weights(), weighted.sample_weights()
    )


def test_round_trip_without_a_curve_net_yet(tmp_path):
    weighted = kcn.CurveWeightedModel(tiny_models.sequential())
    weighted.compile("sgd", tiny_models.SPARSE_LOSS, run_eagerly=True)
    weighted.save(tmp_path / "weighted.keras")
    loaded = keras.models.load_model(tmp_path / "weighted.keras")
    assert loaded.curve_net is None
    fit(loaded, epochs=1)
    assert loaded.curve_net.curve_length == 6


def test_round_trip_of_the_default_curve_net(tmp_path):
    weighted = kcn.CurveWeightedModel(tiny_models.sequential())
    weighted.compile("sgd", tiny_models.SPARSE_LOSS, run_eagerly=True)
    fit(weighted, epochs=1)
    weighted.save(tmp_path / "weighted.keras")
    loaded = keras.models.load_model(tmp_path / "weighted.keras")
    tiny_models.assert_all_equal(
        loaded.curve_net.get_weights(), weighted.curve_net.get_weights()
    )


@pytest.mark.filterwarnings(ignore_unbuilt_optimizer)
@pytest.mark.parametrize(
    "meta_loss", [None, tiny_models.SPARSE_LOSS, keras.losses.KLDivergence()]
)
def test_the_loss_of_the_meta_set_is_saved(tmp_path, meta_loss):
    weighted = kcn.CurveWeightedModel(tiny_models.sequential())
    loss = kcn.LogitAdjustedCrossentropy([1, 2, 3])
    weighted.compile("sgd", loss, meta_loss=meta_loss)
    weighted.save(tmp_path / "weighted.keras")
    loaded = keras.models.load_model(tmp_path / "weighted.keras")
    config = loaded.get_compile_config()
    assert config == weighted.get_compile_config()
    assert (config["meta_loss"] is None) == (meta_loss is None)


def test_round_trip_uncompiled(tmp_path):
    weighted = kcn.CurveWeightedModel(
        tiny_models.sequential(), curve_net=tiny_models.curve_net()
    )
    weighted.save(tmp_path / "weighted.keras")
    loaded = keras.models.load_model(tmp_path / "weighted.keras")
    assert not loaded.compiled
    tiny_models.assert_all_equal(loaded.get_weights(), weighted.get_weights())


def test_round_trip_of_a_custom_curve_net(tmp_path):
    weighted = kcn.CurveWeightedModel(
        tiny_models.sequential(),
        curve_net=tiny_models.WeightByClass([0.5, 1.0, 2.0]),
    )
    weighted.curve_net.table.assign([3.0, 4.0, 5.0])
    weighted.save(tmp_path / "weighted.keras")
    loaded = keras.models.load_model(tmp_path / "weighted.keras")
    np.testing.assert_array_equal(loaded.curve_net.table, [3.0, 4.0, 5.0])


@pytest.mark.parametrize("top_layers", [1, ["head"], None])
def test_config_round_trip_through_json(top_layers):
    weighted = kcn.CurveWeightedModel(
        tiny_models.sequential(),
        curve_net=tiny_models.curve_net(),
        top_layers=top_layers,
        soft_labels=False,
        balance_classes=True,
        meta_batch_size=5,
        name="weighted",
    )
    config = json.loads(json.dumps(weighted.get_config()))
    clone = kcn.CurveWeightedModel.from_config(config)
    assert json.dumps(clone.get_config()) == json.dumps(weighted.get_config())
    assert clone.soft_labels is False
    assert clone.balance_classes is True
    assert clone.meta_batch_size == 5
    assert clone.name == "weighted"
    assert clone.top_layers == top_layers
    assert clone.curve_net.get_config() == weighted.curve_net.get_config()


def test_from_config_does_not_change_the_config():
    weighted = kcn.CurveWeightedModel(tiny_models.sequential())
    config = weighted.get_config()
    before = json.dumps(config)
    kcn.CurveWeightedModel.from_config(config)
    assert json.dumps(config) == before


@pytest.mark.filterwarnings(ignore_unbuilt_optimizer)
def test_dtype_policy_survives(tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        weighted = weighted_model()
    finally:
        keras.config.set_dtype_policy(before)
    weighted.save(tmp_path / "weighted.keras")
    loaded = keras.models.load_model(tmp_path / "weighted.keras")
    assert loaded.dtype_policy.name == "mixed_bfloat16"
    assert loaded.base_model.layers[0].compute_dtype == "bfloat16"
    assert loaded.curve_net.compute_dtype == "float32"


def test_weights_round_trip(tmp_path):
    weighted = weighted_model()
    fit(weighted, epochs=1)
    other = kcn.CurveWeightedModel(
        tiny_models.sequential(), curve_net=tiny_models.curve_net()
    )
    weighted.save_weights(tmp_path / "weighted.weights.h5")
    other.load_weights(tmp_path / "weighted.weights.h5")
    tiny_models.assert_all_equal(other.get_weights(), weighted.get_weights())


def test_saved_base_model_holds_nothing_of_ours(tmp_path):
    weighted = weighted_model()
    fit(weighted, epochs=1)
    path, (x, _) = tmp_path / "classifier.keras", tiny_models.arrays()
    weighted.base_model.save(path)
    with zipfile.ZipFile(path) as file:
        assert b"curvenet" not in file.read("config.json")
    loaded = keras.models.load_model(path)
    assert type(loaded) is keras.Sequential
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0),
        weighted.base_model.predict(x, verbose=0),
    )


@pytest.mark.slow
def test_saved_base_model_needs_nothing_of_ours(tmp_path):
    weighted = weighted_model(run_eagerly=False)
    fit(weighted, epochs=1)
    x, _ = tiny_models.arrays()
    weighted.base_model.save(tmp_path / "classifier.keras")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", weighted.predict(x, verbose=0))
    script = (
        "import sys, keras, numpy as np\n"
        "model = keras.models.load_model('classifier.keras')\n"
        "y = model.predict(np.load('x.npy'), verbose=0)\n"
        "assert (y == np.load('y.npy')).all(), y\n"
        "assert 'keras_curvenet' not in sys.modules\n"
        "print(type(model).__name__, len(model.layers))\n"
    )
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH"
    }
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip() == "Sequential 7", result.stderr


NEXT_STEPS = """
import sys
import keras
import keras_curvenet as kcn
import numpy as np

weighted = keras.models.load_model(sys.argv[1], safe_mode=True)
arrays = np.load("arrays.npz")
weighted.fit(
    kcn.with_sample_ids((arrays["x"], arrays["y"])).batch(8),
    verbose=0,
    loss_curves=kcn.LossCurves.load("curves.npz"),
    meta_data=(arrays["x"][:6], arrays["y"][:6]),
    meta_epochs=0,
)
variables = [*weighted.weights, *weighted.optimizer.variables]
np.savez(sys.argv[2], *map(np.asarray, variables), w=weighted.sample_weights())
"""


@pytest.mark.slow
def test_a_fresh_process_goes_on_as_this_one_would(tmp_path):
    weighted = kcn.CurveWeightedModel(without_dropout(tiny_models.functional()))
    weighted.compile("adam", tiny_models.SPARSE_LOSS)
    fit(weighted)
    weighted.save(tmp_path / "weighted.keras")
    x, y = tiny_models.arrays()
    np.savez(tmp_path / "arrays.npz", x=x, y=y)
    tiny_models.loss_curves().save(tmp_path / "curves.npz")
    left = []
    for name in ("first.npz", "second.npz"):
        finished = subprocess.run(
            [sys.executable, "-c", NEXT_STEPS, "weighted.keras", name],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        left.append(dict(np.load(tmp_path / name)))
    assert left[0].keys() == left[1].keys()
    for name in left[0]:
        np.testing.assert_array_equal(left[0][name], left[1][name])
    weighted.fit(
        tiny_models.with_ids(),
        verbose=0,
        loss_curves=tiny_models.loss_curves(),
        meta_data=(x[:6], y[:6]),
        meta_epochs=0,
    )
    variables = [*weighted.weights, *weighted.optimizer.variables]
    for index, variable in enumerate(variables):
        np.testing.assert_array_equal(left[0][f"arr_{index}"], variable)
    np.testing.assert_array_equal(left[0]["w"], weighted.sample_weights())


@pytest.mark.parametrize("compiles_wrapper", [False, True])
def test_a_base_model_that_is_only_compiled_loads_without_warnings(
    tmp_path, compiles_wrapper
):
    base = tiny_models.two_layer_model()
    base.compile("adam", tiny_models.SPARSE_LOSS)
    weighted = kcn.CurveWeightedModel(base)
    if compiles_wrapper:
        weighted.compile("sgd", tiny_models.SPARSE_LOSS)
    weighted.save(tmp_path / "weighted.keras")
    loaded = keras.models.load_model(tmp_path / "weighted.keras")
    assert loaded.base_model.compiled
    x, _ = tiny_models.arrays()
    np.testing.assert_array_equal(loaded(x), weighted(x))


def test_export_is_the_base_models(tmp_path):
    weighted = kcn.CurveWeightedModel(tiny_models.two_layer_model())
    weighted.export(tmp_path / "exported", verbose=False)
    x, _ = tiny_models.arrays()
    exported = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(
        exported.serve(x), weighted.base_model(x), rtol=1e-6
    )

import keras
import pytest
import testing_utils

import keras_curvenet as kcn

COMPILED, HIGH, LOW = 0.5, 0.25, 0.125  # Exact in float32.


def make_schedule(constant_epochs=2, cycle_epochs=2):
    return kcn.ProbingSchedule(constant_epochs, cycle_epochs, HIGH, LOW)


def compiled_model(optimizer=None, run_eagerly=True):
    model = testing_utils.tiny_model()
    model.compile(
        optimizer or keras.optimizers.SGD(COMPILED),
        testing_utils.sparse_loss(),
        run_eagerly=run_eagerly,
    )
    return model


def inner(optimizer):
    return getattr(optimizer, "inner_optimizer", optimizer)


class Rates(keras.callbacks.Callback):
    """The rate that each epoch's steps are made with."""

    def __init__(self, interrupted_epoch=None):
        super().__init__()
        self.rates = []
        self.interrupted_epoch = interrupted_epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.interrupted_epoch:
            raise RuntimeError("interrupted")
        self.rates.append(float(inner(self.model.optimizer).learning_rate))


def fit(model, schedule, epochs, initial_epoch=0, interrupted_epoch=None):
    x, y = testing_utils.tiny_data(4)
    rates = Rates(interrupted_epoch)
    history = model.fit(
        x,
        y,
        epochs=epochs,
        initial_epoch=initial_epoch,
        callbacks=[schedule, rates],
        verbose=0,
    )
    assert history.history["learning_rate"] == rates.rates
    return rates.rates


def rate_of(model):
    return float(inner(model.optimizer).learning_rate)


@pytest.mark.parametrize(
    "constant_epochs, cycle_epochs, expected",
    [
        (2, 2, [None, None, HIGH, HIGH, LOW, LOW, HIGH]),
        (0, 1, [HIGH, LOW, HIGH, LOW, HIGH, LOW, HIGH]),
        (3, 3, [None, None, None, HIGH, HIGH, HIGH, LOW]),
    ],
)
def test_learning_rate_of_an_epoch(constant_epochs, cycle_epochs, expected):
    schedule = make_schedule(constant_epochs, cycle_epochs)
    assert [schedule.learning_rate(epoch) for epoch in range(7)] == expected


def test_rates_while_training_and_after():
    model = compiled_model(run_eagerly=False)
    rates = fit(model, make_schedule(), epochs=7)
    assert rates == [COMPILED, COMPILED, HIGH, HIGH, LOW, LOW, HIGH]
    assert rate_of(model) == COMPILED


def test_epochs_are_absolute():
    model, schedule = compiled_model(), make_schedule()
    assert fit(model, schedule, epochs=3) == [COMPILED, COMPILED, HIGH]
    assert rate_of(model) == COMPILED
    assert fit(model, schedule, epochs=6, initial_epoch=3) == [HIGH, LOW, LOW]
    assert rate_of(model) == COMPILED


def test_another_schedule_goes_on():
    model = compiled_model()
    rates = fit(model, make_schedule(), epochs=6, initial_epoch=3)
    assert rates == [HIGH, LOW, LOW]
    assert rate_of(model) == COMPILED


def test_new_fit_from_epoch_0():
    model, schedule = compiled_model(), make_schedule()
    first = fit(model, schedule, epochs=5)
    assert fit(model, schedule, epochs=5) == first


def test_fit_that_ends_in_the_constant_phase():
    model = compiled_model()
    assert fit(model, make_schedule(), epochs=1) == [COMPILED]
    assert rate_of(model) == COMPILED


@pytest.mark.parametrize("interrupted_epoch", [2, 4])
def test_interrupted_fit(interrupted_epoch):
    model, schedule = compiled_model(), make_schedule()
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(model, schedule, 6, interrupted_epoch=interrupted_epoch)
    rates = fit(model, schedule, 6)
    assert rates == [COMPILED, COMPILED, HIGH, HIGH, LOW, LOW]
    assert rate_of(model) == COMPILED


def test_rate_set_by_the_user_between_fits_is_the_compiled_one():
    model, schedule = compiled_model(), make_schedule()
    fit(model, schedule, epochs=3)
    model.optimizer.learning_rate = 0.75
    assert fit(model, schedule, epochs=3) == [0.75, 0.75, HIGH]
    assert rate_of(model) == 0.75


def test_loss_scale_optimizer():
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(COMPILED)
    )
    model = compiled_model(optimizer)
    assert fit(model, make_schedule(1, 1), 3) == [COMPILED, HIGH, LOW]
    assert rate_of(model) == COMPILED


def test_mixed_float16():
    earlier = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled_model()
    finally:
        keras.config.set_dtype_policy(earlier)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert fit(model, make_schedule(1, 1), 3) == [COMPILED, HIGH, LOW]
    assert rate_of(model) == COMPILED


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_compiled_learning_rate_schedule_is_refused(is_wrapped):
    optimizer = keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    )
    if is_wrapped:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model = compiled_model(optimizer)
    with pytest.raises(ValueError, match="Received: learning_rate=.*Decay"):
        fit(model, make_schedule(), epochs=1)


@pytest.mark.parametrize(
    "argument, value",
    [
        ("constant_epochs", -1),
        ("constant_epochs", 1.5),
        ("constant_epochs", True),
        ("cycle_epochs", 0),
        ("cycle_epochs", 2.5),
        ("high", 0.001),
        ("high", float("nan")),
        ("low", 0.0),
        ("low", -0.1),
        ("low", float("nan")),
    ],
)
def test_bad_arguments(argument, value):
    arguments = {
        "constant_epochs": 2,
        "cycle_epochs": 1,
        "high": 0.1,
        "low": 0.01,
        argument: value,
    }
    with pytest.raises(ValueError, match=f"Received: .*{argument}={value}"):
        kcn.ProbingSchedule(**arguments)

"""CurveWeightedModel: trains a model on samples weighted by their curves."""

import re
import warnings

import keras
import tensorflow as tf

from keras_curvenet.allocating import base_model as base_models
from keras_curvenet.allocating import fit_arguments
from keras_curvenet.allocating.allocating_phases import AllocatingPhases
from keras_curvenet.allocating.allocating_phases import StepProblems
from keras_curvenet.allocating.allocating_phases import without_invalid_inputs
from keras_curvenet.allocating.curve_net import CurveNet
from keras_curvenet.allocating.curve_net import EffectiveSampleSize
from keras_curvenet.allocating.prepared_fit import PreparedBatch
from keras_curvenet.allocating.prepared_fit import prepared_fit
from keras_curvenet.allocating.running_predictions import revised_quality
from keras_curvenet.allocating.top_layers import call_with_training
from keras_curvenet.allocating.top_layers import split_model
from keras_curvenet.allocating.training_loss import CompiledLosses
from keras_curvenet.allocating.training_loss import multiplied_by
from keras_curvenet.checked_arguments import as_bool
from keras_curvenet.checked_arguments import as_int
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.inspecting.checked_scores import checked_scores
from keras_curvenet.inspecting.label_quality import label_quality_scores
from keras_curvenet.private_names import build_symbolically
from keras_curvenet.private_names import compile_arguments_of
from keras_curvenet.probing.distributed_data import refuse_endless_epoch
from keras_curvenet.probing.recorded_training import raise_if_about_labels
from keras_curvenet.probing.sample_ids import without_sample_ids
from keras_curvenet.replicas import apply_if_finite
from keras_curvenet.replicas import check_strategy
from keras_curvenet.replicas import num_replicas
from keras_curvenet.replicas import share_of_batch_mean
from keras_curvenet.replicas import sum_of_all_replicas

_SWITCHES = ("soft_labels", "balance_classes", "normalize_weights")


@keras.saving.register_keras_serializable(package="keras_curvenet")
class CurveWeightedModel(keras.Model):
    """Trains a base model on samples weighted by what their curves say.

    CurveNet gives each sample a weight: how far its label is trusted. Weights
    start by the label quality; a small trusted *meta set* then tells
    CurveNet how to change them. With clean `meta_data` it learns ten times as
    fast, and adds little to the label quality. Without `meta_data`, curves
    choose the meta set, and it adds next to nothing. A faster one may unlearn
    what the curves tell. As far as a label is not trusted, what the
    network itself predicts stands in (`soft_labels`), and logit adjustment
    keeps rare classes from being neglected (`balance_classes`). `as_published`
    makes the paper's method. Deploy the base model; `compile` it to `evaluate`
    it alone.

    Reference: [Jiang et al., 2022](https://arxiv.org/abs/2201.00849); [Shu et
    al., 2023](https://arxiv.org/abs/2202.05613), soft labels.

    Args:
        base_model: A built `keras.Model`, trained in place from its present
            weights: the one that was probed, or a fresh one where `fit` warns.
        curve_net: A built model or layer from `[curves, labels]` to weights
            `(batch,)`, or None for a `CurveNet` that corrects label quality.
        top_layers: What virtual and meta step watch (SLMO): `"head"`, the last
            `Dense` layers; the last k layers; a list of names; None for all.
        soft_labels, balance_classes: None for where the loss allows it.
        normalize_weights: Whether weights are divided by their batch's mean;
            None where there are no soft labels.
        keep_last_weights: Whether weights stay as they were in a sample's last
            step of learning. Defaults to False.
        meta_batch_size: Int, or None for a dataset's own batches, or 32 rows.
        name, **kwargs: As of any Keras model.

    Example:

    ```python
    import keras
    import keras_curvenet as kcn
    from numpy import arange, random

    x, y = random.normal(size=(64, 4)), arange(64) % 2
    curves = kcn.LossCurves(random.uniform(size=(64, 8)), labels=y)
    layers = [keras.Input((4,)), keras.layers.Dense(2, "softmax")]
    weighted = kcn.CurveWeightedModel(keras.Sequential(layers))
    weighted.compile("sgd", "sparse_categorical_crossentropy")
    weighted.fit(x, y, loss_curves=curves, meta_data=(x[:16], y[:16]))
    ```
    """

    def __init__(
        self,
        base_model,
        *,
        curve_net=None,
        top_layers="head",
        soft_labels=None,
        balance_classes=None,
        normalize_weights=None,
        keep_last_weights=False,
        meta_batch_size=None,
        name=None,
        **kwargs,
    ):
        base_models.check_base_model(base_model)
        if curve_net is not None:
            base_models.check_built("curve_net", curve_net, keras.Layer)
        split = split_model(base_model, top_layers)
        kwargs.setdefault("dtype", base_model.dtype_policy)
        super().__init__(name=name, autocast=False, **kwargs)
        self.base_model = base_model
        self.curve_net = curve_net
        self.top_layers = top_layers
        self.soft_labels = soft_labels
        self.balance_classes = balance_classes
        self.normalize_weights = normalize_weights
        for switch, value in self.switches.items():
            if value is not None:
                as_bool(switch, value)
        self.keep_last_weights = as_bool("keep_last_weights", keep_last_weights)
        if meta_batch_size is not None:
            as_int("meta_batch_size", meta_batch_size, 1)
        self.meta_batch_size = meta_batch_size
        self.meta_optimizer = None
        self._default_meta_rate = None  # Of the default one, until changed.
        self.meta_loss_tracker = keras.metrics.Mean(name="meta_loss")
        self.mean_weight_tracker = keras.metrics.Mean(name="mean_weight")
        self.sample_size_tracker = EffectiveSampleSize()
        self.problems = StepProblems()
        self.compiled_losses = None  # What `compile` makes of its losses.
        self.prepared = None  # What `fit` makes of its arguments.
        self.learns_weights = True
        self._split = split
        self._is_frozen = self._evaluates = False
        self.built = True
        fit_arguments.prepare_for_strategy(self)

    @classmethod
    def as_published(cls, base_model, loss_curves, top_layers=None, **kwargs):
        """A model that is trained as in the paper, from a fresh base model.

        CurveNet reads losses alone, relative to their class, and its weights
        start near 1. The training loss is `sum(weight * loss) / n`, and each
        sample keeps its last weight once they are no longer learned. The
        default meta optimizer is `Adam(1e-3, weight_decay=1e-4)`. Pass `fit`
        the same `loss_curves`, and a clean `meta_data`.

        Args:
            base_model, top_layers, **kwargs: As of `CurveWeightedModel`.
            loss_curves: `LossCurves`, for their number of epochs and classes.

        Returns:
            A `CurveWeightedModel`.
        """
        skipped = loss_curves.checked_skip_epochs()
        return cls(
            base_model,
            curve_net=CurveNet(
                loss_curves.num_classes, loss_curves.num_epochs - skipped
            ),
            top_layers=top_layers,
            soft_labels=False,
            balance_classes=False,
            normalize_weights=False,
            keep_last_weights=True,
            **kwargs,
        )

    # The algorithm.

    def train_step(self, data):
        """Virtual and meta step, while weights are learned; actual step."""
        (x, y, sample_weight, *rows, held_out), meta_batch = data
        x, sample_weight, invalid = without_invalid_inputs(
            x, sample_weight, self._tried_predictions
        )
        if self.learns_weights:  # No sample judges what it was trained on.
            rows.append(tf.cast(tf.logical_not(held_out), tf.float32))
        with tf.GradientTape(persistent=True) as tape:
            y_pred = self._predictions(x)
            batch = PreparedBatch(
                self.prepared, y, y_pred, sample_weight, *rows
            )
            if self.learns_weights:
                self._meta_step(tape, batch, meta_batch)
            # 3. The actual step, with the new weights, which are constants.
            with tape.stop_recording():
                weights = batch.weights(self.curve_net, self.learns_weights)
            loss = batch.loss(weights) + self._regularization()
            scaled_loss = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        gradients = tape.gradient(scaled_loss, variables)
        loss = sum_of_all_replicas(loss)
        apply_if_finite(self.optimizer, loss, gradients, variables)
        batch.note(weights, self.learns_weights)
        self.problems.count(batch, invalid, tf.math.is_finite(loss))
        sample_weight = batch.loss.sample_weight
        return self._logs(x, y, y_pred, sample_weight, weights, loss)

    def _meta_step(self, tape, batch, meta_batch):
        """CurveNet follows the gradient of the meta loss after a virtual step.

        Reference: Jiang et al., 2022, section on meta optimization.
        """
        variables = self.curve_net.trainable_variables
        if not variables:
            return
        watched = [variable.value for variable in self.watched_variables]
        learned = [variable.value for variable in variables]
        with tf.GradientTape(watch_accessed_variables=False) as meta_tape:
            meta_tape.watch(learned)
            # 1. The virtual step, on the forward pass of the actual one.
            weights = batch.weights(self.curve_net, training=True)
            loss = batch.loss.virtual(weights)
            with tape.stop_recording():
                gradients = tape.gradient(
                    loss, watched, unconnected_gradients="zero"
                )
                rate = self.optimizer.learning_rate
                virtual_values = virtual_step(watched, gradients, rate)
                # 2. The meta loss after it, and CurveNet's update.
                meta_loss = self._meta_loss(virtual_values, *meta_batch)
        with tape.stop_recording():
            gradients = meta_tape.gradient(
                meta_loss, learned, unconnected_gradients="zero"
            )
            loss = sum_of_all_replicas(meta_loss)
            apply_if_finite(self.meta_optimizer, loss, gradients, variables)
            self.meta_loss_tracker.update_state(loss)

    def _tried_predictions(self, x, training):
        with keras.StatelessScope():  # Layers do not notice it.
            return self.call(x, training=training)

    def _predictions(self, x):
        features = self._split.bottom(x, training=True)
        return self._split.top(features, training=True)

    def _meta_loss(self, top_values, x, y, sample_weight):
        """The meta batch's loss if the watched variables had these values."""
        # Moving averages, seeds and metrics stay as they are.
        mapping = zip(self.watched_variables, top_values, strict=True)
        with keras.StatelessScope(state_mapping=list(mapping)):
            loss = self.compiled_losses.of_meta_batch(
                y, self._predictions(x), sample_weight
            )
            return share_of_batch_mean(loss, _size(x))

    def _regularization(self):
        """Scalar: this replica's share of what layers add to the loss."""
        added = [keras.ops.sum(loss) for loss in self.losses]
        return sum(added, start=0.0) / num_replicas()

    def _logs(self, x, y, y_pred, sample_weight, weights, loss):
        """Dict of the training logs, after one more batch."""
        loss_tracker = next(m for m in self.metrics if m.name == "loss")
        loss_tracker.update_state(loss, sample_weight=_size(x))
        self.mean_weight_tracker.update_state(weights)
        self.sample_size_tracker.update_state(weights)
        if len(getattr(self, "output_names", ())) > 1:
            # Keras notes the loss of each output where it computes their sum.
            factors = self.prepared.loss.factors(weights)
            self.compute_loss(
                x, y, y_pred, multiplied_by(sample_weight, factors)
            )
        return self.compute_metrics(x, y, y_pred, sample_weight)

    # Around it.

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        *args,
        meta_optimizer=None,
        meta_loss=None,
        **kwargs,
    ):
        """Configures training, as `keras.Model.compile` does.

        Args:
            optimizer, *args, **kwargs: As in `keras.Model.compile`.
            loss: As in `keras.Model.compile`, with one value per sample.
            meta_optimizer: Optimizer of CurveNet, or its name. Defaults to
                `Adam(1e-5, weight_decay=1e-4)` where CurveNet corrects label
                quality, with an epsilon of 2e-6 times the base optimizer's
                learning rate, to which meta gradients are proportional; its
                rate is 1e-4 in a `fit` with `meta_data`. To `Adam(1e-3,
                weight_decay=1e-4)`, the paper's, for other CurveNets.
            meta_loss: Loss of the meta set, in any form that `loss` may have.
                Defaults to `loss`; to the plain crossentropy in place of a
                `LogitAdjustedCrossentropy`, since the meta set is balanced.

        Raises:
            ValueError: If `loss` is missing.
        """
        if loss is None:
            raise invalid_value(
                "loss",
                "a loss with one value per sample, which weights multiply",
                "loss=None.",
            )
        super().compile(optimizer, loss, *args, **kwargs)
        self._default_meta_rate = None
        if meta_optimizer is None:
            corrects_quality = self.curve_net is None or getattr(
                self.curve_net, "corrects_quality", False
            )
            meta_optimizer = base_models.default_meta_optimizer(
                self.optimizer, corrects_quality
            )
            if corrects_quality:
                rate = meta_optimizer.learning_rate.numpy()
                self._default_meta_rate = float(rate)
        self.meta_optimizer = base_models.as_meta_optimizer(meta_optimizer)
        base_models.check_meta_loss(meta_loss)
        self._split = split_model(self.base_model, self.top_layers)
        self.compiled_losses = CompiledLosses(
            loss,
            compile_arguments_of(self)["loss_weights"],
            getattr(self, "output_names", None),
            meta_loss,
        )

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        *,
        loss_curves=None,
        meta_data=None,
        meta_epochs=None,
        trust_changed_labels=False,
        checked=None,
        **kwargs,
    ):
        """Trains the base model and, up to `meta_epochs`, CurveNet.

        Inputs that are not finite are left out, and so is a step whose loss is
        not; a warning counts them. Arguments that are not named below are as in
        `keras.Model.fit`; validation data needs no ids, and may have them.
        Validation loss rises where validation labels are wrong, too, since
        wrong labels are refused: let callbacks monitor `"val_accuracy"`.

        Args:
            x: A batched dataset made from a `with_sample_ids` one, or arrays,
                whose rows are the ids.
            y: Targets, where `x` is arrays.
            loss_curves: `LossCurves` of the samples of `x`. May be left out
                in a later `fit` of the same object.
            meta_data: The trusted meta set: arrays `(x, y)`, or a batched
                dataset of `(x, y)` or `(x, y, sample_weight)`. It repeats by
                itself. None: `select_meta_samples` chooses 20 samples of each
                observed class, which are read from `x` before training begins.
                While weights are learned they are not trained on, except where
                that would take more than a tenth of a class's right labels.
            meta_epochs: Int >= 0. CurveNet learns while the epoch's number is
                below it; weights are frozen from then on. Defaults to half of
                `epochs`, rounded up.
            callbacks: As in `keras.Model.fit`. `ModelCheckpoint` saves this
                wrapper: `keras.models.load_model(path).base_model` is the
                classifier. Files of `save_weights_only` are for this model's
                `load_weights`, and not for the base model's.
            trust_changed_labels: Bool. Labels that differ from those which the
                curves were recorded with are an error. With True they are
                trained on with a weight of 1, since someone corrected them.
                Defaults to False.
            checked: Answers on some labels, as `label_quality_scores` takes
                them. Weights start at the probabilities that these give, at
                those of right and wrong labels where it is known; where the
                right class is known, it is trained on. Of the meta set, labels
                that were found right are chosen first; where it has no others,
                CurveNet learns as fast as from a given one. None for no
                answers, or those of an earlier `fit`.
            class_weight: Not supported, since the weight of a sample is
                learned from its curve and its class.
            **kwargs: As in `keras.Model.fit`.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: If ids or loss curves are missing, or they, labels and
                the meta set do not fit together.
        """
        self._compile_as_base()
        fit_arguments.check_fit_arguments(
            callbacks, class_weight, validation_data
        )
        _warn_of_validation_loss(callbacks)
        as_int("epochs", epochs, 1)
        as_int("initial_epoch", initial_epoch, 0)
        as_bool("trust_changed_labels", trust_changed_labels)
        meta_epochs = fit_arguments.as_meta_epochs(meta_epochs, epochs)
        check_strategy(self, "CurveWeightedModel")
        fit_arguments.check_scope(self)
        train = fit_arguments.training_batches(
            x,
            y,
            sample_weight,
            batch_size,
            shuffle,
            validation_split,
            validation_data,
        )
        refuse_endless_epoch(train.dataset, kwargs.get("steps_per_epoch"))
        base_models.check_inputs(
            self.base_model, train.dataset.element_spec[0], "x"
        )
        with self.distribute_strategy.scope():
            self.prepared = prepared_fit(
                self,
                train,
                fit_arguments.own_weights(train, x, sample_weight),
                loss_curves,
                meta_data,
                learns_weights=initial_epoch < meta_epochs,
                trusts_changed_labels=trust_changed_labels,
                checked=checked,
            )
            self._set_default_meta_rate(meta_data)
            self._build_for(train.dataset.element_spec)
        self.train_function, self._is_frozen = None, False
        phases = AllocatingPhases(meta_epochs, trust_changed_labels)
        try:
            return super().fit(
                self.prepared.dataset,
                epochs=epochs,
                verbose=verbose,
                callbacks=[phases, *keras.tree.flatten(callbacks or [])],
                shuffle=False,
                validation_data=train.validation_data,
                initial_epoch=initial_epoch,
                **kwargs,
            )
        except tf.errors.InvalidArgumentError as error:
            raise_if_about_labels(error)
            raise

    def _set_default_meta_rate(self, meta_data):
        """Sets CurveNet's rate by its meta set, unless someone else set it."""
        if self._default_meta_rate is None:
            return
        optimizer = self.meta_optimizer
        if self._default_meta_rate == float(optimizer.learning_rate.numpy()):
            optimizer.learning_rate = base_models.default_meta_rate(
                meta_data, self.meta_sample_ids, self.prepared.checked
            )
            rate = float(optimizer.learning_rate.numpy())
            self._default_meta_rate = rate

    def _build_for(self, spec):
        """Makes all variables that a first step would make while traced."""
        is_new = self.optimizer.iterations.numpy() == 0
        if is_new and self.prepared.curves.may_be_memorized:
            base_models.warn_if_trained(self.base_model)
        try:
            build_symbolically(self, spec[:3])
        except (TypeError, ValueError) as error:
            raise invalid_value(
                "y",
                "targets that the compiled loss and metrics take",
                f"targets of {spec[1]} ({error}).",
            ) from error
        self._build_optimizers()

    def _build_optimizers(self):
        self.optimizer.build(self.trainable_variables)
        if self.curve_net is not None:
            self.meta_optimizer.build(self.curve_net.trainable_variables)

    def _compile_as_base(self):
        if not self.compiled:
            with self.distribute_strategy.scope():
                self.compile(**base_models.compile_arguments(self.base_model))

    def begin_epoch(self, learns_weights):
        """Says whether an epoch learns weights, and looks at the last one."""
        if learns_weights != self.learns_weights:
            self.learns_weights = learns_weights
            self.make_train_function(force=True)
        is_first = not learns_weights and not self._is_frozen
        if is_first and not self.prepared.notes_last_weights:
            self.prepared.note_all_weights(self.curve_net)
        self._is_frozen = not learns_weights
        self.problems.clear()
        if self.prepared.loss.frequencies is not None:
            self.prepared.loss.frequencies.follow()

    def sample_weights(self):
        """Every sample's weight, as it is learned by now.

        Returns:
            Float32 `(num_samples,)`, by sample id.

        Raises:
            ValueError: Before the first `fit`, and after loading, since loss
                curves are not saved with the model.
        """
        self._refuse_before_fit("sample weights")
        return self.prepared.sample_weights(self.curve_net)

    def revised_label_quality_scores(self):
        """How probably each sample's label is right, as the model sees it now.

        The estimate of `keras_curvenet.label_quality_scores`, fed with what the
        model has come to predict of a sample beside its curves. As many labels
        look wrong as it finds less likely than another class. That tells more
        than the probe did, wherever the probe learned slowly. Without
        `soft_labels`, these are the scores of the loss curves.

        Returns:
            Float64 `(num_samples,)` in [0, 1], by sample id: below 0.5 where
            the label is probably wrong, NaN for samples that the probe never
            saw.

        Raises:
            ValueError: Before the first `fit`, and after loading, since
                neither loss curves nor predictions are saved with the model.
        """
        self._refuse_before_fit("label quality")
        loss, checked = self.prepared.loss, self.prepared.checked
        if loss.running_predictions is None:
            return label_quality_scores(self.loss_curves, checked)
        scores = revised_quality(
            self.loss_curves, loss.running_predictions, loss.frequencies
        )
        return scores if checked is None else checked_scores(scores, checked)

    def label_quality_scores(self):
        """The former name of `revised_label_quality_scores`."""
        return self.revised_label_quality_scores()

    def _refuse_before_fit(self, asked_for):
        if self.prepared is None:
            raise ValueError(
                f"No {asked_for} yet. Expected `fit(..., loss_curves=...)` "
                "to be called first. Received: a model without loss curves."
            )

    @property
    def switches(self):
        """Dict of the parts that are on, off, or None where the loss tells."""
        return {name: getattr(self, name) for name in _SWITCHES}

    @property
    def loss_curves(self):
        """`LossCurves` of the latest `fit`, or None before the first."""
        return None if self.prepared is None else self.prepared.loss_curves

    @property
    def meta_sample_ids(self):
        return None if self.prepared is None else self.prepared.meta_sample_ids

    @property
    def shares_forward_pass(self):
        """Bool: whether virtual and actual step share the bottom layers' pass.

        False where the base model's graph can't be split below the watched
        layers: subclassed models, and `top_layers=None`.
        """
        return self._split.shares_forward_pass

    @property
    def watched_variables(self):
        """List of the variables that virtual and meta steps watch."""
        return list(self._split.variables)

    # As the base model.

    def call(self, inputs, training=None):
        return call_with_training(self.base_model)(inputs, training)

    def evaluate(self, *args, **kwargs):
        """As `keras.Model.evaluate`, of the base model."""
        self._compile_as_base()
        self._evaluates = True
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self._evaluates = False

    def test_step(self, data):
        return super().test_step(without_sample_ids(data))

    def predict_step(self, data):
        return super().predict_step(without_sample_ids(data))

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        sample_weight = self.compiled_losses.aligned(y, y_pred, sample_weight)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def get_metrics_result(self):
        logs = super().get_metrics_result()
        absent = []
        if self._evaluates:
            absent = ["meta_loss", "mean_weight", "effective_sample_size"]
        elif not self.learns_weights:
            absent = ["meta_loss"]  # No meta step, no meta loss.
        return {name: logs[name] for name in logs if name not in absent}

    @property
    def trainable_variables(self):
        return self.base_model.trainable_variables

    @property
    def trainable_weights(self):
        return self.base_model.trainable_weights

    @property
    def losses(self):
        return self.base_model.losses

    @property
    def output_names(self):
        return self.base_model.output_names

    # What is saved.

    def save(self, *args, **kwargs):
        """As `keras.Model.save`, to go on training later."""
        optimizer = getattr(self.base_model, "optimizer", None)
        if optimizer is not None and not optimizer.built:
            # Loading builds it, and would warn of variables that are missing.
            optimizer.build(self.base_model.trainable_variables)
        super().save(*args, **kwargs)

    def export(self, *args, **kwargs):
        """Exports the base model, as `keras.Model.export` does."""
        return self.base_model.export(*args, **kwargs)

    def resumable_variables(self):
        """What `BackupAndResume` saves beside model and optimizer."""
        loss, prepared = self.prepared.loss, self.prepared
        running, frequencies = loss.running_predictions, loss.frequencies
        notes = prepared.notes_last_weights
        return {
            "meta_optimizer": self.meta_optimizer.variables,
            "running_predictions": running.variables if running else [],
            "class_frequencies": frequencies.variables if frequencies else [],
            "last_weights": [prepared.last_weights] if notes else [],
            "problems": self.problems.variables,
        }

    def load_weights(self, filepath, **kwargs):
        """As `keras.Model.load_weights`; warns where CurveNet is left out."""
        if self.curve_net is None:
            warnings.warn(
                "This CurveWeightedModel has no CurveNet before its first "
                "`fit`: its weights in the file are not loaded. Pass "
                "`curve_net`, or use `save` and `keras.models.load_model`.",
                stacklevel=2,
            )
        super().load_weights(filepath, **kwargs)

    def get_config(self):
        names = ("top_layers", "keep_last_weights", "meta_batch_size")
        return {
            **super().get_config(),
            **self.switches,
            **{name: getattr(self, name) for name in names},
            "base_model": keras.saving.serialize_keras_object(self.base_model),
            "curve_net": keras.saving.serialize_keras_object(self.curve_net),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for part in ("base_model", "curve_net"):
            config[part] = keras.saving.deserialize_keras_object(
                config[part], custom_objects=custom_objects
            )
        return cls(**config)

    def get_compile_config(self):
        config = super().get_compile_config()
        if config:
            config["meta_optimizer"] = keras.saving.serialize_keras_object(
                self.meta_optimizer
            )
            config["default_meta_rate"] = self._default_meta_rate
            config["meta_loss"] = keras.saving.serialize_keras_object(
                self.compiled_losses.meta_loss
            )
        return config

    def compile_from_config(self, config):
        config = dict(config)
        default_meta_rate = config.pop("default_meta_rate", None)
        self.compile(**keras.saving.deserialize_keras_object(config))
        self._default_meta_rate = default_meta_rate
        self._build_optimizers()


def virtual_step(values, gradients, learning_rate):
    """One plain gradient step on tensors instead of variables.

    `theta' = theta - learning_rate * gradient`: no momentum, no weight decay,
    whatever the optimizer.

    Args:
        values: List of tensors or variables, theta.
        gradients: List of tensors or `tf.IndexedSlices` of the same shapes: a
            replica's part of them.
        learning_rate: Float scalar.

    Returns:
        List of tensors, theta'.
    """
    return [
        value
        - tf.cast(learning_rate, value.dtype)
        * sum_of_all_replicas(tf.convert_to_tensor(gradient))
        for value, gradient in zip(values, gradients, strict=True)
    ]


def _warn_of_validation_loss(callbacks):
    """Warns of callbacks that decide by what wrong labels spoil."""
    for callback in keras.tree.flatten(callbacks or []):
        monitored = str(getattr(callback, "monitor", None))
        decides = getattr(callback, "save_best_only", True)
        if decides and re.fullmatch("val_(.+_)?loss", monitored):
            warnings.warn(
                f"{type(callback).__name__} monitors '{monitored}', which "
                "rises where validation labels are as wrong as those for "
                "training, since the model refuses wrong labels. Monitor "
                "'val_accuracy', or validate on labels that are right.",
                stacklevel=3,
            )
            return


def _size(inputs):
    """Int scalar: the number of samples in a batch of inputs."""
    return tf.shape(keras.tree.flatten(inputs)[0])[0]

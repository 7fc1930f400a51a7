"""WeightedTraining: what a `CurveWeightedModel` does in a training step."""

import keras
import tensorflow as tf

from keras_curvenet.allocating.batch_problems import BatchProblems
from keras_curvenet.allocating.batch_problems import without_invalid_inputs
from keras_curvenet.allocating.batch_problems import zero_unless
from keras_curvenet.allocating.meta_update import meta_gradients
from keras_curvenet.allocating.sample_weights import weights_by
from keras_curvenet.allocating.sample_weights import weights_of_all
from keras_curvenet.allocating.top_layers import split_model
from keras_curvenet.allocating.training_loss import times
from keras_curvenet.allocating.weight_metrics import EffectiveSampleSize
from keras_curvenet.allocating.wrapped_model import WrappedModel
from keras_curvenet.replicas import share_of_batch_mean
from keras_curvenet.replicas import sum_of_all_replicas


def _size(inputs):
    """Int scalar: the number of samples in a batch of inputs."""
    return tf.shape(keras.tree.flatten(inputs)[0])[0]


class WeightedTraining(WrappedModel):
    """A model trained on weighted samples, and CurveNet, which weighs them.

    The subclass gives what the steps read: batches of samples with their
    prepared curves, beside batches of the meta set; `StepParts`; the compiled
    losses and both optimizers.

    Args:
        base_model, curve_net, top_layers, meta_every: As of
            `CurveWeightedModel`.
        **kwargs: As of any Keras model.

    Attributes:
        learns_weights: Bool, whether CurveNet learns in this epoch.
        problems: `BatchProblems` of this epoch.
    """

    def __init__(self, base_model, curve_net, top_layers, meta_every, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.base_model = base_model
        self.curve_net = curve_net
        self.top_layers = top_layers
        self.meta_every = meta_every
        self.meta_optimizer = None
        self.meta_loss_tracker = keras.metrics.Mean(name="meta_loss")
        self.mean_weight_tracker = keras.metrics.Mean(name="mean_weight")
        self.sample_size_tracker = EffectiveSampleSize()
        self.learns_weights = True
        self.problems = BatchProblems()
        self._split = None
        self._compiled_losses = None
        self._parts = None  # What the latest `fit` made: `StepParts`.
        self._are_frozen = False
        self._train_functions = {}
        self.built = True

    @property
    def split(self):
        """The base model below and above the lowest watched layer."""
        if self._split is None:
            self._split = split_model(self.base_model, self.top_layers)
        return self._split

    @property
    def loss_curves(self):
        """`LossCurves` of the latest `fit`, or None before the first."""
        return None if self._parts is None else self._parts.loss_curves

    # The step.

    def train_step(self, data):
        (x, y, sample_weight, sample_ids, prepared, held_out), meta_batch = data
        labels = prepared[1]
        x, sample_weight, invalid = without_invalid_inputs(x, sample_weight)
        if self.learns_weights:  # No sample judges what it was trained on.
            is_trained_on = tf.cast(tf.logical_not(held_out), tf.float32)
            sample_weight = times(sample_weight, is_trained_on)
        with tf.GradientTape(persistent=True) as tape:
            y_pred = self._predictions(x)
            regularization = [
                self._aggregate_additional_loss(loss) for loss in self.losses
            ]
            batch_loss = self._parts.batch_loss(
                y, y_pred, sample_weight, sample_ids
            )
            with tape.stop_recording():
                changed = self.problems.changed_labels(y, y_pred, labels)
            if self.learns_weights:
                self._update_curve_net(
                    tape, batch_loss, prepared, changed, meta_batch
                )
            with tape.stop_recording():
                weights = self._weights(sample_ids, prepared, changed)
            loss = tf.add_n([batch_loss(weights), *regularization])
            scaled_loss = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        gradients = tape.gradient(scaled_loss, variables)
        loss = sum_of_all_replicas(loss)
        is_finite = tf.math.is_finite(loss)
        self.optimizer.apply(zero_unless(is_finite, gradients), variables)

        self.problems.count(invalid, changed, is_finite)
        batch_loss.update_targets(labels, weights)
        self._loss_tracker.update_state(loss, sample_weight=_size(x))
        self.mean_weight_tracker.update_state(weights)
        self.sample_size_tracker.update_state(weights)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def _update_curve_net(
        self, tape, batch_loss, prepared, changed, meta_batch
    ):
        """The virtual and the meta step, where the batch brings a meta set."""
        watched = [variable.value for variable in self.split.variables]
        variables = self.curve_net.trainable_variables
        if not variables:
            return

        def weigh():
            weights = weights_by(self.curve_net, prepared, training=True)
            return self._parts.trusting(weights, changed)

        def training_gradients(weights):
            # The actual step's forward pass serves the virtual step as well.
            loss = batch_loss(weights)
            with tape.stop_recording():
                gradients = tape.gradient(
                    loss, watched, unconnected_gradients="zero"
                )
                gradients = [tf.convert_to_tensor(g) for g in gradients]
                return [sum_of_all_replicas(g) for g in gradients]

        def meta_loss(top_values):
            with tape.stop_recording():
                return self._meta_loss(top_values, *meta_batch)

        def update():
            loss, gradients = meta_gradients(
                weigh,
                training_gradients,
                meta_loss,
                top_values=[tf.convert_to_tensor(value) for value in watched],
                learning_rate=self.optimizer.learning_rate,
                variables=[variable.value for variable in variables],
            )
            with tape.stop_recording():
                loss = sum_of_all_replicas(loss)
                is_finite = tf.math.is_finite(loss)
                gradients = zero_unless(is_finite, gradients)
                self.meta_optimizer.apply(gradients, variables)
                self.meta_loss_tracker.update_state(loss)

        if self.meta_every == 1:
            update()
        else:  # Between two meta steps the meta batches are empty.
            tf.cond(_size(meta_batch[0]) > 0, update, lambda: None)

    def _predictions(self, x):
        return self.split.top(
            self.split.bottom(x, training=True), training=True
        )

    def _meta_loss(self, top_values, x, y, sample_weight):
        """The meta batch's loss if the watched variables had these values."""
        # Moving averages, seeds and metrics stay as they are.
        mapping = zip(self.split.variables, top_values, strict=True)
        with keras.StatelessScope(state_mapping=list(mapping)):
            loss = self._compiled_losses.of_meta_batch(
                y, self._predictions(x), sample_weight
            )
            return share_of_batch_mean(loss, _size(x))

    def _weights(self, sample_ids, prepared, changed):
        """The actual step's weights `(batch,)`."""
        if self.learns_weights:
            weights = weights_by(self.curve_net, prepared)
        else:
            weights = tf.gather(self._parts.frozen_weights, sample_ids)
        return self._parts.trusting(weights, changed)

    # The epochs around it.

    def _use_parts(self, parts):
        """Lets the next `fit` read these `StepParts`."""
        if self._parts is None or not parts.is_traced_as(self._parts):
            self._train_functions = {}
        self._parts, self._are_frozen = parts, False
        self.problems.compares_labels = parts.compares_labels

    def begin_epoch(self, learns_weights):
        """Says whether an epoch learns weights, and looks at the last one."""
        self.learns_weights = learns_weights
        parts = self._parts
        if not learns_weights and not self._are_frozen:
            parts.freeze(weights_of_all(self.curve_net, parts.prepared))
        self._are_frozen = not learns_weights
        self.make_train_function()
        self.problems.clear()
        if parts.loss.frequencies is not None:
            parts.loss.frequencies.follow()

    def make_train_function(self, force=False):
        """One function learns the weights and one does not; each is kept."""
        if force or self.learns_weights not in self._train_functions:
            super().make_train_function(force=True)
            self._train_functions[self.learns_weights] = self.train_function
        self.train_function = self._train_functions[self.learns_weights]

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        sample_weight = self._compiled_losses.aligned(y, y_pred, sample_weight)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def get_metrics_result(self):
        logs = super().get_metrics_result()
        absent = []
        if self.evaluates:
            absent = ["meta_loss", "mean_weight", "effective_sample_size"]
        elif not self.learns_weights:
            absent = ["meta_loss"]  # No meta step, no meta loss.
        return {name: logs[name] for name in logs if name not in absent}

    def resumable_variables(self):
        """What `BackupAndResume` saves beside model and optimizer."""
        beliefs, frequencies = self._parts.beliefs, self._parts.loss.frequencies
        return {
            "meta_optimizer": self.meta_optimizer.variables,
            "beliefs": [] if beliefs is None else beliefs.variables,
            "class_frequencies": (
                [] if frequencies is None else frequencies.variables
            ),
            "problems": self.problems.variables,
        }

    # What is saved.

    def get_config(self):
        return {
            **super().get_config(),
            "base_model": keras.saving.serialize_keras_object(self.base_model),
            "curve_net": keras.saving.serialize_keras_object(self.curve_net),
            "top_layers": self.top_layers,
            "meta_every": self.meta_every,
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
            config["meta_loss"] = keras.saving.serialize_keras_object(
                self._compiled_losses.meta_loss
            )
        return config

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self._build_optimizers()

    def _build_optimizers(self):
        self.optimizer.build(self.trainable_variables)
        if self.curve_net is not None:
            self.meta_optimizer.build(self.curve_net.trainable_variables)

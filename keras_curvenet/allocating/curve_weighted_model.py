"""CurveWeightedModel: trains a model on samples weighted by their curves."""

import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.allocating.allocating_phases import AllocatingPhases
from keras_curvenet.allocating.base_model import check_base_model
from keras_curvenet.allocating.base_model import check_inputs
from keras_curvenet.allocating.base_model import class_outputs
from keras_curvenet.allocating.base_model import classes_of_outputs
from keras_curvenet.allocating.base_model import warn_if_trained
from keras_curvenet.allocating.batch_problems import BatchProblems
from keras_curvenet.allocating.batch_problems import without_invalid_inputs
from keras_curvenet.allocating.batch_problems import zero_unless
from keras_curvenet.allocating.checked_arguments import check_curve_net
from keras_curvenet.allocating.checked_arguments import check_fit_arguments
from keras_curvenet.allocating.checked_arguments import check_loss_name
from keras_curvenet.allocating.checked_arguments import check_scope
from keras_curvenet.allocating.checked_arguments import check_switch
from keras_curvenet.allocating.checked_arguments import checked_meta_epochs
from keras_curvenet.allocating.checked_arguments import checked_meta_optimizer
from keras_curvenet.allocating.checked_arguments import with_callback
from keras_curvenet.allocating.compiled_losses import CompiledLosses
from keras_curvenet.allocating.curve_net import CurveNet
from keras_curvenet.allocating.meta_batches import chosen_meta_set
from keras_curvenet.allocating.meta_batches import meta_batches
from keras_curvenet.allocating.meta_update import default_meta_optimizer
from keras_curvenet.allocating.meta_update import meta_gradients
from keras_curvenet.allocating.prepared_curves import prepared_curves
from keras_curvenet.allocating.prepared_curves import refuse_missing_curves
from keras_curvenet.allocating.prepared_curves import refuse_other_curves
from keras_curvenet.allocating.running_predictions import RunningPredictions
from keras_curvenet.allocating.top_layers import split_model
from keras_curvenet.allocating.training_batches import training_batches
from keras_curvenet.allocating.training_batches import with_curves
from keras_curvenet.allocating.training_loss import times
from keras_curvenet.allocating.weight_metrics import EffectiveSampleSize
from keras_curvenet.allocating.wrapped_model import WrappedModel
from keras_curvenet.checked_arguments import checked_bool
from keras_curvenet.checked_arguments import checked_int
from keras_curvenet.probing.distributed_data import refuse_different_data
from keras_curvenet.probing.recorded_training import raise_if_about_labels
from keras_curvenet.replicas import check_strategy
from keras_curvenet.replicas import share_of_batch_mean
from keras_curvenet.replicas import sum_of_all_replicas
from keras_curvenet.replicas import variable_of_all_replicas
from keras_curvenet.workers import sharded_by_data

# Samples whose weights are taken at a time, of all.
_BLOCK = 8192


def _size(inputs):
    """Int scalar: the number of samples in a batch of inputs."""
    return tf.shape(keras.tree.flatten(inputs)[0])[0]


@keras.saving.register_keras_serializable(package="keras_curvenet")
class CurveWeightedModel(WrappedModel):
    """Trains a base model on samples weighted by what their curves say.

    CurveNet maps each sample's curves and observed class to a weight: how far
    its label is trusted. It starts at the label quality and is learned while
    the base model trains: in every step, a virtual step of the weighted
    training loss is tried on the watched layers, the loss of a small trusted
    *meta set* is taken after it, and CurveNet follows that loss's gradient.
    Then the base model makes its actual step with the new weights. After
    `meta_epochs` epochs CurveNet stays as it is.

    By default, where the loss is a crossentropy of one output:

    - A sample is trained on `weight * label + (1 - weight) * belief`: what the
      network itself believes of the sample, as a running mean of its
      predictions, stands in for labels that are not trusted (`soft_labels`).
    - The training loss is that of predictions to which the log frequencies of
      the classes are added, so that rare classes are not neglected
      (`balance_classes`). With equal frequencies this changes nothing. The meta
      set is balanced, and judged without it.

    Otherwise losses are weighted, by weights relative to their mean in the
    batch.

    `top_layers` chooses the watched layers (SLMO, skip layer meta
    optimization). All layers below count as constants in the virtual and the
    meta step; where the base model's graph can be split there, one forward
    pass through them serves the virtual and the actual step.

    Differences to the method as published: curves of margins beside losses, a
    start at the label quality, soft labels and balanced classes, and no common
    scale of the weights. Published, the training loss is `sum(w * loss) / n`:
    then the weights' scale is a learning rate, and the meta loss drives all of
    them to one end (`benchmarks/RESULTS.md`, "Text").

    `predict` and `evaluate` are the base model's. Deploy `base_model`.

    BatchNormalization: the virtual step runs in training mode, as the actual
    step does, and leaves no trace in the moving averages. So does the meta
    batch. In inference mode the meta loss would be that of a network whose
    averages lag behind: mean accuracy on a validation split of Fashion-MNIST
    (`benchmarks/RESULTS.md`) was 0.832 in training mode and 0.816 in inference
    mode. Meta batches should hold several samples of each class therefore.
    Dropout is active in all three passes.

    Logs of training: `loss` (weighted), the compiled metrics (unweighted),
    `meta_loss` (while weights are learned), `mean_weight`, and
    `effective_sample_size`, the share `(sum w)^2 / (n sum w^2)`.

    Reference: [Jiang et al., 2022](https://arxiv.org/abs/2201.00849). The
    virtual step is plain gradient descent whatever the optimizer; the
    reference code differentiates its Nesterov optimizer instead. Soft labels:
    CMW-Net-SL ([Shu et al., 2023](https://arxiv.org/abs/2202.05613)). Classes:
    logit adjustment ([Menon et al., 2021](https://arxiv.org/abs/2007.07314)).

    Args:
        base_model: A built `keras.Model`: Sequential, Functional or
            subclassed. It is trained in place, from its present weights. Its
            own `train_step` is not used.
        curve_net: A built model or layer from `[curves, labels]` to weights
            `(batch,)`, or None for a `CurveNet` of the right size, whose
            weights start at the samples' label quality.
        top_layers: What the virtual and meta steps watch. `"head"`: the last
            layer with trainable weights, and the one before it where both are
            `Dense`; all layers where their order is not known (subclassed
            models, several outputs). An int k: the last k layers with
            trainable weights, those of nested models included, normalization
            not counted but watched too where it comes between or after them.
            A list of layer names. None: all layers (no SLMO).
        soft_labels: Whether what the network believes stands in for labels
            that are not trusted: True, False, or None for where the loss
            allows it. It takes up to 60 bytes a sample, begins anew with
            other `loss_curves`, and is not saved with the model.
        balance_classes: Whether the loss is adjusted for rare classes: True,
            False, or None for where the loss allows it.
        meta_every: Int >= 1. CurveNet learns in every `meta_every`-th step;
            its weights are used in each.
        meta_batch_size: Int >= 1, samples in a meta batch, or None: a meta
            dataset's own batches, and for arrays 32, or all rows where there
            are fewer.
        name: String, the model's name.
        **kwargs: `dtype` and `trainable`, as of any Keras model.

    Attributes:
        meta_sample_ids: Int64 ids of the meta set, where the latest `fit`
            chose it by the curves, or None.

    Raises:
        TypeError: If `base_model` is not a Keras model.
        ValueError: If it is not built, or `top_layers` does not fit it.

    Example:

    ```python
    import keras
    import keras_curvenet as kcn
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    y = (x[:, 0] > 0).astype("int32")
    curves = kcn.LossCurves(rng.uniform(size=(64, 8)), labels=y)
    base = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    weighted = kcn.CurveWeightedModel(base)
    weighted.compile("sgd", "sparse_categorical_crossentropy")
    weighted.fit(
        x, y, epochs=2, loss_curves=curves, meta_data=(x[:16], y[:16])
    )
    weighted.sample_weights()  # (64,)
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
        meta_every=1,
        meta_batch_size=None,
        name=None,
        **kwargs,
    ):
        check_base_model(base_model)
        if curve_net is not None:
            check_curve_net(curve_net)
        check_switch("soft_labels", soft_labels)
        check_switch("balance_classes", balance_classes)
        checked_int("meta_every", meta_every, 1)
        if meta_batch_size is not None:
            checked_int("meta_batch_size", meta_batch_size, 1)
        split_model(base_model, top_layers)  # Raises where it does not fit.
        kwargs.setdefault("dtype", base_model.dtype_policy)
        super().__init__(name=name, autocast=False, **kwargs)
        self.base_model = base_model
        self.curve_net = curve_net
        self.top_layers = top_layers
        self.soft_labels = soft_labels
        self.balance_classes = balance_classes
        self.meta_every = meta_every
        self.meta_batch_size = meta_batch_size
        self.meta_optimizer = None
        self.meta_loss_tracker = keras.metrics.Mean(name="meta_loss")
        self.mean_weight_tracker = keras.metrics.Mean(name="mean_weight")
        self.sample_size_tracker = EffectiveSampleSize()
        self._split = None
        self.loss_curves = None
        self._prepared = None
        self.meta_sample_ids = None
        self.learns_weights = True
        self.problems = BatchProblems()
        self._training_loss = None
        self._traced = None
        self._beliefs = None
        self._frozen_weights = None  # Of every sample, once they are frozen.
        self._are_frozen = False
        self._has_new_curves = False
        self._trusts_changed_labels = False
        self._train_functions = {}
        self.built = True

    # What training does.

    def train_step(self, data):
        (x, y, sample_weight, sample_ids, prepared, held_out), meta_batch = data
        x, sample_weight, invalid = without_invalid_inputs(x, sample_weight)
        if self.learns_weights:  # No sample judges what it was trained on.
            is_trained_on = tf.cast(tf.logical_not(held_out), tf.float32)
            sample_weight = times(sample_weight, is_trained_on)
        with tf.GradientTape(persistent=True) as tape:
            features = self.split.bottom(x, training=True)
            y_pred = self.split.top(features, training=True)
            regularization = [
                self._aggregate_additional_loss(loss) for loss in self.losses
            ]
            predictions = self._training_loss.predictions(y_pred)
            probabilities, believed = self._believed(sample_ids, predictions)

            def weighted_loss(weights):
                loss = self._training_loss(
                    y, predictions, sample_weight, weights, believed
                )
                return share_of_batch_mean(loss, tf.shape(weights)[0])

            with tape.stop_recording():
                changed = self.problems.changed_labels(y, y_pred, prepared[1])
            if self.learns_weights:
                self._update_curve_net(
                    tape, weighted_loss, prepared, changed, meta_batch
                )
            with tape.stop_recording():
                weights = self._weights_of(sample_ids, prepared, changed)
            loss = tf.add_n([weighted_loss(weights), *regularization])
            scaled_loss = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        gradients = tape.gradient(scaled_loss, variables)
        loss = sum_of_all_replicas(loss)
        is_finite = tf.math.is_finite(loss)
        self.optimizer.apply(zero_unless(is_finite, gradients), variables)

        batch_size = tf.shape(weights)[0]
        self.problems.count(invalid, changed, is_finite)
        self._training_loss.count_classes(prepared[1], weights, believed)
        if believed is not None:
            self._beliefs.update(sample_ids, probabilities)
        self._loss_tracker.update_state(loss, sample_weight=batch_size)
        self.mean_weight_tracker.update_state(weights)
        self.sample_size_tracker.update_state(weights)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def _update_curve_net(
        self, tape, weighted_loss, prepared, changed, meta_batch
    ):
        """The virtual and the meta step, where the batch brings a meta set."""
        x_meta, y_meta, meta_sample_weight = meta_batch
        watched = [variable.value for variable in self.split.variables]
        variables = self.curve_net.trainable_variables
        if not variables:
            return

        def training_gradients(weights):
            # The actual step's forward pass serves the virtual step as well.
            loss = weighted_loss(weights)
            with tape.stop_recording():
                gradients = tape.gradient(
                    loss, watched, unconnected_gradients="zero"
                )
                gradients = [tf.convert_to_tensor(g) for g in gradients]
                return [sum_of_all_replicas(g) for g in gradients]

        def meta_loss(top_values):
            # Moving averages, seeds and metrics stay as they are.
            mapping = zip(self.split.variables, top_values, strict=True)
            scope = keras.StatelessScope(state_mapping=list(mapping))
            with tape.stop_recording(), scope:
                meta_features = self.split.bottom(x_meta, training=True)
                y_pred = self.split.top(meta_features, training=True)
                loss = self._compiled_losses.of_meta_batch(
                    y_meta, y_pred, meta_sample_weight
                )
                return share_of_batch_mean(loss, _size(x_meta))

        def update():
            loss, gradients = meta_gradients(
                weigh=lambda: self._weigh(prepared, changed, training=True),
                training_gradients=training_gradients,
                meta_loss=meta_loss,
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
            tf.cond(_size(x_meta) > 0, update, lambda: None)

    def _weights_of(self, sample_ids, prepared, changed):
        """The actual step's weights `(batch,)`."""
        if self.learns_weights:
            return self._weigh(prepared, changed)
        weights = tf.gather(self._frozen_weights, sample_ids)
        return self._trusting(weights, changed)

    def _weigh(self, prepared, changed=None, training=False):
        """Weights `(batch,)` by the present CurveNet."""
        curves, labels, quality = prepared
        # A sample that was never seen has no class, and no curve but zeros.
        inputs = [curves, tf.maximum(labels, 0)]
        if getattr(self.curve_net, "corrects_quality", False):
            weights = self.curve_net([*inputs, quality], training=training)
        else:
            weights = self.curve_net(inputs)
        return self._trusting(weights, changed)

    def _trusting(self, weights, changed):
        """The weights, and 1 where a label was changed since, if asked for."""
        if changed is None or not self._trusts_changed_labels:
            return weights
        return tf.where(changed, tf.ones_like(weights), weights)

    def _believed(self, sample_ids, predictions):
        """The batch's present class probabilities, and the running means."""
        if self._beliefs is None:
            return None, None
        present = self._training_loss.probabilities(predictions)
        return present, self._beliefs.of_batch(sample_ids, present)

    # What a user calls.

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
        predictions=None,
        meta_data=None,
        meta_epochs=None,
        trust_changed_labels=False,
        **kwargs,
    ):
        """Trains the base model and, up to `meta_epochs`, CurveNet.

        Inputs that are not finite are left out, and so is a step whose loss is
        not; a warning counts them. Arguments that are not named below are as in
        `keras.Model.fit`; validation data needs no ids, and may have them.

        Args:
            x: A batched dataset made from a `with_sample_ids` one, or arrays,
                whose rows are the ids.
            y: Targets, where `x` is arrays.
            loss_curves: `LossCurves` of the samples of `x`. May be left out
                in a later `fit` of the same object.
            predictions: Class probabilities of the samples in the probe,
                `(num_samples, num_classes)`, such as the `mean_predictions` of
                a `LossCurveRecorder(record_predictions=True)`. What the network
                believes of a sample starts from them, in a `fit` from epoch 0
                or with other curves. None: from its own first predictions.
            meta_data: The trusted meta set: arrays `(x, y)`, or a batched
                dataset of `(x, y)` or `(x, y, sample_weight)`. It repeats by
                itself. None: `select_meta_samples` chooses 20 samples of each
                observed class by their curves, which are read from `x` before
                training begins. While weights are learned they are not trained
                on, except where that would take more than a tenth of a class's
                right labels; afterwards they are.
            meta_epochs: Int >= 0. CurveNet learns while the epoch's number is
                below it; weights are frozen from then on. Defaults to half of
                `epochs`, rounded up.
            trust_changed_labels: Bool. Labels that differ from those which the
                curves were recorded with are an error. With True they are
                trained on with a weight of 1, since someone corrected them.
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
        check_fit_arguments(callbacks, class_weight, validation_data)
        checked_int("epochs", epochs, 1)
        checked_int("initial_epoch", initial_epoch, 0)
        meta_epochs = checked_meta_epochs(meta_epochs, epochs)
        check_strategy(self, "CurveWeightedModel")
        check_scope(self)
        train = training_batches(
            x,
            y,
            sample_weight,
            batch_size,
            shuffle,
            validation_split,
            validation_data,
        )
        check_inputs(self.base_model, train.dataset.element_spec[0], "x")
        self._trusts_changed_labels = checked_bool(
            "trust_changed_labels", trust_changed_labels
        )
        learns_weights = initial_epoch < meta_epochs
        with self.distribute_strategy.scope():
            self._use_loss_curves(loss_curves, train.num_samples)
            dataset = self._training_data(train, meta_data, learns_weights)
            if predictions is not None:
                self._start_beliefs(predictions, initial_epoch)
        return self._fit(
            dataset,
            epochs=epochs,
            verbose=verbose,
            callbacks=with_callback(
                callbacks,
                AllocatingPhases(meta_epochs, self._trusts_changed_labels),
            ),
            shuffle=False,
            validation_data=train.validation_data,
            initial_epoch=initial_epoch,
            **kwargs,
        )

    def _training_data(self, train, meta_data, learns_weights):
        """Batches beside meta batches; makes what is still to be made."""
        x_spec, *_ = spec = train.dataset.element_spec
        self._use_loss(x_spec, train.num_samples)
        self._make_room_for_weights(train.num_samples)
        meta, held_out = tf.data.Dataset.from_tensors(0).repeat(), ()
        if learns_weights:
            meta, held_out = self._meta_batches(meta_data, train)
        batches = with_curves(train.dataset, self._prepared, held_out)
        if self.optimizer.iterations.numpy() == 0:
            warn_if_trained(self.base_model)
        # Metrics and losses make their variables here, not in a first trace.
        self._build_metrics(spec[:3])
        self._build_optimizers()
        for part in (train.dataset, meta) if learns_weights else ():
            refuse_different_data(self.distribute_strategy, part)
        dataset = tf.data.Dataset.zip(batches, meta)
        return sharded_by_data(dataset).prefetch(tf.data.AUTOTUNE)

    def _make_room_for_weights(self, num_samples):
        weights = self._frozen_weights
        size = 0 if weights is None else weights.shape[0]
        if size != num_samples:
            zeros = tf.zeros([num_samples])
            self._frozen_weights = variable_of_all_replicas(zeros)
            self._train_functions = {}
        self._are_frozen = False

    def _build_metrics(self, spec):
        try:
            self._symbolic_build(data_batch=spec)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "Invalid value for argument `y`. Expected targets that the "
                "compiled loss and metrics take. Received: targets of "
                f"{spec[1]} ({error})."
            ) from error

    def _fit(self, *args, **kwargs):
        try:
            return super().fit(*args, **kwargs)
        except tf.errors.InvalidArgumentError as error:
            raise_if_about_labels(error)
            raise

    def sample_weights(self):
        """Every sample's weight by the present CurveNet.

        Returns:
            Float32 `(num_samples,)`, by sample id.

        Raises:
            ValueError: Before the first `fit`, and after loading, since loss
                curves are not saved with the model.
        """
        if self._prepared is None:
            raise ValueError(
                "No sample weights yet. Expected `fit(..., loss_curves=...)` "
                "to be called first. Received: a model without loss curves."
            )
        num_samples = len(self._prepared.labels)
        blocks = [slice(i, i + _BLOCK) for i in range(0, num_samples, _BLOCK)]
        weights = [
            self._weigh([table[block] for table in self._prepared]).numpy()
            for block in blocks
        ]
        return np.concatenate(weights).astype(np.float32)

    @property
    def shares_forward_pass(self):
        """Bool: whether virtual and actual step share the bottom layers' pass.

        False where the base model's graph can't be split below the watched
        layers: subclassed models, and `top_layers=None`.
        """
        return self.split.shares_forward_pass

    @property
    def watched_variables(self):
        """List of the variables that virtual and meta steps watch."""
        return list(self.split.variables)

    @property
    def split(self):
        if self._split is None:
            self._split = split_model(self.base_model, self.top_layers)
        return self._split

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
            optimizer: As in `keras.Model.compile`. Defaults to `"rmsprop"`.
            loss: As in `keras.Model.compile`, with one value per sample.
            *args: As in `keras.Model.compile`.
            meta_optimizer: Optimizer of CurveNet, or its name. Defaults to
                `Adam(3e-5, weight_decay=1e-4)`, slower than the paper's, with
                an epsilon of 2e-6 times the base optimizer's learning rate (the
                largest of a schedule): meta gradients are proportional to that
                rate. With Keras's epsilon of 1e-7, weights learned beside an
                Adam of rate 1e-3 did harm (`benchmarks/RESULTS.md`).
            meta_loss: Loss of the meta set, in any form that `loss` may have.
                Defaults to `loss`; to the plain crossentropy in place of a
                `LogitAdjustedCrossentropy`, since the meta set is balanced.
            **kwargs: As in `keras.Model.compile`.

        Raises:
            ValueError: If `loss` is missing.
        """
        if loss is None:
            raise ValueError(
                "Invalid value for argument `loss`. Expected a loss with one "
                "value per sample, which the sample weights multiply. "
                "Received: loss=None."
            )
        super().compile(optimizer, loss, *args, **kwargs)
        if meta_optimizer is None:
            meta_optimizer = default_meta_optimizer(self.optimizer)
        self.meta_optimizer = checked_meta_optimizer(meta_optimizer)
        if isinstance(meta_loss, str):
            check_loss_name("meta_loss", meta_loss)
        self._split = None
        self._compiled_losses = CompiledLosses(
            self._compile_loss, loss, meta_loss
        )
        self._training_loss = None
        self._train_functions = {}

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

    # What Keras calls.

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
        frequencies = self._training_loss.frequencies
        return {
            "meta_optimizer": self.meta_optimizer.variables,
            "beliefs": [] if self._beliefs is None else self._beliefs.variables,
            "class_frequencies": (
                [] if frequencies is None else frequencies.variables
            ),
            "problems": self.problems.variables,
        }

    def begin_epoch(self, learns_weights):
        """Says whether an epoch learns weights, and looks at the last one."""
        self.learns_weights = learns_weights
        if not learns_weights and not self._are_frozen:
            size = self._frozen_weights.shape[0]
            self._frozen_weights.assign(self.sample_weights()[:size])
        self._are_frozen = not learns_weights
        self.make_train_function()
        self.problems.clear()
        if self._training_loss.frequencies is not None:
            self._training_loss.frequencies.follow()

    def make_train_function(self, force=False):
        """One function learns the weights and one does not; each is kept."""
        if force or self.learns_weights not in self._train_functions:
            super().make_train_function(force=True)
            self._train_functions[self.learns_weights] = self.train_function
        self.train_function = self._train_functions[self.learns_weights]

    def get_config(self):
        return {
            **super().get_config(),
            "base_model": keras.saving.serialize_keras_object(self.base_model),
            "curve_net": keras.saving.serialize_keras_object(self.curve_net),
            "top_layers": self.top_layers,
            "soft_labels": self.soft_labels,
            "balance_classes": self.balance_classes,
            "meta_every": self.meta_every,
            "meta_batch_size": self.meta_batch_size,
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

    def _use_loss_curves(self, loss_curves, num_samples):
        """Prepares the curves for CurveNet, and CurveNet for the curves."""
        if loss_curves is None:
            refuse_missing_curves(self._prepared, num_samples)
            self._has_new_curves = False
            return
        prepared = prepared_curves(loss_curves)
        refuse_missing_curves(prepared, num_samples)
        curve_length = prepared.curves.shape[1]
        if self.curve_net is None:
            self.curve_net = CurveNet(
                loss_curves.num_classes,
                curve_length,
                min_weight=0.0,
                corrects_quality=True,
            )
        refuse_other_curves(self.curve_net, loss_curves, curve_length)
        self._has_new_curves = loss_curves is not self.loss_curves
        if self._beliefs is not None and self._has_new_curves:
            self._beliefs.clear()  # They may be of other samples.
        self.loss_curves, self._prepared = loss_curves, prepared

    def _use_loss(self, x_spec, num_samples):
        """Makes the training loss for these curves and this model."""
        losses = self._compiled_losses
        num_classes = class_outputs(
            self.base_model,
            x_spec,
            losses.loss,
            self.loss_curves.num_classes,
        )
        training_loss = losses.training_loss(
            self._prepared.first(num_samples),
            num_classes,
            self.soft_labels,
            self.balance_classes,
        )
        if training_loss.from_logits is None or self.soft_labels is False:
            self._beliefs = None
        elif self._beliefs is None or not self._beliefs.fits(
            num_samples, num_classes
        ):
            self._beliefs = RunningPredictions(num_samples, num_classes)
        # Without a crossentropy, a single output may be no binary decision.
        self.problems.compares_labels = num_classes is not None and (
            training_loss.from_logits is not None or num_classes > 2
        )
        traced = (
            training_loss.settings(),
            self._beliefs,
            self._trusts_changed_labels,
            self.problems.compares_labels,
        )
        if self._training_loss is None or traced != self._traced:
            self._training_loss = training_loss
            self._traced, self._train_functions = traced, {}
        elif self._has_new_curves and training_loss.frequencies is not None:
            self._training_loss.frequencies.start_anew(
                training_loss.frequencies
            )

    def _start_beliefs(self, predictions, initial_epoch):
        """Lets beliefs start from the probe's predictions."""
        if self._beliefs is None:
            raise ValueError(
                "Invalid value for argument `predictions`. Expected None, "
                "because nothing believed is trained on here. Received: "
                f"predictions with soft_labels={self.soft_labels} and "
                f"loss={self._compiled_losses.loss!r}. Leave them out."
            )
        if initial_epoch == 0 or self._has_new_curves:
            self._beliefs.start_from(predictions)

    def _meta_batches(self, meta_data, train):
        """The meta set's batches, and ids that are held out for them."""
        self.meta_sample_ids, held_out = None, ()
        if meta_data is None:
            self.meta_sample_ids, meta_data, held_out = chosen_meta_set(
                self.loss_curves, train
            )
            num_classes = None
        else:
            num_classes = getattr(self.curve_net, "num_classes", None)
            if num_classes not in classes_of_outputs(
                self.base_model, num_classes
            ):
                num_classes = None  # A `label_fn` made the curves' classes.
        batches = meta_batches(
            meta_data, self.meta_batch_size, self.meta_every, num_classes
        )
        check_inputs(self.base_model, batches.element_spec[0], "meta_data")
        return batches, held_out

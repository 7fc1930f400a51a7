"""CurveWeightedModel: trains a model on samples weighted by their curves."""

import warnings

import keras
import tensorflow as tf

from keras_curvenet.allocating.allocating_phases import AllocatingPhases
from keras_curvenet.allocating.base_model import check_base_model
from keras_curvenet.allocating.base_model import check_inputs
from keras_curvenet.allocating.checked_arguments import check_curve_net
from keras_curvenet.allocating.checked_arguments import check_fit_arguments
from keras_curvenet.allocating.checked_arguments import check_loss_name
from keras_curvenet.allocating.checked_arguments import check_scope
from keras_curvenet.allocating.checked_arguments import check_switch
from keras_curvenet.allocating.checked_arguments import checked_meta_epochs
from keras_curvenet.allocating.checked_arguments import checked_meta_optimizer
from keras_curvenet.allocating.checked_arguments import with_callback
from keras_curvenet.allocating.compiled_losses import CompiledLosses
from keras_curvenet.allocating.meta_update import default_meta_optimizer
from keras_curvenet.allocating.prepared_training import PreparedTraining
from keras_curvenet.allocating.top_layers import split_model
from keras_curvenet.allocating.training_batches import training_batches
from keras_curvenet.checked_arguments import as_bool
from keras_curvenet.checked_arguments import as_int
from keras_curvenet.probing.distributed_data import refuse_endless_epoch
from keras_curvenet.probing.recorded_training import raise_if_about_labels
from keras_curvenet.replicas import check_strategy


@keras.saving.register_keras_serializable(package="keras_curvenet")
class CurveWeightedModel(PreparedTraining):
    """Trains a base model on samples weighted by what their curves say.

    CurveNet maps each sample's curves and observed class to a weight: how far
    its label is trusted. It starts at the label quality, or lower where the
    probe came to know wrong labels by heart, and is learned while the base
    model trains: in every step, a virtual step of the weighted training loss is
    tried on the watched layers, the loss of a small trusted *meta set* is taken
    after it, and CurveNet follows that loss's gradient. Then the base model
    makes its actual step with the new weights. After `meta_epochs` epochs
    CurveNet stays as it is.

    By default, where the loss is a crossentropy of one output:

    - As far as a label is not trusted, what the network itself believes of the
      sample stands in, a running mean of its predictions (`soft_labels`): with
      `(1 - weight) * sum(belief ** 2)`, as far as it is sure.
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
    them to one end (`benchmarks/EARLIER.md`, "Text").

    `predict` and `evaluate` are the base model's. Deploy `base_model`.

    BatchNormalization: the virtual step runs in training mode, as the actual
    step does, and leaves no trace in the moving averages. So does the meta
    batch. In inference mode the meta loss would be that of a network whose
    averages lag behind: mean accuracy on a validation split of Fashion-MNIST
    was 0.832 in training mode and 0.816 in inference mode
    (`benchmarks/EARLIER.md`, "BatchNormalization in the meta step"). Meta
    batches should hold several samples of each class therefore. Dropout is
    active in all three passes.

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
            subclassed. It is trained in place, from its present weights: pass
            the one that was probed; or a fresh one, where `fit` warns that it
            may know wrong labels by heart, and where features are pre-trained
            (`benchmarks/RESULTS.md`, "Going on with the probe's network"). Its
            own `train_step` is not used, and without `compile` its optimizer
            begins anew, at the learning rate that it has by then.
        curve_net: A built model or layer from `[curves, labels]` to weights
            `(batch,)`, or None for a `CurveNet` of the right size, whose
            weights start at the samples' label quality, or lower where the
            probe came to know wrong labels by heart.
        top_layers: What the virtual and meta steps watch. `"head"`: the last
            layer with trainable weights, and the one before it where both are
            `Dense`; all layers where their order is not known (subclassed
            models, several outputs). An int k: the last k layers with
            trainable weights, those of nested models included, normalization
            not counted but watched too where it comes between or after them.
            A list of layer names. None: all layers (no SLMO). Defaults to
            `"head"`.
        soft_labels: Whether what the network believes stands in for labels
            that are not trusted: True, False, or None for where the loss
            allows it. It takes up to 60 bytes a sample, begins anew with
            other `loss_curves`, and is not saved with the model.
        balance_classes: Whether the loss is adjusted for rare classes: True,
            False, or None for where the loss allows it.
        meta_every: Int >= 1. CurveNet learns in every `meta_every`-th step;
            its weights are used in each. Defaults to 1.
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
    weighted.label_quality_scores()  # (64,)
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
        as_int("meta_every", meta_every, 1)
        if meta_batch_size is not None:
            as_int("meta_batch_size", meta_batch_size, 1)
        split_model(base_model, top_layers)  # Raises where it does not fit.
        kwargs.setdefault("dtype", base_model.dtype_policy)
        super().__init__(
            base_model, curve_net, top_layers, meta_every, name=name, **kwargs
        )
        self.soft_labels = soft_labels
        self.balance_classes = balance_classes
        self.meta_batch_size = meta_batch_size
        self.meta_sample_ids = None

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
                Defaults to False.
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
        as_int("epochs", epochs, 1)
        as_int("initial_epoch", initial_epoch, 0)
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
        refuse_endless_epoch(train.dataset, kwargs.get("steps_per_epoch"))
        check_inputs(self.base_model, train.dataset.element_spec[0], "x")
        as_bool("trust_changed_labels", trust_changed_labels)
        dataset = self._prepared(
            train,
            loss_curves,
            predictions,
            meta_data,
            learns_weights=initial_epoch < meta_epochs,
            begins_anew=initial_epoch == 0,
            trusts_changed_labels=trust_changed_labels,
        )
        phases = AllocatingPhases(meta_epochs, trust_changed_labels)
        try:
            return super().fit(
                dataset,
                epochs=epochs,
                verbose=verbose,
                callbacks=with_callback(callbacks, phases),
                shuffle=False,
                validation_data=train.validation_data,
                initial_epoch=initial_epoch,
                **kwargs,
            )
        except tf.errors.InvalidArgumentError as error:
            raise_if_about_labels(error)
            raise

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
                `Adam(1e-5, weight_decay=1e-4)`, slower than the paper's, with
                an epsilon of 2e-6 times the base optimizer's learning rate (the
                largest of a schedule): meta gradients are proportional to that
                rate. With Keras's epsilon of 1e-7, weights learned beside an
                Adam of rate 1e-3 did harm (`benchmarks/EARLIER.md`,
                "Epsilon of the meta optimizer").
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
        return {
            **super().get_config(),
            "soft_labels": self.soft_labels,
            "balance_classes": self.balance_classes,
            "meta_batch_size": self.meta_batch_size,
        }

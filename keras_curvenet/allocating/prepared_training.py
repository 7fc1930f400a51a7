"""PreparedTraining: what `CurveWeightedModel.fit` makes of its arguments."""

import tensorflow as tf

from keras_curvenet.allocating.base_model import check_inputs
from keras_curvenet.allocating.base_model import class_outputs
from keras_curvenet.allocating.base_model import may_predict
from keras_curvenet.allocating.base_model import warn_if_trained
from keras_curvenet.allocating.curve_net import CurveNet
from keras_curvenet.allocating.meta_batches import meta_set
from keras_curvenet.allocating.prepared_curves import prepared_curves
from keras_curvenet.allocating.prepared_curves import refuse_missing_curves
from keras_curvenet.allocating.prepared_curves import refuse_other_curves
from keras_curvenet.allocating.revised_quality import quality_scores
from keras_curvenet.allocating.sample_weights import weights_of_all
from keras_curvenet.allocating.step_parts import step_parts
from keras_curvenet.allocating.training_batches import with_curves
from keras_curvenet.allocating.weighted_training import WeightedTraining
from keras_curvenet.probing.distributed_data import refuse_different_data
from keras_curvenet.workers import sharded_by_data


class PreparedTraining(WeightedTraining):
    """Makes of curves, data and meta set what the training steps read.

    Attributes:
        soft_labels, balance_classes, meta_batch_size: As of
            `CurveWeightedModel`, which sets them.
        meta_sample_ids: Likewise.
    """

    def sample_weights(self):
        """Every sample's weight by the present CurveNet.

        Returns:
            Float32 `(num_samples,)`, by sample id.

        Raises:
            ValueError: Before the first `fit`, and after loading, since loss
                curves are not saved with the model.
        """
        return weights_of_all(
            self.curve_net, self._parts_of_fit("sample weights").prepared
        )

    def label_quality_scores(self):
        """How probably each sample's label is right, as the model sees it now.

        What the model has come to believe of a sample tells more of its label
        than the probe did, wherever the probe learned slowly: on people's
        labels, wrong ones are told from right ones with an AUROC of 0.88, by
        the loss curves alone with 0.87 (`benchmarks/RESULTS.md`, "What the
        trained model finds"). Where nothing believed was trained on
        (`soft_labels`), these are the scores of the loss curves.

        Returns:
            Float64 `(num_samples,)` in [0, 1], by sample id: below 0.5 where
            the label is probably wrong, NaN for samples that the probe never
            saw. As `keras_curvenet.label_quality_scores`.

        Raises:
            ValueError: Before the first `fit`, and after loading, since
                neither loss curves nor beliefs are saved with the model.
        """
        parts = self._parts_of_fit("label quality")
        return quality_scores(
            parts.loss_curves, parts.beliefs, parts.loss.frequencies
        )

    def _parts_of_fit(self, asked_for):
        """`StepParts` of the latest `fit`; raises where there was none."""
        if self._parts is None:
            raise ValueError(
                f"No {asked_for} yet. Expected `fit(..., loss_curves=...)` "
                "to be called first. Received: a model without loss curves."
            )
        return self._parts

    def _prepared(
        self,
        train,
        loss_curves,
        predictions,
        meta_data,
        learns_weights,
        begins_anew,
        trusts_changed_labels,
    ):
        """Gets ready for the epochs of a `fit`.

        Args:
            train: `TrainingBatches`.
            loss_curves, predictions, meta_data: As of `fit`.
            learns_weights: Bool, whether the first epoch learns weights.
            begins_anew: Bool, whether it is epoch 0.
            trusts_changed_labels: As of `fit`.

        Returns:
            A dataset of training batches beside meta batches.
        """
        earlier = self._parts
        with self.distribute_strategy.scope():
            self._use_curves(loss_curves, train, trusts_changed_labels)
            dataset = self._training_data(train, meta_data, learns_weights)
            if predictions is not None:
                is_new = earlier is None or (
                    earlier.loss_curves is not self._parts.loss_curves
                )
                self._start_beliefs(predictions, begins_anew or is_new)
        return dataset

    def _use_curves(self, loss_curves, train, trusts_changed_labels):
        """Makes of the curves a CurveNet for them, and the steps' parts."""
        earlier, num_samples = self._parts, train.num_samples
        if earlier is not None and (
            loss_curves is None or loss_curves is earlier.loss_curves
        ):
            loss_curves, prepared = earlier.loss_curves, earlier.prepared
        else:
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
        num_classes = class_outputs(
            self.base_model,
            train.dataset.element_spec[0],
            self._compiled_losses.loss,
            loss_curves.num_classes,
        )
        training_loss = self._compiled_losses.training_loss(
            prepared.first(num_samples),
            num_classes,
            self.soft_labels,
            self.balance_classes,
        )
        self._use_parts(
            step_parts(
                earlier,
                loss_curves,
                prepared,
                training_loss,
                num_samples,
                num_classes,
                self.soft_labels,
                trusts_changed_labels,
            )
        )

    def _training_data(self, train, meta_data, learns_weights):
        """Batches beside meta batches."""
        meta, held_out = tf.data.Dataset.from_tensors(0).repeat(), ()
        if learns_weights:
            num_classes = getattr(self.curve_net, "num_classes", None)
            if not may_predict(self.base_model, num_classes):
                num_classes = None  # A `label_fn` made the curves' classes.
            self.meta_sample_ids, held_out, meta = meta_set(
                meta_data,
                train,
                self._parts.loss_curves,
                self.meta_batch_size,
                self.meta_every,
                num_classes,
            )
            check_inputs(self.base_model, meta.element_spec[0], "meta_data")
        is_new = self.optimizer.iterations.numpy() == 0
        if is_new and self._parts.prepared.may_know_wrong_labels:
            warn_if_trained(self.base_model)
        # Metrics and losses make their variables here, not in a first trace.
        self._build_metrics(train.dataset.element_spec[:3])
        self._build_optimizers()
        for part in (train.dataset, meta) if learns_weights else ():
            refuse_different_data(self.distribute_strategy, part)
        batches = with_curves(train.dataset, self._parts.prepared, held_out)
        dataset = tf.data.Dataset.zip(batches, meta)
        return sharded_by_data(dataset).prefetch(tf.data.AUTOTUNE)

    def _build_metrics(self, spec):
        try:
            self._symbolic_build(data_batch=spec)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "Invalid value for argument `y`. Expected targets that the "
                "compiled loss and metrics take. Received: targets of "
                f"{spec[1]} ({error})."
            ) from error

    def _start_beliefs(self, predictions, begins_anew):
        """Lets beliefs start from the probe's predictions."""
        if self._parts.beliefs is None:
            raise ValueError(
                "Invalid value for argument `predictions`. Expected None, "
                "because nothing believed is trained on here. Received: "
                f"predictions with soft_labels={self.soft_labels} and "
                f"loss={self._compiled_losses.loss!r}. Leave them out."
            )
        if begins_anew:
            self._parts.beliefs.start_from(predictions)

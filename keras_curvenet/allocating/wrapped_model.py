"""A model around another one, which predicts and evaluates as that does."""

import keras

from keras_curvenet.allocating.base_model import compile_arguments
from keras_curvenet.probing.distributed_data import build_from_spec
from keras_curvenet.probing.sample_ids import has_sample_ids
from keras_curvenet.probing.sample_ids import split_sample_ids
from keras_curvenet.workers import function_of_workers
from keras_curvenet.workers import has_workers


class WrappedModel(keras.Model):
    """What Keras asks of a model, answered by its `base_model`.

    Batches of `evaluate` and `predict` may have sample ids. Whatever else the
    subclass tracks, only the base model's variables are trained.

    Attributes:
        base_model: A built `keras.Model`, which the subclass sets.
        evaluates: Bool, whether `evaluate` runs, not training.
    """

    evaluates = False

    def evaluate(self, *args, **kwargs):
        self._compile_as_base()
        self.evaluates = True
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self.evaluates = False

    def call(self, inputs, training=None):
        if self.base_model._call_has_training_arg:
            return self.base_model(inputs, training=training)
        return self.base_model(inputs)

    def test_step(self, data):
        if has_sample_ids(data):
            data, _ = split_sample_ids(data)
        return super().test_step(data)

    def predict_step(self, data):
        if has_sample_ids(data):
            data, _ = split_sample_ids(data)
        return super().predict_step(data)

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

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        if self._distribute_strategy is not None and iterator is not None:
            build_from_spec(self, iterator.data_adapter.get_tf_dataset())

    def _make_function(self, step_function):
        if has_workers(self.distribute_strategy):
            return function_of_workers(self, step_function)
        return super()._make_function(step_function)

    def _compile_as_base(self):
        if not self.compiled:
            with self.distribute_strategy.scope():
                self.compile(**compile_arguments(self.base_model))

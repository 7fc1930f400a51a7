"""Biased data for experiments: long tails and wrong labels."""

from keras_curvenet.datasets.label_noise import corrupt_labels
from keras_curvenet.datasets.long_tail import long_tailed_indices

__all__ = ["corrupt_labels", "long_tailed_indices"]

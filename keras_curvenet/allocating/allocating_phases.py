"""When weights are learned, when they are frozen, and what came up."""

import warnings

import keras


class AllocatingPhases(keras.callbacks.Callback):
    """Lets a `CurveWeightedModel` learn weights in the first epochs only.

    At the end of an epoch, it says what was wrong with the samples.

    Args:
        meta_epochs: Int >= 0. Weights are learned while the epoch's number is
            below it.
        trusts_changed_labels: Bool. Whether labels may differ from those of
            the curves.
    """

    def __init__(self, meta_epochs, trusts_changed_labels=False):
        super().__init__()
        self.meta_epochs = meta_epochs
        self.trusts_changed_labels = trusts_changed_labels
        self._warned_of = set()

    def on_epoch_begin(self, epoch, logs=None):
        self.model.begin_epoch(learns_weights=epoch < self.meta_epochs)

    def on_epoch_end(self, epoch, logs=None):
        found = self.model.problems.found()
        if found["changed labels"] and not self.trusts_changed_labels:
            raise ValueError(
                "Expected the labels that the loss curves were recorded with. "
                f"Received: {found['changed labels']} samples with another "
                f"label, in epoch {epoch + 1}. If labels were corrected since "
                "the probe, pass `trust_changed_labels=True`. If the dataset "
                "or its order is another one, probe it first."
            )
        self._warn_once(
            "invalid inputs",
            f"{found['invalid inputs']} sample(s) had inputs that are not "
            f"finite in epoch {epoch + 1}. They were left out. Remove them "
            "from the data.",
            found,
        )
        self._warn_once(
            "steps left out",
            f"{found['steps left out']} step(s) of epoch {epoch + 1} had a "
            "loss that is not finite. They were left out. Lower the learning "
            "rate if training diverges.",
            found,
        )

    def _warn_once(self, problem, message, found):
        if found[problem] and problem not in self._warned_of:
            self._warned_of.add(problem)
            warnings.warn(message, stacklevel=3)

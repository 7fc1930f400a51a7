"""What is wrong with the epoch that a recorder saw."""

from keras_curvenet.probing.observed_labels import LABEL_ADVICE


def refuse_problems(record, epoch):
    """Raises ValueError where an epoch's record can't be trusted.

    Args:
        record: `EpochRecord`, or None where no step was made.
        epoch: Int, from 0.
    """
    problems = record.problems() if record else {}
    if not any(problems.values()):
        raise ValueError(
            "LossCurveRecorder recorded nothing in epoch "
            f"{epoch + 1}. Expected batches with sample ids in the "
            "training step. Received: none. Use one recorder per `fit`, "
            "and a dataset that is not empty."
        )
    if problems["out of range"]:
        raise ValueError(
            "Expected sample ids from 0 to "
            f"{record.num_samples - 1}. Received: "
            f"{problems['out of range']} id(s) outside, in epoch "
            f"{epoch + 1}. Do not change the ids that `with_sample_ids` "
            "gave. The epoch was not recorded."
        )
    if problems["invalid labels"]:
        raise ValueError(
            "Expected targets that are class labels: integers from 0 to "
            "the number of outputs - 1, one-hot rows, or binary targets in "
            f"[0, 1]. Received: {problems['invalid labels']} target(s) of "
            f"another kind in epoch {epoch + 1}. Correct them. If the "
            f"targets are no classes: {LABEL_ADVICE} The epoch was not "
            "recorded."
        )
    if problems["changed labels"]:
        raise ValueError(
            "Expected a sample id to name the same sample in every epoch. "
            f"Received: {problems['changed labels']} id(s) whose label "
            f"changed in epoch {epoch + 1}. The dataset's order differs "
            "from epoch to epoch: call `with_sample_ids` before `shuffle`, "
            "not after it. The epoch was not recorded."
        )

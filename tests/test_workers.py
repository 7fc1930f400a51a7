"""What a process knows of its workers, without any others.

That they train together is tested in `tests/distribution`.
"""

import types

import pytest
import tensorflow as tf

import keras_curvenet as kcn
from keras_curvenet import workers


def strategy_of(task_type, task_id, cluster):
    """What stands for a MultiWorkerMirroredStrategy as one of its tasks."""
    resolver = types.SimpleNamespace(
        task_type=task_type,
        task_id=task_id,
        cluster_spec=lambda: tf.train.ClusterSpec(cluster),
    )
    return types.SimpleNamespace(cluster_resolver=resolver)


TWO_WORKERS = {"worker": ["a:1", "b:1"]}
WITH_CHIEF = {"chief": ["c:1"], **TWO_WORKERS}


@pytest.mark.parametrize(
    ("task_type", "task_id", "cluster", "expected"),
    [
        ("worker", 0, TWO_WORKERS, True),
        ("worker", 1, TWO_WORKERS, False),
        ("worker", 0, WITH_CHIEF, False),
        ("chief", 0, WITH_CHIEF, True),
        (None, None, {}, True),
    ],
)
def test_one_task_is_the_chief(
    monkeypatch, task_type, task_id, cluster, expected
):
    monkeypatch.setattr(workers, "has_workers", lambda strategy: True)
    strategy = strategy_of(task_type, task_id, cluster)
    assert workers.is_chief(strategy) is expected


def test_alone_is_chief_and_alike():
    strategy = tf.distribute.get_strategy()
    assert not workers.has_workers(strategy)
    assert workers.is_chief(strategy)
    workers.refuse_different_workers(strategy, "the data", {"its size": "1"})


def test_data_with_ids_is_shared_out_by_batches():
    """By files, ids would name other samples on each worker."""
    x = tf.data.Dataset.range(6).map(lambda i: (i, i))
    by_data = tf.data.experimental.AutoShardPolicy.DATA
    for dataset in (
        kcn.with_sample_ids(x),
        kcn.with_sample_ids(x).shuffle(6).batch(2).prefetch(1),
        kcn.shuffle_by_epoch(kcn.with_sample_ids(x), 6).batch(2),
        kcn.with_sample_ids(x.batch(2)),
    ):
        options = dataset.options().experimental_distribute
        assert options.auto_shard_policy == by_data

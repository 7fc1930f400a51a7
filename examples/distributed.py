"""
Title: Several devices, several machines
Description: Both stages under `tf.distribute`, on this machine or on many.

    python examples/distributed.py --devices=2
    python examples/distributed.py --workers=2

Digits of scikit-learn, of which 30 % have wrong labels: accuracy on held-out
ones, of plain training and of `CurveWeightedModel`. Devices are GPUs; on a
machine without, the processor is split into logical ones. Workers are processes
that each have devices of their own. Neither is faster here: they show that the
result is that of one device. What is not the usual:

- models are made and compiled in the strategy's scope;
- the recorder is told of its model before `fit`;
- the batch size is that of all devices together, and each worker is given the
  whole data, in the same order.

Killed and started again, it goes on where it was (`--backup_dir`). That folder,
and a recorder's `filepath`, must be one that all workers share.

On several hosts, start the same command once on each, without `--workers`: the
environment variable `TF_CONFIG` makes it a worker. It names the hosts in the
same order everywhere, and which of them this one is:

    TF_CONFIG='{"cluster": {"worker": ["host0:2222", "host1:2222"]},
                "task": {"type": "worker", "index": 0}}'

On Kubernetes, Kubeflow's `TFJob` sets it. In a `StatefulSet` of a headless
service, both named `train`, the environment of the container can:

    env:
    - name: INDEX
      valueFrom:
        fieldRef:
          fieldPath: metadata.labels['apps.kubernetes.io/pod-index']
    - name: TF_CONFIG
      value: '{"cluster": {"worker": ["train-0.train:2222",
        "train-1.train:2222"]}, "task": {"type": "worker", "index": $(INDEX)}}'

On Slurm, in the script of `sbatch --nodes=2 --ntasks-per-node=1`:

    export HOSTS=$(scontrol show hostnames | sed 's/.*/"&:2222"/' | paste -sd,)
    export FORM='{"cluster": {"worker": [%s]},
                  "task": {"type": "worker", "index": %d}}'
    srun bash -c 'export TF_CONFIG=$(printf "$FORM" "$HOSTS" "$SLURM_PROCID")
        python examples/distributed.py'

or give `MultiWorkerMirroredStrategy` the `cluster_resolver`
`tf.distribute.cluster_resolver.SlurmClusterResolver()`, which needs GPUs.
"""

import json
import os
import socket
import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from sklearn.datasets import load_digits

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_integer("devices", 2, "Number of devices.", lower_bound=1)
flags.DEFINE_integer(
    "workers", 1, "Number of processes; each has one device.", lower_bound=1
)
flags.DEFINE_integer("epochs", 20, "Epochs of every training.", lower_bound=1)
flags.DEFINE_string("backup_dir", None, "Folder to resume from, or None.")

NUM_TEST = 500


def run_workers(num_workers):
    """Runs this script as so many processes, and waits for their end."""
    sockets = [
        socket.create_server(("127.0.0.1", 0)) for _ in range(num_workers)
    ]
    addresses = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for free in sockets:
        free.close()
    workers = []
    for index in range(num_workers):
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": addresses}, "task": task}
        environment = {
            "TF_CONFIG": json.dumps(config),
            "CUDA_VISIBLE_DEVICES": str(index),
        }
        workers.append(
            subprocess.Popen(
                [sys.executable, *sys.argv], env={**os.environ, **environment}
            )
        )
    return max([abs(worker.wait()) for worker in workers])


def mirrored_strategy(num_devices):
    """A strategy of GPUs, or of parts of the processor."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        names = [f"GPU:{index}" for index in range(num_devices)]
    else:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * num_devices,
        )
        names = [f"CPU:{index}" for index in range(num_devices)]
    return tf.distribute.MirroredStrategy(names)


def is_first(strategy):
    """Bool: whether this process is the one that prints."""
    resolver = strategy.cluster_resolver
    if resolver is None:
        return True
    first = min(resolver.cluster_spec().jobs)  # A "chief", or the workers.
    return (resolver.task_type, resolver.task_id) == (first, 0)


def make_model():
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.1),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def callbacks(stage):
    """What lets a stage go on after it was killed."""
    if FLAGS.backup_dir is None:
        return []
    return [kcn.BackupAndResume(os.path.join(FLAGS.backup_dir, stage))]


def main(argv):
    del argv
    tf.get_logger().setLevel("WARNING")
    is_worker = "TF_CONFIG" in os.environ
    if FLAGS.workers > 1 and not is_worker:
        sys.exit(run_workers(FLAGS.workers))
    if is_worker:  # Its strategy comes before anything else of TensorFlow.
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        strategy = mirrored_strategy(FLAGS.devices)
    keras.utils.set_random_seed(0)
    x, y = load_digits(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(x))
    x, y = x[rows].astype("float32"), y[rows]
    test = x[:NUM_TEST], y[:NUM_TEST]
    x, y = x[NUM_TEST:], kcn.datasets.corrupt_labels(y[NUM_TEST:], 0.3)
    train = kcn.with_sample_ids((x, y))
    train = kcn.shuffle_by_epoch(train, len(x)).batch(32)

    with strategy.scope():
        probed = make_model()
    recorder = kcn.LossCurveRecorder()
    recorder.set_model(probed)
    probed.fit(
        train,
        epochs=FLAGS.epochs,
        callbacks=[recorder, *callbacks("probe")],
        verbose=0,
    )
    _, plain = probed.evaluate(*test, verbose=0)

    with strategy.scope():
        weighted = kcn.CurveWeightedModel(make_model())
    weighted.fit(
        train,
        epochs=FLAGS.epochs,
        loss_curves=recorder.loss_curves,
        callbacks=callbacks("allocate"),
        verbose=0,
    )
    _, accuracy = weighted.evaluate(*test, verbose=0)
    if is_first(strategy):
        print(f"On {strategy.num_replicas_in_sync} devices:")
        print(f"  plain               {plain:.3f}")
        print(f"  CurveWeightedModel  {accuracy:.3f}")


if __name__ == "__main__":
    app.run(main)

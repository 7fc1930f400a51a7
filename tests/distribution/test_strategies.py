"""On several devices and workers, both stages do what they do on one."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

import keras_curvenet as kcn

SCRIPT = pathlib.Path(__file__).with_name("trainings.py")


def started(folder, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, SCRIPT, folder, *arguments],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def started_workers(folder, what):
    """Two processes that find each other by TF_CONFIG."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for each in sockets:
        each.close()
    configurations = [
        {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
        }
        for index in range(2)
    ]
    return [
        started(folder, what, TF_CONFIG=json.dumps(configuration))
        for configuration in configurations
    ]


def finish(processes):
    for process in processes:
        _, messages = process.communicate()
        assert process.returncode == 0, messages[-5000:]


def assert_same(folder, name, expected):
    received, one = np.load(folder / name), np.load(folder / expected)
    assert set(received.files) == set(one.files)
    for key in one.files:
        np.testing.assert_allclose(
            received[key], one[key], atol=2e-6, err_msg=f"{name}: {key}"
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With what one device leaves."""
    path = tmp_path_factory.mktemp("one_device")
    finish([started(path, "devices", "1")])
    return path


def test_several_devices_do_as_one(folder):
    finish([started(folder, "devices", number) for number in ("2", "4")])
    for stage, number in (
        ("probe", 2),
        ("probe", 4),
        ("allocate-None", 2),
        ("allocate-None", 4),
        ("allocate-False", 2),
    ):
        assert_same(folder, f"{stage}-{number}.npz", f"{stage}-1.npz")
    assert np.isfinite(np.load(folder / "probe-4.npz")["losses"]).all()


def test_two_workers_do_as_one(folder):
    finish(started_workers(folder, "worker"))
    for index in range(2):
        for stage in ("probe", "allocate-None"):
            name = f"{stage}-worker-{index}.npz"
            assert_same(folder, name, f"{stage}-1.npz")
    curves = kcn.LossCurves.load(folder / "curves")  # The chief's.
    expected = np.load(folder / "probe-worker-0.npz")
    np.testing.assert_array_equal(curves.values, expected["losses"])
    np.testing.assert_array_equal(curves.margins, expected["margins"])


def test_workers_go_on_after_one_died(folder):
    survivor, dead = started_workers(folder, "interrupted")
    dead.communicate()
    # Not waiting for ever for one that will not come.
    _, messages = survivor.communicate(timeout=60)
    assert survivor.returncode != 0
    assert "Error" in messages
    finish(started_workers(folder, "interrupted"))
    for index in range(2):
        name = f"resumed-worker-{index}.npz"
        assert_same(folder, name, "allocate-None-1.npz")

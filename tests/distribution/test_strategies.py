"""On several devices and workers, both stages do what they do on one.

All processes start together, so that they work while others wait.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

import keras_curvenet as kcn

pytestmark = pytest.mark.slow

SCRIPT = pathlib.Path(__file__).with_name("trainings.py")


def started(folder, *arguments, **environment):
    # Not a pipe: one that nobody reads yet would hold its writer up.
    with open(folder / "messages", "a") as messages:
        return subprocess.Popen(
            [sys.executable, SCRIPT, folder, *arguments],
            env={**os.environ, **environment},
            stderr=messages,
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


def finish(folder, processes):
    for process in processes:
        code = process.wait()
        assert code == 0, (folder / "messages").read_text()[-5000:]


def assert_same(path, expected):
    received, one = np.load(path), np.load(expected)
    assert set(received.files) == set(one.files)
    for key in one.files:
        # Of float16, the last bit of a number below 1 may round otherwise;
        # sums of predictions are above 1.
        atol = 2.5e-4 if one[key].dtype == np.float16 else 2e-6
        np.testing.assert_allclose(
            received[key],
            one[key],
            rtol=1e-5,
            atol=atol,
            err_msg=f"{path.name}: {key}",
        )


@pytest.fixture
def trainings(tmp_path_factory):
    """The folder that they write into, and the processes by name."""
    path = tmp_path_factory.mktemp("trainings")
    interrupted = tmp_path_factory.mktemp("interrupted")
    processes = {
        "interrupted": started_workers(interrupted, "interrupted"),
        "one": [started(path, "devices", "1")],
        "devices": [started(path, "devices", number) for number in ("2", "4")],
        "workers": started_workers(path, "worker"),
    }
    yield path, interrupted, processes
    for process in sum(processes.values(), []):
        process.kill()
        process.wait()


@pytest.mark.slow
def test_devices_and_workers_do_as_one(trainings):
    """One test, since two processes of the suite would share no fixture."""
    check_workers_of_which_one_dies(*trainings)
    check_several_devices(*trainings)
    check_two_workers(*trainings)


def check_workers_of_which_one_dies(folder, interrupted, processes):
    survivor, dead = processes["interrupted"]
    assert dead.wait() == 1
    # Not waiting for ever for one that will not come.
    assert survivor.wait(timeout=60) != 0
    assert "Error" in (interrupted / "messages").read_text()
    finish(interrupted, started_workers(interrupted, "interrupted"))
    finish(folder, processes["one"])
    for index in range(2):
        name = f"resumed-worker-{index}.npz"
        assert_same(interrupted / name, folder / "allocate-None-1.npz")


def check_several_devices(folder, interrupted, processes):
    finish(folder, [*processes["one"], *processes["devices"]])
    for stage, number in (
        ("probe", 2),
        ("probe", 4),
        ("allocate-None", 2),
        ("allocate-None", 4),
        ("allocate-False", 2),
    ):
        name, expected = f"{stage}-{number}.npz", f"{stage}-1.npz"
        assert_same(folder / name, folder / expected)
    assert np.isfinite(np.load(folder / "probe-4.npz")["losses"]).all()


def check_two_workers(folder, interrupted, processes):
    finish(folder, [*processes["one"], *processes["workers"]])
    for index in range(2):
        for stage in ("probe", "allocate-None"):
            name = f"{stage}-worker-{index}.npz"
            assert_same(folder / name, folder / f"{stage}-1.npz")
    curves = kcn.LossCurves.load(folder / "curves")  # The chief's.
    expected = np.load(folder / "probe-worker-0.npz")
    np.testing.assert_array_equal(curves.values, expected["losses"])
    np.testing.assert_array_equal(curves.margins, expected["margins"])
    np.testing.assert_array_equal(
        curves.predicted_classes, expected["predicted_classes"]
    )

"""On several devices, both stages do what they do on one."""

import pathlib
import subprocess
import sys

import numpy as np

SCRIPT = pathlib.Path(__file__).with_name("mirrored_trainings.py")


def test_several_devices_do_as_one(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, SCRIPT, tmp_path, str(num_devices)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for num_devices in (1, 2, 4)
    ]
    for process in processes:
        _, messages = process.communicate()
        assert process.returncode == 0, messages[-5000:]
    for stage, num_devices in (
        ("probe", 2),
        ("probe", 4),
        ("allocate-None", 2),
        ("allocate-None", 4),
        ("allocate-False", 2),
    ):
        one = np.load(tmp_path / f"{stage}-1.npz")
        several = np.load(tmp_path / f"{stage}-{num_devices}.npz")
        assert set(one.files) == set(several.files)
        for name in one.files:
            np.testing.assert_allclose(
                several[name],
                one[name],
                atol=2e-6,
                err_msg=f"{stage} on {num_devices} devices: {name}",
            )
    assert np.isfinite(np.load(tmp_path / "probe-4.npz")["losses"]).all()

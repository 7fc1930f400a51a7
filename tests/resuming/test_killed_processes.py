"""Real processes that are killed: the short form of the benchmark."""

import json
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
def test_killed_and_started_again(tmp_path):
    finished = subprocess.run(
        [
            sys.executable,
            ROOT / "benchmarks" / "kill_and_resume.py",
            "--kills=1",
            f"--output={tmp_path / 'table.json'}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    rows = json.loads((tmp_path / "table.json").read_text())
    assert [row["stage"] for row in rows] == ["probe", "allocate"]
    assert all(row["signal"] == "SIGKILL" for row in rows)
    assert all(row["differing arrays"] == [] for row in rows)

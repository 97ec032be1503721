"""A killed run that is repeated ends as one that was not killed; `make kills` does more of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "kills.py"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are asked by /proc")
def test_runs_after_a_kill_give_the_same_and_leave_nothing(
    tmp_path: Path, anymic_program: Path
) -> None:
    """Each is killed at its work: more than half of such a small run is spent beginning."""
    commands = ["data encode", "train", "predict"]
    command = [sys.executable, str(SCRIPT), "--kills", "3", "--folder", str(tmp_path)]
    command += ["--recordings", "20", "--first", "0.6", "--again", str(anymic_program)]
    command += ["--only", *commands]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("3 of 3 equal\n")

"""The script that changes code in one place at a time finds what no test notices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "scripts" / "mutate"
CODE = """
def larger(a, b):
    return a if a > b else b

def unused(a):
    return a + 1
"""
TESTS = """
import sys
sys.path.insert(0, "src")
from small import larger

def test_larger():
    assert larger(1, 2) == larger(2, 1) == 2
"""


def test_a_change_that_no_test_notices_is_printed(tmp_path: Path) -> None:
    """For equal numbers it makes no difference which one is the larger."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "small.py").write_text(CODE)
    (tmp_path / "test_small.py").write_text(TESTS)
    command = [sys.executable, str(SCRIPT), "src", "test_small.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert sorted(done.stdout.splitlines()) == [
        "places: 4, tried: 4, a test failed: 1, no test failed: 1, not reached: 2",
        "small.py:3: a > b -> a >= b: no test fails",
        "small.py:6: 1 -> 2: no test reaches it",
        "small.py:6: a + 1 -> a - 1: no test reaches it",
    ], done.stderr
    assert done.returncode == 1
    assert (tmp_path / "src" / "small.py").read_text() == CODE

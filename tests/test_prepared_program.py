"""A copy of the prepared process is what a fresh Python would be; see `tests.prepared_program`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# No package is imported: a fresh Python needs none either.
PROGRAM = """
import json, os, sys
print(json.dumps([__name__, sys.argv, sys.path, os.getcwd(), sys.stdin.read(), os.environ["ONE"]]))
print("said", file=sys.stderr)
sys.exit(7)
"""


@pytest.mark.parametrize("by_file", [True, False])
def test_python_runs_a_program_as_a_fresh_one(
    by_file: bool, tmp_path: Path, anymic_program: Path
) -> None:
    (tmp_path / "own" / "x.py").parent.mkdir()
    (tmp_path / "own" / "x.py").write_text(PROGRAM)
    arguments = [str(tmp_path / "own" / "x.py")] if by_file else ["-c", PROGRAM]
    found = [
        subprocess.run(
            [str(python), *arguments, "--some", "words"],
            input="asked\n",
            cwd=tmp_path,
            env={**os.environ, "ONE": "1", "PYTHONPATH": str(tmp_path / "more")},
            capture_output=True,
            text=True,
            check=False,
        )
        for python in (sys.executable, anymic_program.with_name("python"))
    ]
    fresh, copy = ((one.stdout, one.stderr, one.returncode) for one in found)
    assert fresh[2] == 7
    assert copy == fresh


def test_the_prepared_process_has_not_imported_what_starts_a_thread(anymic_program: Path) -> None:
    program = "import sys; print(*sys.modules); import onnxruntime; print(onnxruntime.__version__)"
    command = [str(anymic_program.with_name("python")), "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    names, version = done.stdout.splitlines()
    assert {"torch", "pytorch_lightning"} <= set(names.split())
    assert not {"onnxruntime", "anymic"} & set(names.split())
    assert version  # a copy imports it itself

"""Rows and exit status are right whatever stdout and stderr are."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.skipif(os.name != "posix", reason="shell commands")
ASCII = {"PYTHONIOENCODING": "ascii"}
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
UNDECODABLE = b"caf\xe9.wav"


def shell(
    command: str, env: Mapping[str, str] | None = None, anymic: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run `anymic`, a fresh one by default; the exit status is that of the first of a pipe."""
    fresh = f"{shlex.quote(sys.executable)} -m anymic"
    program = f"{fresh if anymic is None else anymic} {command}"
    script = f"set -o pipefail; {program}" if "|" in command else program
    return subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


@pytest.fixture
def predict(bundle_folder: Path, tmp_path: Path) -> str:
    """Return a command that classifies three files, of which one is damaged."""
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 8000)
    soundfile.write(sounds / "Größe.wav", noise, 8000)
    shutil.copy(sounds / "Größe.wav", sounds / os.fsdecode(UNDECODABLE))
    (sounds / "bad.wav").write_bytes(b"RIFF")
    return f"predict {sounds} --model {bundle_folder}"


def names(out: bytes) -> list[bytes]:
    return sorted(line.split(b"\t")[0].rpartition(b"/")[2] for line in out.splitlines())


@pytest.mark.parametrize(
    ("env", "name"),
    [({}, "Größe.wav".encode()), (ASCII, rb"Gr\xf6\xdfe.wav"), (C_LOCALE, "Größe.wav".encode())],
    ids=["utf-8", "ascii", "C"],
)
def test_every_row_is_printed_in_every_encoding(
    env: dict[str, str], name: bytes, predict: str
) -> None:
    done = shell(predict, env)
    assert names(done.stdout) == sorted([name, b"bad.wav", UNDECODABLE])
    assert done.stderr == b"1 of 3 files failed\n"
    assert done.returncode == 1


def test_undecodable_names_in_json(predict: str) -> None:
    done = shell(f"{predict} --json", ASCII)
    found = {os.fsencode(one["path"]).rpartition(b"/")[2] for one in json.loads(done.stdout)}
    assert found == {"Größe.wav".encode(), UNDECODABLE, b"bad.wav"}
    assert done.returncode == 1


def test_closed_streams_change_neither_rows_nor_status(predict: str) -> None:
    done = shell(f"{predict} >&-")
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"1 of 3 files failed\n", 1)
    done = shell(f"{predict} 2>&-")
    assert (len(names(done.stdout)), done.stderr, done.returncode) == (3, b"", 1)
    assert b"files failed" not in done.stdout
    done = shell(f"{predict} >&- 2>&- <&-")
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 1)
    done = shell("predict x --model nowhere 2>&-")
    assert (done.stdout, done.returncode) == (b"", 2)


@pytest.mark.parametrize("verb", ["codec list", "codec list --json", "predict"])
def test_a_reader_that_leaves_ends_the_program_as_a_signal_would(verb: str, predict: str) -> None:
    command = f"{predict} missing{{1..3000}}.wav" if verb == "predict" else verb
    left = "head -1" if verb == "predict" else "true"
    done = shell(f"{command} | {left}")
    assert done.returncode == 141
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == (verb == "predict")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_under_stdout_is_one_line() -> None:
    done = shell("codec list > /dev/full")
    assert done.stderr == b"error: standard output: No space left on device\n"
    assert done.returncode == 2


@pytest.mark.parametrize("env", [{"COLUMNS": "1"}, {"COLUMNS": "5", "NO_COLOR": "1"}])
def test_a_narrow_pipe_cuts_no_row(env: dict[str, str], predict: str, anymic_program: Path) -> None:
    wide = shell(predict, anymic=anymic_program).stdout
    assert shell(predict, env, anymic=anymic_program).stdout == wide
    assert len(names(wide)) == 3

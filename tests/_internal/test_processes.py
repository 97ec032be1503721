"""Processes that are prepared ahead: their environment, interruptions, and their end."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from anymic._internal.garbage import FULL
from anymic._internal.processes import in_processes, prepare_processes, without_interrupts

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")


def value(name: str) -> str:
    return os.environ.get(name, "")


def test_each_process_has_the_environment_of_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_processes()
    for text in ("one", "two"):
        monkeypatch.setenv("ANYMIC_TEST_VALUE", text)
        done = in_processes(value, ["ANYMIC_TEST_VALUE", "NONE"], workers=2)
        assert sorted(result for _, result in done) == ["", text]


def collection(_: int) -> tuple[bool, int, bool]:
    return gc.isenabled(), gc.get_threshold()[-1], gc.get_freeze_count() > 10_000


def test_each_process_searches_for_garbage_without_the_modules_that_it_began_with() -> None:
    found = [result for _, result in in_processes(collection, [1, 2], workers=2)]
    assert found == 2 * [(True, FULL, True)]


def test_an_interruption_waits_for_the_end_of_the_block() -> None:
    reached: list[str] = []

    def interrupted() -> None:
        with without_interrupts():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert reached == ["the end"]


@pytest.mark.parametrize("folder", ["short", "a folder whose name is " + 9 * "much too long "])
def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path, folder: str) -> None:
    """SIGKILL leaves the parent no time to say anything; the pipe to each process closes."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from anymic._internal.processes import in_processes\n"
        "def wait(name):\n"
        "    Path(name).write_text(str(os.getpid()))\n"
        "    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    list(in_processes(wait, sys.argv[1:], workers=2))\n"
    )
    files, temporary = [tmp_path / "a", tmp_path / "b"], tmp_path / folder
    temporary.mkdir()
    command = [sys.executable, str(program), *map(str, files)]
    parent = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(temporary)})
    end = time.monotonic() + 60
    while time.monotonic() < end and not all(one.is_file() and one.read_text() for one in files):
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    children = [int(one.read_text()) for one in files]
    end = time.monotonic() + 10
    while any(map(is_there, children)) or [*temporary.iterdir()]:
        assert time.monotonic() < end, "a process or a file is left"
        time.sleep(0.05)


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True

"""What this process may use is counted, not what the machine has; and what of it is idle."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from anymic._internal import processors

AFFINITY = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="no affinity on this system"
)
BEFORE = (
    "cpu 9 9 9 9 9 9 9 9 0 0\ncpu0 100 0 50 800 50 0 0 0 7 0\ncpu1 0 0 0 0 0 0 0 0 0 0\nintr 1\n"
)


@AFFINITY
def test_processors_are_those_that_the_process_may_use() -> None:
    one = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, [{one}])\n"
        "from anymic._internal.processors import processors\n"
        "print(processors())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "1\n"


@pytest.mark.parametrize(
    ("own", "files", "allowed"),
    [
        ("0::/a/b", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 1.5),
        ("0::/not/mounted", {"cpu.max": "50000 100000"}, 0.5),  # as a container sees it
        (
            "4:cpu,cpuacct:/job\n0::/",
            {
                "cpu,cpuacct/job/cpu.cfs_quota_us": "400000",
                "cpu,cpuacct/job/cpu.cfs_period_us": "100000",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            4.0,
        ),
        ("0::/", {"cpu.max": "max 100000"}, math.inf),
        ("0::/", {"cpu.max": "some"}, math.inf),
        ("3:memory:/job", {"memory/job/cpu.max": "100000 100000"}, math.inf),
        ("no group", {}, math.inf),
    ],
)
def test_a_quota_is_the_smallest_of_the_groups(
    own: str, files: dict[str, str], allowed: float, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "own").write_text(own + "\n")
    assert processors.quota(tmp_path, tmp_path / "own") == allowed
    assert processors.quota(tmp_path, tmp_path / "none") == math.inf


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Path]:
    """Return a group of processes that gets the time of one processor, or skip."""
    group = Path("/sys/fs/cgroup/cpu", f"test-{os.getpid()}")
    files = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "100000"}
    if not group.parent.is_dir():
        group = Path("/sys/fs/cgroup", group.name)
        files = {"cpu.max": "100000 100000"}
    try:
        group.mkdir()
        for name, text in files.items():
            with open(group / name, "r+") as file:  # where there is none, none is made
                file.write(text)
    except OSError:
        with suppress(OSError):
            group.rmdir()
        pytest.skip("no control group can be made here")
    yield group
    group.rmdir()


@AFFINITY
def test_a_program_computes_in_as_many_threads_as_its_quota_allows(limited: Path) -> None:
    """In a group of the kernel, as a container is: PyTorch alone counts all processors."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor is all there is")
    command = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
    environment = {name: text for name, text in os.environ.items() if name != "OMP_NUM_THREADS"}
    shown = [sys.executable, "-m", "anymic", "--version", "--verbose"]
    found = subprocess.run(
        ["sh", "-c", command, str(limited), *shown],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    ).stdout
    assert ", 1 usable" in found
    assert ", 1 threads" in found


@pytest.mark.parametrize(
    ("given", "spins"),
    [
        ({}, processors.SPINS),
        ({"GOMP_SPINCOUNT": "5"}, "5"),
        ({"OMP_WAIT_POLICY": "active"}, None),
    ],
)
def test_threads_wait_as_the_environment_says_or_shortly(
    given: dict[str, str], spins: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    try:
        processors.prepare_threads()
        assert os.environ.get("GOMP_SPINCOUNT") == spins
        assert {name for name in os.environ if os.environ[name] != before.get(name)} <= {
            "GOMP_SPINCOUNT",
            "OMP_NUM_THREADS",
        }
    finally:
        os.environ.clear()
        os.environ.update(before)


@AFFINITY
def test_idle_processors_are_counted_by_their_ticks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One works for a quarter of the time, and another is stolen from this machine."""
    times = tmp_path / "stat"
    after = BEFORE.replace("cpu0 100 0 50 800 50", "cpu0 105 0 50 810 55")
    times.write_text(BEFORE)

    def sleep(_: float) -> None:
        times.write_text(after.replace("cpu1 0 0 0 0 0 0 0 0", "cpu1 0 0 0 0 0 0 0 20"))

    monkeypatch.setattr(processors, "TIMES", times)
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(processors, "quota", lambda: math.inf)
    assert processors.idle_processors() == pytest.approx(0.75)
    times.write_text("no such thing\n")
    assert processors.idle_processors() == 2


@AFFINITY
def test_processors_that_work_are_not_idle() -> None:
    usable = os.sched_getaffinity(0)
    code = "import os, sys\nos.sched_setaffinity(0, [int(sys.argv[1])])\nwhile True: pass"
    busy = [subprocess.Popen([sys.executable, "-c", code, str(one)]) for one in usable]
    try:
        time.sleep(0.5)
        assert processors.idle_processors() < len(usable) / 2
    finally:
        for one in busy:
            one.kill()
            one.wait()

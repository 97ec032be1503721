"""How many processors this process may use, and how many of them are idle."""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOUNTED, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
NO_LIMIT = ("max", "-1")
TIMES = Path("/proc/stat")
WATCHED_S = 0.2
SPINS = "10000"  # 0.2 ms or so; the library's own are 300,000


def processors() -> int:
    """Return the number of processors that this process may use: of its affinity and its quota."""
    return max(1, math.ceil(min(_affinity(), quota())))


def _affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare_threads() -> None:
    """Set what the libraries that this program will import read: their threads, and how they wait.

    They count the processors of a machine, also in a container that gets the time of a few: more
    threads than `processors` would wait for each other. And GNU's OpenMP lets threads wait actively
    for some 5 ms after each operation, in which the processor is missing to other threads, those of
    onnxruntime say, and to other programs. What is set in the environment is left as it is.
    """
    if processors() < _affinity():
        os.environ.setdefault("OMP_NUM_THREADS", str(processors()))
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def idle_processors() -> float:
    """Watch for a moment how many of the processors that this process may use nobody uses.

    Without Linux's `/proc/stat` all of them count as idle.
    """
    try:
        before = _times()
        time.sleep(WATCHED_S)
        after = _times()
        idle = sum(after[one][0] - before[one][0] for one in after)
        total = sum(after[one][1] - before[one][1] for one in after)
        return min(_affinity() * idle / total, quota())
    except (OSError, ValueError, LookupError, ZeroDivisionError):
        return float(processors())


def _times() -> dict[int, tuple[int, int]]:
    """Return for each processor of this process how long it was idle, and in all, in ticks."""
    found = {}
    for line in TIMES.read_text().splitlines():
        name, *values = line.split()
        if name.startswith("cpu") and name != "cpu":
            ticks = [int(value) for value in values[:8]]  # what follows is contained in them
            found[int(name.removeprefix("cpu"))] = (ticks[3] + ticks[4], sum(ticks))
    return {number: found[number] for number in os.sched_getaffinity(0)}


@functools.cache
def quota(mounted: Path = MOUNTED, own: Path = OWN) -> float:
    """Return how many processors' time the process gets; infinity without a limit.

    The limit is that of its groups, which the file `own` names, and of those above them: `cpu.max`
    in version 2 of control groups, `cpu.cfs_quota_us` and `cpu.cfs_period_us` in version 1.
    """
    return min((_limit(group) for group in _groups(mounted, own)), default=math.inf)


def _groups(mounted: Path, own: Path) -> Iterator[Path]:
    """Yield their folders; in a container only the last ones may be there."""
    with suppress(OSError, ValueError):
        for line in own.read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0" or "cpu" in controllers.split(","):
                top = mounted / controllers
                place = top / path.lstrip("/")
                yield from (one for one in (place, *place.parents) if one.is_relative_to(top))


def _limit(group: Path) -> float:
    with suppress(OSError, ValueError, ZeroDivisionError):
        if (group / "cpu.max").exists():
            most, period = (group / "cpu.max").read_text().split()
        else:
            most = (group / "cpu.cfs_quota_us").read_text().strip()
            period = (group / "cpu.cfs_period_us").read_text().strip()
        if most not in NO_LIMIT:
            return int(most) / int(period)
    return math.inf

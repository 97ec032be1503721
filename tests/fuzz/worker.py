"""The process that changes files, one after the other, and reads each of them."""

from __future__ import annotations

import resource
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

MOST_ADDRESSES = 4 << 30  # bytes that a process may reserve beyond what it has at its start


@dataclass(frozen=True)
class Case:
    """A file to change and read."""

    group: str  # audio or text
    number: int


@dataclass
class Outcome:
    """What reading a changed file did."""

    case: Case
    kind: str = ""
    answer: str = ""  # accepted or refused
    problem: str = ""  # what should not be
    seconds: float = 0.0
    peak_bytes: int = 0  # above the start of the process
    data: bytes = b""  # the changed file


def work(pipe: Connection, folder: Path, seed: int, only: str | None) -> None:
    """Write the good files, then answer each case: with the changed file, and what it did."""
    import torch
    from tests.fuzz.kinds import GROUPS

    torch.set_num_threads(1)
    shutil.rmtree(folder / "work", ignore_errors=True)
    places = {}
    for kinds in GROUPS.values():
        for kind in kinds:
            if only in (None, kind.name):
                place = folder / "work" / kind.name
                place.mkdir(parents=True)
                kind.write(place)
                kind.read(place)
                places[kind.name] = place
    groups = {
        group: [kind for kind in kinds if kind.name in places] for group, kinds in GROUPS.items()
    }
    good = {
        kind.name: (places[kind.name] / kind.file).read_bytes()
        for kinds in groups.values()
        for kind in kinds
    }
    _limit_addresses()
    pipe.send("ready")
    _reset_peak()
    start_bytes = _peak_bytes()
    while True:
        case: Case = pipe.recv()
        random = np.random.default_rng([seed, len(case.group), case.number])
        choice = groups[case.group] or [kind for kinds in groups.values() for kind in kinds]
        kind = choice[case.number % len(choice)]
        others = [good[one.name] for one in choice]
        outcome = Outcome(case, kind.name, data=kind.change(good[kind.name], random, others))
        pipe.send(outcome)
        path = places[kind.name] / kind.file
        path.write_bytes(outcome.data)
        _reset_peak()
        begun = time.perf_counter()
        try:
            outcome.answer = kind.read(places[kind.name])
        except BaseException as error:
            outcome.problem = _described(error)
        outcome.seconds = time.perf_counter() - begun
        outcome.peak_bytes = max(0, _peak_bytes() - start_bytes)
        path.write_bytes(good[kind.name])
        pipe.send(outcome)


def _described(error: BaseException) -> str:
    frames: Sequence[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "anymic" in frame.filename] or frames
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
    text = " ".join(str(error).split())
    return f"{type(error).__name__} ({place}): {text[:2000]}"


def _limit_addresses() -> None:
    """Let no file fill the machine's memory: what asks for far too much gets a MemoryError."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + MOST_ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _reset_peak() -> None:
    """Let the peak begin anew where the system can do that; else it is that of all files so far."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_bytes() -> int:
    with suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

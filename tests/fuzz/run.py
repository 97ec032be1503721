"""Changed files in worker processes: what each of them did, in what time and memory."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.fuzz.worker import Case, Outcome, work

Target = Callable[[Connection, Path, int, str | None], None]

LONGEST_S = 5.0
LARGEST_BYTES = 1 << 30  # above what the process had before
START_S = 600.0
BUSY = ("hangs", "takes")  # problems that may be of the machine, or of the file before


@dataclass
class Worker:
    """A process that reads one case after the other."""

    process: BaseProcess
    pipe: Connection

    @classmethod
    def start(cls, folder: Path, seed: int, only: str | None, target: Target) -> Worker:
        """Start a process and wait until it has written its good files."""
        folder.mkdir(exist_ok=True)
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=target, args=(theirs, folder, seed, only), daemon=True)
        process.start()
        theirs.close()
        if not ours.poll(START_S):
            process.kill()
            raise RuntimeError("the worker of the fuzzer does not start")
        ours.recv()
        return cls(process, ours)

    def run(self, case: Case) -> Outcome:
        """Return what a case did; a process that hangs or ends is an outcome as well."""
        self.pipe.send(case)
        outcome = Outcome(case)
        begun = time.monotonic()
        try:
            outcome = self.pipe.recv()  # the changed file, before it is read
            begun = time.monotonic()
            if self.pipe.poll(LONGEST_S):
                outcome = self.pipe.recv()
            else:
                outcome.problem = f"hangs: no answer after {LONGEST_S:.0f} s"
                outcome.seconds = LONGEST_S
        except EOFError:
            self.process.join()
            outcome.problem = f"the process ended with status {self.process.exitcode}"
            outcome.seconds = time.monotonic() - begun
        if not outcome.problem and outcome.peak_bytes > LARGEST_BYTES:
            outcome.problem = f"takes {outcome.peak_bytes / 2**30:.1f} GB of memory"
        return outcome

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def fuzz(
    counts: Mapping[str, range],
    *,
    seed: int,
    out: Path,
    workers: int = 2,
    only: str | None = None,
    target: Target = work,
) -> list[Outcome]:
    """Run the cases with these numbers of each group; write the files with findings to `out`.

    A case that hangs, or takes too much memory, is run a second time in a new process: the
    machine may have been busy, or the memory that of the case before.
    """
    cases = deque(_mixed(counts))
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-") as scratch,
        ThreadPoolExecutor(workers) as pool,
    ):
        folders = [Path(scratch) / str(number) for number in range(workers)]
        starts = [partial(Worker.start, folder, seed, only, target) for folder in folders]
        found = [outcome for some in pool.map(partial(_run, cases), starts) for outcome in some]
    for outcome in found:
        if outcome.problem:
            _write(outcome, out, seed)
    return sorted(found, key=lambda one: (one.case.group, one.case.number))


def _run(cases: deque[Case], start: Callable[[], Worker]) -> list[Outcome]:
    """Run cases in a worker until there is none left; other threads take some of them."""
    found: list[Outcome] = []
    worker: Worker | None = None
    with suppress(IndexError):  # no case is left
        while True:
            case = cases.popleft()
            for _ in ("first", "again"):
                if worker is None or not worker.process.is_alive():
                    worker = start()
                outcome = worker.run(case)
                if not outcome.problem.startswith(BUSY):
                    break
                worker.stop()
            found.append(outcome)
    if worker is not None:
        worker.stop()
    return found


def _mixed(counts: Mapping[str, range]) -> Iterator[Case]:
    """Yield the cases of all groups, mixed so that their shares are even over time."""
    cases = [
        (place / len(numbers), Case(group, number))
        for group, numbers in counts.items()
        for place, number in enumerate(numbers)
    ]
    yield from (case for _, case in sorted(cases, key=lambda one: one[0]))


def _write(outcome: Outcome, out: Path, seed: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    name = f"{outcome.case.group}-{seed}-{outcome.case.number}-{outcome.kind or 'unknown'}"
    (out / f"{name}.txt").write_text(outcome.problem + "\n", encoding="utf-8")
    if outcome.data:
        (out / name).write_bytes(outcome.data)


def table(found: Sequence[Outcome]) -> str:
    """Return a row for each kind of file, and what was found."""
    kinds = sorted({(one.case.group, one.kind) for one in found})
    rows = [("group", "kind", "files", "accepted", "refused", "findings", "longest s", "peak MB")]
    for group, kind in kinds:
        own = [one for one in found if (one.case.group, one.kind) == (group, kind)]
        rows.append((group, kind, *_numbers(own)))
    rows.append(("all", "", *_numbers(found)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    for what, most in (("longest", longest), ("largest", largest)):
        for one in sorted(found, key=most)[:-4:-1]:
            case = f"{one.case.group} {one.case.number} ({one.kind})"
            lines.append(f"{what}: {case}: {one.seconds:.2f} s, {one.peak_bytes / 1e6:.0f} MB")
    problems = Counter((one.kind, one.problem.partition(": ")[0]) for one in found if one.problem)
    examples = {(one.kind, one.problem.partition(": ")[0]): one for one in found if one.problem}
    for alike, count in problems.most_common():
        example = examples[alike]
        lines.append(f"{count} x {example.kind} {example.case.number}: {example.problem[:300]}")
    return "\n".join(line.rstrip() for line in lines)


def longest(outcome: Outcome) -> float:
    """Return the seconds that a file took."""
    return outcome.seconds


def largest(outcome: Outcome) -> int:
    """Return the memory that a file took, in bytes."""
    return outcome.peak_bytes


def _numbers(found: Sequence[Outcome]) -> tuple[Any, ...]:
    states = Counter("findings" if one.problem else one.answer for one in found)
    return (
        str(len(found)),
        *(str(states[state]) for state in ("accepted", "refused", "findings")),
        f"{max(one.seconds for one in found):.2f}",
        f"{max(one.peak_bytes for one in found) / 1e6:.0f}",
    )

"""Do jobs in processes that keep what they have loaded; a process that is killed loses no job."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from anymic._internal.machine import set_thread_share
from anymic._internal.processes import begin_with, fresh_processes, without_interrupts
from anymic._internal.processors import processors
from anymic.errors import AnymicError, AnymicWarning

Job = TypeVar("Job")
Result = TypeVar("Result")

TRIES = 2  # of a job, if the process that does it is killed
PATIENCE_S = 5.0  # for a process to end by itself
Start = Callable[[], Callable[[Job], Result]]


@dataclass(frozen=True)
class Lost:
    """Stands in the place of the result of a job whose processes were ended, each time.

    Attributes
    ----------
    reason : str
        Such as "the process was ended by SIGKILL".
    """

    reason: str


class WorkerError(AnymicError):
    """Worker processes that cannot be started, or do not answer."""


def in_workers(
    start: Start[Job, Result],
    jobs: Iterable[Job],
    *,
    workers: int,
    gpus: Sequence[str] = (),
) -> Generator[tuple[int, Job, Result | Lost], None, None]:
    """Do every job; yield its number, the job and its result, in the order in which they finish.

    Each process calls `start` once, and then the function that it returns for each of its jobs.
    It uses its share of the processors, and sees one of the `gpus` (names for
    CUDA_VISIBLE_DEVICES). If a process is ended, another one takes its place and does its job
    again; a job that this happens to twice is `Lost`. The notes of processes are notes of this one.

    Parameters
    ----------
    start : callable
        It, its result's arguments and results can be pickled.
    jobs : iterable
        Drawn as they are needed.
    workers : int

    Raises
    ------
    WorkerError
        If processes end before they have begun.
    Exception
        What `start`, or the function, raises.
    """
    pool = _Pool(start, workers, gpus)
    try:
        yield from pool.run(jobs)
        pool.finish()
    finally:
        pool.kill()


class _Worker(Generic[Job]):
    """One process, and the job that it does."""

    def __init__(self, start: Any, threads: int, gpu: str | None) -> None:
        fresh = fresh_processes()
        self.connection, other = fresh.Pipe()
        arguments = (other, dict(os.environ), threads, gpu)
        self.process: BaseProcess = fresh.Process(target=_work, args=arguments, daemon=True)
        with without_interrupts():
            self.process.start()
        other.close()
        self.gpu = gpu
        self.ready = False
        self.job: tuple[int, int, Job] | None = None  # its number, tries, and the job itself
        with suppress(OSError):  # it has ended, which its answer says
            self.connection.send(start)

    def give(self, job: tuple[int, int, Job]) -> bool:
        """Send a job; return False if the process has ended."""
        try:
            self.connection.send(job[2])
        except OSError:
            return False
        self.job = job
        return True

    def answer(self) -> tuple[str, Any, list[str]] | None:
        """Return what the process says: its kind, value and notes; None if it has ended."""
        try:
            kind, value, notes = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(PATIENCE_S)
            return None
        return kind, value, notes

    def end_reason(self) -> str:
        """Say what ended the process."""
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"a worker process ended with status {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        likely = " (memory may have run out)" if name == "SIGKILL" else ""
        return f"a worker process was ended by {name}{likely}"


class _Pool(Generic[Job, Result]):
    def __init__(self, start: Start[Job, Result], workers: int, gpus: Sequence[str]) -> None:
        import torch  # not above: what reads and filters alone begins without it

        self._start = start
        self._threads = max(1, min(torch.get_num_threads(), processors() // workers))
        self._failed_starts = 0
        self._again: deque[tuple[int, int, Job]] = deque()
        names = [gpus[number % len(gpus)] if gpus else None for number in range(workers)]
        self._places = deque(names)  # a place for each process that is not started yet
        self._workers: list[_Worker[Job]] = []

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Job, Result | Lost]]:
        """Yield the number of each job, the job and its result."""
        fresh = ((number, 1, job) for number, job in enumerate(jobs))
        while True:
            self._hand_out(fresh)
            busy = [one for one in self._workers if one.job is not None or not one.ready]
            if not any(one.job is not None for one in self._workers) and not self._again:
                return
            ended = wait([one.connection for one in busy])
            for worker in [one for one in busy if one.connection in ended]:
                yield from self._receive(worker)

    def _hand_out(self, fresh: Iterator[tuple[int, int, Job]]) -> None:
        """Give jobs to processes that have none, and start processes for those that are left."""
        for worker in list(self._workers):
            if worker.job is None and not self._give(worker, fresh):
                return
        while self._places:
            job = self._next(fresh)
            if job is None:
                return
            worker = _Worker[Job](self._start, self._threads, self._places.popleft())
            self._workers.append(worker)
            if not worker.give(job):
                self._again.appendleft(job)

    def _give(self, worker: _Worker[Job], fresh: Iterator[tuple[int, int, Job]]) -> bool:
        job = self._next(fresh)
        if job is None:
            return False
        if not worker.give(job):
            self._again.appendleft(job)
        return True

    def _next(self, fresh: Iterator[tuple[int, int, Job]]) -> tuple[int, int, Job] | None:
        return self._again.popleft() if self._again else next(fresh, None)

    def _receive(self, worker: _Worker[Job]) -> Iterator[tuple[int, Job, Result | Lost]]:
        """Take the answer of a process; yield a result, if it is one."""
        answer = worker.answer()
        if answer is None:
            yield from self._replace(worker)
            return
        kind, value, notes = answer
        for text in notes:
            warnings.warn(text, AnymicWarning, stacklevel=4)
        if kind == "error":
            raise value
        if kind == "ready":
            worker.ready, self._failed_starts = True, 0
            return
        assert worker.job is not None
        (number, _, job), worker.job = worker.job, None
        yield number, job, value

    def _replace(self, worker: _Worker[Job]) -> Iterator[tuple[int, Job, Lost]]:
        """Take the job of a process that has ended for another one, or give it up."""
        self._workers.remove(worker)
        self._places.append(worker.gpu)
        worker.connection.close()
        reason = worker.end_reason()
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts > TRIES:
                raise WorkerError(
                    f"{reason} before it began",
                    expected="processes that can load the model",
                    fix="use fewer workers; a program in Python needs the line"
                    " `if __name__ == '__main__':` before its first statement",
                )
        if worker.job is None:
            return
        number, tries, job = worker.job
        if worker.ready and tries >= TRIES:
            yield number, job, Lost(reason)
            return
        warnings.warn(f"{reason}: its files are done again", AnymicWarning, stacklevel=5)
        self._again.append((number, tries + worker.ready, job))

    def finish(self) -> None:
        """Let the processes end."""
        for worker in self._workers:
            with suppress(OSError):
                worker.connection.close()
        for worker in self._workers:
            worker.process.join(PATIENCE_S)

    def kill(self) -> None:
        """End the processes that still run."""
        for worker in self._workers:
            if worker.process.is_alive():
                worker.process.kill()
            worker.process.join(PATIENCE_S)


@contextmanager
def caught_notes() -> Iterator[list[str]]:
    """Give the list of notes of the block: each text once."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AnymicWarning)
        yield texts
    own = [str(one.message) for one in caught if issubclass(one.category, AnymicWarning)]
    texts += dict.fromkeys(own)


def _work(
    connection: Connection, environment: Mapping[str, str], threads: int, gpu: str | None
) -> None:
    """Do what comes through a connection, until it ends."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    begin_with(environment, threads=threads)
    set_thread_share(threads)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        function = _answer(connection, lambda: connection.recv()(), kind="ready")
        while function is not None:
            job = connection.recv()
            _answer(connection, partial(function, job), kind="result")


def _answer(connection: Connection, work: Callable[[], Any], *, kind: str) -> Any:
    """Send what work returns, or what it raises; return it, and None for an error."""
    try:
        with caught_notes() as notes:
            value = work()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        if not isinstance(error, AnymicError | OSError | MemoryError):  # whatever it holds
            error = WorkerError(f"a worker process failed ({type(error).__name__}: {error})")
        connection.send(("error", error, []))
        return None
    connection.send((kind, None if kind == "ready" else value, notes))
    return value

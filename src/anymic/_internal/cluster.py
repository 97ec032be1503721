"""Do jobs on a Ray cluster, through Ray Data: workers load once, and lost ones are replaced."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from anymic._internal.machine import set_thread_share
from anymic._internal.optional import extra
from anymic._internal.reading import reason_of
from anymic._internal.workers import TRIES, Lost, Start, WorkerError, caught_notes
from anymic.errors import AnymicError, AnymicWarning, ConfigError

Job = TypeVar("Job")
Result = TypeVar("Result")

ANY = ""  # the cluster that RAY_ADDRESS names or that runs here, else a new one of this machine
LOCAL, AUTO = "local", "auto"
ADDRESS = re.compile(r"(?P<host>[\w.-]+|\[[\da-fA-F:]+\]):(?P<port>\d{1,5})")
ANSWER_S = 5.0  # for an address to answer
SETTINGS = b"\x04"  # the type of the first frame of a server of HTTP/2, on which gRPC is built
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + SETTINGS + bytes(5)  # RFC 9113, 3.4
STDERR = 2
LOG_LEVEL = "RAY_BACKEND_LOG_LEVEL"
MOST_BLOCKS = 4096  # of jobs, each computed by one worker


class ClusterError(AnymicError):
    """A Ray cluster that cannot be reached, or does not do its work."""


@dataclass(frozen=True)
class _Cell:
    """A value that Ray Data passes on as it is."""

    value: Any


def require_address(address: str) -> None:
    """Raise ConfigError for what is no address of a cluster."""
    if address not in (ANY, LOCAL, AUTO) and not ADDRESS.fullmatch(address):
        raise ConfigError(
            f"{address!r} is no address of a Ray cluster",
            expected="HOST:PORT, auto or local",
            fix="correct it, or leave it out: then a cluster of this machine is used",
        )


def require_one(workers: int | None, address: str | None) -> None:
    """Raise ConfigError if both a number of workers and a cluster are given."""
    if address is not None:
        require_address(address)
        if workers is not None:
            raise ConfigError(
                "both workers and a cluster are given", expected="one of them", fix="choose one"
            )


def on_cluster(
    start: Start[Job, Result], jobs: Iterable[Job], *, address: str, gpus: bool = True
) -> Iterator[tuple[int, Job, Result | Lost]]:
    """Do every job; yield its number, the job and its result, as `workers.in_workers` does.

    There is a worker for each processor of the cluster or, with `gpus` and where there are some,
    for each GPU. Ray replaces workers that end, and does their jobs again; a job that this happens
    to twice is `Lost`. Workers change to the folder of this program, if they have it.

    Parameters
    ----------
    start, jobs
        As for `in_workers`.
    address : str
        HOST:PORT, auto (a cluster that runs on this machine), local (a new one of this machine), or
        "": the one that RAY_ADDRESS names, else as auto, else as local.

    Raises
    ------
    ClusterError
        If nothing answers at the address.
    DependencyError
        If Ray is not installed.
    """
    require_address(address)
    listed = list(jobs)
    if not listed:
        return
    with _connected(address) as ray:
        missing = set(range(len(listed)))
        for number, kind, value, notes in _results(ray, start, listed, gpus=gpus):
            for text in notes:
                warnings.warn(text, AnymicWarning, stacklevel=2)
            if kind == "error":
                raise value
            missing.discard(number)
            yield number, listed[number], value
    for number in sorted(missing):
        yield number, listed[number], Lost("a worker of the cluster was ended")


def _results(
    ray: Any, start: Any, jobs: list[Any], *, gpus: bool
) -> Iterator[tuple[int, str, Any, list[str]]]:
    resources = ray.cluster_resources()
    has_gpus = gpus and resources.get("GPU", 0) >= 1
    most = int(resources.get("GPU" if has_gpus else "CPU", 1)) or 1
    rows = [{"number": number, "job": _Cell(job)} for number, job in enumerate(jobs)]
    data = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_BLOCKS))
    data.context.enable_progress_bars = data.context.print_on_execution_start = False
    data.context.max_errored_blocks = -1  # what is missing at the end is lost
    with warnings.catch_warnings():  # that Ray will name the number of tries otherwise
        warnings.simplefilter("ignore", DeprecationWarning)
        found = data.map(
            _Worker,
            fn_constructor_args=(_Cell(start), os.getcwd()),
            # One job at a time: a worker that ends takes no other job with it.
            compute=ray.data.ActorPoolStrategy(
                size=min(most, len(rows)), max_tasks_in_flight_per_actor=1
            ),
            num_gpus=1 if has_gpus else 0,
            num_cpus=1,
            max_task_retries=TRIES - 1,
        )
    for row in found.iter_rows():
        yield (int(row["number"]), *row["found"].value)


class _Worker:
    """An actor: it calls `start` at its first job."""

    def __init__(self, start: _Cell, folder: str) -> None:
        import torch

        self._start = start.value
        self._function: Callable[[Any], Any] | None = None
        with suppress(OSError):
            os.chdir(folder)
        torch.set_num_threads(1)
        set_thread_share(1)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            with caught_notes() as notes:
                if self._function is None:
                    self._function = self._start()
                found = ("result", self._function(row["job"].value), notes)
        except Exception as error:
            if not isinstance(error, AnymicError | OSError | MemoryError):
                error = WorkerError(f"a worker process failed ({type(error).__name__}: {error})")
            found = ("error", error, [])
        return {"number": row["number"], "found": _Cell(found)}


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Give the package ray, connected to a cluster; leave a connection that was there."""
    with extra("ray"):
        import ray
        import ray.data
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # lost jobs are named by `on_cluster`
    if ray.is_initialized():
        yield ray
        return
    _require_answer(address)
    try:
        settings: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        if address == LOCAL:
            settings["include_dashboard"] = False
        with _quiet(), _without_logs():
            ray.init(address or None, **settings)
    except Exception as error:  # of many kinds
        raise ClusterError(
            f"the Ray cluster {address or 'of this machine'} cannot be used"
            f" ({type(error).__name__}: {reason_of(error)})",
            expected="a cluster that runs, with this version of Ray and, if it has one, this token",
            fix="set RAY_AUTH_MODE=token (the token is in RAY_AUTH_TOKEN or ~/.ray/auth_token),"
            " start a cluster, or use the address local",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what Ray's library, which is no Python, writes to stderr; what fails is an exception."""
    sys.stderr.flush()
    kept = os.dup(STDERR)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, STDERR)
    try:
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
        os.close(nothing)


@contextmanager
def _without_logs() -> Iterator[None]:
    """Let Ray's library, which reads this once, log to stderr no later than it has to end."""
    before = os.environ.get(LOG_LEVEL)
    os.environ.setdefault(LOG_LEVEL, "fatal")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(LOG_LEVEL, None)


def _require_answer(address: str) -> None:
    """Raise ClusterError if no gRPC server, as Ray's, answers; Ray itself waits for minutes."""
    found = ADDRESS.fullmatch(address or os.environ.get("RAY_ADDRESS", ""))
    if found is None:
        return
    place = found["host"].strip("[]"), int(found["port"])
    try:
        with socket.create_connection(place, timeout=ANSWER_S) as connection:
            connection.sendall(HELLO)
            answer = connection.recv(4)
        reason = "" if answer[3:] == SETTINGS else "what answers is no cluster"
    except (OSError, OverflowError) as error:
        reason = reason_of(error)
    if reason:
        raise ClusterError(
            f"no Ray cluster answers at {found.group()} ({reason})",
            expected="the address of a cluster that runs",
            fix="check the address, or leave it out: then a cluster of this machine is used",
        )

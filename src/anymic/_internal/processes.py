"""Work in processes that share the processors and GPUs, and end when their parent ends."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from anymic._internal.files import temporary_folder
from anymic._internal.garbage import spare_modules
from anymic._internal.processors import processors

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext
    from multiprocessing.queues import SimpleQueue

Job = TypeVar("Job")
Result = TypeVar("Result")

LOADED_AHEAD = [
    "anymic._internal.copied_process",
    "anymic._internal.workers",
    "anymic.inference.event_run",
    "anymic.inference.files",
]
LONGEST_FOLDER = 64  # bytes; an address has 107 at most, of which the names in it take 33


def fresh_processes() -> ForkServerContext | SpawnContext:
    """Return how processes begin: without the threads of this one, which a copy would not have.

    On Linux they are copies of a process that has only imported what they need, so that they are
    ready at once; elsewhere each imports it. `begin_with` makes their environment that of today.
    """
    if not _can_be_copies():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED_AHEAD)
    return context


def prepare_processes() -> None:
    """Begin to import what processes need, in the background, before this one imports it."""
    if _can_be_copies():
        from multiprocessing.forkserver import ensure_running

        fresh_processes()
        with without_interrupts():
            ensure_running()


def _can_be_copies() -> bool:
    """Return whether the address of their socket fits: it is in the folder of temporary files."""
    return sys.platform == "linux" and len(os.fsencode(temporary_folder())) <= LONGEST_FOLDER


def begin_with(environment: Mapping[str, str], *, threads: int) -> None:
    """Begin a process: with its parent's environment, its share of threads, and its end."""
    spare_modules()
    import torch

    gc.freeze()  # modules stay: a search would copy the memory that is shared with others
    gc.enable()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(threads)
    end_with_parent()


def in_processes(
    work: Callable[[Job], Result], jobs: Sequence[Job], *, workers: int, gpus: Sequence[str] = ()
) -> Iterator[tuple[Job, Result]]:
    """Do every job; yield each job and its result, in the order in which they finish.

    Each of the `workers` gets its share of the processors, and sees one of the `gpus` (names for
    CUDA_VISIBLE_DEVICES) and no other. With one worker, or for one job, this process does the
    work. `work` is a function of a module, and jobs can be sent to another process.
    """
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            yield job, work(job)
        return
    fresh = fresh_processes()
    free = fresh.SimpleQueue()
    for number in range(workers if gpus else 0):
        free.put(gpus[number % len(gpus)])
    threads = max(1, processors() // workers)
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(
        workers,
        mp_context=fresh,
        initializer=_start,
        initargs=(dict(os.environ), threads, free if gpus else None),
    ) as pool:
        waiting = {pool.submit(work, job): job for job in jobs}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BaseException as error:
            if not isinstance(error, Exception):  # interrupted: a job may take hours
                for worker in set(multiprocessing.active_children()) - others:
                    worker.kill()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    if not torch.cuda.is_available():
        return []
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen:
        return [name.strip() for name in chosen.split(",")]
    return [str(number) for number in range(torch.cuda.device_count())]


def end_with_parent() -> None:
    """End this process when its parent has ended, because another run may repeat the job."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Start processes that a Ctrl-C does not reach: it is for their parent, which ends them.

    The parent itself is interrupted at the end of the block.
    """
    if sys.platform == "win32":
        yield
        return
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # its first start would unblock the signal again
    came: list[int] = []
    handles, handler = threading.current_thread() is threading.main_thread(), None
    if handles:  # another thread may receive the signal, and the handler runs in this one
        handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if handles and handler is not None:  # None: it was not set from Python
            signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


def _start(environment: Mapping[str, str], threads: int, gpus: SimpleQueue[str] | None) -> None:
    begin_with(environment, threads=threads)
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus.get()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "this process was started by another one"
    parent.join()
    os._exit(1)

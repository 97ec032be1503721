"""Work in processes that share the processors and GPUs, and end when their parent ends."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING, TypeVar

import torch

from anymic._internal.machine import processors

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

Job = TypeVar("Job")
Result = TypeVar("Result")


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
    fresh = multiprocessing.get_context("spawn")  # a forked child would inherit torch's threads
    free = fresh.SimpleQueue()
    for number in range(workers if gpus else 0):
        free.put(gpus[number % len(gpus)])
    threads = max(1, processors() // workers)
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(
        workers,
        mp_context=fresh,
        initializer=_start,
        initargs=(threads, os.getpid(), free if gpus else None),
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
    if not torch.cuda.is_available():
        return []
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen:
        return [name.strip() for name in chosen.split(",")]
    return [str(number) for number in range(torch.cuda.device_count())]


def _start(threads: int, parent: int, gpus: SimpleQueue[str] | None) -> None:
    torch.set_num_threads(threads)
    end_with(parent)
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus.get()


def end_with(parent: int) -> None:
    """End this process when its parent has ended, because another run may repeat the job."""
    threading.Thread(target=_wait_for, args=(parent,), daemon=True).start()


def _wait_for(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)

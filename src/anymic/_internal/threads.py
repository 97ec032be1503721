"""Work in threads, in order and in bounded memory: reading ahead, and computing side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from threading import Barrier
from typing import TypeVar

import torch

from anymic._internal.machine import processors
from anymic.errors import AnymicError

Job = TypeVar("Job")
Item = TypeVar("Item")
Result = TypeVar("Result")

READERS = 2
JOBS_AHEAD = 16
ITEMS_AHEAD = 4  # of each of these jobs
MOST_WORKERS = 4  # each holds a batch's activations in memory; more cores help each of them


def read_ahead(
    jobs: Iterable[Job], items_of: Callable[[Job], Iterator[Item]]
) -> Iterator[tuple[Job, Item | AnymicError]]:
    """Yield the items of every job in order, read by threads a little ahead of their use.

    Of each of the next `JOBS_AHEAD` jobs at most `ITEMS_AHEAD` items are in memory. An
    AnymicError ends its job, as its last item; the others go on.

    Parameters
    ----------
    jobs : iterable
        What to read.
    items_of : callable
        Returns an iterator over a job's items; it runs in a thread.
    """
    remaining = iter(jobs)
    ahead: deque[tuple[Job, Iterator[Item], Future[list[Item | AnymicError]]]] = deque()
    with ThreadPoolExecutor(READERS, thread_name_prefix="anymic-reader") as pool:
        try:
            while True:
                for job in islice(remaining, JOBS_AHEAD - len(ahead)):
                    items = items_of(job)
                    ahead.append((job, items, pool.submit(_some, items)))
                if not ahead:
                    return
                job, items, read = ahead.popleft()
                some = read.result()
                if len(some) == ITEMS_AHEAD:  # perhaps there are more: read them meanwhile
                    ahead.appendleft((job, items, pool.submit(_some, items)))
                for item in some:
                    yield job, item
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _some(items: Iterator[Item]) -> list[Item | AnymicError]:
    """Return the next items, the last of them the error that ended them if one did."""
    some: list[Item | AnymicError] = []
    try:
        for item in islice(items, ITEMS_AHEAD):
            some.append(item)
    except AnymicError as error:
        some.append(error)
    return some


def in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int | None = None,
    ahead: int | None = None,
) -> Iterator[Result]:
    """Apply a function in threads; yield the results in order, a bounded number of them waiting.

    For work that runs outside the interpreter's lock: reading, filtering, coding. Work of torch's
    is for `spread`.

    Parameters
    ----------
    function : callable
        Runs in several threads at once. What it raises is raised here, in its place.
    items : iterable
        Asked for a few ahead of the results.
    workers : int, optional
        Threads, 1 or more; by default one a processor.
    ahead : int, optional
        How many results at most wait for their use; by default as many as there are threads.
    """
    workers = workers or processors()
    ahead = ahead or workers
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="anymic-worker") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def spread(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Apply a function of torch's to items in worker threads; yield the results in order.

    Torch divides each operation among its threads, which wait for each other after every one:
    many small operations wait more than they work, and where other work wants the processor too,
    a hundred times more. Here each worker has its own item, and its share of torch's threads:
    all to itself where there are few cores. A single item is computed by the caller.

    Parameters
    ----------
    function : callable
        Runs in several threads at once.
    items : iterable
        Asked for a few ahead of the results.
    """
    remaining = iter(items)
    head = list(islice(remaining, 2))
    threads = torch.get_num_threads()
    workers = min(threads, MOST_WORKERS)
    if workers < 2 or len(head) < 2:
        yield from map(function, chain(head, remaining))
        return
    with _workers(workers, threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in chain(head, remaining):
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def _workers(workers: int, threads: int) -> Iterator[ThreadPoolExecutor]:
    """Give a pool whose threads each have their share of torch's threads."""
    started = Barrier(workers + 1)

    def start() -> None:
        torch.set_num_threads(threads // workers)  # of this thread, and of those to come
        torch.get_num_threads()  # or the first operation would ask anew, after the caller's change
        started.wait()

    pool = ThreadPoolExecutor(workers, "anymic-worker", initializer=start)
    try:
        for _ in range(workers):
            pool.submit(int)
        started.wait()
        torch.set_num_threads(threads)  # of the caller, and again of those to come
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

"""How many threads torch computes in, and functions of torch that are spread over threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from threading import Barrier
from typing import TypeVar

import torch

from anymic._internal.threads import WorkerThreads, results_in_order

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_WORKERS = 4  # each holds a batch's activations in memory; more cores help each of them


@contextmanager
def in_threads(threads: int) -> Iterator[None]:
    """Let torch compute in so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def spread_workers() -> int:
    """Return in how many threads `spread` computes."""
    return min(torch.get_num_threads(), MOST_WORKERS)


def spread(
    function: Callable[[Item], Result], items: Iterable[Item], *, alike: bool = False
) -> Iterator[Result]:
    """Apply a function of torch to items in threads; yield the results in order.

    Torch divides each operation among its threads, which wait for each other after every
    operation. Many small operations wait longer than they compute, up to a hundred times if other
    programs use the processor. Here each worker computes another item, with its share of torch's
    threads. The caller computes a single item itself, with all of them, unless results are to be
    `alike`: the number of threads can change the last digits.
    """
    remaining = iter(items)
    head = list(islice(remaining, 2))
    threads = torch.get_num_threads()
    workers = spread_workers()
    if workers < 2 or (len(head) < 2 and not alike):
        yield from map(function, chain(head, remaining))
        return
    with _workers(workers, threads) as pool:
        yield from results_in_order(pool, function, chain(head, remaining), workers)


@contextmanager
def _workers(workers: int, threads: int) -> Iterator[WorkerThreads]:
    """Give a pool in which each thread has its share of torch's threads."""
    started = Barrier(workers + 1)

    def start() -> None:
        torch.set_num_threads(threads // workers)  # of this thread, and of later ones
        torch.get_num_threads()  # else the first operation reads it, after the caller's change
        started.wait()

    pool = WorkerThreads(workers, start)
    try:
        for _ in range(workers):
            pool.submit(int)
        started.wait()
        torch.set_num_threads(threads)  # of the caller, and again of later threads
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

"""Work in threads, in order and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

from anymic._internal.processors import processors
from anymic.errors import AnymicError, kept_error

Job = TypeVar("Job")
Item = TypeVar("Item")
Result = TypeVar("Result")

READERS = 2
JOBS_AHEAD = 16
LARGE_AHEAD = 4  # jobs that hold much, such as a copy of a file
ITEMS_AHEAD = 4  # of each of these jobs


def read_ahead(
    jobs: Iterable[Job],
    items_of: Callable[[Job], Iterator[Item]],
    *,
    in_threads: bool = True,
    is_large: Callable[[Job], bool] = lambda _: False,
) -> Iterator[tuple[Job, Item | AnymicError]]:
    """Yield each job with each of its items, in order; threads read ahead.

    At most `ITEMS_AHEAD` items of each of the next `JOBS_AHEAD` jobs are in memory. Whatever is
    raised for a job is its last item, as an AnymicError; the other jobs continue. If memory or the
    disk ran out, it is raised here.

    Parameters
    ----------
    jobs : iterable
    items_of : callable
        Returns an iterator over a job's items; it runs in a thread.
    in_threads : bool
        Whether there is something to read; otherwise the caller's thread does it all, since each
        change of threads waits for a processor.
    is_large : callable
        Whether a job holds much as long as it is read: fewer jobs are then read ahead.
    """
    remaining = iter(jobs)
    if not in_threads:
        for job in remaining:
            items = items_of(job)
            while some := _some(items):
                yield from ((job, item) for item in some)
        return
    ahead: deque[tuple[Job, Iterator[Item], Future[list[Item | AnymicError]]]] = deque()
    with ThreadPoolExecutor(READERS, thread_name_prefix="anymic-reader") as pool:
        try:
            while True:
                while len(ahead) < (
                    LARGE_AHEAD if ahead and is_large(ahead[-1][0]) else JOBS_AHEAD
                ):
                    begun = [(job, items_of(job)) for job in islice(remaining, 1)]
                    if not begun:
                        break
                    ahead.extend((job, own, pool.submit(_some, own)) for job, own in begun)
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
    """Return the next items; if an error ended them, it is the last one."""
    some: list[Item | AnymicError] = []
    try:
        for item in islice(items, ITEMS_AHEAD):
            some.append(item)
    except Exception as error:
        some.append(kept_error(error))
    return some


def in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int | None = None,
    ahead: int | None = None,
) -> Iterator[Result]:
    """Apply a function to items in threads; yield the results in order.

    It is for work that releases the interpreter's lock: reading, filtering, coding. See
    `torch_threads.spread` for functions of torch. An exception is raised here, in place of the
    result. By default there is one worker a processor, and as many results wait (`ahead`) as there
    are workers.
    """
    workers = workers or processors()
    with WorkerThreads(workers) as pool:
        try:
            yield from results_in_order(pool, function, items, ahead or workers)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class WorkerThreads(ThreadPoolExecutor):
    """A pool of threads, each of which calls `start` first."""

    def __init__(self, workers: int, start: Callable[[], None] | None = None) -> None:
        super().__init__(workers, "anymic-worker", initializer=start)


def results_in_order(
    pool: WorkerThreads, function: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """Yield the results in order; at most `ahead` of them wait."""
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


class Background(Iterator[Item], Generic[Item]):
    """The items of an iterator that runs in a thread, at most `ahead` of them in advance.

    Whoever waits for the next item can be interrupted by a signal, also while the iterator waits
    in a C library. What the iterator raises is raised here. The thread does not keep the program
    from ending.
    """

    def __init__(self, items: Iterator[Item], *, ahead: int) -> None:
        self._queue: Queue[tuple[Item | None, BaseException | None]] = Queue(ahead)
        self._stopped, self._over = Event(), False
        name = "anymic-background"
        self._thread = Thread(target=self._run, args=(items,), name=name, daemon=True)

    def __next__(self) -> Item:
        if self._over:
            raise StopIteration
        if self._thread.ident is None:  # it begins with the first item
            self._thread.start()
        item, error = self._queue.get()
        if error is not None:
            self._over = True
            raise error
        return item  # type: ignore[return-value]

    def stop(self, *, patience_s: float = 0.5) -> bool:
        """Let the thread end; return whether it did."""
        self._stopped.set()
        self._over = True
        with suppress(Empty):
            while True:
                self._queue.get_nowait()
        if self._thread.ident is not None:
            self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _run(self, items: Iterator[Item]) -> None:
        try:
            for item in items:
                if not self._put(item, None):
                    return
        except BaseException as error:
            self._put(None, error)
        else:
            self._put(None, StopIteration())

    def _put(self, item: Item | None, error: BaseException | None) -> bool:
        while not self._stopped.is_set():
            with suppress(Full):
                self._queue.put((item, error), timeout=0.2)
                return True
        return False

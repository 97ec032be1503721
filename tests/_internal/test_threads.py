from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator

import pytest

from anymic._internal.threads import (
    ITEMS_AHEAD,
    JOBS_AHEAD,
    in_order,
    read_ahead,
)
from anymic.errors import AnymicError


def test_read_ahead_keeps_order_and_isolates_errors() -> None:
    def items(job: int) -> Iterator[int]:
        yield from range(job)
        if job % 3 == 0:
            raise AnymicError(f"job {job}")

    found: dict[int, list[int | AnymicError]] = {}
    order = []
    for job, item in read_ahead(range(1, 40), items):
        found.setdefault(job, []).append(item)
        order.append(job)
    assert order == sorted(order)
    for job in range(1, 40):
        *numbers, last = found[job]
        if job % 3 == 0:
            assert isinstance(last, AnymicError)
            assert numbers == list(range(job))
        else:
            assert [*numbers, last] == list(range(job))


def test_read_ahead_is_bounded_and_stops_with_its_reader() -> None:
    read = 0
    lock = threading.Lock()

    def items(job: int) -> Iterator[int]:
        nonlocal read
        for number in range(1000):
            with lock:
                read += 1
            yield number

    reading = read_ahead(range(1000), items)
    for _ in range(10):
        next(reading)
    assert isinstance(reading, Generator)
    reading.close()
    assert read <= 10 + (JOBS_AHEAD + 2) * ITEMS_AHEAD
    assert not [one for one in threading.enumerate() if one.name.startswith("anymic-reader")]


@pytest.mark.parametrize("ahead", [None, 10])
def test_in_order_is_in_order_bounded_and_raises_in_its_place(ahead: int | None) -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            asked.append(number)
            yield number

    def work(number: int) -> int:
        time.sleep(0.001 * (number % 3))
        if number == 30:
            raise AnymicError("30")
        return number

    found = []

    def collect() -> None:
        for number in in_order(work, items(), workers=3, ahead=ahead):
            found.append(number)
            assert len(asked) <= number + 2 + (ahead or 3)

    with pytest.raises(AnymicError, match="30"):
        collect()
    assert found == list(range(30))

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from anymic._internal.torch_threads import MOST_WORKERS, spread


@pytest.fixture
def four_threads() -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield 4
    torch.set_num_threads(before)


def test_spread_keeps_order_in_many_threads(four_threads: int) -> None:
    seen: set[tuple[str, int]] = set()

    def work(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0.001)
        seen.add((threading.current_thread().name, torch.get_num_threads()))
        return number * number

    assert list(spread(work, range(40))) == [number * number for number in range(40)]
    assert len(seen) == min(four_threads, MOST_WORKERS)
    assert {threads for _, threads in seen} == {1}


def test_spread_leaves_the_caller_its_threads(four_threads: int) -> None:
    assert list(spread(abs, [-1, -2, -3])) == [1, 2, 3]
    assert torch.get_num_threads() == four_threads
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [four_threads]


def test_spread_computes_a_single_item_itself(four_threads: int) -> None:
    (name,) = spread(lambda _: threading.current_thread().name, [0])
    assert name == threading.current_thread().name
    assert list(spread(abs, [])) == []


def test_spread_asks_for_few_items_ahead_and_passes_errors_on(four_threads: int) -> None:
    asked = 0

    def items() -> Iterator[int]:
        nonlocal asked
        for number in range(1000):
            asked += 1
            yield number

    results = spread(lambda number: 1 // (number - 20), items())
    with pytest.raises(ZeroDivisionError):
        for _ in results:
            pass
    assert asked < 40
    assert not [one for one in threading.enumerate() if one.name.startswith("anymic-worker")]

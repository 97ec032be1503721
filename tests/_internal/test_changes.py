"""Changes are found where they are, and only where stretches are long enough."""

from __future__ import annotations

import numpy as np
import pytest

from anymic._internal.changes import ChangeFinder


def finder(least: int = 3, penalty: float = 4.0) -> ChangeFinder:
    return ChangeFinder(lambda total: float(total.max()), least=least, penalty=penalty)


def blocks(states: list[int], *, count: int = 3, seed: int = 0) -> np.ndarray:
    """Return log likelihoods (block, state) that favour a state by about 2 nats, with noise."""
    generator = np.random.default_rng(seed)
    found = generator.normal(0, 0.5, (len(states), count))
    found[np.arange(len(states)), states] += 2
    return found


def found_in(states: list[int], **settings: float) -> list[int]:
    one = finder(**settings)  # type: ignore[arg-type]
    return [at for block in blocks(states) if (at := one.add(block)) is not None]


def test_each_change_is_found() -> None:
    assert found_in([0] * 8 + [1] * 5 + [2] * 9) == [8, 13]


def test_nothing_changes() -> None:
    assert found_in([1] * 200) == []


def test_a_stretch_that_is_too_short_is_none() -> None:
    assert found_in([0] * 10 + [1] * 2 + [0] * 10) == []


@pytest.mark.parametrize("first", [3, 4, 7])
def test_the_first_stretch_can_be_the_shortest(first: int) -> None:
    assert found_in([0] * first + [1] * 10) == [first]


def test_memory_does_not_grow() -> None:
    one = finder()
    for block in blocks([0] * 1000):
        one.add(block)
    assert len(one._open) <= 6
    assert one.settled == 1000 - 6

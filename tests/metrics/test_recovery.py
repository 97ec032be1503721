"""The recovered share of a loss, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from anymic.metrics.recovery import recovered_share

DEVICES = np.repeat(["A", "B", "C"], 8)
GROUPS = np.tile(np.array(["r1", "r2", "r3", "r4"]).repeat(2), 3)


def right(a: int, b: int, c: int) -> np.ndarray:
    """Return clips of which so many are right on each device, over all recordings alike."""
    order = np.array([0, 2, 4, 6, 1, 3, 5, 7])
    return np.concatenate([np.argsort(order) < count for count in (a, b, c)])


def test_half_of_the_loss_by_hand() -> None:
    """A 8/8, the others 4/16 without and 10/16 with: (10/16 - 4/16) / (1 - 4/16) = 1/2."""
    found = recovered_share(right(8, 6, 4), right(8, 4, 0), DEVICES, GROUPS)
    assert found.value == pytest.approx(0.5)
    assert found.low <= found.value <= found.high
    assert found.n == 24
    of_c = recovered_share(right(8, 6, 4), right(8, 4, 0), DEVICES, GROUPS, others=("C",))
    assert of_c.value == pytest.approx(4 / 8)
    of_b = recovered_share(right(8, 6, 4), right(8, 4, 0), DEVICES, GROUPS, others=("B",))
    assert of_b.value == pytest.approx(2 / 4)


def test_all_nothing_and_no_loss() -> None:
    before = right(8, 4, 2)
    assert recovered_share(right(8, 8, 8), before, DEVICES, GROUPS).value == 1.0
    assert recovered_share(before, before, DEVICES, GROUPS).value == 0.0
    assert recovered_share(right(1, 8, 8), right(4, 4, 4), DEVICES, GROUPS).value == 0.0

"""Schedules of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence


def warm_restarts(epoch: float, *, restarts: Sequence[int], highest: float, lowest: float) -> float:
    """Return the learning rate at a moment of cosine decay with warm restarts.

    Between two restarts it falls along half a cosine from `highest` to `lowest` (Loshchilov 2017,
    equation 5; the epochs of Hu 2020). After the last restart it stays at `lowest`.

    Parameters
    ----------
    epoch : float
        Epochs since the start, including the fraction of the current one.
    restarts : sequence of int
        The epochs after which it returns to `highest`, ascending.
    highest, lowest : float
    """
    begin = max((end for end in restarts if end <= epoch), default=0)
    end = next((end for end in restarts if end > epoch), None)
    if end is None:
        return lowest
    share = (epoch - begin) / (end - begin)
    return lowest + (highest - lowest) * (1 + math.cos(math.pi * share)) / 2

"""How the learning rate falls."""

from __future__ import annotations

import math
from collections.abc import Sequence


def warm_restarts(epoch: float, *, restarts: Sequence[int], highest: float, lowest: float) -> float:
    """Return the learning rate at a moment of cosine decay with warm restarts.

    It falls along half a cosine from `highest` to `lowest` between one restart and the next
    (Loshchilov 2017, equation 5; the epochs of Hu 2020), and stays there after the last.

    Parameters
    ----------
    epoch : float
        Epochs since the start, with the share of the one under way.
    restarts : sequence of int
        The epochs after which it begins anew, ascending.
    highest, lowest : float
    """
    begin = max((end for end in restarts if end <= epoch), default=0)
    end = next((end for end in restarts if end > epoch), None)
    if end is None:
        return lowest
    share = (epoch - begin) / (end - begin)
    return lowest + (highest - lowest) * (1 + math.cos(math.pi * share)) / 2

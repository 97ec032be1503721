"""Find the changes in a sequence, block by block, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class ChangeFinder:
    """Divides a sequence of blocks into stretches of at least some length, as it arrives.

    A stretch has a log likelihood, which depends on the sum of the statistics of its blocks. A
    change is where two stretches are more likely than one, by more than a penalty. It is decided
    when more than `least` blocks after it are known: then those before it belong to the stretch
    that ends.

    Parameters
    ----------
    score : callable
        Returns the log likelihood of a stretch for the sum of its blocks' statistics, (number,).
    least : int
        The fewest blocks of a stretch.
    penalty : float
        In nats.

    Attributes
    ----------
    settled : int
        So many blocks from the first one on belong to a stretch that is known.

    Examples
    --------
    >>> finder = ChangeFinder(lambda total: float(total.max()), least=2, penalty=3.0)
    >>> blocks = [[0, -4]] * 5 + [[-4, 0]] * 5
    >>> [found for one in blocks if (found := finder.add(np.array(one, float))) is not None]
    [5]
    """

    def __init__(self, score: Callable[[Array], float], *, least: int, penalty: float) -> None:
        self._score, self._least, self._penalty = score, least, penalty
        self._before: Array | None = None  # the sum of the settled blocks of the stretch
        self._count = 0  # of them
        self._open: deque[Array] = deque()
        self.settled = 0

    def add(self, statistics: Array) -> int | None:
        """Add a block; return the number of the block that begins a new stretch, if one does."""
        if self._before is None:
            self._before = np.zeros_like(statistics)
        self._open.append(statistics)
        begin = self._change()
        if begin is not None:
            for _ in range(begin):
                self._open.popleft()
            self._before, self._count = np.zeros_like(statistics), 0
            self.settled += begin
            return self.settled
        if len(self._open) > 2 * self._least:
            self._before = self._before + self._open.popleft()
            self._count += 1
            self.settled += 1
        return None

    def _change(self) -> int | None:
        """Return the most likely change within the blocks that are not settled."""
        first = max(self._least - self._count, 0)
        places = range(first, len(self._open) - self._least + 1)
        if not len(places):
            return None
        assert self._before is not None
        sums = self._before + np.cumsum([0 * self._before, *self._open], axis=0)
        whole = sums[-1]
        gains = [self._score(sums[at]) + self._score(whole - sums[at]) for at in places]
        best = int(np.argmax(gains))
        if best == len(places) - 1:
            return None  # what differs may begin later, and be too short
        return places[best] if gains[best] - self._score(whole) > self._penalty else None

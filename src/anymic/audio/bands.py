"""The effective bandwidth by stretch: where the band limit of a recording changes."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from anymic._internal.changes import ChangeFinder
from anymic.audio.bandwidth import LOWEST_LIMIT_HZ, Bandwidth, bandwidth_of
from anymic.audio.condition import BandStretch

BLOCK_S = 5.0
LEAST_BLOCKS = 3  # of a stretch
PENALTY = 6.0  # nats
CONTRADICTION = 3.0  # nats, of a block whose spectrum does not fit a limit
STEP_OCTAVES = 1 / 8  # between the limits that are told apart


class BandFinder:
    """Divides a recording into stretches of one band limit, block by block.

    A block whose spectrum ends in a step fits limits near it. One without a step fits every limit
    above the sound that it holds. A stretch has at least three blocks of 5 s.

    Parameters
    ----------
    rate_hz : int
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        octaves = np.log2(max(rate_hz / 2 / LOWEST_LIMIT_HZ, 2))
        count = int(np.ceil(octaves / STEP_OCTAVES))
        self._limits = np.log2(LOWEST_LIMIT_HZ) + STEP_OCTAVES * np.arange(count)
        self._finder = ChangeFinder(
            lambda total: float(total.max()), least=LEAST_BLOCKS, penalty=PENALTY
        )
        self._open: deque[NDArray[np.float64]] = deque()
        self._total: NDArray[np.float64] | None = None
        self._begin = 0  # the block that begins the stretch
        self._settled = 0
        self._found: list[BandStretch] = []

    def add(self, density: NDArray[np.float64]) -> None:
        """Add the mean power spectral density (bin,) of the next block."""
        self._open.append(density)
        change = self._finder.add(self._fits(bandwidth_of(density, self.rate_hz)))
        self._settle(self._finder.settled)
        if change is not None:
            self._end(change * BLOCK_S)
            self._begin = change

    def stretches(self, duration_s: float) -> tuple[BandStretch, ...]:
        """Return the stretches of a recording that ends now; one, if nothing changes in it."""
        self._settle(self._settled + len(self._open))
        self._end(duration_s)
        return tuple(self._found)

    def _settle(self, settled: int) -> None:
        for _ in range(settled - self._settled):
            density = self._open.popleft()
            self._total = density if self._total is None else self._total + density
        self._settled = settled

    def _end(self, end_s: float) -> None:
        if self._total is None:
            return
        band = bandwidth_of(self._total / max(self._settled - self._begin, 1), self.rate_hz)
        begin_s = self._begin * BLOCK_S
        self._found.append(BandStretch(begin_s, end_s, band.hz, band.limited))
        self._total = None

    def _fits(self, band: Bandwidth) -> NDArray[np.float64]:
        """Return the log likelihood of each limit, and of none, (limit + 1,)."""
        if band.hz <= 0:
            return np.zeros(len(self._limits) + 1)
        at = np.log2(band.hz)
        if band.limited:
            fits = [*(np.abs(self._limits - at) <= 1.01 * STEP_OCTAVES), False]
        else:
            fits = [*(self._limits >= at - STEP_OCTAVES), True]
        return np.where(fits, 0.0, -CONTRADICTION)

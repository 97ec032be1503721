"""Mains hum: steady tones at multiples of 50 or 60 Hz."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAINS_HZ = (50.0, 60.0)
DRIFT = 0.004  # the frequency of the mains differs by less
LOW_RATE_HZ = 1000  # the rate at which hum is measured, about
FRAME = 2048  # samples at that rate
HARMONICS = 7
NEEDED = 3  # harmonics that stand out
PROMINENT_DB = 10.0
BESIDE_HZ = (3.0, 12.0)  # distances between which the level beside a harmonic is measured
FEWEST_FRAMES = 2


class HumMeter:
    """Finds mains hum in sound that is added block by block.

    The sound is averaged to about 1 kHz. Its mean *log* spectrum over frames of 2 s, with Hann
    windows that overlap by half, shows tones that last, and hardly those that do not.

    Parameters
    ----------
    rate_hz : int
    """

    def __init__(self, rate_hz: int) -> None:
        self._factor = max(rate_hz // LOW_RATE_HZ, 1)
        self._rate_hz = rate_hz / self._factor
        self._rest: NDArray[np.float32] = np.empty(0, dtype=np.float32)
        self._low: NDArray[np.float32] = np.empty(0, dtype=np.float32)
        self._weights = np.full(self._factor, 1 / self._factor, dtype=np.float32)
        self._window = np.hanning(FRAME).astype(np.float32)
        self._total: NDArray[np.float64] = np.zeros(FRAME // 2 + 1)
        self._frames = 0

    def add(self, samples: NDArray[np.float32]) -> None:
        """Add the next samples (sample,)."""
        missing = min(-len(self._rest) % self._factor, len(samples))  # of the group that has begun
        begun = np.concatenate([self._rest, samples[:missing]])
        samples = samples[missing:]
        whole = len(samples) // self._factor * self._factor
        if len(begun) % self._factor:  # still not complete: no sample is left
            self._rest = begun
            return
        self._rest = samples[whole:].copy()
        parts = [one.reshape(-1, self._factor) @ self._weights for one in (begun, samples[:whole])]
        self._low = np.concatenate([self._low, *parts])
        while len(self._low) >= FRAME:
            spectrum = np.fft.rfft(self._low[:FRAME] * self._window)
            self._low = self._low[FRAME // 2 :]
            power = np.square(np.abs(spectrum))
            if power.max() > 0:
                self._total += np.log(np.maximum(power, 1e-12))
                self._frames += 1

    def hz(self, mains_hz: Sequence[float] = MAINS_HZ) -> float | None:
        """Return 50 or 60 if at least three of the first seven harmonics of it stand out; or None.

        A harmonic stands out if its mean log power is 10 dB above the median of that between 3 and
        12 Hz beside it. One of the first two has to be among them.
        """
        if self._frames < FEWEST_FRAMES:
            return None
        level_db = self._total / self._frames * (10 / np.log(10))
        drifts = np.linspace(1 - DRIFT, 1 + DRIFT, 9)
        found = [
            (*max(self._standing_out(level_db, drift * hz) for drift in drifts), hz)
            for hz in mains_hz
        ]
        count, _, hz = max(found)
        return hz if count >= NEEDED else None

    def _standing_out(self, level_db: NDArray[np.float64], hz: float) -> tuple[int, float]:
        """Return how many harmonics of a frequency stand out, and by how much together."""
        step_hz = self._rate_hz / FRAME
        near, far = (round(one / step_hz) for one in BESIDE_HZ)
        own: list[float] = []
        for harmonic in range(1, HARMONICS + 1):
            centre = round(harmonic * hz / step_hz)
            if centre + far >= len(level_db):
                break
            beside = np.concatenate(
                [level_db[centre - far : centre - near], level_db[centre + near : centre + far]]
            )
            own.append(float(level_db[centre - 1 : centre + 2].max() - np.median(beside)))
        if not own or max(own[:2]) < PROMINENT_DB:
            return 0, 0.0
        above = [one for one in own if one >= PROMINENT_DB]
        return len(above), sum(above)

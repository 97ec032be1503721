"""Copies of clips through random devices: which device records which copy, and what it records."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anymic.devices.simulation.chain import noise, noise_seed
from anymic.devices.simulation.random_devices import RandomDevices
from anymic.devices.simulation.response import ImpulseResponse

FILTER_S = 0.046  # of a response: 2048 samples at 44.1 kHz


@dataclass(frozen=True, eq=False)
class SampleDevice:
    """A random device for samples: a filter, then soft clipping, then white noise.

    Attributes
    ----------
    levels_db : array (bin,), float32
        The frequency response, with the level, from 0 Hz to half the rate.
    noise_db : float
        RMS level of the noise in dBFS.
    drive_db : float
        Level above its own peak to which a clip is raised before it is clipped softly, at this
        peak; 0 changes nothing.
    seed : int
        Of the noise.
    """

    levels_db: NDArray[np.float32]
    noise_db: float
    drive_db: float
    seed: int

    def record(self, samples: NDArray[np.float32], *, first: int = 0) -> NDArray[np.float32]:
        """Return samples (sample,) as the device records them; silence stays silence.

        The filter has no delay and no phase: the levels are its response. The noise depends on the
        seed and on `first`, the number of the first sample in the file.
        """
        if not samples.any():
            return samples
        taps = np.fft.fftshift(np.fft.irfft(10 ** (self.levels_db / 20.0))).astype(np.float32)
        recorded = ImpulseResponse(taps, len(taps) // 2).apply(samples)
        peak = float(np.abs(recorded).max())
        if self.drive_db > 0 and peak > 0:
            drive = 10 ** (self.drive_db / 20)
            recorded = np.tanh(recorded * np.float32(drive / peak)) * np.float32(
                peak / math.tanh(drive)
            )
        if self.noise_db > -math.inf:
            generator = np.random.default_rng([self.seed, first])
            floor = noise(len(recorded), 0, "white", generator)
            recorded = recorded + floor * np.float32(10 ** (self.noise_db / 20))
        return np.asarray(recorded, dtype=np.float32)

    @property
    def content(self) -> bytes:
        """All that determines what it records, for the key of a cached result."""
        numbers = np.array([self.noise_db, self.drive_db])
        return self.levels_db.tobytes() + numbers.tobytes() + str(self.seed).encode()


@dataclass(frozen=True)
class Copies:
    """The copies of clips, each through a random device of its own.

    A copy depends on the settings, the seed, its clip and its number: not on other clips, nor on
    how many copies there are.

    Attributes
    ----------
    settings : RandomDevices
    seed : int

    Examples
    --------
    >>> first, second = Copies(RandomDevices(copies=2)).devices("a clip", 16000)
    >>> len(first.levels_db)
    513
    """

    settings: RandomDevices
    seed: int = 0

    def devices(self, clip: str, rate_hz: int) -> tuple[SampleDevice, ...]:
        """Return the device of each copy of a clip, which `clip` identifies.

        Raises
        ------
        DeviceError
            If the folder of responses has none, or one does not fit the rate.
        """
        size = 2 ** round(math.log2(FILTER_S * rate_hz))
        hz = np.linspace(0, rate_hz / 2, size // 2 + 1)
        found = []
        for number in range(self.settings.copies):
            seed = noise_seed(self.seed, f"copy {number}", clip)
            drawn = self.settings.draw(1, hz, np.random.default_rng(seed))
            found.append(
                SampleDevice(
                    drawn.levels_db[0].astype(np.float32),
                    float(drawn.noise_db[0]),
                    float(drawn.drive_db[0]),
                    seed,
                )
            )
        return tuple(found)

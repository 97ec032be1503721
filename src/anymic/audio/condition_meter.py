"""Measure the condition of sound as it is read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anymic.audio.bands import BLOCK_S, BandFinder
from anymic.audio.bandwidth import SpectrumMeter, bandwidth_of
from anymic.audio.clip import Clip
from anymic.audio.condition import Condition
from anymic.audio.hum import HumMeter
from anymic.audio.inspection import inspect

# At 16 kHz and above, the low-pass of a codec is more likely than a lower rate.
LOWER_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000)
NEAR_HALF = (0.9, 1.12)  # of half a lower rate: where the filters of resamplers end
SILENCE_STEP_S = 0.01
DEAD_DB = 60.0  # below the loudest channel


class ConditionMeter:
    """Measures the condition of sound that is added block by block, in little memory.

    Examples
    --------
    >>> import numpy as np
    >>> meter = ConditionMeter()
    >>> meter.add(np.zeros(16000, dtype=np.float32), rate_hz=8000)
    >>> meter.result().notes()
    ('digital silence of 2.0 s',)
    """

    def __init__(self) -> None:
        self._parts: tuple[SpectrumMeter, HumMeter, _SilenceMeter] | None = None
        self._energies: NDArray[np.float64] = np.zeros(1)
        self._clipped, self._values, self._samples = 0, 0, 0

    def add(
        self,
        frames: NDArray[np.float32],
        mono: NDArray[np.float32] | None = None,
        *,
        rate_hz: int,
        clipped: int = 0,
    ) -> None:
        """Add the next frames (sample,) or (sample, channel), and what is made of them.

        `mono` is the channel that is used, or the mean; `clipped` the samples at full scale. All
        have the same rate.
        """
        mono = frames if mono is None else mono
        if not len(mono):
            return
        if self._parts is None:
            spectrum = SpectrumMeter(rate_hz, block_s=BLOCK_S)
            self._parts = spectrum, HumMeter(rate_hz), _SilenceMeter(rate_hz)
            self._bands = BandFinder(rate_hz)
        if frames.ndim > 1:
            energies = np.einsum("sc,sc->c", frames, frames, dtype=np.float64)
            self._energies = self._energies + energies
        self._clipped += clipped
        self._samples += len(mono)
        self._values += frames.size
        for part in self._parts:
            part.add(mono)
        for density in self._parts[0].blocks():
            self._bands.add(density)

    def result(self) -> Condition | None:
        """Return the condition of what was added; None if nothing was."""
        if self._parts is None:
            return None
        spectrum, hum, silence = self._parts
        rate_hz = spectrum.rate_hz
        band = bandwidth_of(spectrum.density(), rate_hz)
        lower = _lower_rate(band.hz, rate_hz) if band.limited else None
        loudest = float(self._energies.max())
        bands = self._bands.stretches(self._samples / rate_hz)
        dead = self._energies <= loudest * 10 ** (-DEAD_DB / 10)
        return Condition(
            rate_hz=rate_hz,
            bandwidth_hz=band.hz,
            limited=band.limited,
            lower_rate_hz=lower,
            clipped_share=self._clipped / max(self._values, 1),
            channels=len(self._energies),
            dead_channels=tuple(np.flatnonzero(dead).tolist()) if loudest > 0 else (),
            hum_hz=hum.hz(),
            silence_s=silence.longest_s(),
            bands=bands if len(bands) > 1 else (),
        )


def condition_of(clip: Clip) -> Condition:
    """Return the condition of a clip."""
    _, clipped = inspect(clip.samples, path=clip.path, rate_hz=clip.rate_hz)
    meter = ConditionMeter()
    meter.add(clip.samples, rate_hz=clip.rate_hz, clipped=clipped)
    found = meter.result()
    assert found is not None, "a clip has samples"
    return found


def _lower_rate(limit_hz: float, rate_hz: int) -> int | None:
    """Return the rate whose half is at a band limit; the nearest of several."""
    fits = [
        one
        for one in LOWER_RATES_HZ
        if one < rate_hz and NEAR_HALF[0] * one / 2 <= limit_hz <= NEAR_HALF[1] * one / 2
    ]
    return min(fits, key=lambda one: abs(np.log(2 * limit_hz / one)), default=None)


class _SilenceMeter:
    """The longest run of samples that are 0, to steps of 10 ms."""

    def __init__(self, rate_hz: int) -> None:
        self._step = max(round(SILENCE_STEP_S * rate_hz), 1)
        self._step_s = self._step / rate_hz
        self._run, self._longest = 0, 0  # steps
        self._rest: NDArray[np.float32] = np.empty(0, dtype=np.float32)

    def add(self, samples: NDArray[np.float32]) -> None:
        if len(self._rest):
            samples = np.concatenate([self._rest, samples])
        steps = len(samples) // self._step
        parts = samples[: steps * self._step].reshape(steps, self._step)
        self._rest = samples[steps * self._step :].copy()
        silent = parts[:, 0] == 0  # few are, so few are looked at
        silent[silent] = ~parts[silent].any(axis=1)
        changes = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(int)))
        if not len(changes):
            self._run = 0
            return
        begins, ends = changes[::2], changes[1::2]
        lengths = ends - begins
        if begins[0] == 0:
            lengths[0] += self._run
        self._longest = max(self._longest, int(lengths.max()))
        self._run = int(lengths[-1]) if ends[-1] == steps else 0

    def longest_s(self) -> float:
        return self._longest * self._step_s

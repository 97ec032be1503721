"""What a recording lacks, or has that no sound made: band limits, clipping, hum, silence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anymic.audio.bandwidth import SpectrumMeter, bandwidth_of
from anymic.audio.clip import Clip
from anymic.audio.hum import HumMeter
from anymic.audio.inspection import clipping_note, inspect

# At 16 kHz and above, the low-pass of a codec is more likely than a lower rate.
LOWER_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000)
NEAR_HALF = (0.9, 1.12)  # of half a lower rate: where the filters of resamplers end
NOTED_SHARE = 0.8  # a band limit below this share of the band that is used is noted
LONG_SILENCE_S = 1.0
SILENCE_STEP_S = 0.01
DEAD_DB = 60.0  # below the loudest channel


@dataclass(frozen=True)
class Condition:
    """What a recording lacks, or has that no sound made, measured as the file is read.

    Attributes
    ----------
    rate_hz : int
        Of the file.
    bandwidth_hz : float
        The highest frequency at which it holds sound (`anymic.audio.bandwidth`).
    limited : bool
        Whether its spectrum ends in a step there.
    lower_rate_hz : int or None
        The rate from which it was likely resampled: half of it is where the spectrum ends. A codec
        may have its low-pass there as well.
    clipped_share : float
        Of the samples at full scale (`anymic.audio.inspection.inspect`).
    dead_channels : tuple of int
        Channels, from 0, that are 60 dB below the loudest one.
    hum_hz : float or None
        50 or 60, where its harmonics stand out.
    silence_s : float
        The longest part in which every sample is 0.
    """

    rate_hz: int
    bandwidth_hz: float
    limited: bool = False
    lower_rate_hz: int | None = None
    clipped_share: float = 0.0
    channels: int = 1
    dead_channels: tuple[int, ...] = ()
    hum_hz: float | None = None
    silence_s: float = 0.0

    @property
    def limit_hz(self) -> float:
        """The frequency above which nothing can be: the step, or half the rate."""
        return self.bandwidth_hz if self.limited else self.rate_hz / 2

    def clipping(self) -> tuple[str, ...]:
        """Return the note on clipping, if there is one."""
        return clipping_note(self.clipped_share)

    def notes(self, *, used_hz: float | None = None) -> tuple[str, ...]:
        """Return a note on each observation but clipping, which a `Clip` notes itself.

        A band limit is noted below 0.8 of `used_hz`, by default half the rate of the file.
        """
        used_hz = self.rate_hz / 2 if used_hz is None else used_hz
        found = []
        if self.limit_hz < NOTED_SHARE * used_hz:
            band = f"effective bandwidth {self.limit_hz / 1000:.1f} of {used_hz / 1000:.1f} kHz"
            if self.lower_rate_hz is not None:
                band += f", likely resampled from {self.lower_rate_hz} Hz"
            found.append(band)
        for one in self.dead_channels:
            found.append(f"channel {one} of {self.channels} has no signal")
        if self.hum_hz is not None:
            found.append(f"mains hum of {self.hum_hz:g} Hz")
        if self.silence_s >= LONG_SILENCE_S:
            found.append(f"digital silence of {self.silence_s:.1f} s")
        return tuple(found)


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
        self._clipped, self._values = 0, 0

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
            self._parts = SpectrumMeter(rate_hz), HumMeter(rate_hz), _SilenceMeter(rate_hz)
        if frames.ndim > 1:
            energies = np.einsum("sc,sc->c", frames, frames, dtype=np.float64)
            self._energies = self._energies + energies
        self._clipped += clipped
        self._values += frames.size
        for part in self._parts:
            part.add(mono)

    def result(self) -> Condition | None:
        """Return the condition of what was added; None if nothing was."""
        if self._parts is None:
            return None
        spectrum, hum, silence = self._parts
        rate_hz = spectrum.rate_hz
        band = bandwidth_of(spectrum.density(), rate_hz)
        lower = _lower_rate(band.hz, rate_hz) if band.limited else None
        loudest = float(self._energies.max())
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

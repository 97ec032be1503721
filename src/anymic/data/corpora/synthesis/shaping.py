"""Noise with a chosen spectrum, slow envelopes, periodic waves, rooms: parts of every sound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from scipy import fft

Samples: TypeAlias = NDArray[np.float32]

_TABLE = 2048


@dataclass(frozen=True)
class Sound:
    """What every ingredient is made of: its random numbers, and its length and rate."""

    generator: Generator
    samples: int
    rate_hz: int

    def lasting(self, duration_s: float) -> Sound:
        """Return a sound of another length that draws from the same generator."""
        return replace(self, samples=round(duration_s * self.rate_hz))

    @property
    def duration_s(self) -> float:
        """The length in seconds."""
        return self.samples / self.rate_hz

    @property
    def time_s(self) -> NDArray[np.float64]:
        """The time of each sample in seconds, (sample,) float64."""
        return np.arange(self.samples) / self.rate_hz

    @property
    def transform(self) -> int:
        """The length of the transforms that shape this sound, in samples."""
        return int(fft.next_fast_len(self.samples, real=True))

    @cached_property
    def bins_hz(self) -> Samples:
        """The bin centres of the transforms, (bin,).

        The zero bin takes the centre of half a bin, so that slopes and resonances are finite there.
        """
        bins: Samples = fft.rfftfreq(self.transform, 1.0 / self.rate_hz).astype(np.float32)
        bins[0] = bins[1] / 2
        return bins

    def low_pass(self, corner_hz: float, order: float = 1.0) -> Samples:
        """Return the magnitude of a Butterworth low-pass filter, (bin,)."""
        ratio = (self.bins_hz / corner_hz) ** (2 * order)
        return np.asarray(1.0 / np.sqrt(1.0 + ratio), np.float32)

    def high_pass(self, corner_hz: float, order: float = 1.0) -> Samples:
        """Return the magnitude of a Butterworth high-pass filter, (bin,)."""
        ratio = (corner_hz / self.bins_hz) ** (2 * order)
        return np.asarray(1.0 / np.sqrt(1.0 + ratio), np.float32)

    def resonance(self, centre_hz: float, quality: float) -> Samples:
        """Return the magnitude of a second-order resonance that is 1 at its centre, (bin,)."""
        detuning = self.bins_hz / centre_hz - centre_hz / self.bins_hz
        return np.asarray(1.0 / np.sqrt(1.0 + (quality * detuning) ** 2), np.float32)

    def filtered(self, wave: Samples, *magnitudes: Samples) -> Samples:
        """Return waves of this length, (..., sample), filtered by magnitudes, (..., bin)."""
        spectrum = fft.rfft(wave, self.transform)
        for magnitude in magnitudes:
            spectrum = spectrum * magnitude
        return np.asarray(fft.irfft(spectrum, self.transform)[..., : self.samples])

    def noise(self, magnitude: Samples) -> Samples:
        """Draw Gaussian noise with root mean square 1 and this magnitude, (bin,)."""
        spectrum = self.generator.standard_normal((len(magnitude), 2), dtype=np.float32)
        bins = spectrum.view(np.complex64)[:, 0] * magnitude
        wave = fft.irfft(bins, self.transform, overwrite_x=True)
        return unit_rms(wave[: self.samples])

    def wandering(self, changes_hz: float) -> Samples:
        """Draw a smooth curve of about unit variance that turns `changes_hz` times a second."""
        knots = max(3, int(np.ceil(self.samples / self.rate_hz * changes_hz)) + 2)
        heights = self.generator.standard_normal(knots)
        smooth = np.convolve(np.pad(heights, 1, mode="edge"), [0.25, 0.5, 0.25], "valid") / 0.65
        where = np.linspace(0.0, knots - 1.0, self.samples)
        return np.interp(where, np.arange(knots), smooth).astype(np.float32)

    def swelling(self, changes_hz: float, depth_db: float) -> Samples:
        """Draw a slow positive envelope, with a standard deviation of `depth_db`."""
        exponent = self.wandering(changes_hz) * np.float32(depth_db / 20)
        return np.asarray(np.power(np.float32(10), exponent), np.float32)

    def decay(self, samples: float) -> Samples:
        """Return an envelope that falls by a factor of e in each `samples`."""
        return np.asarray(np.exp(-np.arange(self.samples, dtype=np.float32) / samples))

    def ramp(self, attack_s: float, release_s: float) -> Samples:
        """Return an envelope that rises and falls as raised cosines and is 1 between."""
        envelope = np.ones(self.samples, np.float32)
        for edge_s, side in ((attack_s, slice(None)), (release_s, slice(None, None, -1))):
            edge = min(self.samples, max(1, round(edge_s * self.rate_hz)))
            envelope[side][:edge] *= 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
        return envelope


def unit_rms(samples: Samples) -> Samples:
    """Scale to a root mean square of 1; silence stays silent."""
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return samples if level == 0.0 else np.asarray(samples / np.float32(level), np.float32)


def periodic(phase: NDArray[np.float64], amplitudes: ArrayLike) -> Samples:
    """Return a wave of given harmonics, read from a table, with peak about 1.

    Parameters
    ----------
    phase : (sample,) float64
        In periods.
    amplitudes : (harmonic,)
        Of the fundamental and the harmonics above it. Their phases are spread (Schroeder 1970),
        so that the wave is not a train of pulses.
    """
    heights = np.asarray(amplitudes, np.float64)
    order = np.arange(1, len(heights) + 1)
    spectrum = np.zeros(_TABLE // 2 + 1, np.complex128)
    spectrum[order] = heights * np.exp(-1j * np.pi * order**2 / len(order))
    table = fft.irfft(spectrum)
    table = (table / np.abs(table).max()).astype(np.float32)
    return np.asarray(table[(phase * _TABLE).astype(np.int64) % _TABLE], np.float32)


def place(canvas: Samples, piece: Samples, start: int, gain: float = 1.0) -> None:
    """Add `piece` to `canvas` from sample `start` on; samples outside of it are cut."""
    first = max(0, -start)
    last = min(len(piece), len(canvas) - start)
    if last > first:
        canvas[start + first : start + last] += np.float32(gain) * piece[first:last]


@dataclass(frozen=True)
class Room:
    """A room: the response that its walls add to a sound.

    Attributes
    ----------
    decay_s : float
        Time to fall by 60 dB.
    wet : float
        Root of the energy of the response over the energy of the direct sound.
    damping_hz : float
        Corner of the low-pass filter of the response.
    """

    decay_s: float
    wet: float
    damping_hz: float


def reverberate(dry: Samples, generator: Generator, rate_hz: int, room: Room) -> Samples:
    """Return `dry` in a room: decaying noise is its response (Moorer 1979). The length stays."""
    tail = min(len(dry), round(min(room.decay_s, 1.6) * rate_hz))
    time_s = np.arange(tail, dtype=np.float32) / rate_hz
    impulse = generator.standard_normal(tail, dtype=np.float32)
    impulse *= np.exp(-6.9 * time_s / room.decay_s) * (time_s > 0.004)
    impulse *= room.wet / (np.sqrt(np.sum(impulse**2)) + 1e-9)
    echo = Sound(generator, len(dry) + tail, rate_hz)
    response = fft.rfft(impulse, echo.transform) * echo.low_pass(room.damping_hz)
    return echo.filtered(dry, 1 + response)[: len(dry)]

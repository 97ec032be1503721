"""Noise with a chosen spectrum, slow envelopes, periodic waves, rooms: parts of every sound.

Every function takes the generator that it draws from, and returns float32 samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from scipy import fft

Samples: TypeAlias = NDArray[np.float32]
Traits: TypeAlias = Mapping[str, float]

_TABLE = 2048


def unit_rms(samples: Samples) -> Samples:
    """Scale to a root mean square of 1; silence stays silent."""
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return samples if level == 0.0 else np.asarray(samples / np.float32(level), np.float32)


def frequencies(samples: int, rate_hz: int) -> Samples:
    """Return the bin centres in Hz of a transform of `samples` points, (bin,); the first is not 0.

    The zero bin takes the centre of half a bin, so that slopes and resonances are finite there.
    """
    bins: Samples = fft.rfftfreq(samples, 1.0 / rate_hz).astype(np.float32)
    bins[0] = bins[1] / 2
    return bins


def low_pass(bins_hz: Samples, corner_hz: float, order: float = 1.0) -> Samples:
    """Return the magnitude of a Butterworth low-pass filter, (bin,)."""
    return np.asarray(1.0 / np.sqrt(1.0 + (bins_hz / corner_hz) ** (2 * order)), np.float32)


def high_pass(bins_hz: Samples, corner_hz: float, order: float = 1.0) -> Samples:
    """Return the magnitude of a Butterworth high-pass filter, (bin,)."""
    return np.asarray(1.0 / np.sqrt(1.0 + (corner_hz / bins_hz) ** (2 * order)), np.float32)


def resonance(bins_hz: Samples, centre_hz: float, quality: float) -> Samples:
    """Return the magnitude of a second-order resonance that is 1 at its centre, (bin,)."""
    detuning = bins_hz / centre_hz - centre_hz / bins_hz
    return np.asarray(1.0 / np.sqrt(1.0 + (quality * detuning) ** 2), np.float32)


def noise_length(samples: int) -> int:
    """Return the length of the transform that is used for `samples` samples."""
    return int(fft.next_fast_len(samples, real=True))


def noise_bins(samples: int, rate_hz: int) -> Samples:
    """Return the `frequencies` of the transform that is used for `samples` samples, (bin,)."""
    return frequencies(noise_length(samples), rate_hz)


def filtered(sound: Samples, *magnitudes: Samples) -> Samples:
    """Filter sound, (..., sample); the magnitudes, (..., bin), are those of its `noise_bins`."""
    samples = sound.shape[-1]
    spectrum = fft.rfft(sound, noise_length(samples))
    for magnitude in magnitudes:
        spectrum = spectrum * magnitude
    return np.asarray(fft.irfft(spectrum, noise_length(samples))[..., :samples])


def shaped_noise(generator: Generator, magnitude: Samples, samples: int) -> Samples:
    """Draw Gaussian noise with root mean square 1 and this magnitude, (bin,), at `noise_bins`."""
    spectrum = generator.standard_normal((len(magnitude), 2), dtype=np.float32)
    wave = fft.irfft(
        spectrum.view(np.complex64)[:, 0] * magnitude, noise_length(samples), overwrite_x=True
    )
    return unit_rms(wave[:samples])


def white_noise(generator: Generator, samples: int) -> Samples:
    """Draw Gaussian noise of unit variance."""
    return generator.standard_normal(samples, dtype=np.float32)


def wandering(generator: Generator, samples: int, rate_hz: int, changes_hz: float) -> Samples:
    """Draw a smooth random curve of about unit variance that turns `changes_hz` times a second."""
    knots = max(3, int(np.ceil(samples / rate_hz * changes_hz)) + 2)
    heights = generator.standard_normal(knots)
    smooth = np.convolve(np.pad(heights, 1, mode="edge"), [0.25, 0.5, 0.25], "valid") / 0.65
    where = np.linspace(0.0, knots - 1.0, samples)
    return np.interp(where, np.arange(knots), smooth).astype(np.float32)


def swelling(
    generator: Generator, samples: int, rate_hz: int, changes_hz: float, depth_db: float
) -> Samples:
    """Draw a slow positive envelope, with a standard deviation of `depth_db`."""
    exponent = wandering(generator, samples, rate_hz, changes_hz) * np.float32(depth_db / 20)
    return np.asarray(np.power(np.float32(10), exponent), np.float32)


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


def ramp(samples: int, rate_hz: int, attack_s: float, release_s: float) -> Samples:
    """Return an envelope that rises and falls as raised cosines and is 1 between."""
    envelope = np.ones(samples, np.float32)
    for edge_s, side in ((attack_s, slice(None)), (release_s, slice(None, None, -1))):
        edge = min(samples, max(1, round(edge_s * rate_hz)))
        envelope[side][:edge] *= 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    return envelope


def place(canvas: Samples, piece: Samples, start: int, gain: float = 1.0) -> None:
    """Add `piece` to `canvas` from sample `start` on; samples outside of it are cut."""
    first = max(0, -start)
    last = min(len(piece), len(canvas) - start)
    if last > first:
        canvas[start + first : start + last] += np.float32(gain) * piece[first:last]


def reverberate(
    dry: Samples,
    generator: Generator,
    rate_hz: int,
    *,
    decay_s: float,
    wet: float,
    damping_hz: float,
) -> Samples:
    """Return `dry` in a room: decaying noise is its response (Moorer 1979). The length stays.

    Parameters
    ----------
    dry : (sample,) float32
    decay_s : float
        Time to fall by 60 dB.
    wet : float
        Root of the energy of the response over the energy of the direct sound.
    damping_hz : float
        Corner of the low-pass filter of the response.
    """
    tail = min(len(dry), round(min(decay_s, 1.6) * rate_hz))
    time_s = np.arange(tail, dtype=np.float32) / rate_hz
    impulse = generator.standard_normal(tail, dtype=np.float32)
    impulse *= np.exp(-6.9 * time_s / decay_s) * (time_s > 0.004)
    impulse *= wet / (np.sqrt(np.sum(impulse**2)) + 1e-9)
    length = int(fft.next_fast_len(len(dry) + tail, real=True))
    response = fft.rfft(impulse, length) * low_pass(frequencies(length, rate_hz), damping_hz)
    return np.asarray(fft.irfft(fft.rfft(dry, length) * (1 + response), length)[: len(dry)])

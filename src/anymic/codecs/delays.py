"""The delay of a codec: measured with a probe, by cross-correlation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PROBE_S = 1.5
_REST_S = 0.5  # longer than the delay of any codec here


def probe(rate_hz: int) -> NDArray[np.float32]:
    """Return the probe for delays (sample,) float32: 1.5 s of noise bursts, 0.5 s of silence.

    The autocorrelation of noise has one sharp peak in any band; bursts of different lengths lower
    all other peaks. The noise begins at 300 Hz, because speech coders have a high-pass filter that
    changes the phase below, and falls by 3 dB an octave, because coders at low bitrates keep the
    waveform only at low frequencies. Its peak is 0.5.
    """
    generator = np.random.default_rng(20220)
    count = round(_PROBE_S * rate_hz)
    spectrum = np.fft.rfft(generator.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / rate_hz)
    lowest_hz = min(300.0, rate_hz / 8)
    spectrum *= np.where(hz < lowest_hz, 0.0, np.maximum(hz, lowest_hz) ** -0.5)
    noise = np.fft.irfft(spectrum, count)
    seconds = np.arange(count) / rate_hz
    noise *= 0.55 + 0.45 * np.sin(2 * np.pi * (3 * seconds + 1.5 * seconds**2))
    noise *= np.minimum(1.0, np.minimum(seconds, seconds[::-1]) / 0.02)
    samples = np.zeros(count + round(_REST_S * rate_hz), np.float32)
    samples[:count] = 0.5 * noise / np.abs(noise).max()
    return samples


def delay_samples(early: NDArray[np.float32], late: NDArray[np.float32]) -> float:
    """Return the delay of `late` after `early` in samples: the peak of their cross-correlation.

    Both are (sample,) of one rate, and may differ in length. The fraction comes from a parabola
    through the peak and its neighbours on a grid eight times as fine. The delay is negative where
    `late` comes first, and NaN where either is silent.
    """
    if not (early.any() and late.any()):
        return float("nan")
    size = 1 << int(np.ceil(np.log2(len(early) + len(late))))
    cross = np.conj(np.fft.rfft(early, size)) * np.fft.rfft(late, size)
    correlation = np.fft.irfft(cross, size)
    coarse = int(np.argmax(correlation))
    # Between samples the correlation is found by sinc interpolation, tapered at 64 neighbours.
    near = np.arange(-64, 65)
    fine = np.arange(-9, 10) / 8
    apart = fine[:, None] - near
    weights = np.sinc(apart) * np.cos(np.pi * apart / 132).clip(0) ** 2
    values = weights @ correlation[(coarse + near) % size]
    peak = int(np.clip(np.argmax(values), 1, len(values) - 2))
    left, middle, right = values[peak - 1 : peak + 2]
    bend = left - 2 * middle + right
    offset = 0.0 if bend == 0 else 0.5 * (left - right) / bend
    lag = coarse + fine[peak] + offset / 8
    return float(lag - size if lag > size / 2 else lag)

"""The effective bandwidth of a recording: up to which frequency it holds sound."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anymic.audio.clip import Clip

FFT_SIZE = 4096
SMOOTHED_BINS = 5
RANGE_DB = 90.0  # below the strongest frequency
ABOVE_NOISE_DB = 6.0  # above the noise of rounding to 16 bits
DENSE_S = 10.0  # from here on few frames are measured
STEP_S = 0.25  # between these
BLOCK_FRAMES = 64  # transformed at a time

# A band limit is a step of at least this within the range from 0.93 to 1.07 of its frequency ...
STEEP_DB = 12.0
# ... and of at least this between the median from 0.7 to 0.93 of it and everything above it.
STEP_DB = 18.0
LOWEST_LIMIT_HZ = 1000.0
HIGHEST_LIMIT = 0.97  # of half the rate
_CANDIDATES = 48
_GROUP = 8  # bins, of which a median is used: single tones do not count


@dataclass(frozen=True)
class Bandwidth:
    """The effective bandwidth of a recording.

    Attributes
    ----------
    hz : float
        The highest frequency at which it holds sound; 0 for silence.
    limited : bool
        Whether the spectrum ends in a step there, as that of a lower sampling rate or of a low-pass
        does. Otherwise there may be no sound above it.
    """

    hz: float
    limited: bool


def bandwidth_hz(clip: Clip) -> float:
    """Return the highest frequency at which a recording holds sound.

    It is where the spectrum ends in a step (`bandwidth_of`). Without a step, it is the highest
    frequency at which the mean power spectrum is at most 90 dB below its maximum, and at least 6 dB
    above the noise of rounding to 16 bits. A recording that was resampled from a lower rate, or
    passed through a codec with a low-pass, has a lower bandwidth than half its rate.

    Parameters
    ----------
    clip : Clip
        Of any length.

    Returns
    -------
    float
        In Hz, to about `clip.rate_hz / 4096`; 0 for silence.

    Examples
    --------
    >>> import numpy as np
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
    >>> 990 < bandwidth_hz(Clip(tone, 8000)) < 1020
    True
    """
    meter = SpectrumMeter(clip.rate_hz)
    meter.add(clip.samples)
    return bandwidth_of(meter.density(), clip.rate_hz).hz


def bandwidth_of(density: NDArray[np.float64], rate_hz: int) -> Bandwidth:
    """Return the bandwidth of a mean power spectral density (bin,), per Hz, of full scale 1.

    The spectrum is smoothed by a running median over 5 bins. It is limited if, at some frequency
    from 1 kHz to 0.97 of half the rate, it falls by at least 18 dB: from its median between 0.7 and
    0.93 of that frequency to the highest level above 1.03 of it, of medians of 8 bins; and by 12 dB
    from just below to just above. The spectrum of a sound falls less steeply, and a single tone
    raises no median.
    """
    smooth = _smoothed(density)
    rounding = 2.0**-30 / 12 / (rate_hz / 2)
    least = max(smooth.max() * 10 ** (-RANGE_DB / 10), rounding * 10 ** (ABOVE_NOISE_DB / 10))
    (above,) = np.nonzero(smooth >= least)
    if not len(above) or len(smooth) < 2:
        return Bandwidth(0.0, limited=False)
    step_hz = rate_hz / 2 / (len(smooth) - 1)
    limit = _limit(10 * np.log10(smooth + 0.01 * rounding), step_hz)
    hz = float(above[-1] * step_hz)
    return Bandwidth(hz, limited=False) if limit is None else Bandwidth(limit, limited=True)


def _smoothed(density: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the running median (bin,) over 5 bins, mirrored at both ends."""
    if len(density) < SMOOTHED_BINS:
        return density
    mirrored = np.pad(density, SMOOTHED_BINS // 2, mode="symmetric")
    groups = np.lib.stride_tricks.sliding_window_view(mirrored, SMOOTHED_BINS)
    return np.asarray(np.sort(groups, axis=1)[:, SMOOTHED_BINS // 2])


def _limit(level_db: NDArray[np.float64], step_hz: float) -> float | None:
    """Return the frequency at which a spectrum (bin,) ends in a step; None if it does not."""
    bins = len(level_db)
    lowest, highest = LOWEST_LIMIT_HZ / step_hz, HIGHEST_LIMIT * (bins - 1)
    if lowest < 4 * _GROUP or lowest >= highest:
        return None
    groups = level_db[: bins // _GROUP * _GROUP].reshape(-1, _GROUP)
    medians = np.sort(groups, axis=1)[:, _GROUP // 2]
    above = np.maximum.accumulate(medians[::-1])[::-1]  # the highest from a group on
    best_db, at, within_db = 0.0, 0.0, 0.0
    edges = _candidates(lowest, highest)
    edges = edges[(1.03 * edges / _GROUP).astype(int) + 1 < len(above)]
    beyond_db = above[(1.03 * edges / _GROUP).astype(int) + 1]
    steep = medians.max() - beyond_db >= STEP_DB  # at the others no step can be
    for edge, after_db in zip(edges[steep], beyond_db[steep], strict=True):
        inside = np.sort(medians[int(0.7 * edge / _GROUP) : int(0.93 * edge / _GROUP) + 1])
        fall_db = float(inside[len(inside) // 2] - after_db)
        if fall_db > best_db:
            best_db, at, within_db = fall_db, float(edge), float(inside[len(inside) // 2])
    if best_db < STEP_DB:
        return None
    part = level_db[: int(1.2 * at)]
    (loud,) = np.nonzero(part >= within_db - best_db / 2)
    edge = float(loud[-1]) if len(loud) else at
    below = np.median(level_db[int(0.9 * edge) : int(0.97 * edge) + 1])
    beyond = level_db[int(1.07 * edge) : max(int(1.2 * edge), int(1.07 * edge) + 4)]
    if not len(beyond) or below - np.median(beyond) < STEEP_DB:
        return None
    return edge * step_hz


@lru_cache(maxsize=8)
def _candidates(lowest: float, highest: float) -> NDArray[np.float64]:
    return np.geomspace(lowest, highest, _CANDIDATES)


class SpectrumMeter:
    """The mean power spectrum of sound that is added block by block, from a part of its frames.

    Frames of 4096 samples with a Blackman-Harris window, whose side lobes are 92 dB below its
    maximum, half overlapping in the first 10 s, and then one every 0.25 s.

    Parameters
    ----------
    rate_hz : int
    block_s : float, optional
        Also keep the mean spectrum of each block of this length, for `blocks`.
    """

    def __init__(self, rate_hz: int, *, block_s: float | None = None) -> None:
        self.rate_hz = rate_hz
        self._block = None if block_s is None else round(block_s * rate_hz)
        self._blocks: list[NDArray[np.float64]] = []
        self._own: list[NDArray[np.float32]] = []  # the spectra of the block that is not complete
        self._sparse = max(round(STEP_S * rate_hz), FFT_SIZE // 2)
        self._dense = DENSE_S * rate_hz
        self._kept: NDArray[np.float32] = np.empty(0, dtype=np.float32)
        self._begin = 0  # the sample where what is kept begins
        self._number = 0  # of the block that is not complete
        self._next = 0  # the sample where the next frame begins
        self._total: NDArray[np.float64] = np.zeros(FFT_SIZE // 2 + 1)
        self._weight = 0.0

    def add(self, samples: NDArray[np.float32]) -> None:
        """Add the next samples (sample,)."""
        kept = np.concatenate([self._kept, samples]) if len(self._kept) else samples
        end, starts = self._begin + len(kept), []
        while self._next + FFT_SIZE <= end:
            starts.append(self._next)
            self._next += FFT_SIZE // 2 if self._next < self._dense else self._sparse
        for first in range(0, len(starts), BLOCK_FRAMES):
            block = starts[first : first + BLOCK_FRAMES]
            frames = np.stack([kept[one - self._begin :][:FFT_SIZE] for one in block])
            steps = [FFT_SIZE // 2 if one < self._dense else self._sparse for one in block]
            power = power_of(frames, self.rate_hz)
            self._total += np.asarray(steps, dtype=np.float64) @ power
            self._divide(block, power)
            self._weight += float(sum(steps))
        keep = min(max(self._next - self._begin, 0), len(kept))
        self._kept, self._begin = kept[keep:].copy(), self._begin + keep

    def blocks(self) -> list[NDArray[np.float64]]:
        """Return the densities (bin,) of the blocks that are complete, each once."""
        found, self._blocks = self._blocks, []
        return found

    def _divide(self, starts: list[int], power: NDArray[np.float32]) -> None:
        """Assign the spectra of frames, which begin at these samples, to blocks."""
        if self._block is None:
            return
        for start, own in zip(starts, power, strict=True):
            if start // self._block > self._number:
                self._blocks.append(np.mean(self._own, axis=0, dtype=np.float64))
                self._number, self._own = start // self._block, []
            self._own.append(own)

    def density(self) -> NDArray[np.float64]:
        """Return the mean power spectral density (bin,), per Hz.

        Sound of less than 4096 samples is one frame, and has fewer bins; without sound it is 0.
        """
        if self._weight:
            return self._total / self._weight
        if self._begin or not len(self._kept):
            return np.zeros(1)
        return np.asarray(power_of(self._kept[None], self.rate_hz)[0], dtype=np.float64)


def power_of(frames: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """Return the power spectral densities (frame, bin), per Hz, of frames (frame, sample)."""
    from scipy.fft import rfft

    window = blackman_harris(frames.shape[1])
    centred = frames - frames.mean(axis=1, keepdims=True)
    spectrum = rfft(centred * window, axis=1, overwrite_x=True)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    scale = 2 / (rate_hz * float(np.square(window, dtype=np.float64).sum() or 1.0))
    return np.asarray(power * np.float32(scale), dtype=np.float32)


@lru_cache(maxsize=4)
def blackman_harris(length: int) -> NDArray[np.float32]:
    """Return the periodic Blackman-Harris window (sample,) of four terms.

    Source: F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier
    transform", Proceedings of the IEEE 66(1), 1978, table 1.
    """
    angles = 2 * np.pi * np.arange(length) / length
    terms = (0.35875, -0.48829, 0.14128, -0.01168)
    orders = np.arange(len(terms))[:, None]
    window: NDArray[np.float32] = (np.array(terms) @ np.cos(orders * angles)).astype(np.float32)
    window.flags.writeable = False  # it is shared
    return window

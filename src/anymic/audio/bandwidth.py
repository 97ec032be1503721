"""The effective bandwidth of a recording: up to which frequency it holds sound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anymic.audio.clip import Clip

FFT_SIZE = 4096
BLOCK_SAMPLES = FFT_SIZE * 256
SMOOTHED_BINS = 5
RANGE_DB = 90.0  # below the strongest frequency
ABOVE_NOISE_DB = 6.0  # above the noise of rounding to 16 bits


def bandwidth_hz(clip: Clip) -> float:
    """Return the highest frequency at which a recording holds sound.

    It is the highest frequency at which the mean power spectrum is at most 90 dB below its
    maximum, and at least 6 dB above the noise of rounding to 16 bits. A recording that was
    resampled from a lower rate, or passed through a codec with a low-pass, has a lower bandwidth
    than half its rate.

    Parameters
    ----------
    clip : Clip
        Of any length.

    Returns
    -------
    float
        In Hz, to about `clip.rate_hz / 4096`; 0 for silence.

    Notes
    -----
    The spectrum is Welch's, with a Blackman-Harris window of 4096 samples whose side lobes are
    92 dB below its maximum, and a running median over 5 bins.

    Examples
    --------
    >>> import numpy as np
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
    >>> 990 < bandwidth_hz(Clip(tone, 8000)) < 1020
    True
    """
    from scipy.ndimage import median_filter

    density = median_filter(_density(clip), size=min(SMOOTHED_BINS, len(clip.samples)))
    rounding = 2.0**-30 / 12 / (clip.rate_hz / 2)
    least = max(density.max() * 10 ** (-RANGE_DB / 10), rounding * 10 ** (ABOVE_NOISE_DB / 10))
    (above,) = np.nonzero(density >= least)
    if not len(above):
        return 0.0
    return float(above[-1] * clip.rate_hz / 2 / (len(density) - 1)) if len(density) > 1 else 0.0


def _density(clip: Clip) -> NDArray[np.float64]:
    """Return the mean power spectral density (bin,), per Hz, of a clip, block by block."""
    from scipy.signal import welch

    samples = clip.samples
    size = min(FFT_SIZE, len(samples))
    total, weight = np.zeros(size // 2 + 1), 0
    for begin in range(0, len(samples), BLOCK_SAMPLES):
        block = samples[begin : begin + BLOCK_SAMPLES].astype(np.float64)
        if len(block) < size:  # what is left at the end
            break
        _, found = welch(block, clip.rate_hz, "blackmanharris", nperseg=size, detrend="constant")
        total += len(block) * found
        weight += len(block)
    return np.asarray(total / max(weight, 1))

"""The noise of devices: its level in takes, and the part of it that gains would add."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal.gain_factors import BINS, smoothed
from anymic.devices.correction.frames import Frames

# The noise of a clip is a low quantile of the power of a bin over frames, as in minimum statistics
# (Martin 2001): in pauses of the sound a frame holds noise alone. The power of Gaussian noise in a
# bin has an exponential distribution, so its mean is the quantile times MEAN_OVER_QUANTILE.
QUANTILE = 0.1
MEAN_OVER_QUANTILE = -1 / math.log1p(-QUANTILE)
OVERSUBTRACTION = 2.0  # times the mean power: chosen by benchmarks/noise_in_gains.py
MOST_FRAMES = 2048  # of a clip, at equal distances
HANN_ENERGY = 3 / 8  # of a window, over its length


def noise_level(clip: Frames, *, fft_size: int) -> NDArray[np.float64]:
    """Return the root-mean-square magnitude (bin,) of the noise of a clip.

    It is relative to the root of the energy of the window, and so the same for any window.
    """
    magnitudes = np.concatenate(list(clip.magnitudes()))
    step = -(-len(magnitudes) // MOST_FRAMES)
    low = np.quantile(magnitudes[::step], QUANTILE, axis=0)
    return np.asarray(low * np.sqrt(MEAN_OVER_QUANTILE / (HANN_ENERGY * fft_size)))


def factors_with_noise(
    gains: NDArray[np.float64], noise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a row of gains with noise (3 * bin,); see `anymic._internal.gain_factors`.

    Only what the corrected noise exceeds that of the reference by is subtracted, and not below the
    level of the reference's noise: spectral subtraction (Boll 1979) with oversubtraction and a
    floor (Berouti 1979), as a factor of means (Ephraim and Malah 1984 smooth it too). The
    reference itself, with gains of 1, does not change.

    Parameters
    ----------
    gains : (bin,)
    noise : (2, bin)
        `DeviceGains.noise`.
    """
    own, floor = np.square(noise)
    excess = np.maximum(gains**2 * own - floor, 0.0)
    means = smoothed(torch.from_numpy(np.stack([OVERSUBTRACTION * excess, floor])), BINS).numpy()
    return np.concatenate([gains, np.where(excess > 0, means[0], 0.0), means[1]])

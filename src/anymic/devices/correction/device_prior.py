"""How the log response of an unknown device is assumed to vary, in bands of frequency."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anymic.devices.analysis import NEPER_DB

Array = NDArray[np.float64]

# Standard deviations of a device's response from its expectation at these frequencies,
# interpolated linearly over log frequency. The shape is the root mean square over 22 measured
# microphones (MicIRP, 0 dB from 100 Hz to 10 kHz), with at least 6 dB in the middle, where these
# have 3 to 6 dB, because other microphones differ more.
PRIOR_HZ = (62.0, 125.0, 250.0, 4000.0, 8000.0, 11_000.0, 16_000.0)
PRIOR_DB = (15.0, 10.0, 6.0, 6.0, 8.0, 15.0, 30.0)
# The correlation of a response at two frequencies falls by 1/e over this many octaves.
PRIOR_OCTAVES = 2.0
# Standard deviation of a response from the interpolation between the bands.
PRIOR_FINE_DB = 1.0

BANDS, LOWEST_HZ = 32, 40.0


def device_covariance(hz: Array) -> Array:
    """Return the covariance of an unknown device's log response, (band, band), squared nepers."""
    deviation = np.interp(np.log(hz), np.log(PRIOR_HZ), PRIOR_DB) / NEPER_DB
    octaves = np.abs(np.log2(hz[:, None] / hz))
    covariance: Array = np.outer(deviation, deviation) * np.exp(-octaves / PRIOR_OCTAVES)
    return covariance


def bands_hz(rate_hz: int, fft_size: int) -> Array:
    """Return frequencies of bins, about evenly spaced over log frequency: (band,), ascending."""
    step_hz = rate_hz / fft_size
    wanted = np.geomspace(max(LOWEST_HZ, step_hz), rate_hz / 2, BANDS)
    found: Array = np.unique(np.round(wanted / step_hz)) * step_hz
    return found


@lru_cache(maxsize=16)
def band_matrices(rate_hz: int, fft_size: int) -> tuple[Array, Array]:
    """Return the matrices into the bands (band, bin), by least squares, and back (bin, band)."""
    hz = bands_hz(rate_hz, fft_size)
    every_hz = np.maximum(np.linspace(0, rate_hz / 2, fft_size // 2 + 1), 1.0)
    lines = [np.interp(np.log(every_hz), np.log(hz), row) for row in np.eye(len(hz))]
    back = np.stack(lines, axis=1).astype(np.float64)
    return np.linalg.pinv(back).astype(np.float64), back

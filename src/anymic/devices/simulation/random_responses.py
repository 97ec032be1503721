"""Draw frequency responses as measured microphones have them, without any file of responses.

The statistics are those of 32 responses of MicIRP, the Microphone Impulse Response Project, which
`benchmarks/microphone_statistics.py` wrote into `microphones.csv`. None of the microphones of the
presets `microphones` and `identification` that results are tested on is among them.
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct

from anymic.errors import DeviceError

Array = NDArray[np.float64]

STEP = math.log(2) / 6  # of the bands, in nepers of frequency: a sixth of an octave
LOWEST_HZ, HIGHEST_HZ = 25.0, 20000.0
COMPONENTS, RIPPLES = 12, 16
LONGEST_DELAY_S = 0.007


@dataclass(frozen=True, eq=False)
class ResponseStatistics:
    """What a set of measured responses has in common.

    A response is a smooth curve over the bands, and ripples: a sum of cosines over the linear axis
    of frequency, as reflections in and around a microphone cause them.

    Attributes
    ----------
    centres_hz : (band,)
        Centres of the bands.
    mean_db, rest_db : (band,)
        The mean curve, and the standard deviation that the components leave.
    components_db : (component, band)
        Principal components, each scaled by its standard deviation.
    ripple_s : (ripple,)
        The periods of ripples, as the inverse of their distance in Hz; the delay of a reflection.
    ripple_db : (ripple,)
        Their deviation; see `ripple_density`.
    """

    centres_hz: Array
    mean_db: Array
    rest_db: Array
    components_db: Array
    ripple_s: Array
    ripple_db: Array

    def draw(self, count: int, hz: Array, generator: np.random.Generator) -> Array:
        """Return the levels (count, bin) in dB of random responses, at equidistant frequencies.

        Parameters
        ----------
        count : int
        hz : (bin,)
            Frequencies of an FFT, from 0 to half the sampling rate.
        generator : numpy.random.Generator

        Examples
        --------
        >>> hz = np.linspace(0, 22050, 1025)
        >>> microphones().draw(2, hz, np.random.default_rng(0)).shape
        (2, 1025)
        """
        curves = self.draw_cosines(count, hz, generator, len(hz) - 1)
        return np.asarray(idct(np.pad(curves, ((0, 0), (1, 0))), axis=-1, norm="ortho"))

    def draw_cosines(
        self, count: int, hz: Array, generator: np.random.Generator, most: int
    ) -> Array:
        """Return coefficients 1 to `most` of `cosine_transform` of random responses, in dB."""
        smooth, deviation = self._cosines(hz, most)
        amounts = generator.standard_normal((count, len(self.components_db)))
        rest = generator.standard_normal((count, len(self.rest_db))) * self.rest_db
        curves = self.mean_db + amounts @ self.components_db + rest
        ripples = generator.standard_normal((count, most)) * deviation
        return np.asarray(curves @ smooth + ripples)

    def _cosines(self, hz: Array, most: int) -> tuple[Array, Array]:
        """Return the transform of the bands (band, most), and the deviation of ripples (most,)."""
        rate_hz = 2 * float(hz[-1])
        smooth = cosine_transform(between_bands(self.centres_hz, hz))[:, 1 : most + 1]
        delays = np.arange(1, most + 1) / rate_hz
        logs = np.interp(np.log(delays), np.log(self.ripple_s), np.log(self.ripple_db))
        return smooth, np.exp(logs) * ripple_density(rate_hz, len(hz))


def fit_statistics(levels_db: Array, hz: Array) -> ResponseStatistics:
    """Return the statistics of responses (response, bin) in dB, at the frequencies of an FFT.

    Bands are sixths of an octave from 25 Hz to 20 kHz or half the rate. The level of a response
    does not count. Ripples are what the bands leave, up to a delay of 7 ms.

    Raises
    ------
    DeviceError
        If there are fewer than three responses.
    """
    if len(levels_db) < 3:
        raise DeviceError(
            f"there are {len(levels_db)} responses",
            expected="at least three, to draw others like them",
            fix="add measured responses",
        )
    highest_hz = min(HIGHEST_HZ, float(hz[-1]))
    steps = np.arange(np.ceil(np.log(LOWEST_HZ / 1000) / STEP), np.log(highest_hz / 1000) / STEP)
    centres = 1000 * np.exp(STEP * steps)
    bands = np.stack([_band_means(levels_db, hz, centre) for centre in centres], axis=1)
    bands -= bands.mean(axis=1, keepdims=True)
    mean = bands.mean(axis=0)
    _, scales, axes = np.linalg.svd(bands - mean, full_matrices=False)
    parts = (scales[:, None] * axes / math.sqrt(len(bands) - 1))[:COMPONENTS]
    left = levels_db - bands @ between_bands(centres, hz)
    rate_hz = 2 * float(hz[-1])
    most = min(round(LONGEST_DELAY_S * rate_hz), len(hz) - 1)
    power = (cosine_transform(left)[:, 1 : most + 1] ** 2).mean(axis=0)
    places = np.unique(np.round(np.geomspace(1, most, RIPPLES)).astype(int))
    around = [power[max(0, int(place * 0.8) - 1) : int(place * 1.25)].mean() for place in places]
    return ResponseStatistics(
        centres_hz=centres,
        mean_db=mean,
        rest_db=np.sqrt(np.maximum(bands.var(axis=0) - (parts**2).sum(axis=0), 0)),
        components_db=parts,
        ripple_s=places / rate_hz,
        ripple_db=np.sqrt(around) / ripple_density(rate_hz, len(hz)),
    )


def _band_means(levels_db: Array, hz: Array, centre_hz: float) -> Array:
    """Return the mean (response,) over a band, or the nearest bin where none lies in it."""
    inside = (hz >= centre_hz * math.exp(-STEP / 2)) & (hz < centre_hz * math.exp(STEP / 2))
    if not inside.any():
        inside = np.arange(len(hz)) == max(1, int(np.abs(hz - centre_hz).argmin()))
    return np.asarray(levels_db[:, inside].mean(axis=1))


@lru_cache(maxsize=1)
def microphones() -> ResponseStatistics:
    """Return the statistics of measured microphones that belong to the package."""
    lines = [line for line in _table().splitlines() if not line.startswith("#")]
    rows = list(csv.reader(lines))[1:]
    bands = np.array([[float(cell) for cell in row[1:]] for row in rows if row[0] == "band"])
    ripples = np.array([[float(row[1]), float(row[3])] for row in rows if row[0] == "ripple"])
    return ResponseStatistics(
        centres_hz=bands[:, 0],
        mean_db=bands[:, 1],
        rest_db=bands[:, 2],
        components_db=bands[:, 3:].T,
        ripple_s=ripples[:, 0],
        ripple_db=ripples[:, 1],
    )


def microphone_files() -> tuple[str, ...]:
    """Return the names of the files of MicIRP that these statistics were fitted to.

    Examples
    --------
    >>> len(microphone_files())
    32
    """
    head = [line for line in _table().splitlines() if line.startswith("#")]
    return tuple(re.findall(r"\S+\.wav", "\n".join(head)))


def _table() -> str:
    return resources.files(__package__).joinpath("microphones.csv").read_text(encoding="utf-8")


def cosine_transform(values: Array) -> Array:
    """Return the orthonormal discrete cosine transform (type 2) along the last axis."""
    return np.asarray(dct(values, axis=-1, norm="ortho"))


def between_bands(centres_hz: Array, hz: Array) -> Array:
    """Return the matrix (band, bin) that interpolates between bands, linear in log frequency.

    Below the first band and above the last one the value of that band is kept.
    """
    places = np.log(np.maximum(hz, hz[1] / 2))
    logs = np.log(centres_hz)
    return np.array([np.interp(places, logs, row) for row in np.eye(len(logs))])


def ripple_density(rate_hz: float, bins: int) -> float:
    """Return the deviation of a cosine coefficient for a deviation of 1 dB in each second of delay.

    Coefficient k is a ripple of the delay k / rate_hz. The more bins, the larger is a coefficient
    of the same ripple; the higher the rate, the more coefficients share an interval of delays.
    """
    return math.sqrt(bins / rate_hz)

"""Random devices for training: a response, a level, a noise floor and an upper cut-off each.

Draw, then apply: `RandomDevices.draw` returns plain arrays, which a training applies to log-mel
features (`anymic.training.loop.augmentation`) or to the samples of clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anymic.devices.simulation.random_responses import microphones
from anymic.devices.simulation.response import ResponseSpec, impulse_response
from anymic.errors import ConfigError, DeviceError

Array = NDArray[np.float64]

LEAST_DB = -80.0  # of a response, against its mean
LOWEST_CUTOFF_HZ = 3400.0  # that of a telephone
CUTOFF_DB_PER_OCTAVE = 60.0
MIDDLE_HZ = (100.0, 10_000.0)  # where a response has 0 dB on average, before its level
FINE = 32  # points of a measured response in each frequency bin


class DrawnDevices(NamedTuple):
    """Random devices, as plain arrays.

    Attributes
    ----------
    levels_db : (device, bin)
        The frequency response, with the level and the cut-off of the device.
    noise_db : (device,)
        RMS level in dBFS of the white noise that the device adds; -inf is none.
    drive_db : (device,)
        Level above full scale to which the loudest sample is raised before it is clipped softly; 0
        changes nothing. Features cannot be clipped: this is for samples.
    """

    levels_db: Array
    noise_db: Array
    drive_db: Array


@dataclass(frozen=True)
class RandomDevices:
    """Random devices that training clips are recorded with (Morocutti 2023, arXiv 2305.07499).

    Attributes
    ----------
    share : float
        Share of the clips that a network is trained on through a random device, drawn anew in each
        epoch.
    copies : int
        Number of copies of each clip, each through a device of its own, that a head on embeddings
        is trained on besides the clip.
    responses : str, optional
        Folder of measured impulse responses (.wav), one of which is drawn for each device. By
        default responses are drawn from the statistics of measured microphones; see
        `anymic.devices.simulation.random_responses`.
    scale : float
        Factor on the response in dB.
    level_db : float
        Standard deviation of the level of a device.
    noise_db : tuple of float
        Lowest and highest level of its noise in dBFS, uniform between them.
    cutoffs : float
        Share of the devices that record nothing above a frequency between 3.4 kHz and half the
        rate, drawn uniformly over its logarithm.
    clipping : float
        Share of the devices that clip softly, by up to 12 dB. Only heads on embeddings use it.

    Examples
    --------
    >>> hz = np.linspace(0, 22050, 1025)
    >>> RandomDevices().draw(2, hz, np.random.default_rng(0)).levels_db.shape
    (2, 1025)
    """

    share: float = 0.5
    copies: int = 2
    responses: str | None = None
    scale: float = 1.0
    level_db: float = 3.0
    noise_db: tuple[float, float] = (-90.0, -60.0)
    cutoffs: float = 0.1
    clipping: float = 0.1

    def __post_init__(self) -> None:
        """Raise ConfigError for shares outside 0 to 1, negative numbers, and noise above 0 dBFS."""
        problems = [
            f"{name} is {value:g}"
            for name in ("share", "cutoffs", "clipping")
            if not 0 <= (value := getattr(self, name)) <= 1
        ]
        problems += [
            f"{name} is {value:g}"
            for name in ("copies", "scale", "level_db")
            if not 0 <= (value := getattr(self, name)) < np.inf
        ]
        object.__setattr__(self, "noise_db", tuple(map(float, self.noise_db)))
        if len(self.noise_db) != 2 or not self.noise_db[0] <= self.noise_db[-1] <= 0:
            problems.append(f"noise_db is {list(self.noise_db)}")
        if problems:
            raise ConfigError(
                "the random devices are impossible: " + "; ".join(problems),
                expected="shares from 0 to 1, numbers from 0 on, two ascending levels below 0 dBFS",
                fix="correct the settings of random_devices",
            )

    def draw(self, count: int, hz: Array, generator: np.random.Generator) -> DrawnDevices:
        """Draw devices for clips.

        Parameters
        ----------
        count : int
        hz : (bin,)
            Frequencies of an FFT, from 0 to half the sampling rate.
        generator : numpy.random.Generator
            The same state gives the same devices.

        Raises
        ------
        DeviceError
            If the folder of responses has none, or one does not fit the rate.
        """
        if self.responses is None:
            levels = microphones().draw(count, hz, generator)
        else:
            measured = measured_levels(self.responses, 2 * round(float(hz[-1])), len(hz))
            levels = measured[generator.integers(len(measured), size=count)]
        levels = self.scale * (levels - _middle(levels, hz))
        levels = np.maximum(levels, LEAST_DB)
        levels += self.level_db * generator.standard_normal((count, 1))
        highest_hz = float(hz[-1])
        lowest_hz = min(LOWEST_CUTOFF_HZ, highest_hz)
        cutoffs = np.exp(generator.uniform(np.log(lowest_hz), np.log(highest_hz), count))
        cutoffs[generator.random(count) >= self.cutoffs] = np.inf
        octaves = np.log2(np.maximum(hz, 1.0)) - np.log2(cutoffs)[:, None]
        levels -= CUTOFF_DB_PER_OCTAVE * np.maximum(octaves, 0.0)
        drive = generator.uniform(0, 12, count)
        drive[generator.random(count) >= self.clipping] = 0.0
        return DrawnDevices(levels, generator.uniform(*self.noise_db, count), drive)


def _middle(levels_db: Array, hz: Array) -> Array:
    """Return the mean level (response, 1) from 100 Hz to 10 kHz, each octave alike."""
    inside = (hz >= MIDDLE_HZ[0]) & (hz <= MIDDLE_HZ[1])
    weights = np.where(inside, 1 / np.maximum(hz, 1.0), 0.0)
    return np.asarray(levels_db @ weights / weights.sum())[:, None]


@lru_cache(maxsize=8)
def measured_levels(folder: str, rate_hz: int, bins: int) -> Array:
    """Return the responses of a folder, (response, bin) in dB: mean power over the width of a bin.

    Raises
    ------
    DeviceError
        If the folder has no responses, or one cannot be used at this rate.
    """
    files = sorted(Path(folder).glob("*.wav"))
    if not files:
        raise DeviceError(
            f"the folder {folder} has no impulse responses",
            expected="one .wav file for each measured device",
            fix="correct random_devices.responses, or leave it out to use the built-in statistics",
        )
    found = []
    for file in files:
        taps = impulse_response(ResponseSpec(file=file.name), rate_hz, folder).taps
        size = 2 * (bins - 1)
        points = max(FINE, -(-len(taps) // size)) * size
        power = np.abs(np.fft.fft(taps, points)) ** 2
        width = points // size
        around = np.roll(power, width // 2).reshape(size, width).mean(axis=1)[:bins]
        found.append(10 * np.log10(np.maximum(around, 1e-12)))
    return np.stack(found)

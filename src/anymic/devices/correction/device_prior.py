"""What the gains of an unknown device are expected to be before it has recorded anything.

A prior is a mixture of normal distributions of log gains (natural logarithm) in bands. New models
have the prior "microphones". Models of an earlier version have "smooth", and keep their answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anymic.devices.analysis import NEPER_DB
from anymic.devices.simulation.random_responses import microphones

Array = NDArray[np.float64]
Prior = Literal["microphones", "smooth"]
PRIORS: tuple[Prior, ...] = ("microphones", "smooth")

# Shares of devices: nearly like a known one, like the measured microphones, and of any other kind.
KNOWN_SHARE, MEASURED_SHARE, OTHER_SHARE = 0.4, 0.4, 0.2
# Deviation from a known device, from the statistics of the measured ones, which are a single
# collection, and of devices of any kind from a smooth curve; they fall by 1/e over an octave.
NEARLY_DB, UNLIKE_DB, ROUGH_DB, OCTAVES = 2.0, 2.0, 1.0, 1.0
LEVEL_DB = 3.0  # of the sensitivity of a device, which has no place in a response
# The level of a response is its mean over these frequencies.
LEVEL_HZ = (125.0, 7500.0)
# Devices of any kind: standard deviations at these frequencies, interpolated over log frequency.
# The shape is the root mean square over 22 measured microphones (MicIRP, 0 dB from 100 Hz to
# 10 kHz), with at least 6 dB in the middle, where these have 3 to 6 dB.
SMOOTH_HZ = (62.0, 125.0, 250.0, 4000.0, 8000.0, 11_000.0, 16_000.0)
SMOOTH_DB = (15.0, 10.0, 6.0, 6.0, 8.0, 15.0, 30.0)
SMOOTH_OCTAVES = 2.0  # of the prior "smooth"


@dataclass(frozen=True, eq=False)
class Component:
    """A normal distribution of log gains.

    Attributes
    ----------
    share : float
        Its weight in the mixture.
    mean : (band,), natural logarithm
    covariance : (band, band), natural logarithm squared
    """

    share: float
    mean: Array
    covariance: Array


@dataclass(frozen=True, eq=False)
class Posterior:
    """The mean (band,) and the covariance (band, band) of log gains, given an observation."""

    mean: Array
    covariance: Array


def components(prior: Prior, hz: Array, known: Array) -> tuple[Component, ...]:
    """Return the prior of an unknown device's log gains.

    Parameters
    ----------
    prior : {"microphones", "smooth"}
    hz : (band,)
        Frequencies of the bands, ascending.
    known : (device, band), natural logarithm
        Log gains of the known devices. Without any, the training clips need no correction.

    Notes
    -----
    "smooth" is one component: the mean of the known devices, and covariances that fall by 1/e over
    two octaves. "microphones" has one component for each known device, one for measured microphones
    (`random_responses.microphones`), and one of smooth curves of any kind. Measured microphones
    fall by more than 20 dB above 10 kHz, telephones do not: a single component would not fit both.

    Responses are relative to a flat device. If the gains correct towards a single device (its log
    gains are 0), this one is taken to be nearly flat. Otherwise the measured microphones are
    expected to be around the mean of the known devices, wherever this is.
    """
    known = np.asarray(known, dtype=np.float64)
    if not len(known):
        known = np.zeros((1, len(hz)))
    expected = known.mean(axis=0)
    octaves = np.abs(np.log2(hz[:, None] / hz))
    deviation = np.interp(np.log(hz), np.log(SMOOTH_HZ), SMOOTH_DB) / NEPER_DB
    products = np.outer(deviation, deviation)
    if prior == "smooth":
        return (Component(1.0, expected, products * np.exp(-octaves / SMOOTH_OCTAVES)),)
    mean, covariance = _measured(tuple(hz))
    level = (LEVEL_DB / NEPER_DB) ** 2
    if (np.abs(known).max(axis=1) < 1e-9).any():
        measured = Component(MEASURED_SHARE, -mean, covariance + level)
    else:
        around = covariance + np.outer(mean, mean) + level
        measured = Component(MEASURED_SHARE, expected, around)
    near = _falling(hz, NEARLY_DB) + level
    other = products * np.exp(-0.5 * (octaves / OCTAVES) ** 2) + _falling(hz, ROUGH_DB)
    share = KNOWN_SHARE / len(known)
    return (
        *(Component(share, gains, near) for gains in known),
        measured,
        Component(OTHER_SHARE, expected, other + level),
    )


def posterior(mixture: Sequence[Component], observed: Array, noise: Array) -> Posterior:
    """Return the distribution of log gains, given an observation of them.

    Parameters
    ----------
    mixture : sequence of Component
    observed : (band,)
        The gains plus noise.
    noise : (band, band)
        The covariance of the noise.
    """
    logs, means, covariances = [], [], []
    for one in mixture:
        root = np.linalg.cholesky(one.covariance + noise)
        white = np.linalg.solve(root, np.c_[observed - one.mean, one.covariance])
        logs.append(
            np.log(one.share) - np.log(np.diag(root)).sum() - 0.5 * np.square(white[:, 0]).sum()
        )
        means.append(one.mean + white[:, 1:].T @ white[:, 0])
        covariances.append(one.covariance - white[:, 1:].T @ white[:, 1:])
    weights = np.exp(np.array(logs) - np.max(logs))
    weights /= weights.sum()
    mean = weights @ np.array(means)
    apart = np.array(means) - mean
    within = np.einsum("c,cij->ij", weights, np.array(covariances))
    return Posterior(mean, within + np.einsum("c,ci,cj->ij", weights, apart, apart))


def _falling(hz: Array, deviation_db: float) -> Array:
    octaves = np.abs(np.log2(hz[:, None] / hz))
    return np.asarray((deviation_db / NEPER_DB) ** 2 * np.exp(-octaves / OCTAVES))


@lru_cache(maxsize=16)
def _measured(hz: tuple[float, ...]) -> tuple[Array, Array]:
    """Return mean (band,) and covariance (band, band) of measured microphones' log responses."""
    bands, statistics = np.array(hz), microphones()
    logs = np.log(statistics.centres_hz)
    into = np.stack([np.interp(np.log(bands), logs, row) for row in np.eye(len(logs))], axis=1)
    inside = (bands >= LEVEL_HZ[0]) & (bands <= LEVEL_HZ[1])
    inside = inside if inside.any() else np.ones_like(inside)
    into -= (inside @ into) / inside.sum()
    mean = into @ statistics.mean_db / NEPER_DB
    parts = into @ statistics.components_db.T / NEPER_DB
    rest = into * statistics.rest_db / NEPER_DB
    return mean, parts @ parts.T + rest @ rest.T + _falling(bands, UNLIKE_DB)

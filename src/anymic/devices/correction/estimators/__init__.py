"""Estimators of device gains by name, and the clips that an estimator gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from anymic._internal.registry import Registry
from anymic.devices.correction.spectra import ClipSpectra
from anymic.errors import DeviceError

Array: TypeAlias = NDArray[np.float64]
Takes = Literal["required", "optional", "ignored"]


@dataclass(frozen=True, eq=False)
class Recordings:
    """The clips of the reference devices and of one other device, for an estimator.

    Attributes
    ----------
    spectra : ClipSpectra
        The mean spectra of every clip.
    rows : tuple of (clip,) int
        Rows of `spectra`: one array for each reference device, then that of the device.
    aligned : bool
        Whether entry i of all these arrays belongs to one take.
    floor_db, limit_db : float
        See `SpectrumCorrection`.
    """

    spectra: ClipSpectra
    rows: tuple[NDArray[np.int64], ...]
    aligned: bool
    floor_db: float
    limit_db: float

    @property
    def by_take(self) -> NDArray[np.int64]:
        """The rows of aligned clips, (take, device); the device to correct is the last."""
        return np.stack(self.rows, axis=1)

    def of_takes(self, values: Array) -> tuple[Array, Array]:
        """Return the reference's mean and the device's own values, each (take, bin), if aligned."""
        taken = values[self.by_take]
        return taken[:, :-1].mean(axis=1), taken[:, -1]

    def means(self, values: Array) -> tuple[Array, Array]:
        """Return the means over clips of the reference and of the device, each (bin,)."""
        means = [values[rows].mean(axis=0) for rows in self.rows]
        return np.mean(means[:-1], axis=0), means[-1]

    def ratios_db(self, reference: Array, device: Array) -> Array:
        """Return floored ratios of magnitudes in dB, within the limit."""
        return self.limited(20 * np.log10(self.floored(reference) / self.floored(device)))

    def limited(self, ratios_db: Array) -> Array:
        """Return ratios in dB within the limit."""
        return np.clip(ratios_db, -self.limit_db, self.limit_db)

    def floored(self, spectra: Array) -> Array:
        """Raise (..., bin) magnitudes to the floor, relative to their own root mean square."""
        level = np.sqrt(np.mean(np.square(spectra), axis=-1, keepdims=True))
        floored: Array = np.maximum(spectra, level * 10 ** (self.floor_db / 20))
        return floored


Estimate = Callable[[Recordings], tuple[Array, Array]]
Function = TypeVar("Function", bound=Estimate)


@dataclass(frozen=True)
class EstimatorSpec:
    """An estimator, as `register_estimator` describes it.

    `estimate` takes `Recordings` and returns the gains (bin,), linear, and the ratios (clip, bin)
    in dB, whose spread is reported. Gains are limited to `limit_db` afterwards.
    """

    name: str
    estimate: Estimate
    takes: Takes
    mel_bands: bool


ESTIMATORS: Registry[EstimatorSpec] = Registry(
    "estimator", package="anymic.devices.correction.estimators", error=DeviceError
)


def register_estimator(
    name: str, *, takes: Takes, mel_bands: bool = False
) -> Callable[[Function], Function]:
    """Register the decorated function (see `EstimatorSpec`) as an estimator of device gains.

    Parameters
    ----------
    name : str
        For `SpectrumCorrection(estimator=...)`.
    takes : {"required", "optional", "ignored"}
        Whether it needs aligned takes, uses them where there are some, or uses all clips.
    mel_bands : bool
        Whether it also works on mel bands: whether it uses only mean magnitudes, which mel
        filters may sum.

    Returns
    -------
    callable
        A decorator of the estimator: from recordings to gains (bin,), linear, and
        ratios (take, bin) in dB. It returns what it is
        given.

    Raises
    ------
    DeviceError
        If another estimator has this name.

    Examples
    --------
    >>> import anymic, numpy as np
    >>> @anymic.register_estimator("example_median", takes="required")
    ... def median_of_ratios(recordings):
    ...     reference, device = recordings.of_takes(recordings.spectra.magnitude)
    ...     ratios_db = recordings.ratios_db(reference, device)  # (take, bin)
    ...     return 10 ** (np.median(ratios_db, axis=0) / 20), ratios_db
    """

    def decorate(function: Function) -> Function:
        spec = EstimatorSpec(name, function, takes, mel_bands)
        ESTIMATORS.add(name, spec, made_by=function)
        return function

    return decorate

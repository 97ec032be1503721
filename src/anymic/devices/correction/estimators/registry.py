"""Estimators by name, and how one of them makes the gains that lead a device to the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from anymic._internal.registry import Registry
from anymic.devices.correction.profile import DeviceGains
from anymic.devices.correction.spectra import ClipSpectra
from anymic.errors import DeviceError, Failure

Array: TypeAlias = NDArray[np.float64]
Takes = Literal["required", "optional", "ignored"]


@dataclass(frozen=True, eq=False)
class Recordings:
    """What an estimator gets: the clips of the reference devices and of one other device.

    Attributes
    ----------
    spectra : ClipSpectra
        What was measured of every clip: linear magnitudes and their logarithms, (clip, bin).
    rows : tuple of (clip,) int
        The rows of `spectra`: one array for each reference device, the device's own last.
    aligned : bool
        Whether entry i of all these arrays is one take: the same moment.
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
        """The rows of aligned clips, (take, device), the device to be corrected last."""
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
    """What callers need to know about an estimator.

    Attributes
    ----------
    name : str
    estimate : callable
        From `Recordings` to the gains (bin,), linear, and the ratios (clip, bin) in dB whose
        spread is reported.
    takes : {"required", "optional", "ignored"}
        Whether it needs aligned takes, uses them where there are some, or uses all clips.
    mel_bands : bool
        Whether it may work on mel bands in place of frequency bins: whether all that it uses are
        mean magnitudes, which mel filters may sum.
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
    """Return a decorator that makes an estimator of device gains known by name.

    Parameters
    ----------
    name : str
        For `SpectrumCorrection(estimator=...)`.
    takes : {"required", "optional", "ignored"}
    mel_bands : bool
        See `EstimatorSpec`.

    Returns
    -------
    callable
        Takes a function and returns it unchanged; see `EstimatorSpec.estimate`. Gains are limited
        to `limit_db` afterwards.

    Raises
    ------
    DeviceError
        If the name is taken by another estimator.
    """

    def decorate(function: Function) -> Function:
        spec = EstimatorSpec(name, function, takes, mel_bands)
        ESTIMATORS.add(name, spec, made_by=function)
        return function

    return decorate


@dataclass(frozen=True)
class Estimation:
    """An estimator at work, for one choice of reference.

    Attributes
    ----------
    spectra : ClipSpectra
        What was measured.
    reference : tuple of str
        The devices whose mean is the reference.
    estimator : str
        A name of `ESTIMATORS`; `SpectrumCorrection` gives the formulas.
    floor_db, limit_db : float
        See `SpectrumCorrection`.
    """

    spectra: ClipSpectra
    reference: tuple[str, ...]
    estimator: str
    floor_db: float
    limit_db: float

    def solve(self, device: str) -> tuple[DeviceGains, set[int]]:
        """Return the gains of `device` and the rows of the clips used.

        Raises
        ------
        DeviceError
            If there is no take that the device and every reference device recorded, the estimator
            needs takes and there are none, or it returns something else than gains.
        """
        spec = ESTIMATORS.get(self.estimator)
        names = [*self.reference, device]
        aligned = spec.takes != "ignored" and any(self.spectra.takes)
        if aligned:
            rows = tuple(self.spectra.aligned_rows(names).T)
            if not len(rows[0]):
                raise no_takes(self.reference, device, failures=self.spectra.failures)
        elif spec.takes == "required":
            without = [one.name for one in ESTIMATORS.specs() if one.takes != "required"]
            raise DeviceError(
                f"there are no aligned takes for {self.estimator}",
                expected="clips with equal `take`s",
                fix=f"add a column `take`, or use {' or '.join(without)}",
            )
        else:
            rows = tuple(self.spectra.rows(name) for name in names)
        recordings = Recordings(self.spectra, rows, aligned, self.floor_db, self.limit_db)
        gains, ratios_db = spec.estimate(recordings)
        bins = self.spectra.magnitude.shape[1]
        if np.shape(gains) != (bins,) or np.shape(ratios_db)[1:] != (bins,):
            raise DeviceError(
                f"estimator {self.estimator} returns {np.shape(gains)} and {np.shape(ratios_db)}",
                expected=f"gains ({bins},) and ratios (clip, {bins})",
                fix="return an array for each",
            )
        used = {int(row) for own in rows for row in own}
        return self._gains(gains, recordings.limited(ratios_db)), used

    def _gains(self, gains: Array, ratios_db: Array) -> DeviceGains:
        limit = 10 ** (self.limit_db / 20)
        count = len(ratios_db)
        spread = ratios_db.std(axis=0, ddof=1) if count > 1 else np.zeros(len(gains))
        return DeviceGains(np.clip(gains, 1 / limit, limit), count, spread)


def no_takes(
    reference: Sequence[str], device: str, *, failures: Sequence[Failure] = ()
) -> DeviceError:
    """Return the error that there is no take of all reference devices and `device`."""
    others = "+".join(name for name in reference if name != device)
    return DeviceError(
        f"there are no aligned takes of {others} and {device}{failed(failures)}",
        expected="at least one",
        fix="record some at the same time and give them equal `take`s, leave the device out, or "
        "use the estimator geometric_unaligned",
    )


def failed(failures: Sequence[Failure]) -> str:
    """Return how many clips failed and why the first did, for a message."""
    if not failures:
        return ""
    return f". {len(failures)} clips failed. The first, {failures[0].path}: {failures[0].reason}"

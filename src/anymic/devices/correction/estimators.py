"""Estimators of the gains that lead from a device's spectrum to the reference's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anymic.devices.correction.profile import DeviceGains
from anymic.devices.correction.spectra import ClipSpectra
from anymic.errors import DeviceError, Failure

ESTIMATORS = ("ratio_of_means", "mean_of_ratios", "geometric", "geometric_unaligned")
NEPER_DB = 20 / math.log(10)  # dB of a natural logarithm of an amplitude

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimation:
    """The estimators, for one choice of reference.

    `rows` are (take, device), the device to be corrected in the last column; spectra taken at
    them are (take, device, bin), linear magnitudes or natural logarithms.

    Attributes
    ----------
    spectra : ClipSpectra
        What was measured.
    reference : tuple of str
        The devices whose mean is the reference.
    estimator : str
        One of `ESTIMATORS`; `SpectrumCorrection` gives the formulas.
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
            If there is no take that the device and every reference device recorded.
        """
        aligned = self.estimator != "geometric_unaligned" and any(self.spectra.takes)
        return self._aligned(device) if aligned else self._unaligned(device)

    def _aligned(self, device: str) -> tuple[DeviceGains, set[int]]:
        rows = self.spectra.aligned_rows([*self.reference, device])
        if not len(rows):
            raise no_takes(self.reference, device, failures=self.spectra.failures)
        estimators: dict[str, Callable[[NDArray[np.int64]], tuple[Array, Array]]] = {
            "ratio_of_means": self._ratio_of_means,
            "mean_of_ratios": self._mean_of_ratios,
            "geometric": self._geometric,
        }
        gains, ratios_db = estimators[self.estimator](rows)
        return self._gains(gains, ratios_db), set(rows.ravel().tolist())

    def _ratio_of_means(self, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        reference, device = self._take_spectra(rows)
        gains = self._floored(reference.mean(axis=0)) / self._floored(device.mean(axis=0))
        return gains, self._ratios_db(reference, device)

    def _mean_of_ratios(self, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        ratios_db = self._ratios_db(*self._take_spectra(rows))
        return (10 ** (ratios_db / 20)).mean(axis=0), ratios_db

    def _geometric(self, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        logs = self.spectra.joint_log_magnitude[rows]
        ratios_db = NEPER_DB * (logs[:, :-1].mean(axis=1) - logs[:, -1])
        ratios_db = np.clip(ratios_db, -self.limit_db, self.limit_db)
        return 10 ** (ratios_db.mean(axis=0) / 20), ratios_db

    def _unaligned(self, device: str) -> tuple[DeviceGains, set[int]]:
        geometric = self.estimator == "geometric_unaligned"
        if not geometric and self.estimator != "ratio_of_means":
            raise DeviceError(
                f"no aligned takes for {self.estimator}",
                expected="clips with equal `take`s",
                fix="add a column `take`, or use ratio_of_means or geometric_unaligned",
            )
        values = self.spectra.log_magnitude if geometric else self.spectra.magnitude
        groups = [self.spectra.rows(name) for name in (*self.reference, device)]
        means = [values[rows].mean(axis=0) for rows in groups]
        reference, own = np.mean(means[:-1], axis=0), means[-1]
        if geometric:
            gains = np.exp(reference - own)
            ratios_db = NEPER_DB * (reference - values[groups[-1]])
        else:
            gains = self._floored(reference) / self._floored(own)
            ratios_db = self._ratios_db(reference[None], values[groups[-1]])
        used = {int(row) for rows in groups for row in rows}
        return self._gains(gains, np.clip(ratios_db, -self.limit_db, self.limit_db)), used

    def _take_spectra(self, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        """Return the reference's and the device's spectra, each (take, bin)."""
        magnitude = self.spectra.magnitude[rows]
        return magnitude[:, :-1].mean(axis=1), magnitude[:, -1]

    def _ratios_db(self, reference: Array, device: Array) -> Array:
        ratios_db: Array = 20 * np.log10(self._floored(reference) / self._floored(device))
        return ratios_db.clip(-self.limit_db, self.limit_db)

    def _floored(self, spectra: Array) -> Array:
        """Raise (..., bin) magnitudes to the floor, relative to their own root mean square."""
        level = np.sqrt(np.mean(np.square(spectra), axis=-1, keepdims=True))
        floored: Array = np.maximum(spectra, level * 10 ** (self.floor_db / 20))
        return floored

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
        f"0 aligned takes between {others} and {device}{failed(failures)}",
        expected="at least 1",
        fix="record some side by side and give them equal `take`s, leave the device out, or "
        "use the estimator geometric_unaligned",
    )


def failed(failures: Sequence[Failure]) -> str:
    """Return how many clips failed and why the first did, for a message."""
    if not failures:
        return ""
    return f" ({len(failures)} clips failed, first {failures[0].path}: {failures[0].reason})"

"""Gains of devices from measured spectra: the profile, and notes on its quality."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

import numpy as np
from numpy.typing import NDArray

from anymic.devices.correction.estimators import ESTIMATORS, Recordings
from anymic.devices.correction.profile import DeviceGains, DeviceProfile
from anymic.devices.correction.spectra import ClipSpectra
from anymic.errors import DeviceError, Failure, counted

FEW_TAKES = 5


def choose_devices(
    reference: str | Sequence[str], devices: Sequence[str] | None, known: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the reference devices and the devices to make gains for (None: all).

    Raises a DeviceError if one is not among the `known`, or there is none but the reference.
    """
    if reference == "all":
        references = tuple(sorted(known))
    else:
        references = tuple(sorted(set(_known(reference, known, what="reference device"))))
    chosen = _known(devices, known) if devices else tuple(known)
    if len({*chosen, *references}) < 2:
        raise DeviceError(
            f"the manifest has only the devices {', '.join(known) or '(none)'}",
            expected="a reference and at least one device to correct",
            fix="add clips of another device to the manifest",
        )
    return references, chosen


def _known(names: Sequence[str], known: Sequence[str], *, what: str = "device") -> tuple[str, ...]:
    names = (names,) if isinstance(names, str) else tuple(names)
    unknown = [name for name in names if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        raise DeviceError(
            f"unknown {what} {', '.join(map(repr, unknown))}",
            expected="one of " + ", ".join(sorted(known)),
            fix=f"did you mean {near[0]!r}?" if near else "choose one of them",
        )
    return names


@dataclass(frozen=True)
class Estimation:
    """Estimates gains from measured spectra, towards the mean of the reference devices.

    The other attributes are those of `SpectrumCorrection`.
    """

    spectra: ClipSpectra
    reference: tuple[str, ...]
    estimator: str
    floor_db: float
    limit_db: float
    subtract_noise: bool = False

    def solve(self, device: str) -> tuple[DeviceGains, set[int]]:
        """Return the gains of `device` and the rows of the clips used.

        Raises a DeviceError if there is no take of the device and every reference device, the
        estimator needs takes and there are none, or it does not return gains.
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
        limit, count = 10 ** (self.limit_db / 20), len(ratios_db)
        limited_db = recordings.limited(ratios_db)
        spread_db = limited_db.std(axis=0, ddof=1) if count > 1 else np.zeros(bins)
        used = {int(row) for own in rows for row in own}
        noise = self._noise(rows) if self.subtract_noise else None
        gains = np.clip(gains, 1 / limit, limit)
        return DeviceGains(gains, count, spread_db, noise=noise), used

    def _noise(self, rows: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
        """Return the noise of the device, whose rows are the last, and of the reference devices.

        That of a device is the least over its clips: others hold sound without a pause.
        """
        levels = self.spectra.noise
        if levels is None:
            raise DeviceError(
                "the spectra were measured without the noise of the clips",
                expected="their noise, which is to be subtracted",
                fix="measure them again with `noise`, or leave `subtract_noise` out",
            )
        *reference, own = (levels[one].min(axis=0) for one in rows)
        return np.stack([own, np.sqrt(np.mean(np.square(reference), axis=0))])

    def profile(self, devices: Sequence[str]) -> DeviceProfile:
        """Return the gains of `devices` and of the reference devices; raises as `solve`."""
        spectra, gains = self.spectra, dict[str, DeviceGains]()
        used: set[int] = set()
        for device in sorted({*devices, *self.reference}):
            if self.reference != (device,):
                gains[device], rows = self.solve(device)
                used |= rows
        if len(self.reference) == 1:
            (reference,) = self.reference
            used = used or set(spectra.rows(reference).tolist())
            count = sum(spectra.devices[row] == reference for row in used)
            bins = spectra.fft_size // 2 + 1
            gains[reference] = DeviceGains(np.ones(bins), count, np.zeros(bins))
        return DeviceProfile(
            rate_hz=spectra.rate_hz,
            fft_size=spectra.fft_size,
            reference=self.reference,
            estimator=self.estimator,
            devices={name: gains[name] for name in sorted(gains)},
            floor_db=float(self.floor_db),
            limit_db=float(self.limit_db),
            silence_db=float(spectra.silence_db),
            weighting=spectra.weighting,
            hop_samples=spectra.hop_samples,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            fitted_on=tuple(spectra.clip_ids[row] for row in sorted(used)),
        )


def band_gains(
    spectra: ClipSpectra, profile: DeviceProfile, filters: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    """Estimate the gains of a profile again, on mel spectra.

    Within a band such a gain does not change the device's response. Nguyen 2020, section 2.1,
    finds gains of bins better and gives no numbers. Raises a DeviceError if the estimator does not
    work on mel bands.

    Parameters
    ----------
    spectra : ClipSpectra
        The spectra that the profile was fitted on.
    profile : DeviceProfile
    filters : array (band, bin)
        The mel filters, of magnitudes.

    Returns
    -------
    dict of str to array (band,)
        Positive amplitude factors, for `Frontend`; 1 for a single reference device.
    """
    if not ESTIMATORS.get(profile.estimator).mel_bands:
        raise DeviceError(
            f"the estimator {profile.estimator} does not work for mel bands",
            expected=" or ".join(for_mel_bands()),
            fix="choose one of them, or the domain magnitude",
        )
    mel = replace(spectra, magnitude=spectra.magnitude @ filters.T.astype(np.float64))
    estimation = Estimation(
        mel, profile.reference, profile.estimator, profile.floor_db, profile.limit_db
    )
    gains = {name: np.ones(len(filters)) for name in profile.devices}
    for name in profile.devices:
        if profile.reference != (name,):
            gains[name] = estimation.solve(name)[0].gains
    return gains


def for_mel_bands() -> list[str]:
    """Return the names of the estimators that work on mel bands."""
    return [spec.name for spec in ESTIMATORS.specs() if spec.mel_bands]


def notes_of(profile: DeviceProfile, failures: Sequence[Failure]) -> tuple[str, ...]:
    """Return notes on a profile: few clips, gains at the limit, failures."""
    notes = []
    for name, device in profile.devices.items():
        if device.count < FEW_TAKES and profile.reference != (name,):
            notes.append(
                f"device {name}: gains estimated from only {device.count} clips; 10 to 30 are usual"
            )
        limit = 10 ** (profile.limit_db / 20) * (1 - 1e-9)
        limited = int(np.sum((device.gains >= limit) | (device.gains <= 1 / limit)))
        if limited:
            notes.append(
                f"device {name}: {limited} of {len(device.gains)} bins at the limit of "
                f"{profile.limit_db:g} dB"
            )
    if failures:
        notes.append(f"some clips could not be used{failed(failures)}")
    return tuple(notes)


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
    first = failures[0]
    return f". {counted(len(failures), 'clip')} failed. The first, {first.path}: {first.reason}"

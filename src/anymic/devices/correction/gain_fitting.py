"""Gains of all chosen devices from measured spectra: the profile, and notes on its quality."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime, timezone

import numpy as np

from anymic.devices.correction.estimators import ESTIMATORS, Estimation, failed
from anymic.devices.correction.profile import DeviceGains, DeviceProfile
from anymic.errors import DeviceError, Failure

FEW_TAKES = 5


def check_estimation(
    reference: str | Sequence[str],
    estimator: str,
    *,
    floor_db: float,
    limit_db: float,
    silence_db: float,
) -> None:
    """Refuse settings of `SpectrumCorrection` that cannot be.

    Raises
    ------
    DeviceError
        If the estimator does not exist, a level is outside its range or no reference is named.
    """
    ESTIMATORS.get(estimator)
    for name, value, right in (
        ("floor_db", floor_db, -300 <= floor_db < 0),
        ("limit_db", limit_db, 0 < limit_db <= 300),
        ("silence_db", silence_db, -300 <= silence_db < 0),
    ):
        if not right:
            wanted = "above 0, up to 300 dB" if name == "limit_db" else "-300 dB to below 0"
            raise DeviceError(f"{name} is {value}", expected=wanted, fix="use the default")
    if not isinstance(reference, str) and not list(reference):
        raise DeviceError(
            "there is no reference device", expected="at least one", fix="pass one, or 'all'"
        )


def choose_devices(
    reference: str | Sequence[str], devices: Sequence[str] | None, known: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the reference devices and the devices to make gains for, both checked.

    Parameters
    ----------
    reference : str or sequence of str
        See `SpectrumCorrection`.
    devices : sequence of str or None
        The devices to make gains for; None: all.
    known : sequence of str
        The devices that there are clips of.

    Raises
    ------
    DeviceError
        If a device is unknown, or there is none but the reference.
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


def estimate_profile(estimation: Estimation, devices: Sequence[str]) -> DeviceProfile:
    """Return the gains of `devices` and of the reference devices.

    Raises
    ------
    DeviceError
        If a device has no take in common with the reference.
    """
    spectra, reference = estimation.spectra, estimation.reference
    gains: dict[str, DeviceGains] = {}
    used: set[int] = set()
    for device in sorted({*devices, *reference}):
        if reference == (device,):
            continue
        gains[device], rows = estimation.solve(device)
        used |= rows
    if len(reference) == 1:
        used = used or set(spectra.rows(reference[0]).tolist())
        count = sum(spectra.devices[row] == reference[0] for row in used)
        bins = spectra.fft_size // 2 + 1
        gains[reference[0]] = DeviceGains(np.ones(bins), count, np.zeros(bins))
    return DeviceProfile(
        rate_hz=spectra.rate_hz,
        fft_size=spectra.fft_size,
        reference=reference,
        estimator=estimation.estimator,
        devices={name: gains[name] for name in sorted(gains)},
        floor_db=float(estimation.floor_db),
        limit_db=float(estimation.limit_db),
        silence_db=float(spectra.silence_db),
        hop_samples=spectra.hop_samples,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        fitted_on=tuple(spectra.clip_ids[row] for row in sorted(used)),
    )


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


def notes_of(profile: DeviceProfile, failures: Sequence[Failure]) -> tuple[str, ...]:
    """Return what a user should know of a profile: few clips, gains at the limit, failures."""
    notes = []
    for name, device in profile.devices.items():
        if device.count < FEW_TAKES:
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

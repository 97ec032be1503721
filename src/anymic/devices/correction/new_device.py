"""Estimate the gains of a new device for a model."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic._internal.threads import READERS, in_order
from anymic.data.files import find_files
from anymic.devices.analysis import NEPER_DB
from anymic.devices.correction.blind import FEWEST_CLIPS, MeanSpectrum
from anymic.devices.correction.estimators import ESTIMATORS
from anymic.devices.correction.gain_fitting import failed, notes_of
from anymic.devices.correction.profile import UNNAMED, DeviceGains, DeviceProfile
from anymic.devices.correction.response_file import (
    FLAT,
    ends_note,
    profile_of_response,
    read_response,
)
from anymic.devices.correction.spectra import measure
from anymic.devices.correction.takes import Takes, resampled
from anymic.errors import DeviceError, Failure, attempt, counted, did_you_mean

PREVIEW_S = 30.0  # of each recording of a device alone


@dataclass(frozen=True)
class Analysis:
    """The analysis that the gains of a model are for."""

    rate_hz: int
    fft_size: int
    hop_samples: int


@dataclass(frozen=True)
class Estimated:
    """A profile with a new device, and the standard errors of its gains.

    Attributes
    ----------
    profile : DeviceProfile
    devices : tuple of str
        The new ones.
    error_db : dict of str to array (bin,)
        The standard error of the gains of each of them.
    notes : tuple of str
    failures : tuple of Failure
        Recordings that could not be used.
    lags_s : mapping of str to float
        The recordings that were shifted, and by how much they were late.
    """

    profile: DeviceProfile
    devices: tuple[str, ...]
    error_db: dict[str, NDArray[np.float64]]
    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    lags_s: Mapping[str, float] = field(default_factory=dict)


def from_takes(
    takes: Takes,
    analysis: Analysis,
    *,
    reference: Sequence[str],
    devices: Sequence[str],
    estimator: str,
    **settings: Any,
) -> Estimated:
    """Estimate gains from takes; clips that are late are shifted.

    `settings` are others of `SpectrumCorrection`.

    Raises
    ------
    DeviceError
        As `SpectrumCorrection.fit`.
    """
    # Here, because it imports scikit-learn, which a service does without until takes come.
    from anymic.devices.correction.spectrum_correction import SpectrumCorrection

    correction = SpectrumCorrection(
        reference=list(reference),
        estimator=estimator,
        fft_size=analysis.fft_size,
        hop_samples=analysis.hop_samples,
        **settings,
    )
    names = sorted({*reference, *devices})
    manifest = takes.manifest.where(device=names)
    first = np.argsort([name not in reference for name in manifest.table["device"]], kind="stable")
    spectra = measure(
        manifest.rows(first),
        fft_size=analysis.fft_size,
        hop_samples=analysis.hop_samples,
        rate_hz=analysis.rate_hz,
        aligned_only=True,
        shift=True,
        noise=correction.subtract_noise,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the notes, which are returned
        profile = correction.fit_spectra(spectra, devices=list(devices)).profile_
    return Estimated(
        profile,
        tuple(devices),
        {name: _error_db(profile.devices[name]) for name in devices},
        (
            *takes.notes(analysis.rate_hz),
            *_lag_notes(spectra.lags_s),
            *notes_of(profile, ()),
            *_noise_notes(profile),
        ),
        spectra.failures,
        spectra.lags_s,
    )


def _lag_notes(lags_s: Any) -> tuple[str, ...]:
    """Return one note for all clips that were shifted."""
    if not lags_s:
        return ()
    listed = [f"{Path(path).name} {lag_s:+.3f} s" for path, lag_s in lags_s.items()]
    more = f", and {len(listed) - 3} more" if len(listed) > 3 else ""
    return (f"{len(listed)} recordings are late, and shifted: {', '.join(listed[:3])}{more}",)


def _noise_notes(profile: DeviceProfile) -> tuple[str, ...]:
    """Return a note for each device whose noise is subtracted."""
    bins, reference = profile.fft_size // 2 + 1, "+".join(profile.reference)
    counts = {
        name: int(np.count_nonzero(device.factors[bins : 2 * bins]))
        for name, device in profile.devices.items()
    }
    return tuple(
        f"device {name}: noise is subtracted in {count} of {bins} bins, where the gains raise it "
        f"above that of {reference}"
        for name, count in counts.items()
        if count
    )


def _error_db(gains: DeviceGains) -> NDArray[np.float64]:
    """Return the standard error of gains; infinite for a single recording."""
    if gains.count < 2:
        return np.full(len(gains.gains), np.inf)
    return np.asarray(gains.spread_db / np.sqrt(gains.count))


def from_recordings(
    places: Iterable[str | Path],
    target: MeanSpectrum,
    device: str,
    *,
    reference: Sequence[str] = (UNNAMED,),
    limit_db: float = 40.0,
) -> Estimated:
    """Estimate blind gains from recordings of a device alone; see `MeanSpectrum.gains`.

    The first half minute of each recording is used, and the gains are limited to -limit_db ..
    limit_db.

    Raises
    ------
    DeviceError
        If no recording can be used.
    """
    files = find_files(places)
    failures = [one for one in files if isinstance(one, Failure)]
    paths = [one for one in files if isinstance(one, Path)]

    def spectrum(path: Path) -> NDArray[np.float64] | Failure:
        return attempt(path, _observe, path, target)

    found = list(in_order(spectrum, paths, workers=READERS))
    failures += [one for one in found if isinstance(one, Failure)]
    spectra = [one for one in found if not isinstance(one, Failure)]
    if not spectra:
        raise DeviceError(
            f"no recording of device {device} can be used{failed(failures)}",
            expected="at least one, better ten or more",
            fix="check the files",
        )
    observed, count = np.stack(spectra), len(spectra)
    spread_db = np.zeros(observed.shape[1])
    if count > 1:
        spread_db = NEPER_DB * observed.std(axis=0, ddof=1)
    limit = 10 ** (limit_db / 20)
    estimate = target.estimate(observed)
    gains = np.clip(estimate.gains, 1 / limit, limit)
    profile = DeviceProfile(
        rate_hz=target.rate_hz,
        fft_size=target.fft_size,
        hop_samples=target.hop_samples,
        reference=tuple(reference),
        estimator="blind",
        devices={device: DeviceGains(gains, count, spread_db, "blind")},
        floor_db=target.floor_db,
        limit_db=limit_db,
        silence_db=target.silence_db,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    notes = [f"device {device}: blind gains, estimated from recordings of it alone"]
    if count < FEWEST_CLIPS:
        notes.append(f"device {device}: only {counted(count, 'recording')}; 10 or more are better")
    notes += [f"device {device}: {note}" for note in estimate.notes]
    return Estimated(
        profile,
        (device,),
        {device: estimate.uncertainty_db},
        (*notes, *resampled(paths, target.rate_hz)),
        tuple(failures),
    )


def _observe(path: Path, target: MeanSpectrum) -> NDArray[np.float64]:
    rate_hz = None if audio.probe(path).rate_hz == target.rate_hz else target.rate_hz
    first = next(iter(audio.stream(path, window_s=PREVIEW_S, rate_hz=rate_hz)))
    return target.observe(first.samples)


def from_response(
    response: str | Path,
    analysis: Analysis,
    device: str,
    *,
    reference: str,
    reference_response: str | Path | None = None,
    limit_db: float = 40.0,
) -> Estimated:
    """Return the profile of a measured response; see `profile_of_response`."""
    own = read_response(response)
    other = None if reference_response is None else read_response(reference_response)
    profile = profile_of_response(
        own,
        device,
        rate_hz=analysis.rate_hz,
        fft_size=analysis.fft_size,
        hop_samples=analysis.hop_samples,
        reference=FLAT if other is None else reference,
        reference_response=other,
        limit_db=limit_db,
    )
    notes = [*own.notes, *ends_note(own, analysis.rate_hz)]
    if other is None:
        notes.append("the response of the reference device is taken to be flat")
    else:
        notes += other.notes
    bins = len(profile.gains_for(device))
    return Estimated(profile, (device,), {device: np.zeros(bins)}, tuple(notes))


def estimator_for(own: DeviceProfile | None, stated: str | None) -> str:
    """Return the estimator that is stated, else that of the model where it works on takes."""
    own_name = own.estimator if own is not None else ""
    if stated is None and own_name in ESTIMATORS and ESTIMATORS.get(own_name).takes != "ignored":
        return own_name
    return stated or "ratio_of_means"


def reference_in(
    takes: Takes, own: DeviceProfile | None, *, device: str | None, stated: Sequence[str]
) -> tuple[str, ...]:
    """Return the devices of takes that gains correct towards.

    They are those that are stated, else the reference of the model, else a device that the model
    has gains for, else the only one beside the new `device`.

    Raises
    ------
    DeviceError
        If none of these is among the takes, or the new device is not.
    """
    known = takes.devices
    if device is not None and device not in known:
        raise DeviceError(
            f"no take is of the device {device}{did_you_mean(device, known)}",
            expected=f"one of {', '.join(known)}",
            fix="name the new device as in the takes, or add its recordings",
        )
    if stated:
        return tuple(stated)
    if own is not None and set(own.reference) <= set(known):
        return own.reference
    for name in own.devices if own is not None else ():
        if name in known and name != device:
            return (name,)
    others = [name for name in known if name != device]
    if device in known and len(others) == 1 and (own is None or own.reference == (UNNAMED,)):
        return (others[0],)
    if len(known) < 2:
        raise DeviceError(
            f"all takes are of {known[0] if known else 'no device'}",
            expected="recordings of the same sounds by the new device and by the reference",
            fix="add those of the other device",
        )
    wanted = f"recordings by {' and '.join(own.reference)}" if own else "the name of the device"
    wanted += "" if own else " that recorded the training clips, or of the new one"
    raise DeviceError(
        f"the takes are of {', '.join(known)}, and which is the reference is not known",
        expected=wanted,
        fix="name the new device, or the reference",
    )

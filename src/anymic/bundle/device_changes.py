"""Change the devices of a trained model: new gains, or how unknown devices are corrected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from anymic.bundle.contract import UnknownDevice
from anymic.bundle.ensemble import Ensemble
from anymic.bundle.model import Bundle
from anymic.data.manifest import Manifest
from anymic.devices.correction.blind import MeanSpectrum, as_recordings
from anymic.devices.correction.merging import merge, with_ones
from anymic.devices.correction.profile import DeviceProfile
from anymic.devices.correction.spectra import ClipSpectra, measure
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic.errors import BundleError, ManifestError, counted
from anymic.features import Frontend

Model = TypeVar("Model", Bundle, Ensemble)


def add_devices(model: Model, profile: DeviceProfile, *, replace_known: bool = False) -> Model:
    """Return the model with the devices of another profile in addition to its own.

    The gains of other devices do not change. Each member of an ensemble gets the devices.

    Parameters
    ----------
    model : Bundle or Ensemble
        It is not changed. A model without a device profile gets one: its training clips are the
        reference.
    profile : DeviceProfile
        See `anymic.devices.correction.merging.merge`. The reference devices of `profile` are not
        added to a model with a profile.
    replace_known : bool
        Also replace the gains of devices that the model already has.

    Raises
    ------
    BundleError
        If the model has gains of mel bands.
    DeviceError
        As for `merge`.
    """
    if isinstance(model, Ensemble):
        profiles = [profile] * len(model.members)
        return add_to_each(model, profiles, replace_known=replace_known)
    return _add(model, profile, replace_known)


def add_to_each(
    ensemble: Ensemble, profiles: Sequence[DeviceProfile], *, replace_known: bool = False
) -> Ensemble:
    """Return an ensemble whose members have the devices of a profile each; see `add_devices`.

    A member without a profile applied gains of 1 to every device, and keeps them for the devices
    that the ensemble has.
    """
    members = []
    for before, profile in zip(ensemble.members, profiles, strict=True):
        member = _add(before, profile, replace_known)
        if before.profile is None and member.profile is not None:
            missing = set(ensemble.devices) - set(member.devices)
            member = _with_profile(member, with_ones(member.profile, missing))
        members.append(member)
    return replace(ensemble, members=tuple(members))


def _add(bundle: Bundle, profile: DeviceProfile, replace_known: bool) -> Bundle:
    config = bundle.frontend.config
    _refuse_mel_gains(bundle, "which a profile does not have")
    profile.require(rate_hz=config.rate_hz, fft_size=config.fft_size, what="model")
    return _with_profile(bundle, merge(bundle.profile, profile, replace_known=replace_known))


def _with_profile(bundle: Bundle, profile: DeviceProfile) -> Bundle:
    frontend = Frontend(
        bundle.frontend.config,
        device_gains={name: device.factors for name, device in profile.devices.items()},
        filters=bundle.frontend.filters.clone(),
    )
    frontend.mean.copy_(bundle.frontend.mean)
    frontend.scale.copy_(bundle.frontend.scale)
    fitted_on = {**bundle.fitted_on, "correction": profile.fitted_on}
    return replace(bundle, frontend=frontend, profile=profile, fitted_on=fitted_on)


def with_device_policy(
    model: Bundle | Ensemble,
    *,
    unknown: UnknownDevice | None = None,
    identifier: DeviceIdentifier | None = None,
    training: Manifest | None = None,
) -> Bundle | Ensemble:
    """Return the model with another policy for clips of unstated and unknown devices.

    Parameters
    ----------
    model : Bundle or Ensemble
        It is not changed; the weights of the result are equal.
    unknown : {"identity", "blind", "refuse"}, optional
        `InputContract.unknown_device`; by default that of the model.
    identifier : DeviceIdentifier, optional
        Identifies the device of clips for which none is stated; by default that of the model.
    training : Manifest, optional
        The training clips of the model, for the mean spectrum that blind gains need. Rows of
        another split and the model's validation clips are ignored.

    Raises
    ------
    BundleError
        If the identifier has no device in common with the model or has another rate, or blind
        gains are requested without a mean spectrum or training clips, or for gains of mel bands.
    ManifestError
        If the model was not trained on some of the clips in `training`.
    """
    members = model.members
    policy = unknown or model.contract.unknown_device
    if policy == "blind":
        for member in members:
            _refuse_mel_gains(member, "which cannot be estimated blindly")
    if identifier is not None and not set(identifier.devices) & set(model.devices):
        raise BundleError(
            f"the identifier has the devices {', '.join(identifier.devices)}, and the model has "
            f"gains for {', '.join(model.devices) or 'no device'}",
            expected="devices in common",
            fix="fit the identifier on the model's devices, under the same names",
        )
    if training is not None:
        members = _measured(members, training)
    elif unknown == "blind" and any(member.spectrum is None for member in members):
        raise BundleError(
            "blind gains need the training clips",
            expected="the clips that the model was trained on, to measure their mean spectrum",
            fix="pass the manifest of the training",
        )
    contract = replace(model.contract, unknown_device=policy)
    members = tuple(replace(member, contract=contract) for member in members)
    if isinstance(model, Ensemble):
        return replace(model, members=members, identifier=identifier or model.identifier)
    (member,) = members
    if identifier is None:
        return member
    fitted_on = {**member.fitted_on, "identifier": identifier.fitted_on}
    return replace(member, identifier=identifier, fitted_on=fitted_on)


def with_least_bandwidth(
    model: Model, least_hz: float | None, narrower: Literal["note", "refuse"] = "note"
) -> Model:
    """Return the model with another `least_bandwidth_hz` and `narrower` in its contract.

    Parameters
    ----------
    model : Bundle or Ensemble
        It is not changed.
    least_hz : float or None
        In Hz, up to half the rate of the model (a ConfigError if not); None is no limit.
    narrower : {"note", "refuse"}
        For recordings whose spectrum ends below it.
    """
    contract = replace(model.contract, least_bandwidth_hz=least_hz, narrower=narrower)
    if isinstance(model, Ensemble):
        members = tuple(replace(member, contract=contract) for member in model.members)
        return replace(model, members=members)
    return replace(model, contract=contract)


def _measured(members: Sequence[Bundle], manifest: Manifest) -> tuple[Bundle, ...]:
    """Return the members with the mean spectrum of the clips that each was trained on."""
    recordings = as_recordings(_trained_on(members, manifest))
    measured: dict[tuple[int, int, int], ClipSpectra] = {}
    found = []
    for member in members:
        config = member.frontend.config
        key = (config.rate_hz, config.fft_size, config.hop_samples)
        if key not in measured:  # members with equal settings share the spectra
            measured[key] = measure(
                recordings,
                rate_hz=config.rate_hz,
                fft_size=config.fft_size,
                hop_samples=min(config.hop_samples, config.fft_size // 2),
            )
        own = set(member.fitted_on["weights"])
        spectrum = MeanSpectrum.of(measured[key], member.profile, clip_ids=own)
        fitted_on = {**member.fitted_on, "spectrum": spectrum.fitted_on}
        found.append(replace(member, spectrum=spectrum, fitted_on=fitted_on))
    return tuple(found)


def _trained_on(members: Sequence[Bundle], manifest: Manifest) -> Manifest:
    """Return the rows that some member was trained on; ManifestError for other training rows."""
    if not all(member.fitted_on.get("weights") for member in members):
        raise BundleError(
            "the model does not record the clips that it was trained on",
            expected="the ids of its training clips",
            fix="train it again",
        )
    weights = {clip for member in members for clip in member.fitted_on["weights"]}
    aside = {clip for member in members for clip in member.fitted_on.get("validation", ())}
    ids = manifest.clip_ids()
    splits = manifest.table["split"] if "split" in manifest.table else [""] * len(manifest)
    chosen = [row for row, clip in enumerate(ids) if clip in weights]
    unexpected = [
        row
        for row, (clip, split) in enumerate(zip(ids, splits, strict=True))
        if clip not in weights and clip not in aside and split in ("", "train")
    ]
    if unexpected or not chosen:
        path = manifest.table["path"]
        first = f" (first: {path.iloc[unexpected[0]]})" if unexpected else ""
        raise ManifestError(
            f"the model was not trained on {len(unexpected) or len(ids)} of"
            f" {counted(len(ids), 'clip')}" + first,
            expected="its training clips only",
            fix="pass the manifest that it was trained with",
        )
    return manifest.rows(chosen)


def _refuse_mel_gains(bundle: Bundle, what: str) -> None:
    if bundle.frontend.gain_domain == "log_mel":
        raise BundleError(
            f"the model was trained with gains of mel bands, {what}",
            expected="a model with gains of frequency bins",
            fix="train it with correction.domain=magnitude in the settings",
        )

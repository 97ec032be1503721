"""Change the devices of a trained model: new gains, or how unknown devices are corrected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from anymic.bundle.contract import UnknownDevice
from anymic.bundle.ensemble import Ensemble
from anymic.bundle.model import Bundle
from anymic.data.manifest import Manifest
from anymic.devices.correction.blind import MeanSpectrum, as_recordings
from anymic.devices.correction.profile import UNNAMED, DeviceGains, DeviceProfile
from anymic.devices.correction.response_file import FLAT
from anymic.devices.correction.spectra import ClipSpectra, measure
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic.errors import BundleError, ManifestError
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
        Its reference is that of the model, or a single device that the model has gains for. In the
        second case the gains of a new device are multiplied by those of that device. For a model
        that was trained without spectrum correction it is the device that recorded the training
        clips. A reference `UNNAMED` or `FLAT` stands for the model's own. The reference devices of
        `profile` are not added to a model with a profile.
    replace_known : bool
        Also replace the gains of devices that the model already has.

    Raises
    ------
    BundleError
        If the reference is another, a device exists already, or the model has gains of mel bands.
    DeviceError
        If the profile is for another rate or FFT size.
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
    pairs = zip(ensemble.members, profiles, strict=True)
    added = [_add(member, own, replace_known) for member, own in pairs]
    members = [
        after if before.profile or not ensemble.devices else _with_ones(after, ensemble.devices)
        for before, after in zip(ensemble.members, added, strict=True)
    ]
    return replace(ensemble, members=tuple(members))


def _add(bundle: Bundle, profile: DeviceProfile, replace_known: bool) -> Bundle:
    config, own = bundle.frontend.config, bundle.profile
    _refuse_mel_gains(bundle, "which a profile does not have")
    profile.require(rate_hz=config.rate_hz, fft_size=config.fft_size)
    new = [name for name in profile.devices if name not in profile.reference]
    known = sorted(set(new) & set(bundle.devices))
    if known and not replace_known:
        raise BundleError(
            f"the model already has gains for {', '.join(known)}",
            expected="devices that it does not have",
            fix="allow the gains to be replaced, or choose another name",
        )
    if not new:
        raise BundleError(
            f"the profile has only its own reference, {', '.join(profile.devices)}",
            expected="a device to add",
            fix="estimate a profile with recordings of the new device",
        )
    if own is None:
        return _with_profile(bundle, _first_profile(profile, new))
    to_reference = _gains_to_reference(own, profile)
    added = {name: profile.devices[name] for name in new}
    added = {name: replace(one, gains=one.gains * to_reference) for name, one in added.items()}
    fitted_on = tuple(sorted({*own.fitted_on, *profile.fitted_on}))
    return _with_profile(
        bundle, replace(own, devices={**own.devices, **added}, fitted_on=fitted_on)
    )


def _first_profile(profile: DeviceProfile, new: Sequence[str]) -> DeviceProfile:
    """Return the profile of a model that had none: what recorded its clips has gains of 1."""
    ones = np.ones(profile.fft_size // 2 + 1)
    same = {
        name: replace(profile.devices[name], gains=ones, spread_db=np.zeros_like(ones))
        for name in profile.reference
        if name in profile.devices
    }
    added = {name: profile.devices[name] for name in new}
    return replace(profile, devices={**same, **added})


def _with_ones(bundle: Bundle, names: Sequence[str]) -> Bundle:
    """Return a model with gains of 1 for devices that its profile does not have."""
    profile = bundle.profile
    assert profile is not None
    bins = profile.fft_size // 2 + 1
    ones = {name: DeviceGains(np.ones(bins), 0, np.zeros(bins)) for name in names}
    return _with_profile(bundle, replace(profile, devices={**ones, **profile.devices}))


def _with_profile(bundle: Bundle, profile: DeviceProfile) -> Bundle:
    devices = {name: profile.devices[name] for name in sorted(profile.devices)}
    profile = replace(profile, devices=devices)
    frontend = Frontend(
        bundle.frontend.config,
        device_gains={name: device.gains for name, device in devices.items()},
        filters=bundle.frontend.filters.clone(),
    )
    frontend.mean.copy_(bundle.frontend.mean)
    frontend.scale.copy_(bundle.frontend.scale)
    fitted_on = {**bundle.fitted_on, "correction": profile.fitted_on}
    return replace(bundle, frontend=frontend, profile=profile, fitted_on=fitted_on)


def _gains_to_reference(own: DeviceProfile, other: DeviceProfile) -> NDArray[np.float64]:
    """Return the gains (bin,) from the other profile's reference to the model's."""
    ones = np.ones(own.fft_size // 2 + 1)
    if set(other.reference) == set(own.reference):
        return ones
    if len(other.reference) == 1 and other.reference[0] in own.devices:
        return own.devices[other.reference[0]].gains
    if any(one.reference in ((UNNAMED,), (FLAT,)) for one in (own, other)):
        return ones
    single = f", or one of {', '.join(sorted(own.devices))}" if own.devices else ""
    raise BundleError(
        f"the reference of the profile is {'+'.join(other.reference)}",
        expected=f"the model's reference {'+'.join(own.reference)}{single}",
        fix="estimate it again with the reference " + ",".join(own.reference),
    )


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
    members = model.members if isinstance(model, Ensemble) else (model,)
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
            f"the model was not trained on {len(unexpected) or len(ids)} of {len(ids)} clips"
            + first,
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

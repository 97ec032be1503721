"""What a model does with clips of unstated and unknown devices, decided after its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anymic.bundle.contract import UnknownDevice
from anymic.bundle.ensemble import Ensemble
from anymic.bundle.model import Bundle
from anymic.data.manifest import Manifest
from anymic.devices.correction.blind import MeanSpectrum, as_recordings
from anymic.devices.correction.spectra import ClipSpectra, measure
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic.errors import BundleError, ManifestError


def route(
    model: Bundle | Ensemble,
    *,
    unknown: UnknownDevice | None = None,
    identifier: DeviceIdentifier | None = None,
    training: Manifest | None = None,
) -> Bundle | Ensemble:
    """Return the model with other rules for clips of unstated and unknown devices.

    Parameters
    ----------
    model : Bundle or Ensemble
        It is not changed; not one weight differs afterwards.
    unknown : {"identity", "blind", "refuse"}, optional
        What happens to a clip of unknown device; by default what happened before.
    identifier : DeviceIdentifier, optional
        Names the device of clips for which none is stated; by default the one it had.
    training : Manifest, optional
        The clips that the model was trained on, for the mean spectrum that blind gains lead to.
        Rows of another split, and the model's own validation clips, are left out.

    Raises
    ------
    BundleError
        If the identifier knows none of the model's devices or has another rate, or blind gains
        are wanted and there is no mean spectrum and no training clips to measure it on, or the
        model's gains are of mel bands.
    ManifestError
        If there are clips among `training` that the model was not trained on.
    """
    members = model.members if isinstance(model, Ensemble) else (model,)
    policy = unknown or model.contract.unknown_device
    if policy == "blind" and any(one.frontend.gain_domain == "log_mel" for one in members):
        raise BundleError(
            "the model was trained with gains of mel bands, which cannot be estimated blindly",
            expected="a model with gains of frequency bins",
            fix="train it with correction.domain=magnitude in the settings",
        )
    if identifier is not None:
        _refuse_strangers(identifier, model)
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


def _refuse_strangers(identifier: DeviceIdentifier, model: Bundle | Ensemble) -> None:
    if set(identifier.devices) & set(model.devices):
        return
    raise BundleError(
        f"the identifier knows {', '.join(identifier.devices)}, and the model has gains for "
        + (", ".join(model.devices) or "no device"),
        expected="devices in common",
        fix="fit the identifier on the model's devices, under the same names",
    )


def _measured(members: Sequence[Bundle], manifest: Manifest) -> tuple[Bundle, ...]:
    """Return the members with the mean spectrum of the clips that each was trained on."""
    recordings = as_recordings(_trained_on(members, manifest))
    known: dict[tuple[int, int, int], ClipSpectra] = {}
    found = []
    for member in members:
        config = member.frontend.config
        key = (config.rate_hz, config.fft_size, config.hop_samples)
        if key not in known:  # the audio is read once for all members of one analysis
            known[key] = measure(
                recordings,
                rate_hz=config.rate_hz,
                fft_size=config.fft_size,
                hop_samples=min(config.hop_samples, config.fft_size // 2),
            )
        own = set(member.fitted_on["weights"])
        spectrum = MeanSpectrum.of(known[key], member.profile, clip_ids=own)
        fitted_on = {**member.fitted_on, "spectrum": spectrum.fitted_on}
        found.append(replace(member, spectrum=spectrum, fitted_on=fitted_on))
    return tuple(found)


def _trained_on(members: Sequence[Bundle], manifest: Manifest) -> Manifest:
    """Return the rows that some member was trained on; ManifestError if others pretend to be."""
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
    strange = [
        row
        for row, (clip, split) in enumerate(zip(ids, splits, strict=True))
        if clip not in weights and clip not in aside and split in ("", "train")
    ]
    if strange or not chosen:
        first = f" (first: {manifest.table['path'].iloc[strange[0]]})" if strange else ""
        raise ManifestError(
            f"the model was not trained on {len(strange) or len(ids)} of {len(ids)} clips" + first,
            expected="its training clips only",
            fix="pass the manifest that it was trained with",
        )
    return manifest.rows(chosen)

"""A trained model learns a new microphone: gains are added, not one weight is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from anymic.bundle.model import Bundle
from anymic.devices.correction.profile import DeviceGains, DeviceProfile
from anymic.errors import BundleError
from anymic.features import Frontend


def add_devices(bundle: Bundle, profile: DeviceProfile, *, replace_known: bool = False) -> Bundle:
    """Return the model with the devices of another profile besides its own.

    Parameters
    ----------
    bundle : Bundle
        A model with a device profile; it is not changed.
    profile : DeviceProfile
        From `SpectrumCorrection`, with the model's reference or with a single reference device
        that the model knows. In the second case a new device's gains lead to that device, whose
        own gains lead on to the model's reference: both are multiplied. The reference devices of
        `profile` themselves are left as the model knows them.
    replace_known : bool
        Take over gains of devices that the model already knows, too.

    Raises
    ------
    BundleError
        If the model has no profile, the reference is another, a device is known already, or
        there is no new one.
    DeviceError
        If the profile is for another rate or FFT size.
    """
    own = bundle.profile
    if own is None:
        raise BundleError(
            "a model without a device profile",
            expected="one that was trained with spectrum correction",
            fix="train it with --set correction.reference=[...]",
        )
    if bundle.frontend.gain_domain == "log_mel":
        raise BundleError(
            "a model that was trained with gains of mel bands",
            expected="gains of frequency bins, as a profile has them",
            fix="train it with correction.domain=magnitude",
        )
    profile.require(rate_hz=own.rate_hz, fft_size=own.fft_size)
    onward = _onward(own, profile)
    new = [name for name in profile.devices if name not in profile.reference]
    known = sorted(set(new) & set(own.devices))
    if known and not replace_known:
        raise BundleError(
            f"gains for {', '.join(known)}, known to the model already",
            expected="devices that are new to it",
            fix="pass --replace to take the new gains, or calibrate with --device",
        )
    if not new:
        raise BundleError(
            f"a profile of {', '.join(profile.devices)}, its own reference",
            expected="a device to add",
            fix="calibrate with clips of the new device",
        )
    added = {
        name: DeviceGains(device.gains * onward, device.count, device.spread_db)
        for name, device in profile.devices.items()
        if name in new
    }
    devices = {**own.devices, **added}
    merged = replace(
        own,
        devices={name: devices[name] for name in sorted(devices)},
        fitted_on=tuple(sorted({*own.fitted_on, *profile.fitted_on})),
    )
    return replace(
        bundle,
        frontend=_with_gains(bundle.frontend, merged.devices),
        profile=merged,
        fitted_on={**bundle.fitted_on, "correction": merged.fitted_on},
    )


def _onward(own: DeviceProfile, other: DeviceProfile) -> np.ndarray:
    """Return the gains (bin,) from the other profile's reference to the model's."""
    if set(other.reference) == set(own.reference):
        return np.ones(own.fft_size // 2 + 1)
    if len(other.reference) == 1 and other.reference[0] in own.devices:
        return own.devices[other.reference[0]].gains
    single = f", or one of {', '.join(sorted(own.devices))}" if own.devices else ""
    raise BundleError(
        f"a profile towards {'+'.join(other.reference)}",
        expected=f"the model's reference {'+'.join(own.reference)}{single}",
        fix="calibrate again with --reference " + ",".join(own.reference),
    )


def _with_gains(frontend: Frontend, devices: Mapping[str, DeviceGains]) -> Frontend:
    gains = {name: device.gains for name, device in devices.items()}
    changed = Frontend(frontend.config, device_gains=gains, filters=frontend.filters.clone())
    changed.mean.copy_(frontend.mean)
    changed.scale.copy_(frontend.scale)
    return changed

"""Add the gains of a new device to a trained model, without changing a weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from anymic.bundle.model import Bundle
from anymic.devices.correction.profile import DeviceGains, DeviceProfile
from anymic.errors import BundleError
from anymic.features import Frontend


def add_devices(bundle: Bundle, profile: DeviceProfile, *, replace_known: bool = False) -> Bundle:
    """Return the model with the devices of another profile in addition to its own.

    Parameters
    ----------
    bundle : Bundle
        A model with a device profile; it is not changed.
    profile : DeviceProfile
        Its reference is that of the model, or a single device that the model has gains for. In the
        second case the gains of a new device are multiplied by those of that device. The reference
        devices of `profile` are not added.
    replace_known : bool
        Also replace the gains of devices that the model already has.

    Raises
    ------
    BundleError
        If the model has no profile, the reference is another, or a device exists already.
    DeviceError
        If the profile is for another rate or FFT size.
    """
    own = bundle.profile
    if own is None:
        raise BundleError(
            "the model has no device profile",
            expected="a model that was trained with spectrum correction",
            fix="train it with correction.reference in the settings",
        )
    if bundle.frontend.gain_domain == "log_mel":
        raise BundleError(
            "the model was trained with gains of mel bands",
            expected="a model with gains of frequency bins, like those of a profile",
            fix="train it with correction.domain=magnitude in the settings",
        )
    profile.require(rate_hz=own.rate_hz, fft_size=own.fft_size)
    to_reference = _gains_to_reference(own, profile)
    new = [name for name in profile.devices if name not in profile.reference]
    known = sorted(set(new) & set(own.devices))
    if known and not replace_known:
        raise BundleError(
            f"the model already has gains for {', '.join(known)}",
            expected="devices that it does not have",
            fix="allow the gains to be replaced, or calibrate only the new devices",
        )
    if not new:
        raise BundleError(
            f"the profile has only its own reference, {', '.join(profile.devices)}",
            expected="a device to add",
            fix="calibrate with clips of the new device",
        )
    added = {
        name: DeviceGains(device.gains * to_reference, device.count, device.spread_db)
        for name, device in profile.devices.items()
        if name in new
    }
    devices = {**own.devices, **added}
    merged = replace(
        own,
        devices={name: devices[name] for name in sorted(devices)},
        fitted_on=tuple(sorted({*own.fitted_on, *profile.fitted_on})),
    )
    frontend = Frontend(
        bundle.frontend.config,
        device_gains={name: device.gains for name, device in merged.devices.items()},
        filters=bundle.frontend.filters.clone(),
    )
    frontend.mean.copy_(bundle.frontend.mean)
    frontend.scale.copy_(bundle.frontend.scale)
    return replace(
        bundle,
        frontend=frontend,
        profile=merged,
        fitted_on={**bundle.fitted_on, "correction": merged.fitted_on},
    )


def _gains_to_reference(own: DeviceProfile, other: DeviceProfile) -> np.ndarray:
    """Return the gains (bin,) from the other profile's reference to the model's."""
    if set(other.reference) == set(own.reference):
        return np.ones(own.fft_size // 2 + 1)
    if len(other.reference) == 1 and other.reference[0] in own.devices:
        return own.devices[other.reference[0]].gains
    single = f", or one of {', '.join(sorted(own.devices))}" if own.devices else ""
    raise BundleError(
        f"the reference of the profile is {'+'.join(other.reference)}",
        expected=f"the model's reference {'+'.join(own.reference)}{single}",
        fix="calibrate again with the reference " + ",".join(own.reference),
    )

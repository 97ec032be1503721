"""Add the devices of one profile to another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from anymic.devices.correction.profile import UNNAMED, DeviceGains, DeviceProfile
from anymic.devices.correction.response_file import FLAT
from anymic.errors import DeviceError


def merge(
    own: DeviceProfile | None, profile: DeviceProfile, *, replace_known: bool = False
) -> DeviceProfile:
    """Return the profile of a model with the devices of another profile in addition.

    Parameters
    ----------
    own : DeviceProfile or None
        None for a model that was trained without spectrum correction: the reference devices of
        `profile` then recorded the training clips, and their gains are 1.
    profile : DeviceProfile
        Its reference is that of `own`, or a single device of `own`. In the second case its gains
        are multiplied by those of that device. A reference `UNNAMED` or `FLAT` stands for the
        model's own.
    replace_known : bool
        Also replace the gains of devices that `own` has.

    Raises
    ------
    DeviceError
        If the reference is another, a device exists already, there is no device but the reference,
        or the profiles are for another rate or FFT size.
    """
    new = [name for name in profile.devices if name not in profile.reference]
    if not new:
        raise DeviceError(
            f"the profile has only its own reference, {', '.join(profile.devices)}",
            expected="a device to add",
            fix="estimate a profile with recordings of the new device",
        )
    if own is None:
        recorded = [name for name in profile.reference if name in profile.devices]
        return with_ones(profile, recorded)
    profile.require(rate_hz=own.rate_hz, fft_size=own.fft_size)
    refuse_known(set(new) & set(own.devices), replace_known)
    last = _gains_to_reference(own, profile)
    given = {name: profile.devices[name] for name in new}
    added = given if last is None else {name: one.after(last) for name, one in given.items()}
    fitted_on = tuple(sorted({*own.fitted_on, *profile.fitted_on}))
    return replace(_sorted(own, {**own.devices, **added}), fitted_on=fitted_on)


def refuse_known(known: Iterable[str], replace_known: bool) -> None:
    """Raise a DeviceError for devices that a model already has, unless they are replaced."""
    if known := sorted(known):
        if replace_known:
            return
        raise DeviceError(
            f"the model already has gains for {', '.join(known)}",
            expected="devices that it does not have",
            fix="allow the gains to be replaced, or choose another name",
        )


def with_ones(profile: DeviceProfile, names: Iterable[str]) -> DeviceProfile:
    """Return the profile with gains of 1 for some devices, in addition or in place of others."""
    ones, zeros = np.ones(profile.fft_size // 2 + 1), np.zeros(profile.fft_size // 2 + 1)
    known = profile.devices
    same = {
        name: DeviceGains(ones, known[name].count if name in known else 0, zeros) for name in names
    }
    return _sorted(profile, {**profile.devices, **same})


def _sorted(profile: DeviceProfile, devices: dict[str, DeviceGains]) -> DeviceProfile:
    return replace(profile, devices={name: devices[name] for name in sorted(devices)})


def _gains_to_reference(own: DeviceProfile, other: DeviceProfile) -> DeviceGains | None:
    """Return the gains from the other profile's reference to that of a model; None for 1."""
    if set(other.reference) == set(own.reference):
        return None
    if len(other.reference) == 1 and other.reference[0] in own.devices:
        return own.devices[other.reference[0]]
    if any(one.reference in ((UNNAMED,), (FLAT,)) for one in (own, other)):
        return None
    raise DeviceError(
        f"the reference of the profile is {'+'.join(other.reference)}",
        expected=f"the model's reference {'+'.join(own.reference)}, or one of "
        + ", ".join(sorted(own.devices)),
        fix="estimate it again with the reference " + ",".join(own.reference),
    )

"""What devices do to recordings: estimate it, correct it, simulate it, identify the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anymic.devices.correction.profile import DeviceProfile
    from anymic.devices.correction.spectrum_correction import SpectrumCorrection
    from anymic.devices.correction.spectrum_gains import SpectrumGains

_HOMES = {
    "DeviceProfile": "anymic.devices.correction.profile",
    "SpectrumCorrection": "anymic.devices.correction.spectrum_correction",
    "SpectrumGains": "anymic.devices.correction.spectrum_gains",
}

__all__ = ["DeviceProfile", "SpectrumCorrection", "SpectrumGains"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'anymic.devices' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)

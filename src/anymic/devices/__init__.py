"""What devices do to recordings: estimate it, correct it, simulate it, identify the device."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anymic.devices.correction.profile import DeviceProfile
    from anymic.devices.correction.spectrum_correction import SpectrumCorrection
    from anymic.devices.correction.spectrum_gains import SpectrumGains

__all__ = ["DeviceProfile", "SpectrumCorrection", "SpectrumGains"]
_FILES = dict(zip(__all__, ("profile", "spectrum_correction", "spectrum_gains"), strict=True))


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module 'anymic.devices' has no attribute {name!r}")
    return getattr(import_module(f"anymic.devices.correction.{_FILES[name]}"), name)

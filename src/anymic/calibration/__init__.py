"""Probabilities that mean what they say.

A calibrator learns from probabilities (clip, label) and labels of clips that were not trained on
(`fit`) and then makes others right (`transform`). `TemperatureCalibrator` has one number,
`IsotonicCalibrator` a step function for each label; `DeviceCalibrator` has one of either for all
clips, and where it was asked to, one for each device.
"""

from anymic.calibration.by_device import METHODS, Calibrator, DeviceCalibrator, Method
from anymic.calibration.checks import CalibrationError
from anymic.calibration.isotonic import LEAST_CLIPS, IsotonicCalibrator
from anymic.calibration.temperature import TemperatureCalibrator

__all__ = [
    "LEAST_CLIPS",
    "METHODS",
    "CalibrationError",
    "Calibrator",
    "DeviceCalibrator",
    "IsotonicCalibrator",
    "Method",
    "TemperatureCalibrator",
]

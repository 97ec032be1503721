"""Calibration of probabilities.

A calibrator is fitted on the probabilities (clip, label) and labels of clips that the model was not
trained on (`fit`), and then calibrates others (`transform`). `TemperatureCalibrator` has one
parameter, `IsotonicCalibrator` a step function for each label; `DeviceCalibrator` has one of either
for all clips, and optionally one for each device.
"""

from anymic.calibration.by_device import METHODS, DeviceCalibrator, Method
from anymic.calibration.calibrator import CalibrationError, Calibrator
from anymic.calibration.isotonic import LEAST_CLIPS, IsotonicCalibrator
from anymic.calibration.temperature import TemperatureCalibrator
from anymic.calibration.thresholds import Thresholds, best_thresholds

__all__ = [
    "LEAST_CLIPS",
    "METHODS",
    "CalibrationError",
    "Calibrator",
    "DeviceCalibrator",
    "IsotonicCalibrator",
    "Method",
    "TemperatureCalibrator",
    "Thresholds",
    "best_thresholds",
]

"""Estimators of device gains by name; see `SpectrumCorrection`."""

from anymic.devices.correction.estimators.registry import (
    ESTIMATORS,
    EstimatorSpec,
    Recordings,
    register_estimator,
)

__all__ = ["ESTIMATORS", "EstimatorSpec", "Recordings", "register_estimator"]

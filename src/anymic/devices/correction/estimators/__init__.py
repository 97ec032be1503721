"""Estimators of device gains by name, one file a family; see `SpectrumCorrection`."""

from anymic.devices.correction.estimators.registry import (
    ESTIMATORS,
    Estimation,
    EstimatorSpec,
    Recordings,
    failed,
    no_takes,
    register_estimator,
)

__all__ = [
    "ESTIMATORS",
    "Estimation",
    "EstimatorSpec",
    "Recordings",
    "failed",
    "no_takes",
    "register_estimator",
]

"""A softmax temperature fitted after training."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.calibration.calibrator import (
    Arrays,
    CalibrationError,
    Calibrator,
    checked_pairs,
    require_fitted,
)
from anymic.errors import part_of

FLOOR = 1e-12  # smaller probabilities count as this one: 0 would give a clip an infinite weight
LOWEST, HIGHEST = 1e-3, 1e3  # the range of temperatures that is searched


class TemperatureCalibrator(Calibrator):
    """The temperature that makes the confidence of a model equal its accuracy.

    Probabilities p become p^(1/T), divided by their sum. This equals softmax(z / T) for the logits
    z behind p = softmax(z). T is the temperature with the least log loss on clips that the model
    was not trained on (C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural
    networks", ICML 2017, section 4.2). Log loss is convex in b = 1/T: its derivative, the mean over
    clips of the expected log p under softmax(b log p) minus the log p of the true label, never
    falls, so that its root is the only minimum. It is found by bracketing in log T.

    The most probable label stays the most probable. The temperature that a network is *trained*
    with (`anymic.training.loop.losses`) is another one.

    Attributes
    ----------
    temperature_ : float
        Above 1 for an overconfident model, below 1 for an underconfident one.
    """

    temperature_: float

    def fit(self, probabilities: ArrayLike, targets: ArrayLike) -> TemperatureCalibrator:
        """Fit the temperature; probabilities below 1e-12 count as 1e-12.

        Raises
        ------
        CalibrationError
            As `Calibrator.fit`, or if no temperature is best: all clips are classified correctly,
            or the true labels are no more probable than others.
        """
        from scipy.optimize import brentq

        p, t = checked_pairs(probabilities, targets)
        logarithms = _logarithms(p)
        if not len(t):
            raise CalibrationError(
                "there are no clips to calibrate on",
                expected="at least one clip",
                fix="set clips aside",
            )
        if not _slope(1 / HIGHEST, logarithms, t) < 0 < _slope(1 / LOWEST, logarithms, t):
            right = int((p[np.arange(len(t)), t] == p.max(axis=1)).sum())
            raise CalibrationError(
                part_of(right, len(t), "clip", "to calibrate on", verb=("is", "are"))
                + " classified correctly",
                expected="some errors, and labels that are more probable where they are true",
                fix="set more clips aside" if right else "check the labels",
            )
        found = brentq(
            lambda x: _slope(math.exp(-x), logarithms, t), math.log(LOWEST), math.log(HIGHEST)
        )
        self.temperature_ = math.exp(float(found))
        return self

    @classmethod
    def of(cls, temperature: float) -> TemperatureCalibrator:
        """Return a calibrator with this temperature; CalibrationError if it is not positive."""
        if not 0 < temperature < math.inf:
            raise CalibrationError(
                f"the temperature is {temperature}",
                expected="a positive number",
                fix="calibrate again",
            )
        calibrator = cls()
        calibrator.temperature_ = float(temperature)
        return calibrator

    def transform(self, probabilities: ArrayLike) -> NDArray[np.float64]:
        """Return calibrated probabilities (clip, label); see `Calibrator.transform`."""
        require_fitted(self, "temperature_")
        p = np.asarray(probabilities, dtype=np.float64)
        if p.ndim != 2 or not np.isfinite(p).all():
            raise CalibrationError(
                f"the probabilities have shape {p.shape}", expected="finite numbers (clip, label)"
            )
        return _softmax(_logarithms(p) / self.temperature_)

    def to_arrays(self, prefix: str) -> dict[str, NDArray[np.float64]]:
        """Return the temperature as an array (1,)."""
        return {f"{prefix}.temperature": np.array([self.temperature_])}

    @classmethod
    def from_arrays(cls, arrays: Arrays, prefix: str, *, labels: int) -> TemperatureCalibrator:
        """Return the calibrator whose state `to_arrays` returned, for any number of labels."""
        return cls.of(float(arrays[f"{prefix}.temperature"].item()))


def _logarithms(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log(np.maximum(p, FLOOR)))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = scaled / scaled.sum(axis=1, keepdims=True)
    return result


def _slope(inverse: float, logarithms: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """Return the derivative of the mean log loss with respect to 1/T."""
    expected = (_softmax(inverse * logarithms) * logarithms).sum(axis=1)
    return float(np.mean(expected - logarithms[np.arange(len(targets)), targets]))

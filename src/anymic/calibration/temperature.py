"""A temperature fitted after training: one number for how sure a model may be."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.calibration.checks import CalibrationError, checked_pairs, unfitted

# Below it a probability counts as this one: 0 would make one clip worth infinitely many others.
FLOOR = 1e-12
COLDEST, HOTTEST = 1e-3, 1e3  # what a temperature is looked for between


class TemperatureCalibrator:
    """The temperature that makes a model's probabilities as sure as its answers are right.

    Probabilities p become p^(1/T), divided by their sum, which is softmax(z / T) of the logits z
    that p is the softmax of: logits and log p differ by one number a clip, which softmax does
    not see. T is the one with the least log loss on clips that were not trained on (C. Guo,
    G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017,
    section 4.2). Log loss is convex in b = 1/T: its slope, the mean over clips of the expected
    log p under softmax(b log p) minus the true label's, only rises, so that where it crosses zero
    is the one best temperature. It is found by bracketing in log T.

    The most probable label stays the most probable. This is not the temperature that a network is
    *trained* with (`anymic.training.loop.losses`): nothing is learned here but T.

    Attributes
    ----------
    temperature_ : float
        Above 1 for a model that is too sure of itself, below 1 for one that is too timid.
    """

    temperature_: float

    def fit(self, probabilities: ArrayLike, targets: ArrayLike) -> TemperatureCalibrator:
        """Learn from clips that were not trained on; returns self.

        Parameters
        ----------
        probabilities : array (clip, label)
            Values below 1e-12 count as 1e-12.
        targets : array (clip,)
            The number of each clip's label.

        Raises
        ------
        CalibrationError
            If there is no clip, the arrays do not fit each other, every clip is answered right
            (the surer the better, then: no temperature is best), or the true labels are no more
            probable than others (the flatter the better).
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
        coldest, hottest = (_slope(1 / one, logarithms, t) for one in (COLDEST, HOTTEST))
        if not hottest < 0 < coldest:
            right = int((p[np.arange(len(t)), t] == p.max(axis=1)).sum())
            raise CalibrationError(
                f"{right} of the {len(t)} clips to calibrate on are classified correctly",
                expected="some errors, and labels that are more probable where they are true",
                fix="set more clips aside" if right else "check the labels",
            )
        found = brentq(
            lambda x: _slope(math.exp(-x), logarithms, t), math.log(COLDEST), math.log(HOTTEST)
        )
        self.temperature_ = math.exp(float(found))
        return self

    @classmethod
    def of(cls, temperature: float) -> TemperatureCalibrator:
        """Return the calibrator that has learned this temperature, as it was saved.

        Raises
        ------
        CalibrationError
            If it is not positive and finite.
        """
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
        """Return calibrated probabilities (clip, label), which sum to 1.

        Raises
        ------
        CalibrationError
            If nothing was learned yet, or these are no rows of numbers.
        """
        if not hasattr(self, "temperature_"):
            raise unfitted()
        p = np.asarray(probabilities, dtype=np.float64)
        if p.ndim != 2 or not np.isfinite(p).all():
            raise CalibrationError(
                f"the probabilities have shape {p.shape}", expected="finite numbers (clip, label)"
            )
        return _softmax(_logarithms(p) / self.temperature_)


def _logarithms(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log(np.maximum(p, FLOOR)))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = scaled / scaled.sum(axis=1, keepdims=True)
    return result


def _slope(inverse: float, logarithms: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """Return the derivative of mean log loss by 1/T; it never falls as 1/T grows."""
    expected = (_softmax(inverse * logarithms) * logarithms).sum(axis=1)
    return float(np.mean(expected - logarithms[np.arange(len(targets)), targets]))

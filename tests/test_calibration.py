"""Isotonic calibration, beside scikit-learn's and against its own laws."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.isotonic import IsotonicRegression

from anymic.calibration import CalibrationError, IsotonicCalibrator
from anymic.metrics import log_loss


def clips(count: int, seed: int, *, sure: float = 1.0) -> tuple[NDArray[np.float64], NDArray]:
    """Draw labels from probabilities, and return these too, sharpened by the factor `sure`."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=1.5, size=(count, 4))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = np.array([generator.choice(4, p=row) for row in true])
    stated = np.exp(sure * logits)
    return stated / stated.sum(axis=1, keepdims=True), targets


class AsStated(ClassifierMixin, BaseEstimator):
    """A classifier whose probabilities are what it is given."""

    def fit(self, x: NDArray, y: NDArray) -> AsStated:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, x: NDArray) -> NDArray:
        return np.asarray(x)

    def predict(self, x: NDArray) -> NDArray:
        return self.classes_[np.argmax(x, axis=1)]


def test_it_is_scikit_learns_calibrated_classifier() -> None:
    p, t = clips(120, 0, sure=3)
    new, _ = clips(500, 1, sure=3)
    frozen = pytest.importorskip("sklearn.frozen").FrozenEstimator(AsStated().fit(p, t))
    theirs = CalibratedClassifierCV(frozen, method="isotonic").fit(p, t).predict_proba(new)
    ours = IsotonicCalibrator().fit(p, t).transform(new)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_every_step_is_scikit_learns_isotonic_regression() -> None:
    p, t = clips(60, 2)
    calibrator = IsotonicCalibrator().fit(p, t)
    between = np.linspace(-0.1, 1.1, 200)
    for label in range(4):
        wanted = IsotonicRegression(out_of_bounds="clip").fit(p[:, label], t == label)
        x, y = calibrator.inputs_[label], calibrator.outputs_[label]
        np.testing.assert_allclose(np.interp(between, x, y), wanted.predict(between), atol=1e-12)


def test_overconfidence_is_undone() -> None:
    """Probabilities three times too sure lose log loss on clips that calibrated nothing."""
    p, t = clips(4000, 3, sure=3)
    new, new_targets = clips(4000, 4, sure=3)
    better = IsotonicCalibrator().fit(p, t).transform(new)
    assert log_loss(better, new_targets) < log_loss(new, new_targets) - 0.1
    honest, _ = clips(4000, 4)
    assert log_loss(better, new_targets) < log_loss(honest, new_targets) + 0.1


def test_rows_sum_to_one_and_nothing_said_is_said_equally() -> None:
    p = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]] * 2)
    calibrator = IsotonicCalibrator().fit(p, np.array([0, 1, 2, 0, 1, 2]))
    low = np.full((1, 3), 0.04)
    np.testing.assert_array_equal(calibrator.transform(low), np.full((1, 3), 1 / 3))
    new = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    found = calibrator.transform(new)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    assert (found >= 0).all()


def test_saved_steps_are_the_calibrator() -> None:
    p, t = clips(80, 5)
    calibrator = IsotonicCalibrator().fit(p, t)
    again = IsotonicCalibrator.of(calibrator.inputs_, calibrator.outputs_)
    np.testing.assert_array_equal(again.transform(p), calibrator.transform(p))
    falling = tuple(steps[::-1] for steps in calibrator.outputs_)
    with pytest.raises(CalibrationError, match="steps that do not rise"):
        IsotonicCalibrator.of(calibrator.inputs_, falling)


def test_refusals() -> None:
    p, t = clips(40, 6)
    with pytest.raises(CalibrationError, match="has learned nothing, wanted a fitted one"):
        IsotonicCalibrator().transform(p)
    with pytest.raises(CalibrationError, match=r"calibrate on, 0 of label 2, wanted at least 2 of"):
        IsotonicCalibrator().fit(p[t != 2], t[t != 2])
    one = np.r_[np.flatnonzero(t == 1)[:1], np.flatnonzero(t != 1)]
    with pytest.raises(CalibrationError, match="1 of label 1, wanted at least 2 of each label"):
        IsotonicCalibrator().fit(p[one], t[one])
    with pytest.raises(CalibrationError, match=r"probabilities \(40, 4\) and targets int64 \(39,"):
        IsotonicCalibrator().fit(p, t[:-1])
    with pytest.raises(CalibrationError, match="label numbers from 1 to 4, wanted 0 to 3"):
        IsotonicCalibrator().fit(p, np.array([1, 4] * 20))
    with pytest.raises(CalibrationError, match=r"probabilities \(40, 3\), wanted \(clip, 4\)"):
        IsotonicCalibrator().fit(p, t).transform(p[:, :3])

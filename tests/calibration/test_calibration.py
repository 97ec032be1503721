"""Calibrators, beside scikit-learn's and PyTorch's and against their own laws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.isotonic import IsotonicRegression

from anymic.calibration import (
    METHODS,
    CalibrationError,
    Calibrator,
    DeviceCalibrator,
    IsotonicCalibrator,
    Method,
    TemperatureCalibrator,
)
from anymic.metrics import log_loss


def clips(
    count: int, seed: int, *, sure: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw labels from probabilities, and return these too, sharpened by the factor `sure`."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=1.5, size=(count, 4))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = np.array([generator.choice(4, p=row) for row in true])
    stated = np.exp(sure * logits)
    return stated / stated.sum(axis=1, keepdims=True), targets


class AsStated(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that returns its input as probabilities."""

    def fit(self, x: NDArray[Any], y: NDArray[Any]) -> AsStated:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, x: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(x)

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        classes: NDArray[Any] = self.classes_[np.argmax(x, axis=1)]
        return classes


def test_it_is_scikit_learns_calibrated_classifier() -> None:
    p, t = clips(120, 0, sure=3)
    new, _ = clips(500, 1, sure=3)
    frozen = pytest.importorskip("sklearn.frozen").FrozenEstimator(AsStated().fit(p, t))
    theirs = CalibratedClassifierCV(frozen, method="isotonic").fit(p, t).predict_proba(new)
    ours = IsotonicCalibrator(smoothing=False).fit(p, t).transform(new)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_every_step_is_scikit_learns_isotonic_regression() -> None:
    p, t = clips(60, 2)
    calibrator = IsotonicCalibrator(smoothing=False).fit(p, t)
    between = np.linspace(-0.1, 1.1, 200)
    for label in range(4):
        wanted = IsotonicRegression(out_of_bounds="clip").fit(p[:, label], t == label)
        x, y = calibrator.inputs_[label], calibrator.outputs_[label]
        np.testing.assert_allclose(np.interp(between, x, y), wanted.predict(between), atol=1e-12)


def test_overconfidence_is_corrected() -> None:
    """Probabilities three times too sure have a lower log loss on other clips after calibration."""
    p, t = clips(4000, 3, sure=3)
    new, new_targets = clips(4000, 4, sure=3)
    better = IsotonicCalibrator().fit(p, t).transform(new)
    assert log_loss(better, new_targets) < log_loss(new, new_targets) - 0.1
    honest, _ = clips(4000, 4)
    assert log_loss(better, new_targets) < log_loss(honest, new_targets) + 0.1


def test_rows_sum_to_one_and_rows_of_zeros_become_equal() -> None:
    p = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]] * 2)
    calibrator = IsotonicCalibrator(smoothing=False).fit(p, np.array([0, 1, 2, 0, 1, 2]))
    low = np.full((1, 3), 0.04)
    np.testing.assert_array_equal(calibrator.transform(low), np.full((1, 3), 1 / 3))
    new = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    found = calibrator.transform(new)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    assert (found >= 0).all()


def test_smoothed_steps_by_hand() -> None:
    """Six of twelve clips have the first label: two are added, and one has it."""
    first = np.array([0.1] * 5 + [0.4] * 3 + [0.9] * 4)
    t = 1 - np.array([0] * 5 + [1, 1, 0] + [1] * 4)
    calibrator = IsotonicCalibrator().fit(np.column_stack([first, 1 - first]), t)
    np.testing.assert_array_equal(calibrator.inputs_[0], [0.1, 0.4, 0.9])
    np.testing.assert_allclose(calibrator.outputs_[0], [1 / 7, 3 / 5, 5 / 6])


@pytest.mark.parametrize("seed", range(20))
def test_smoothed_steps_are_never_zero_and_rise(seed: int) -> None:
    p, t = clips(60, seed, sure=4)
    calibrator = IsotonicCalibrator().fit(p, t)
    for y in calibrator.outputs_:
        assert 0 < y[0] <= y[-1] < 1
        assert (np.diff(y) >= 0).all()
    hard = np.vstack([np.eye(4), clips(500, 100 + seed, sure=4)[0]])
    assert (calibrator.transform(hard) > 0).all()


def test_smoothed_steps_become_the_plain_ones_with_many_clips() -> None:
    new, _ = clips(1000, 1, sure=2)
    apart = []
    for count in (100, 1000, 10_000):
        p, t = clips(count, 0, sure=2)
        plain = IsotonicCalibrator(smoothing=False).fit(p, t).transform(new)
        apart.append(float(np.abs(IsotonicCalibrator().fit(p, t).transform(new) - plain).mean()))
    assert apart[1] < apart[0] / 3
    assert apart[2] < apart[1] / 3


def test_saved_steps_are_the_calibrator() -> None:
    p, t = clips(80, 5)
    calibrator = IsotonicCalibrator().fit(p, t)
    arrays = calibrator.to_arrays("saved")
    again = IsotonicCalibrator.from_arrays(arrays, "saved", labels=4)
    np.testing.assert_array_equal(again.transform(p), calibrator.transform(p))
    arrays["saved.3.outputs"] = arrays["saved.3.outputs"][::-1]
    with pytest.raises(CalibrationError, match="steps of the calibrator do not rise"):
        IsotonicCalibrator.from_arrays(arrays, "saved", labels=4)


def test_refusals() -> None:
    p, t = clips(40, 6)
    with pytest.raises(CalibrationError, match=r"is not fitted\. Expected a fitted calibrator"):
        IsotonicCalibrator().transform(p)
    with pytest.raises(
        CalibrationError, match=r"calibrate on, 0 of label 2\. Expected at least 2 of"
    ):
        IsotonicCalibrator().fit(p[t != 2], t[t != 2])
    one = np.r_[np.flatnonzero(t == 1)[:1], np.flatnonzero(t != 1)]
    with pytest.raises(CalibrationError, match=r"1 of label 1\. Expected at least 2 of each label"):
        IsotonicCalibrator().fit(p[one], t[one])
    with pytest.raises(
        CalibrationError, match=r"probabilities have shape \(40, 4\), the targets \(39,"
    ):
        IsotonicCalibrator().fit(p, t[:-1])
    with pytest.raises(CalibrationError, match=r"label numbers go from 1 to 4\. Expected 0 to 3"):
        IsotonicCalibrator().fit(p, np.array([1, 4] * 20))
    with pytest.raises(CalibrationError, match=r"shape \(40, 3\)\. Expected \(clip, 4\)"):
        IsotonicCalibrator().fit(p, t).transform(p[:, :3])


# Temperature


def test_a_temperature_by_hand() -> None:
    """Four clips say 0.9 for their first label and are right three times.

    Log loss is least where they say 0.75: odds of 9 become odds of 3, and 9^(1/T) = 3 for T = 2.
    """
    p, t = np.array([[0.9, 0.1]] * 4), np.array([0, 0, 0, 1])
    calibrator = TemperatureCalibrator().fit(p, t)
    assert calibrator.temperature_ == pytest.approx(2.0, rel=1e-9)
    np.testing.assert_allclose(calibrator.transform(p), [[0.75, 0.25]] * 4, atol=1e-9)


def test_it_is_pytorchs_lbfgs_on_logits() -> None:
    """As Guo 2017's own program finds it: cross-entropy of logits / T, by LBFGS."""
    p, t = clips(300, 7, sure=2.5)
    logits = torch.log(torch.tensor(p)) + 5.0  # softmax does not see a constant
    found = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([found], tolerance_grad=1e-12, tolerance_change=1e-14, max_iter=100)

    def step() -> torch.Tensor:
        solver.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits / found, torch.tensor(t))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    solver.step(step)  # type: ignore[no-untyped-call]
    ours = TemperatureCalibrator().fit(p, t)
    assert ours.temperature_ == pytest.approx(found.item(), rel=1e-5)
    wanted = torch.softmax(logits / found, dim=1).detach().numpy()
    np.testing.assert_allclose(ours.transform(p), wanted, atol=1e-5)


@pytest.mark.parametrize("factor", [0.1, 0.5, 2.0])
def test_logits_times_a_factor_have_that_times_the_temperature(factor: float) -> None:
    p, t = clips(200, 8)
    scaled = TemperatureCalibrator().fit(p, t).transform(p) ** factor
    scaled /= scaled.sum(axis=1, keepdims=True)
    again = TemperatureCalibrator().fit(scaled, t)
    assert again.temperature_ == pytest.approx(factor, rel=1e-6)


def test_no_answer_changes_and_no_zero_becomes_nan() -> None:
    p, t = clips(200, 9, sure=30)  # so sure that many probabilities are all but 0
    calibrated = TemperatureCalibrator().fit(p, t).transform(p)
    np.testing.assert_array_equal(calibrated.argmax(axis=1), p.argmax(axis=1))
    hard = TemperatureCalibrator.of(3.0).transform(np.array([[1.0, 0.0, 0.0]]))
    assert np.isfinite(hard).all()
    np.testing.assert_allclose(hard.sum(axis=1), 1)
    assert log_loss(calibrated, t) < log_loss(p, t)


def test_a_temperature_that_cannot_be_found_is_refused() -> None:
    p, _ = clips(50, 10)
    with pytest.raises(
        CalibrationError, match="All 50 clips to calibrate on are classified correctly"
    ):
        TemperatureCalibrator().fit(p, p.argmax(axis=1))
    with pytest.raises(
        CalibrationError, match=r"No clip .* classified correctly\. Expected some errors"
    ):
        TemperatureCalibrator().fit(p, p.argmin(axis=1))
    with pytest.raises(
        CalibrationError, match=r"no clips to calibrate on\. Expected at least one clip"
    ):
        TemperatureCalibrator().fit(np.empty((0, 3)), np.empty(0, dtype=int))
    with pytest.raises(CalibrationError, match=r"is not fitted\. Expected a fitted calibrator"):
        TemperatureCalibrator().transform(p)
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(CalibrationError, match="Expected a positive number"):
            TemperatureCalibrator.of(wrong)


# One for each device


def two_devices(each: int = 100) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str | None]]:
    """Return clips of A, which is three times too sure, and of B, which is honest."""
    sure, first = clips(each, 11, sure=3)
    honest, second = clips(each, 12)
    devices: list[str | None] = [*(["A"] * each), *(["B"] * each)]
    return np.r_[sure, honest], np.r_[first, second], devices


@pytest.mark.parametrize("method", METHODS)
def test_a_device_has_its_own_calibrator_and_all_others_the_general_one(method: Method) -> None:
    p, t, devices = two_devices()
    found = DeviceCalibrator(method).fit(p, t, devices, per_device=["A"])
    one: type[Calibrator] = TemperatureCalibrator if method == "temperature" else IsotonicCalibrator
    general, own = one().fit(p, t), one().fit(p[:100], t[:100])
    assert found.counts_ == {"": 200, "A": 100}
    for device, wanted in (("A", own), ("B", general), ("new", general), (None, general)):
        given = found.transform(p, [device] * len(p))
        np.testing.assert_array_equal(given, wanted.transform(p))
    np.testing.assert_array_equal(found.transform(p), general.transform(p))
    mixed = found.transform(p, devices)
    np.testing.assert_array_equal(mixed[:100], own.transform(p[:100]))


@pytest.mark.parametrize("method", METHODS)
def test_saved_parts_restore_the_calibrator(method: Method) -> None:
    p, t, devices = two_devices()
    found = DeviceCalibrator(method).fit(p, t, devices, per_device=True)
    record, arrays = found.to_parts()
    again = DeviceCalibrator.from_parts(record, arrays, labels=4)
    np.testing.assert_array_equal(again.transform(p, devices), found.transform(p, devices))
    assert again.describe() == found.describe()
    del arrays[next(name for name in arrays if name.startswith("1."))]
    with pytest.raises(CalibrationError, match="calibrator cannot be read"):
        DeviceCalibrator.from_parts(record, arrays, labels=4)


def test_a_device_without_enough_clips_is_refused_with_the_count() -> None:
    p, t, devices = two_devices(100)
    few = slice(80, 200)  # 20 of A
    with pytest.raises(
        CalibrationError, match=r"20 of A\. Expected at least 30 clips of each device"
    ):
        DeviceCalibrator().fit(p[few], t[few], devices[few], per_device=True)
    DeviceCalibrator().fit(p[few], t[few], devices[few], per_device=["B"])
    with pytest.raises(
        CalibrationError, match=r"20 of A \(\d of label \d\)\. Expected at least 20 of"
    ):
        DeviceCalibrator("isotonic").fit(p[few], t[few], devices[few], per_device=["A"])
    with pytest.raises(CalibrationError, match=r"0 of C\. Expected at least 30"):
        DeviceCalibrator().fit(p, t, devices, per_device=["C"])
    with pytest.raises(CalibrationError, match="No device is stated for any clip"):
        DeviceCalibrator().fit(p, t, [None] * 200, per_device=True)
    with pytest.raises(CalibrationError, match="199 devices for 200 clips"):
        DeviceCalibrator().fit(p, t, devices[1:])
    with pytest.raises(CalibrationError, match="is not fitted"):
        DeviceCalibrator().transform(p)
    with pytest.raises(
        CalibrationError, match=r"method 'platt'\. Expected temperature or isotonic"
    ):
        DeviceCalibrator("platt")  # type: ignore[arg-type]

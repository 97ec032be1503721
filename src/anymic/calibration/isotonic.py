"""Isotonic regression of each label's probability."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.calibration.calibrator import (
    Arrays,
    CalibrationError,
    Calibrator,
    checked_pairs,
    require_fitted,
)
from anymic.errors import counted

LEAST_CLIPS = 2  # of a label: a single clip makes a step from 0 to 1, whatever the others are
# To each step. With ten, one for each label, benchmarks/calibration.py prints the same log loss
# from 200 clips on, a higher one with fewer, and there twice the calibration error.
ADDED_CLIPS = 2


class IsotonicCalibrator(Calibrator):
    """Isotonic regression of "the clip has this label" on the label's probability, for each label.

    The probabilities of a label are sorted, and the share of clips with this label is fitted by
    the best rising step function (least squares; Zadrozny and Elkan 2002), interpolated linearly
    between its steps. The labels' results are divided by their sum. A clip for which every label's
    result is 0 gets equal probabilities, as in scikit-learn.

    Kosmider 2019, section 6, calibrates each member of an ensemble in this way, on the member's own
    validation clips, with plain steps.

    Parameters
    ----------
    smoothing : bool
        Move each step towards the share b of all clips that have the label, by the number n of
        clips behind it: from k / n to (k + 2 b) / (n + 2) (an m-estimate, Zadrozny and Elkan 2001).
        No step is then 0 or 1. Where the results do not rise, the regression is fitted to them
        again.

    Attributes
    ----------
    inputs_, outputs_ : tuple of array (step,), float64
        For each label, the rising probabilities where a step begins or ends, and the calibrated
        ones there.
    """

    inputs_: tuple[NDArray[np.float64], ...]
    outputs_: tuple[NDArray[np.float64], ...]

    def __init__(self, *, smoothing: bool = True) -> None:
        self.smoothing = smoothing

    def fit(self, probabilities: ArrayLike, targets: ArrayLike) -> IsotonicCalibrator:
        """Fit a step function for each label, of at least two clips each; returns self."""
        from sklearn.isotonic import IsotonicRegression

        p, t = checked_pairs(probabilities, targets)
        counts = np.bincount(t, minlength=p.shape[1])
        few = np.flatnonzero(counts < LEAST_CLIPS)
        if len(few):
            listed = ", ".join(f"{counts[label]} of label {label}" for label in few)
            raise CalibrationError(
                f"{counted(len(t), 'clip')} to calibrate on, {listed}",
                expected=f"at least {LEAST_CLIPS} of each label",
                fix="set more clips aside; in a training, with the setting validation_share",
            )
        regression = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        inputs, outputs = [], []
        for label in range(p.shape[1]):
            regression.fit(p[:, label], t == label)
            if self.smoothing:
                steps = regression.predict(p[:, label])
                smooth = _smoothed(steps, prior=float(counts[label] / len(t)))
                regression.fit(p[:, label], smooth)
            inputs.append(np.asarray(regression.X_thresholds_, dtype=np.float64))
            outputs.append(np.asarray(regression.y_thresholds_, dtype=np.float64))
        self.inputs_, self.outputs_ = tuple(inputs), tuple(outputs)
        return self

    def transform(self, probabilities: ArrayLike) -> NDArray[np.float64]:
        """Return calibrated probabilities (clip, label); see `Calibrator.transform`."""
        require_fitted(self, "inputs_")
        p = np.asarray(probabilities, dtype=np.float64)
        if p.ndim != 2 or p.shape[1] != len(self.inputs_):
            raise CalibrationError(
                f"the probabilities have shape {p.shape}", expected=f"(clip, {len(self.inputs_)})"
            )
        steps = zip(p.T, self.inputs_, self.outputs_, strict=True)
        each = np.stack([np.interp(column, x, y) for column, x, y in steps], axis=1)
        total = each.sum(axis=1, keepdims=True)
        equal = np.full_like(each, 1 / each.shape[1])
        result: NDArray[np.float64] = np.divide(each, total, out=equal, where=total > 0)
        return result

    def to_arrays(self, prefix: str) -> dict[str, NDArray[np.float64]]:
        """Return the steps: "<prefix>.<label>.inputs" and "<prefix>.<label>.outputs"."""
        return {
            f"{prefix}.{label}.{side}": values
            for side, steps in (("inputs", self.inputs_), ("outputs", self.outputs_))
            for label, values in enumerate(steps)
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, prefix: str, *, labels: int) -> IsotonicCalibrator:
        """Return the calibrator whose state `to_arrays` returned."""
        calibrator = cls()
        calibrator.inputs_, calibrator.outputs_ = (
            tuple(arrays[f"{prefix}.{label}.{side}"] for label in range(labels))
            for side in ("inputs", "outputs")
        )
        for x, y in zip(calibrator.inputs_, calibrator.outputs_, strict=True):
            steps = x.ndim == 1 and x.shape == y.shape and len(x) > 0
            rises = steps and (np.diff(x) > 0).all() and (np.diff(y) >= 0).all()
            if not (rises and y[0] >= 0 and y[-1] <= 1):
                raise CalibrationError(
                    "the steps of the calibrator do not rise from 0 to 1",
                    expected="the steps of a fitted calibrator",
                    fix="calibrate again",
                )
        return calibrator


def _smoothed(steps: NDArray[np.float64], *, prior: float) -> NDArray[np.float64]:
    """Return each clip's step, moved towards the prior as by `ADDED_CLIPS` more clips."""
    _, step, sizes = np.unique(steps, return_inverse=True, return_counts=True)
    clips = sizes[step]
    smooth: NDArray[np.float64] = (clips * steps + ADDED_CLIPS * prior) / (clips + ADDED_CLIPS)
    return smooth

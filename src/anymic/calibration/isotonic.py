"""Isotonic regression for each label: any rising way from stated to true probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.calibration.checks import CalibrationError, checked_pairs, unfitted

LEAST_CLIPS = 2  # of a label: one clip alone makes a step from 0 to 1, whatever the others say


class IsotonicCalibrator:
    """Isotonic regression of "it is this label" on the label's probability, for each label.

    For a label, the probabilities of clips that were not trained on are sorted, and the share of
    clips that are of this label is fitted by the best rising step function (least squares; Zadrozny
    and Elkan 2002), interpolated linearly between its steps. The labels' results are divided by
    their sum. A clip for which every label's result is 0 gets equal probabilities, as in
    scikit-learn: the model has said nothing that the calibration clips bear out.

    This is what Kosmider 2019, section 6, does to each member of a calibrated ensemble, on that
    member's own validation clips.

    Attributes
    ----------
    inputs_, outputs_ : tuple of array (step,), float64
        For each label, the rising probabilities where a step begins or ends, and what becomes of
        them.
    """

    inputs_: tuple[NDArray[np.float64], ...]
    outputs_: tuple[NDArray[np.float64], ...]

    def fit(self, probabilities: ArrayLike, targets: ArrayLike) -> IsotonicCalibrator:
        """Learn from clips that were not trained on; returns self.

        Parameters
        ----------
        probabilities : array (clip, label)
        targets : array (clip,)
            The number of each clip's label.

        Raises
        ------
        CalibrationError
            If a label has fewer than two clips, or the arrays do not fit each other.
        """
        from sklearn.isotonic import IsotonicRegression

        p, t = checked_pairs(probabilities, targets)
        _refuse_few(t, p.shape[1])
        found = [
            IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(
                p[:, label], t == label
            )
            for label in range(p.shape[1])
        ]
        self.inputs_ = tuple(np.asarray(one.X_thresholds_, dtype=np.float64) for one in found)
        self.outputs_ = tuple(np.asarray(one.y_thresholds_, dtype=np.float64) for one in found)
        return self

    @classmethod
    def of(
        cls, inputs: Sequence[NDArray[np.float64]], outputs: Sequence[NDArray[np.float64]]
    ) -> IsotonicCalibrator:
        """Return the calibrator that has learned these steps, as they were saved.

        Raises
        ------
        CalibrationError
            If they are no rising steps between 0 and 1.
        """
        fits = len(inputs) == len(outputs) and all(
            x.ndim == 1
            and x.shape == y.shape
            and len(x) > 0
            and bool((np.diff(x) > 0).all() and (np.diff(y) >= 0).all())
            and bool(y[0] >= 0 and y[-1] <= 1)
            for x, y in zip(inputs, outputs, strict=True)
        )
        if not fits or not inputs:
            raise CalibrationError(
                "the steps of the calibrator do not rise from 0 to 1",
                expected="the steps of a fitted calibrator",
                fix="calibrate again",
            )
        calibrator = cls()
        calibrator.inputs_, calibrator.outputs_ = tuple(inputs), tuple(outputs)
        return calibrator

    def transform(self, probabilities: ArrayLike) -> NDArray[np.float64]:
        """Return calibrated probabilities (clip, label), which sum to 1.

        Raises
        ------
        CalibrationError
            If nothing was learned yet, or there is another number of labels.
        """
        if not hasattr(self, "inputs_"):
            raise unfitted()
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


def _refuse_few(targets: NDArray[np.int64], labels: int) -> None:
    counts = np.bincount(targets, minlength=labels)
    few = np.flatnonzero(counts < LEAST_CLIPS)
    if len(few):
        listed = ", ".join(f"{counts[label]} of label {label}" for label in few)
        raise CalibrationError(
            f"there are {len(targets)} clips to calibrate on, {listed}",
            expected=f"at least {LEAST_CLIPS} of each label",
            fix="set more clips aside",
        )

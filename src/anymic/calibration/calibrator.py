"""The interface of a calibrator, and the checks of the clips that it is fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.errors import AnymicError

Arrays = Mapping[str, NDArray[np.float64]]


class CalibrationError(AnymicError):
    """Clips that cannot be used to calibrate, or a calibrator that is not fitted."""


class Calibrator(Protocol):
    """A calibrator of probabilities: fitted on clips that the model was not trained on."""

    def fit(self, probabilities: ArrayLike, targets: ArrayLike) -> Calibrator:
        """Fit the calibrator; returns self.

        Parameters
        ----------
        probabilities : array (clip, label)
        targets : array (clip,)
            The number of each clip's label.

        Raises
        ------
        CalibrationError
            If the arrays do not fit each other, or there are too few clips.
        """

    def transform(self, probabilities: ArrayLike) -> NDArray[np.float64]:
        """Return calibrated probabilities (clip, label), which sum to 1.

        Raises
        ------
        CalibrationError
            If the calibrator is not fitted, or the array does not fit it.
        """

    def to_arrays(self, prefix: str) -> dict[str, NDArray[np.float64]]:
        """Return the fitted state as arrays whose names begin with `prefix` and a point."""

    @classmethod
    def from_arrays(cls, arrays: Arrays, prefix: str, *, labels: int) -> Calibrator:
        """Return the calibrator whose state `to_arrays` returned.

        Raises KeyError if an array is missing, CalibrationError if it is not a fitted state.
        """


def checked_pairs(
    probabilities: ArrayLike, targets: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return probabilities (clip, label) and label numbers (clip,), or raise CalibrationError."""
    p, t = np.asarray(probabilities, dtype=np.float64), np.asarray(targets)
    whole = t.dtype.kind in "iu" and t.ndim == 1
    if p.ndim != 2 or not whole or len(t) != len(p) or not np.isfinite(p).all():
        raise CalibrationError(
            f"the probabilities have shape {p.shape}, the targets {t.shape} of {t.dtype}",
            expected="finite numbers (clip, label) and the number of a label for each clip",
            fix="pass the probabilities and the labels of the same clips",
        )
    if len(t) and not 0 <= t.min() <= t.max() < p.shape[1]:
        raise CalibrationError(
            f"the label numbers go from {t.min()} to {t.max()}", expected=f"0 to {p.shape[1] - 1}"
        )
    return p, t.astype(np.int64)


def require_fitted(calibrator: object, attribute: str) -> None:
    """Raise CalibrationError if a calibrator does not have this fitted attribute."""
    if not hasattr(calibrator, attribute):
        raise CalibrationError(
            "the calibrator is not fitted",
            expected="a fitted calibrator",
            fix="call `fit` with clips that the model was not trained on",
        )

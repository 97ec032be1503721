"""What every calibrator asks of the clips it is fitted on."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.errors import AnymicError


class CalibrationError(AnymicError):
    """Clips that cannot calibrate, or a calibrator that has learned nothing yet."""


def checked_pairs(
    probabilities: ArrayLike, targets: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return probabilities (clip, label) and label numbers (clip,), or refuse them."""
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


def unfitted() -> CalibrationError:
    """Return what a calibrator says that has learned nothing."""
    return CalibrationError(
        "the calibrator is not fitted",
        expected="a fitted calibrator",
        fix="call `fit` with clips that the model was not trained on",
    )

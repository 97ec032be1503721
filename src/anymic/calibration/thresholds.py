"""The probability from which each label is named, where a clip may have several labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.calibration.calibrator import CalibrationError

LEAST_WITH_LABEL = 5  # clips with a label, and without: fewer choose a threshold by chance
USUAL = 0.5


class Thresholds(NamedTuple):
    """A threshold for each label.

    Attributes
    ----------
    values : tuple of float
    chosen : tuple of bool
        Whether it was chosen; a label with too few clips has 0.5.
    """

    values: tuple[float, ...]
    chosen: tuple[bool, ...]


def best_thresholds(probabilities: ArrayLike, indicators: ArrayLike) -> Thresholds:
    """Return for each label the threshold of maximal F1 on clips that the model was not trained on.

    F1 = 2 TP / (2 TP + FP + FN) changes only at the labels' scores. The threshold lies half-way
    between the lowest score that is named and the next lower one; of several thresholds with the
    same F1 it is the highest. A label that fewer than 5 clips have, or fewer than 5 have not, keeps
    0.5.

    Parameters
    ----------
    probabilities : array (clip, label)
    indicators : array (clip, label)
        1 where a clip has the label, else 0.

    Raises
    ------
    CalibrationError
        If the arrays do not fit each other.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(indicators)
    if (
        p.ndim != 2
        or p.shape != y.shape
        or not np.isfinite(p).all()
        or not np.isin(y, (0, 1)).all()
    ):
        raise CalibrationError(
            f"the probabilities have shape {p.shape} and the labels {y.shape}",
            expected="finite numbers (clip, label), and 0 or 1 for each of them",
        )
    found = [_best(*columns) for columns in zip(p.T, y.T, strict=True)]
    values = tuple(USUAL if one is None else one for one in found)
    return Thresholds(values, tuple(one is not None for one in found))


def _best(scores: NDArray[np.float64], has: NDArray[np.int64]) -> float | None:
    """Return the threshold of one label; None where too few clips have it, or lack it."""
    total = int(has.sum())
    if min(total, len(has) - total) < LEAST_WITH_LABEL:
        return None
    order = np.argsort(-scores, kind="stable")
    ordered, right = scores[order], np.cumsum(has[order])
    f1 = 2 * right / (np.arange(1, len(has) + 1) + total)
    last = np.append(ordered[1:] < ordered[:-1], True)  # clips of one score are named together
    place = int(np.flatnonzero(last)[np.argmax(f1[last])])
    below = ordered[place + 1] if place + 1 < len(ordered) else 0.0
    return float((ordered[place] + below) / 2)

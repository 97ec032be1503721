"""One label a clip or several: which labels of a clip its probabilities name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.errors import counted

# one: a clip has one label, and the probabilities of all labels sum to 1 (softmax).
# several: a clip has any number of labels, also none, and each has its own score (sigmoid).
Targets: TypeAlias = Literal["one", "several"]

THRESHOLD = 0.5  # of a label whose threshold was not chosen on clips


def thresholds_of(thresholds: Sequence[float] | None, labels: int) -> tuple[float, ...]:
    """Return a threshold for each label: those that were chosen, else 0.5."""
    return (THRESHOLD,) * labels if thresholds is None else tuple(thresholds)


def named(probabilities: ArrayLike, thresholds: ArrayLike | None) -> NDArray[np.bool_]:
    """Return whether each label is named, (..., label): its probability reaches its threshold.

    Thresholds are one for each label, (label,), or one for each probability.

    Examples
    --------
    >>> named([[0.7, 0.2], [0.4, 0.4]], (0.5, 0.3)).tolist()
    [[True, False], [False, True]]
    """
    p = np.asarray(probabilities, dtype=np.float64)
    return np.asarray(p >= (THRESHOLD if thresholds is None else np.asarray(thresholds)))


def threshold_problems(
    targets: Targets,
    thresholds: Sequence[float] | None,
    labels: Sequence[str],
    *,
    calibrated: bool,
) -> list[str]:
    """Return the faults of a model's thresholds and calibrator."""
    if targets == "one":
        return [] if thresholds is None else ["a model of one label a clip has thresholds"]
    problems = ["scores of several labels a clip have a calibrator"] if calibrated else []
    fits = thresholds is None or len(thresholds) == len(labels)
    if not fits or not all(0 <= one <= 1 for one in thresholds or ()):
        problems.append(
            f"the thresholds of {counted(len(labels), 'label')} are {list(thresholds or ())}"
        )
    return problems

"""Accuracy over coverage: how accurate the most confident clips are.

A classifier that does not answer its least confident clips is right more often on the others, if
its confidence is informative. The functions take arrays of one entry a clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.metrics.intervals import Floats, MetricError, finite

_ROUNDING = 1e-9  # of a share times a number of clips


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """Coverage and accuracy at each threshold of the confidence, the highest threshold first.

    A clip is answered where its confidence is at least the threshold, so clips of equal confidence
    are answered or declined together.

    Attributes
    ----------
    threshold : array (threshold,), falling
        Every confidence that occurs.
    coverage : array (threshold,), rising, the last is 1
        The share of clips that are answered.
    accuracy : array (threshold,)
        The share of answered clips that are classified correctly.
    clips : array (threshold,) int
        The number of answered clips.
    area : float
        Area under the risk-coverage curve: the error among the k most confident clips, averaged
        over k from 1 to n; clips of equal confidence count in the mean of their orders. 0 is best;
        a constant confidence has the error over all clips (Geifman, Uziel and El-Yaniv,
        "Bias-reduced uncertainty estimation for deep neural classifiers", ICLR 2019).
    """

    threshold: Floats
    coverage: Floats
    accuracy: Floats
    clips: NDArray[np.intp]
    area: float

    def at(self, coverage: float) -> int:
        """Return the entry of the highest threshold that answers at least this share of clips.

        Raises
        ------
        MetricError
            If the coverage is not above 0 and at most 1.
        """
        if not 0 < coverage <= 1:
            raise MetricError(
                f"the coverage is {coverage}", expected="a share above 0 and at most 1"
            )
        return int(np.searchsorted(self.clips, coverage * self.clips[-1] - _ROUNDING))


def coverage_curve(confidence: ArrayLike, correct: ArrayLike) -> CoverageCurve:
    """Return accuracy over coverage when the least confident clips are declined.

    Parameters
    ----------
    confidence : array (clip,)
        The probability of the answer, or another increasing measure of confidence.
    correct : array (clip,) bool or 0 / 1
        Whether the answer is right.

    Raises
    ------
    MetricError
        If there is no clip, lengths differ, a number is not finite, or a value of `correct` is
        neither 0 nor 1.
    """
    sure, right = finite(confidence, "confidence"), finite(correct, "correct")
    if sure.shape != right.shape or not np.isin(right, (0.0, 1.0)).all():
        raise MetricError(
            f"there are {sure.size} confidences and {right.size} results"
            f" between {right.min():g} and {right.max():g}",
            expected="a confidence and 0 or 1 for each clip",
            fix="compare the predicted with the true labels first",
        )
    levels, level = np.unique(-sure, return_inverse=True)  # the most confident first
    sizes = np.bincount(level, minlength=len(levels))
    wrong = np.bincount(level, weights=1 - right, minlength=len(levels))
    clips, errors = np.cumsum(sizes), np.cumsum(wrong)
    # Among clips of equal confidence in any order, the k-th adds their share of errors on average.
    each = np.arange(1, len(sure) + 1)
    remaining = np.repeat(clips, sizes) - each
    risks = (np.repeat(errors, sizes) - remaining * np.repeat(wrong / sizes, sizes)) / each
    return CoverageCurve(
        threshold=-levels,
        coverage=clips / len(sure),
        accuracy=1 - errors / clips,
        clips=clips.astype(np.intp),
        area=float(risks.mean()),
    )

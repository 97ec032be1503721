"""Accuracy in every condition, compared in pairs with the clean clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from anymic.errors import Failure
from anymic.evaluation.report.rows import Row, row
from anymic.evaluation.robustness.conditions import Condition
from anymic.metrics import (
    Interval,
    accuracy,
    expected_calibration_error,
    paired_difference,
    probability_scores,
)


@dataclass(frozen=True)
class Hardest:
    """The class of lowest accuracy in a condition.

    Attributes
    ----------
    label : str
    accuracy : Interval
        Its recall.
    taken_for : str
        The class that its wrong answers name most often; empty if there are none.
    """

    label: str
    accuracy: Interval
    taken_for: str


@dataclass(frozen=True, eq=False)
class Findings:
    """The same clips in every condition, and a classifier's probabilities.

    Attributes
    ----------
    labels : tuple of str
    conditions : tuple of Condition
        The clean one first.
    probabilities : (condition, clip, label) float64
    targets : (clip,) intp
        The true label's number.
    recordings : (clip,) str
        The source recording of each clip: intervals resample recordings.
    kbps : (condition,) float64
        The mean bitrate of the encoded files with their headers; NaN if nothing was encoded.
    failures : tuple of Failure
        Clips that could not be used in some condition; no number includes them.
    seed : int
        Of the resamples.
    """

    labels: tuple[str, ...]
    conditions: tuple[Condition, ...]
    probabilities: NDArray[np.float64]
    targets: NDArray[np.intp]
    recordings: NDArray[np.str_]
    kbps: NDArray[np.float64]
    failures: tuple[Failure, ...] = ()
    seed: int = 0
    _correct: NDArray[np.bool_] = field(init=False, repr=False)
    _answers: NDArray[np.intp] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        answers = self.probabilities.argmax(axis=2)
        object.__setattr__(self, "_answers", answers)
        object.__setattr__(self, "_correct", answers == self.targets)

    @property
    def worst(self) -> int:
        """The number of the condition of lowest accuracy; it may be the clean one."""
        return int(self._correct.mean(axis=1).argmin())

    def accuracy(self, condition: int) -> Interval:
        """Return the share of right answers, Wilson score interval on the effective n."""
        return accuracy(self._correct[condition], self.recordings)

    @cached_property
    def mean(self) -> Interval:
        """The mean accuracy of all conditions but the clean one; bootstrap over recordings."""
        return self._mean(self._correct[1:].mean(axis=0))

    def difference(self, condition: int) -> Interval:
        """Return its accuracy minus that of the clean clips, in pairs."""
        change = self._correct[condition].astype(np.float64) - self._correct[0]
        return self._mean(change)

    def flips(self, condition: int) -> Interval:
        """Return the share of clips whose answer differs from that for the clean clip."""
        return accuracy(self._answers[condition] != self._answers[0], self.recordings)

    def calibration_error(self, condition: int) -> Interval:
        """Return the expected calibration error, with 15 bins."""
        p = self.probabilities[condition]
        if self._recordings < 2:
            return self._alone(expected_calibration_error(p, self.targets))
        scores = probability_scores(p, self.targets, self.recordings, seed=self.seed)
        return scores["expected_calibration_error"]

    def hardest(self, condition: int) -> Hardest:
        """Return the class with the lowest recall; of several, that of the most clips."""
        right = self._correct[condition]
        recall = {
            number: (right[self.targets == number].mean(), -int((self.targets == number).sum()))
            for number in np.unique(self.targets).tolist()
        }
        number = min(recall, key=lambda number: recall[number])
        of = self.targets == number
        wrong = self._answers[condition][of & ~right]
        taken = self.labels[int(np.bincount(wrong).argmax())] if len(wrong) else ""
        return Hardest(self.labels[number], accuracy(right[of], self.recordings[of]), taken)

    @cached_property
    def rows(self) -> list[Row]:
        """All numbers as rows of a report.

        accuracy, accuracy_difference (against the clean clips), expected_calibration_error, flips
        and measured_kbps of each condition, {"device": d, "codec": c, "kbps": k}; accuracy of each
        class, with a "label"; and mean_of_conditions of {"conditions": "all but clean"}.
        """
        rows = [row for number in range(len(self.conditions)) for row in self._rows_of(number)]
        return [*rows, _row("mean_of_conditions", self.mean, conditions="all but clean")]

    def _rows_of(self, number: int) -> list[Row]:
        keys = self.conditions[number].keys
        rows = [row("accuracy", self.accuracy(number), **keys)]
        if number:
            clean = {f"against_{key}": value for key, value in self.conditions[0].keys.items()}
            rows.append(_row("accuracy_difference", self.difference(number), **keys, **clean))
            rows.append(row("flips", self.flips(number), **keys))
        rows.append(_row("expected_calibration_error", self.calibration_error(number), **keys))
        if np.isfinite(self.kbps[number]):
            kbps = float(self.kbps[number])
            rows.append(Row(keys, "measured_kbps", kbps, None, None, len(self.targets)))
        for label in np.unique(self.targets).tolist():
            of = self.targets == label
            found = accuracy(self._correct[number][of], self.recordings[of])
            rows.append(row("accuracy", found, **keys, label=self.labels[label]))
        return rows

    @property
    def _recordings(self) -> int:
        return len(set(self.recordings.tolist()))

    def _mean(self, values: NDArray[np.float64]) -> Interval:
        if self._recordings < 2:
            return self._alone(float(values.mean()))
        return paired_difference(values, np.zeros_like(values), self.recordings, seed=self.seed)

    def _alone(self, value: float) -> Interval:
        """Return a value without an interval, because a single recording has none."""
        return Interval(value, float("nan"), float("nan"), len(self.targets))


def _row(metric: str, found: Interval, **keys: str) -> Row:
    """Return a row, without an interval if its ends are NaN."""
    low, high = (None if np.isnan(end) else end for end in (found.low, found.high))
    return Row(keys, metric, found.value, low, high, found.n)

"""Accuracy in every condition, compared in pairs with the clean clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anymic.bundle import Bundle, Ensemble
from anymic.bundle.targets import named
from anymic.errors import counted
from anymic.evaluation.measurement import Measurement
from anymic.evaluation.report import ReportFigure, run_header, write_report
from anymic.evaluation.report.cells import percent, plain, points
from anymic.evaluation.report.rows import Row, row
from anymic.evaluation.report.tables import Table
from anymic.evaluation.robustness.conditions import CLEAN, Condition
from anymic.evaluation.robustness.figures import heat_map
from anymic.metrics import (
    Interval,
    accuracy,
    expected_calibration_error,
    mean_average_precision,
    probability_scores,
)
from anymic.metrics.intervals import RESAMPLES, resampled_mean
from anymic.metrics.several import MEAN_PRECISION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SECTION = "Conditions"
_CAPTION = (
    "Devices down, codecs and kbps across; wav is not encoded. The same clips in every cell: "
    "accuracy, and below it the difference to the clean clips in points, bold if its interval "
    "leaves out zero. The shade is the loss."
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Robustness(Measurement):
    """The result of `robustness`: the same clips in every condition.

    Attributes
    ----------
    conditions : tuple of Condition
        The clean one first.
    recordings : (clip,) str
        The source recording of each clip: intervals resample recordings.
    kbps : (condition,) float64
        The mean bitrate of the encoded files with their headers; NaN if nothing was encoded.
    model : Bundle, Ensemble or None
        The model of this library that was measured; None for any other classifier.
    model_name, clips_name : str
    labels : tuple of str
    probabilities : array (condition, clip, label), float64
        From 0 to 1; calibrated if the model is.
    targets : array (clip,), int64
        The number of the true label; with several labels a clip (clip, label), 0 and 1.
    failures : tuple of Failure
        The clips that could not be used in some condition; no number includes them.
    warning : str
        How many of the clips the model was fitted on, and for what; empty if none.
    facts : mapping
        What was measured, for the header of the report.
    seed : int
        Of the resamples behind the intervals.

    With several labels a clip, a clip is right where the labels that the model names are exactly
    its labels, the hardest class is the label that is most often not named, and mean average
    precision takes the place of the calibration error.
    """

    conditions: tuple[Condition, ...]
    recordings: NDArray[np.str_]
    kbps: NDArray[np.float64]
    model: Bundle | Ensemble | None
    model_name: str
    clips_name: str

    def __str__(self) -> str:
        """Return the finding in a few sentences."""
        clean, others = _share(self.accuracy(0)), counted(len(self.conditions) - 1, "condition")
        text = f"{self._measure} on the clean clips is {clean}, and {_share(self.mean)} on average "
        text += f"over the other {others}. "
        worst = self.worst
        if worst == 0:
            return text + "None is worse than the clean clips."
        hardest = self.hardest(worst)
        taken = f", most often taken for {hardest.taken_for}" if hardest.taken_for else ""
        return text + (
            f"The worst is {self.conditions[worst].name}: {_share(self.accuracy(worst))}, "
            f"{points(self.difference(worst))} points against clean; "
            f"{100 * self.flips(worst).value:.1f} % of its answers differ from those for the "
            f"clean clips. Its hardest class is {hardest.label}, at {_share(hardest.accuracy)}"
            f"{taken}."
        )

    def table(self, *, full: bool = False) -> Table:
        """Return a line for each condition: accuracy, difference, calibration error, flips.

        Parameters
        ----------
        full : bool
            With the intervals of the last two, the bitrate, and each condition's hardest class.
        """
        lines = []
        for number, condition in enumerate(self.conditions):
            error, flips = self._second(number), self.flips(number)
            cells = [
                condition.name,
                _share(self.accuracy(number)),
                points(self.difference(number)) if number else "",
                plain(error) if full else f"{error.value:.3f}",
                (_share(flips) if full else f"{100 * flips.value:.1f} %") if number else "",
            ]
            if full:
                kbps, hardest = float(self.kbps[number]), self.hardest(number)
                cells.append(f"{kbps:.1f}" if kbps == kbps else "")
                cells.append(f"{hardest.label} {100 * hardest.accuracy.value:.0f} %")
            lines.append(tuple(cells))
        second = "mAP" if self.several else "ECE"
        columns = ["condition", "accuracy", f"against {CLEAN},\npoints", second, "flips"]
        columns += ["measured\nkbps", "hardest class"] if full else []
        title = f"The same {counted(len(self.targets), 'clip')} in every condition"
        return Table(tuple(columns), tuple(lines), title)

    def heat_map(self) -> Figure:
        """Return the figure of accuracy by device and codec."""
        numbers = range(len(self.conditions))
        accuracies, differences = map(self.accuracy, numbers), map(self.difference, numbers)
        return heat_map(self.conditions, list(accuracies), list(differences))

    def _write(self, folder: str | Path, facts: Mapping[str, Any]) -> dict[str, Path]:
        """Write the report with the heat map."""
        header = {
            **facts,
            "clips": len(self.targets),
            "recordings": self._recordings,
            "conditions": len(self.conditions),
            "resampling": f"{RESAMPLES} resamples, seed {self.seed}",
        }
        return write_report(
            folder,
            self.rows,
            title=f"Robustness of {self.model_name} on {self.clips_name}",
            header=run_header(**header),
            figures=[ReportFigure("heat_map", self.heat_map(), _SECTION, _CAPTION)],
            failures=self.failures,
            finding=str(self),
            tables={_SECTION: [self.table(full=True)]},
            extra={"labels": list(self.labels)},
        )

    @property
    def several(self) -> bool:
        """Whether a clip may have several labels: targets are then (clip, label), 0 and 1."""
        return self.targets.ndim == 2

    @property
    def _measure(self) -> str:
        return "Accuracy (all labels of a clip are right)" if self.several else "Accuracy"

    @cached_property
    def _named(self) -> NDArray[np.bool_]:
        """With several labels a clip: whether each is named, (condition, clip, label)."""
        return named(self.probabilities, None if self.model is None else self.model.thresholds)

    @cached_property
    def _answers(self) -> NDArray[np.intp]:
        """The number of each answer, (condition, clip): of a label, or of a set of labels."""
        if not self.several:
            return np.asarray(self.probabilities.argmax(axis=2))
        sets = self._named.reshape(-1, len(self.labels))
        _, number = np.unique(sets, axis=0, return_inverse=True)
        return np.asarray(number.reshape(self._named.shape[:2]), dtype=np.intp)

    @cached_property
    def _correct(self) -> NDArray[np.bool_]:
        if self.several:
            return np.asarray((self._named == self.targets).all(axis=2))
        return np.asarray(self._answers == self.targets)

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
            error = expected_calibration_error(p, self.targets)
            return Interval.unknown(error, len(self.targets))
        scores = probability_scores(p, self.targets, self.recordings, seed=self.seed)
        return scores["expected_calibration_error"]

    def _second(self, condition: int) -> Interval:
        """Return the number beside accuracy: the calibration error, or mean average precision."""
        if not self.several:
            return self.calibration_error(condition)
        value = mean_average_precision(self.probabilities[condition], self.targets)
        return Interval.unknown(value, len(self.targets))

    def hardest(self, condition: int) -> Hardest:
        """Return the class with the lowest recall; of several, that of the most clips."""
        recalls = self._recalls(condition)
        number = min(recalls, key=lambda number: (recalls[number].value, -recalls[number].n))
        if self.several:
            return Hardest(self.labels[number], recalls[number], "")
        wrong = self._answers[condition][(self.targets == number) & ~self._correct[condition]]
        taken = self.labels[int(np.bincount(wrong).argmax())] if len(wrong) else ""
        return Hardest(self.labels[number], recalls[number], taken)

    @cached_property
    def rows(self) -> list[Row]:
        """All numbers as rows of a report.

        accuracy, accuracy_difference (against the clean clips), expected_calibration_error, flips
        and measured_kbps of each condition, {"device": d, "codec": c, "kbps": k}; accuracy of each
        class, with a "label"; and mean_of_conditions of {"conditions": "all but clean"}.
        """
        rows = [one for number in range(len(self.conditions)) for one in self._rows_of(number)]
        return [*rows, row("mean_of_conditions", self.mean, conditions="all but clean")]

    def _rows_of(self, number: int) -> list[Row]:
        keys = self.conditions[number].keys
        rows = [row("accuracy", self.accuracy(number), **keys)]
        if number:
            clean = {f"against_{key}": value for key, value in self.conditions[0].keys.items()}
            rows.append(row("accuracy_difference", self.difference(number), **keys, **clean))
            rows.append(row("flips", self.flips(number), **keys))
        second = MEAN_PRECISION if self.several else "expected_calibration_error"
        rows.append(row(second, self._second(number), **keys))
        if np.isfinite(self.kbps[number]):
            kbps = Interval.unknown(float(self.kbps[number]), len(self.targets))
            rows.append(row("measured_kbps", kbps, **keys))
        for label, recall in self._recalls(number).items():
            rows.append(row("accuracy", recall, **keys, label=self.labels[label]))
        return rows

    def _recalls(self, condition: int) -> dict[int, Interval]:
        """Return the accuracy of each class that has clips, by its number."""
        if self.several:
            of_label = {number: self.targets[:, number] == 1 for number in range(len(self.labels))}
            there = {number: own for number, own in of_label.items() if own.any()}
            right = self._named[condition]
            return {n: accuracy(right[own, n], self.recordings[own]) for n, own in there.items()}
        of = {number: self.targets == number for number in np.unique(self.targets).tolist()}
        right = self._correct[condition]
        return {n: accuracy(right[own], self.recordings[own]) for n, own in of.items()}

    @property
    def _recordings(self) -> int:
        return len(set(self.recordings.tolist()))

    def _mean(self, values: NDArray[np.float64]) -> Interval:
        if self._recordings < 2:
            return Interval.unknown(float(values.mean()), len(values))
        return resampled_mean(values, self.recordings, seed=self.seed)


def _share(found: Interval) -> str:
    return percent(found, unit=" %")

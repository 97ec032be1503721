"""The outcomes of a grid of runs side by side: all folds and seeds of a condition as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anymic import metrics
from anymic.errors import AnymicError
from anymic.evaluation.report.rows import Row, row
from anymic.metrics import intervals
from anymic.metrics.intervals import Interval
from anymic_experiments.runs import Outcome


@dataclass(frozen=True, eq=False)
class Pooled:
    """Every condition's answers to the same clips in the same order."""

    # (clip, class): By condition
    probabilities: Mapping[str, NDArray[np.float64]]
    targets: NDArray[np.int64]  # (clip,): True class numbers
    # the device that recorded each clip, and the recording it was cut from. Intervals resample
    # whole recordings, with every device, fold and seed of them
    devices: NDArray[np.str_]
    groups: NDArray[np.str_]

    @property
    def conditions(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(self.probabilities)

    def on(self, *devices: str) -> Pooled:
        """Return the answers to the clips of these devices."""
        kept = np.isin(self.devices, devices)
        probabilities = {name: found[kept] for name, found in self.probabilities.items()}
        return Pooled(probabilities, self.targets[kept], self.devices[kept], self.groups[kept])

    def hits(self, condition: str | Sequence[str]) -> NDArray[np.float64]:
        """Return how often each clip was right (clip,): of several conditions, their mean."""
        names = [condition] if isinstance(condition, str) else condition
        right = [self.probabilities[name].argmax(axis=1) == self.targets for name in names]
        mean: NDArray[np.float64] = np.mean(right, axis=0)
        return mean

    def accuracy(self, condition: str) -> Interval:
        """Return the accuracy."""
        return intervals.accuracy(self.hits(condition), self.groups)

    def gain(self, condition: str | Sequence[str], against: str | Sequence[str]) -> Interval:
        """Return how much more often `condition` is right than `against`, clip by clip."""
        return intervals.paired_difference(self.hits(condition), self.hits(against), self.groups)

    def compared(
        self,
        condition: str,
        devices: Mapping[str, Sequence[str]],
        against: Mapping[str, str],
        /,
        **where: str,
    ) -> list[Row]:
        """Return a condition's accuracy, and how much it gains over others, on groups of devices.

        `against` names the others as rows name them; `where` is what rows call the condition.
        """
        rows: list[Row] = []
        for device, members in devices.items():
            part, place = self.on(*members), {**where, "device": device}
            rows.append(row("accuracy", part.accuracy(condition), **place))
            for name, other in against.items():
                change = part.gain(condition, other)
                rows.append(row("accuracy_difference", change, **place, against_condition=name))
        return rows

    def scores(self, condition: str) -> dict[str, Interval]:
        """Return the log loss, calibration error and Brier score."""
        return metrics.probability_scores(self.probabilities[condition], self.targets, self.groups)

    def ratio(
        self, part: NDArray[np.floating], whole: NDArray[np.floating], *, n: int
    ) -> Interval | None:
        """Return sum(part) / sum(whole), such as a change as a share of another.

        `part` and `whole` are what each clip adds to either sum. None where the interval of
        sum(whole) reaches 0: there is nothing to be a share of.
        """
        totals = intervals.resampled_totals(np.column_stack([part, whole]), self.groups)
        recordings = len(set(self.groups.tolist()))
        total = float(whole.sum())
        if intervals.percentile_interval(total, totals[:, 1], groups=recordings, n=n).low <= 0:
            return None
        found = intervals.ratio(totals[:, 0], totals[:, 1])
        value = float(part.sum() / whole.sum())
        return intervals.percentile_interval(value, found, groups=recordings, n=n)


def pool(outcomes: Iterable[Outcome]) -> Pooled:
    """Put the folds and seeds of each condition behind each other.

    Raises AnymicError if the conditions do not have the same clips in the same order.
    """
    parts: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        parts.setdefault(outcome.run.condition, []).append(outcome)

    names = ("probabilities", "targets", "devices", "groups")
    joined = {
        condition: {name: np.concatenate([getattr(one, name) for one in own]) for name in names}
        for condition, own in parts.items()
    }
    first = next(iter(joined))
    facts = {name: joined[first][name] for name in names[1:]}
    for condition, arrays in joined.items():
        if not all(np.array_equal(arrays[name], fact) for name, fact in facts.items()):
            raise AnymicError(
                f"the clips of {condition} differ from those of {first}",
                expected="the same folds and seeds of every condition",
                fix="let the whole grid finish",
            )
    return Pooled({name: arrays["probabilities"] for name, arrays in joined.items()}, **facts)

"""The outcomes of a grid of runs side by side: all folds and seeds of a condition as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anymic.errors import AnymicError
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

    def correct(self, condition: str) -> NDArray[np.bool_]:
        """Return whether each clip was right (clip,)."""
        right: NDArray[np.bool_] = self.probabilities[condition].argmax(axis=1) == self.targets
        return right

    def accuracy(self, condition: str, *devices: str) -> Interval:
        """Return the accuracy on the clips of these devices."""
        kept = np.isin(self.devices, devices)
        return intervals.accuracy(self.correct(condition)[kept], self.groups[kept])

    def gain(self, condition: str, against: str, *devices: str) -> Interval:
        """Return how much more often `condition` is right than `against`, clip by clip."""
        kept = np.isin(self.devices, devices)
        one, other = (self.correct(name)[kept].astype(float) for name in (condition, against))
        return intervals.paired_difference(one, other, self.groups[kept])

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

    def together(name: str, condition: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(outcome, name) for outcome in parts[condition]])

    first = next(iter(parts))
    facts = {name: together(name, first) for name in ("targets", "devices", "groups")}
    for condition in parts:
        for name, fact in facts.items():
            if not np.array_equal(together(name, condition), fact):
                raise AnymicError(
                    f"the clips of {condition} differ from those of {first}",
                    expected="the same folds and seeds of every condition",
                    fix="let the whole grid finish",
                )
    probabilities = {
        name: np.concatenate([outcome.probabilities for outcome in runs])
        for name, runs in parts.items()
    }
    return Pooled(probabilities, facts["targets"], facts["devices"], facts["groups"])  # type: ignore[arg-type]

"""Clips whose device nobody stated, or that no profile knows: what routing and blind gains do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anymic.evaluation.report.cells import percent, points
from anymic.evaluation.report.rows import Row, row
from anymic.metrics import intervals
from anymic.metrics.intervals import Interval
from anymic_experiments.kosmider2019.hearing import (
    ALL_KNOWN,
    BATCHES,
    HEARD_AS_IS,
    IDENTIFIED,
    KNOWN,
    REAL,
    ROUTED,
    STATED,
    STRANGERS,
    VIRTUAL,
    WRONG,
    Answers,
    blind,
)


@dataclass(frozen=True)
class Findings:
    """What the answers show.

    Attributes
    ----------
    rows : list of Row
        accuracy by reference, way and device ("A, B and C" or "strangers", and each of them);
        accuracy_difference of identified against stated; recovered_share of blind gains.
    """

    rows: list[Row]

    def of(self, metric: str, reference: str, way: str, device: str) -> Row:
        """Return one row."""
        wanted = {"reference": reference, "condition": way, "device": device}
        (found,) = (
            item
            for item in self.rows
            if item.metric == metric and wanted.items() <= item.condition.items()
        )
        return found


def compare(answers: Answers) -> Findings:
    """Return accuracies, and what each way of hearing gains or gets back."""
    rows: list[Row] = []
    for (reference, way), right in answers.hits.items():
        devices, groups = answers.devices[way], answers.groups[way]
        together = ALL_KNOWN if devices[0] in KNOWN else STRANGERS
        for name in (together, *sorted(set(devices.tolist()))):
            kept = np.ones(len(devices), bool) if name == together else devices == name
            accuracy = _mean(right[kept], groups[kept])
            where = {"reference": reference, "condition": way, "device": name}
            rows.append(row("accuracy", accuracy, **where))
        where = {"reference": reference, "condition": way, "device": together}
        base = STATED if together == ALL_KNOWN else HEARD_AS_IS
        if way != base:
            change = intervals.paired_difference(right, answers.hits[reference, base], groups)
            rows.append(row("accuracy_difference", change, **where, against_condition=base))
        if together == STRANGERS and way != base:
            share = _recovered(answers, reference, way)
            rows.append(row("recovered_share", share, **where))
    return Findings(rows)


def _mean(right: NDArray[np.float64], groups: NDArray[np.str_]) -> Interval:
    """Return the mean; a clip that was heard with two wrong profiles can be half right."""
    if np.isin(right, (0, 1)).all():
        return intervals.accuracy(right, groups)
    return intervals.paired_difference(right, np.zeros_like(right), groups)


def _recovered(answers: Answers, reference: str, way: str) -> Interval:
    """Return (strangers heard this way - as they are) / (A - strangers as they are).

    Folds and seeds are pooled; recordings are resampled with every device that heard them.
    """
    flat = answers.devices[STATED] == "A"
    a_groups = answers.groups[STATED][flat]
    groups = np.concatenate([a_groups, answers.groups[way]])
    a = answers.hits[reference, STATED][flat]
    without, with_it = answers.hits[reference, HEARD_AS_IS], answers.hits[reference, way]
    border = len(a)

    def statistic(chosen: NDArray[np.intp]) -> float:
        stranger = chosen[chosen >= border] - border
        before = without[stranger].mean()
        lost = a[chosen[chosen < border]].mean() - before
        return float((with_it[stranger].mean() - before) / lost) if lost else 0.0

    return intervals.bootstrap(statistic, groups)


def markdown(found: Findings) -> str:
    """Return both tables: the known devices, and the strangers."""
    lines = ["| A, B and C | reference B+C | reference A |", "|---|---|---|"]
    for way in (STATED, IDENTIFIED, WRONG):
        cells = [
            percent(found.of("accuracy", reference, way, ALL_KNOWN))
            for reference in (VIRTUAL, REAL)
        ]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    lines += ["", "| strangers | reference B+C | gets back | reference A | gets back |"]
    lines.append("|---" * 5 + "|")
    for way in (HEARD_AS_IS, *map(blind, BATCHES), ROUTED):
        cells = []
        for reference in (VIRTUAL, REAL):
            cells.append(percent(found.of("accuracy", reference, way, STRANGERS)))
            back = ""
            if way != HEARD_AS_IS:
                share = found.of("recovered_share", reference, way, STRANGERS)
                back = percent(share, digits=0)
            cells.append(back)
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def reading(found: Findings) -> str:
    """Say what identification costs, what a wrong name costs, and what strangers get back."""
    identified = found.of("accuracy_difference", VIRTUAL, IDENTIFIED, ALL_KNOWN)
    wrong = {
        reference: found.of("accuracy_difference", reference, WRONG, ALL_KNOWN)
        for reference in (VIRTUAL, REAL)
    }
    a = found.of("accuracy", VIRTUAL, STATED, "A")
    as_is = found.of("accuracy", VIRTUAL, HEARD_AS_IS, STRANGERS)
    lost = 100 * (a.value - as_is.value)
    return (
        "Naming the device by the identifier instead of stating it changes the accuracy by "
        f"{points(identified)} points. Taking a clip for another device's costs "
        f"{points(wrong[VIRTUAL])} points with the virtual reference and {points(wrong[REAL])} "
        f"with the real one. Strangers heard as they are lose {lost:.1f} points against A."
    )

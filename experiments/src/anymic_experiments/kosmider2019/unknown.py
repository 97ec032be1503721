"""Clips whose device nobody stated, or that no profile has: accuracies, and what is recovered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anymic.evaluation.report.rows import Row, row
from anymic.metrics import intervals
from anymic.metrics.intervals import Interval
from anymic.metrics.recovery import recovered_share
from anymic_experiments.findings import Findings
from anymic_experiments.kosmider2019.routing import (
    AS_IS,
    IDENTIFIED,
    OF_KNOWN,
    ROUTED,
    STATED,
    WRONG,
    Answers,
    blind,
)
from anymic_experiments.kosmider2019.settings import Settings
from anymic_experiments.page import Section

KNOWN, UNKNOWN = "known devices", "unknown devices"


def compare(answers: Answers, flat: str = "A") -> Findings:
    """Return accuracies by reference, way and device, and what each way gains or recovers.

    Recovered is (unknown devices this way - uncorrected) / (`flat` - unknown devices uncorrected),
    over folds and seeds together; recordings are resampled with all their devices.
    """
    rows: list[Row] = []
    for (reference, way), right in answers.hits.items():
        devices, groups = answers.devices[way], answers.groups[way]
        together, base = (KNOWN, STATED) if way in OF_KNOWN else (UNKNOWN, AS_IS)
        for name in (together, *sorted(set(devices.tolist()))):
            kept = np.ones(len(devices), bool) if name == together else devices == name
            where = {"reference": reference, "condition": way, "device": name}
            rows.append(row("accuracy", _mean(right[kept], groups[kept]), **where))
        if way == base:
            continue
        where = {"reference": reference, "condition": way, "device": together}
        before = answers.hits[reference, base]
        change = intervals.paired_difference(right, before, groups)
        rows.append(row("accuracy_difference", change, **where, against_condition=base))
        if together == UNKNOWN:
            of_flat = answers.devices[STATED] == flat
            a = answers.hits[reference, STATED][of_flat]
            share = recovered_share(
                np.concatenate([a, right]),
                np.concatenate([a, before]) > 0,
                np.repeat([flat, UNKNOWN], [len(a), len(right)]),
                np.concatenate([answers.groups[STATED][of_flat], groups]),
                reference=flat,
                others=(UNKNOWN,),
            )
            rows.append(row("recovered_share", share, **where))
    return Findings(rows)


def _mean(right: NDArray[np.float64], groups: NDArray[np.str_]) -> Interval:
    """Return the mean; a clip that is taken for two wrong devices can be half right."""
    if np.isin(right, (0, 1)).all():
        return intervals.accuracy(right, groups)
    return intervals.paired_difference(right, np.zeros_like(right), groups)


def section(found: Findings, grid: Settings) -> Section:
    """Return the tables of known and of unknown devices."""
    virtual, real = grid.routing.references.values()
    facts = {
        "found": found,
        "references": (virtual, real),
        "known_ways": (STATED, IDENTIFIED, WRONG),
        "unknown_ways": (AS_IS, *map(blind, grid.routing.batches), ROUTED),
        "known": KNOWN,
        "unknown": UNKNOWN,
    }
    return Section("devices", facts, found.rows)

"""Clips whose device nobody stated, or that no profile has: accuracies, and what is recovered."""

from __future__ import annotations

import numpy as np
import pandas as pd
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
    blind,
)
from anymic_experiments.kosmider2019.settings import Settings
from anymic_experiments.page import Section

KNOWN, UNKNOWN = "known devices", "unknown devices"


def compare(answers: pd.DataFrame, flat: str = "A") -> Findings:
    """Return accuracies by reference, way and device, and what each way gains or recovers.

    Recovered is (unknown devices this way - uncorrected) / (`flat` - unknown devices uncorrected),
    over folds and seeds together; recordings are resampled with all their devices. `answers` are
    those of `routing.answers`.
    """
    rows: list[Row] = []
    ways = dict(iter(answers.groupby(["reference", "way"], sort=False)))
    for (reference, way), own in ways.items():
        right, groups = own["right"].to_numpy(), own["group"].to_numpy()
        together, base = (KNOWN, STATED) if way in OF_KNOWN else (UNKNOWN, AS_IS)
        for name in (together, *sorted(set(own["device"]))):
            kept = (own["device"] == name).to_numpy() | (name == together)
            where = {"reference": reference, "condition": way, "device": name}
            rows.append(row("accuracy", _mean(right[kept], groups[kept]), **where))
        if way == base:
            continue
        where = {"reference": reference, "condition": way, "device": together}
        before = ways[reference, base]["right"].to_numpy()
        change = intervals.paired_difference(right, before, groups)
        rows.append(row("accuracy_difference", change, **where, against_condition=base))
        if together == UNKNOWN:
            stated = ways[reference, STATED]
            stated = stated[stated["device"] == flat]
            share = recovered_share(
                np.concatenate([stated["right"], right]),
                np.concatenate([stated["right"], before]) > 0,
                np.repeat([flat, UNKNOWN], [len(stated), len(right)]),
                np.concatenate([stated["group"], groups]),
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

"""The accuracy lost to codecs with features scaled clip by clip, and with standardized bands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from anymic.codecs.conditions import CLEAN
from anymic.evaluation.report.rows import Row, row
from anymic.metrics.intervals import Interval
from anymic_experiments.findings import Findings
from anymic_experiments.page import Section
from anymic_experiments.peters2022.settings import ALL, Settings
from anymic_experiments.peters2022.table import over_clean
from anymic_experiments.pooling import Pooled, pool
from anymic_experiments.runs import Outcome


def _parts(grid: Settings) -> dict[str, tuple[str, ...]]:
    tested = grid.conditions_tested
    return {name: tested[name] for name in (CLEAN, *grid.coded, ALL)}


def compare(outcomes: Iterable[Outcome], grid: Settings) -> Findings:
    """Return accuracies and losses by scaling and codec, and the difference in pairs.

    Parameters
    ----------
    outcomes : iterable of Outcome
        Of the grid `scalings`, trained on clean audio alone.
    grid : Settings
    """
    pooled = pool(outcomes)
    clip, bands = pooled.conditions
    rows: list[Row] = []
    for part, codecs in _parts(grid).items():
        for name in (clip, bands):
            where = {"scaling": name, "codec": part}
            rows.append(row("accuracy", pooled.accuracy(name, *codecs), **where))
            if part != CLEAN:
                lost = over_clean(pooled, name, codecs)
                rows.append(row("accuracy_difference", lost, **where, against_codec=CLEAN))
        change = pooled.gain(bands, clip, *codecs)
        against = {"scaling": bands, "codec": part, "against_scaling": clip}
        rows.append(row("accuracy_difference", change, **against))
        if part in (grid.hardest, ALL):
            rows.append(row("loss_difference", _loss_difference(pooled, codecs), **against))
    return Findings(rows)


def _loss_difference(pooled: Pooled, codecs: Sequence[str]) -> Interval:
    """Return the accuracy over clean audio with standardized bands minus that clip by clip."""
    clip, bands = pooled.conditions
    coded, clean = np.isin(pooled.devices, codecs), pooled.devices == CLEAN
    change = pooled.correct(bands).astype(float) - pooled.correct(clip)
    found = pooled.ratio(
        change * (coded / len(codecs) - clean), clean.astype(float), n=int(coded.sum())
    )
    assert found is not None  # there always are clean clips
    return found


def section(found: Findings, grid: Settings) -> Section:
    """Return the table of both scalings, and whether they differ."""
    clip, bands = grid.factors["scaling"]
    facts = {
        "found": found,
        "parts": tuple(_parts(grid)),
        "clip": clip,
        "bands": bands,
        "clean": CLEAN,
        "read": (grid.hardest, ALL),
    }
    return Section("scalings", facts, found.rows)

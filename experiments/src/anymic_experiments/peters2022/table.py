"""Table 2, and the same with two scalings: accuracy by codec, changes and recovered shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.conditions import CLEAN
from anymic.evaluation.report.rows import Row, row
from anymic.metrics.intervals import Interval
from anymic_experiments.findings import Findings
from anymic_experiments.page import Section
from anymic_experiments.peters2022.settings import ALL, Settings
from anymic_experiments.peters2022.tuning import Tuned
from anymic_experiments.pooling import Pooled, pool
from anymic_experiments.runs import Outcome


def compare(tuned: Sequence[Tuned], grid: Settings) -> Findings:
    """Return accuracies by codec and epoch, changes in pairs, and recovered shares.

    `tuned` is the whole network, every fold and seed. A share is stated of a loss whose interval
    does not reach 0.
    """
    pooled = pool(each[epoch].named(str(epoch)) for epoch in tuned[0] for each in tuned)
    rows: list[Row] = []
    for codec, members in grid.conditions_tested.items():
        for epoch in pooled.conditions:
            where = {"codec": codec, "epoch": epoch}
            rows.append(row("accuracy", pooled.accuracy(epoch, *members), **where))
            if codec != CLEAN:
                lost = over_clean(pooled, pooled.correct(epoch), members)
                rows.append(row("accuracy_difference", lost, **where, against_codec=CLEAN))
            if epoch != "0":
                change = pooled.gain(epoch, "0", *members)
                rows.append(row("accuracy_difference", change, **where, against_epoch="0"))
                share = _recovered(pooled, epoch, members) if codec != CLEAN else None
                if share is not None:
                    rows.append(row("recovered_share", share, **where))
    return Findings(rows)


def over_clean(pooled: Pooled, right: NDArray[np.generic], codecs: Sequence[str]) -> Interval:
    """Return what is added (clip,) through codecs, on average, minus that on clean clips."""
    coded, clean = np.isin(pooled.devices, codecs), (pooled.devices == CLEAN).astype(float)
    found = pooled.ratio(right * (coded / len(codecs) - clean), clean, n=int(coded.sum()))
    assert found is not None  # there always are clean clips
    return found


def _recovered(pooled: Pooled, epoch: str, codecs: Sequence[str]) -> Interval | None:
    """Return (accuracy after - before) / (accuracy on clean clips before - through codecs before).

    A recording has as many clips through each codec as clean ones, so sums stand for means.
    """
    coded, clean = np.isin(pooled.devices, codecs), pooled.devices == CLEAN
    before, after = (pooled.correct(name).astype(float) for name in ("0", epoch))
    lost = len(codecs) * before * clean - before * coded
    return pooled.ratio((after - before) * coded, lost, n=int(coded.sum()))


def section(found: Findings, grid: Settings) -> Section:
    """Return table 2 and what it says."""
    epochs = dict.fromkeys(int(item.condition["epoch"]) for item in found.rows)
    facts = {"found": found, "epochs": list(epochs), "grid": grid, "clean": CLEAN, "all": ALL}
    return Section("table", facts, found.rows)


def compare_scalings(outcomes: Iterable[Outcome], grid: Settings) -> Findings:
    """Return accuracies and losses by scaling and codec, and the difference in pairs.

    `outcomes` are of the grid `scalings`, trained on clean audio alone.
    """
    pooled = pool(outcomes)
    clip, bands = pooled.conditions
    changes = pooled.correct(bands).astype(float) - pooled.correct(clip)
    rows: list[Row] = []
    for codec in (CLEAN, *grid.coded, ALL):
        members = grid.conditions_tested[codec]
        for name in (clip, bands):
            where = {"scaling": name, "codec": codec}
            rows.append(row("accuracy", pooled.accuracy(name, *members), **where))
            if codec != CLEAN:
                lost = over_clean(pooled, pooled.correct(name), members)
                rows.append(row("accuracy_difference", lost, **where, against_codec=CLEAN))
        against = {"scaling": bands, "codec": codec, "against_scaling": clip}
        change = pooled.gain(bands, clip, *members)
        rows.append(row("accuracy_difference", change, **against))
        if codec in (grid.hardest, ALL):
            rows.append(row("loss_difference", over_clean(pooled, changes, members), **against))
    return Findings(rows)


def scalings_section(found: Findings, grid: Settings) -> Section:
    """Return the table of both scalings, and whether they differ."""
    facts = {"found": found, "grid": grid, "clean": CLEAN, "all": ALL}
    return Section("scalings", facts, found.rows)

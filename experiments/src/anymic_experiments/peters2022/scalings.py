"""One more row: what codecs cost with features scaled clip by clip, and with standardized bands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from anymic.codecs.conditions import CLEAN
from anymic.evaluation.report.cells import percent, points
from anymic.evaluation.report.rows import Row, row
from anymic.metrics.intervals import Interval
from anymic_experiments.findings import Findings
from anymic_experiments.peters2022.corpus import CODED
from anymic_experiments.peters2022.grid import CLIP, STANDARDIZED
from anymic_experiments.peters2022.table import CATEGORIES, HARDEST, cost
from anymic_experiments.pooling import Pooled, pool
from anymic_experiments.runs import Outcome

ALL = "all coded"
READ = (HARDEST, ALL)
PARTS = {CLEAN: (CLEAN,), **{name: (name,) for name in CODED}, ALL: CATEGORIES[ALL]}


def compare(outcomes: Iterable[Outcome]) -> Findings:
    """Return accuracies and costs by scaling and codec, and the difference in pairs.

    Parameters
    ----------
    outcomes : iterable of Outcome
        Of `grid.starts` and `grid.standardized`, trained on clean audio alone.
    """
    pooled = pool(outcomes)
    rows: list[Row] = []
    for part, heard in PARTS.items():
        for name in (CLIP, STANDARDIZED):
            where = {"scaling": name, "codec": part}
            rows.append(row("accuracy", pooled.accuracy(name, *heard), **where))
            if part != CLEAN:
                lost = cost(pooled, name, heard)
                rows.append(row("accuracy_difference", lost, **where, against_codec=CLEAN))
        change = pooled.gain(STANDARDIZED, CLIP, *heard)
        against = {"scaling": STANDARDIZED, "codec": part, "against_scaling": CLIP}
        rows.append(row("accuracy_difference", change, **against))
        if part in READ:
            rows.append(row("cost_difference", _cost_difference(pooled, heard), **against))
    return Findings(rows)


def _cost_difference(pooled: Pooled, heard: Sequence[str]) -> Interval:
    """Return the cost with standardized bands minus that clip by clip."""
    coded, clean = np.isin(pooled.devices, heard), pooled.devices == CLEAN
    change = pooled.correct(STANDARDIZED).astype(float) - pooled.correct(CLIP)
    found = pooled.ratio(
        change * (coded / len(heard) - clean), clean.astype(float), n=int(coded.sum())
    )
    assert found is not None  # there always are clean clips
    return found


def markdown(found: Findings) -> str:
    """Return a line for each condition."""
    lines = [
        f"| through | {CLIP} | cost | {STANDARDIZED} | cost | {STANDARDIZED} over {CLIP} |",
        "|---" * 6 + "|",
    ]
    for part in PARTS:
        cells = []
        for name in (CLIP, STANDARDIZED):
            where = {"scaling": name, "codec": part}
            cells.append(percent(found.of("accuracy", **where), interval_digits=0))
            costs = part != CLEAN
            lost = found.of("accuracy_difference", **where, against_codec=CLEAN) if costs else None
            cells.append("" if lost is None else points(lost))
        against = {"scaling": STANDARDIZED, "codec": part, "against_scaling": CLIP}
        cells.append(points(found.of("accuracy_difference", **against)))
        lines.append(f"| {part} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def reading(found: Findings) -> str:
    """Say whether the scaling decides what codecs cost, in sentences that follow the numbers."""
    sentences = []
    for part in READ:
        own, other = (
            points(found.of("accuracy_difference", scaling=name, codec=part, against_codec=CLEAN))
            for name in (CLIP, STANDARDIZED)
        )
        change = found.of("cost_difference", codec=part)
        low, high = change.low or 0.0, change.high or 0.0
        sure = "surely less" if low > 0 else "surely more" if high < 0 else "which may be chance"
        sentences.append(
            f"Of {part} the cost is {own} points {CLIP} and {other} with {STANDARDIZED}: "
            f"{points(change)} points, {sure}."
        )
    return " ".join(sentences)

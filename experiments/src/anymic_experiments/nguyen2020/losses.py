"""Table 2, and the ablation the paper states without numbers: at T = 1, two losses, two domains."""

from __future__ import annotations

from collections.abc import Iterable

from anymic.evaluation.report.rows import Row, row
from anymic_experiments.commands import Scale
from anymic_experiments.findings import Findings
from anymic_experiments.nguyen2020.settings import Settings
from anymic_experiments.page import Section
from anymic_experiments.pooling import pool
from anymic_experiments.runs import Outcome


def shown(grid: Settings) -> tuple[str, str]:
    """Return the devices of table 2."""
    return next(iter(grid.devices)), grid.pair


def compare(outcomes: Iterable[Outcome], grid: Settings, scale: Scale) -> Findings:
    """Return accuracies of the grids `losses` and `domains`, and differences clip by clip."""
    pooled = pool(outcomes)
    conditions = grid.conditions("losses", "domains", scale=scale)
    plain: dict[str, str] = {}  # the first of each correction: focal loss, gains on magnitudes
    rows: list[Row] = []
    for condition in conditions:
        correction = condition.levels["correction"]
        plain.setdefault(correction, condition.name)
        where = {key: condition.levels[key] for key in ("correction", "loss", "domain")}
        for device in shown(grid):
            recorders = grid.devices[device]
            place = {**where, "device": device}
            rows.append(row("accuracy", pooled.accuracy(condition.name, *recorders), **place))
            if condition.name != plain[correction]:
                change = pooled.gain(condition.name, plain[correction], *recorders)
                rows.append(row("accuracy_difference", change, **place))
    return Findings(rows)


def section(found: Findings, grid: Settings, *, seeds: int) -> Section:
    """Return table 2 and the ablation."""
    facts = {
        "found": found,
        "seeds": seeds,
        "corrections": grid.corrections,
        "losses": tuple(grid.factors["loss"]),
        "corrected": [name for name in grid.corrections if name != grid.uncorrected],
        "shown": shown(grid),
        "pair": grid.pair,
    }
    return Section("losses", facts, found.rows)

"""What it changes to choose the epoch on test clips, as in section 3.2 of the paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from anymic.data.manifest import Manifest
from anymic.evaluation.report.rows import Row, row
from anymic.metrics import intervals
from anymic_experiments.commands import Scale
from anymic_experiments.experiment import Experiment
from anymic_experiments.findings import Findings
from anymic_experiments.nguyen2020.settings import Settings
from anymic_experiments.page import Section
from anymic_experiments.pooling import pool
from anymic_experiments.runs import Outcome, Run

GRID = FACTOR = "epoch"
ASIDE = "set aside"  # the level whose validation clips are training clips


def validated(fold: Path, out: Path) -> Path:
    """Write the clips of a fold with its test clips as validation clips; return the file."""
    manifest = Manifest.read(fold)
    splits = manifest.table["split"].replace("test", "validation")
    place = out / f"{fold.stem}-validated.csv"
    return manifest.with_columns(split=splits).write(place)


def runs(experiment: Experiment[Settings], *, seeds: Sequence[int]) -> list[Run]:
    """Return the trainings; but for `ASIDE` the test clips validate, and all others train."""
    grid, scale = experiment.grid, experiment.scale
    conditions = grid.conditions(GRID, scale=scale)
    aside = {one.name for one in conditions if one.levels[FACTOR] == ASIDE}
    tested = {fold: validated(fold, experiment.out) for fold in experiment.data}
    return [
        run if run.condition in aside else replace(run, manifest=tested[run.manifest])
        for run in grid.runs(GRID, folds=experiment.data, seeds=seeds, scale=scale)
    ]


def section(outcomes: Iterable[Outcome], grid: Settings, *, scale: Scale, seeds: int) -> Section:
    """Compare the choices clip by clip, and what correction gains with each of them."""
    pooled = pool(outcomes)
    conditions = grid.conditions(GRID, scale=scale)
    names = {(one.levels[FACTOR], one.levels["correction"]): one.name for one in conditions}
    choices, plain = list(dict.fromkeys(choice for choice, _ in names)), grid.uncorrected
    rows: list[Row] = []
    for (choice, correction), name in names.items():
        earlier = choices[: choices.index(choice)]
        against = {other: names[other, correction] for other in earlier}
        where = {"choice": choice, "correction": correction}
        if correction == plain:
            rows += pooled.compared(name, grid.devices, against, **where)
            continue
        against[plain] = names[choice, plain]
        rows += pooled.compared(name, grid.devices, against, **where)
        for device, members in grid.devices.items():
            part = pooled.on(*members)
            gain, *others = (
                part.hits(names[one, correction]) - part.hits(names[one, plain])
                for one in (choice, *earlier)
            )
            for other, own in zip(earlier, others, strict=True):
                change = intervals.paired_difference(gain, own, part.groups)
                place = {**where, "device": device, "against_condition": other}
                rows.append(row("gain_difference", change, **place))
    shares = {one.levels[FACTOR]: one.config.validation_share for one in conditions}
    facts = {"choices": choices, "share": shares[ASIDE], "seeds": seeds}
    return Section("epochs", Findings(rows), facts)

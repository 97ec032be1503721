"""Accuracy by condition and device, and how much of the loss between devices is recovered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from anymic.evaluation.report.rows import Row, row
from anymic.metrics.recovery import recovered_share
from anymic_experiments.conditions import Condition, Grid
from anymic_experiments.drawing import across
from anymic_experiments.experiment import Experiment
from anymic_experiments.findings import Findings
from anymic_experiments.page import Section
from anymic_experiments.pooling import pool
from anymic_experiments.runs import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEAN = "mean of all corrections"


@dataclass(frozen=True, kw_only=True)
class Settings(Grid):
    """The grid file."""

    panels: dict[str, str] = field(default_factory=dict)  # the figure's titles by device


def compare(outcomes: Iterable[Outcome], grid: Settings) -> Findings:
    """Pool folds and seeds by condition, all of which have the same clips in the same order."""
    pooled = pool(outcomes)
    plain, *corrected = pooled.conditions
    correct = {name: pooled.correct(name) for name in pooled.conditions}
    rows: list[Row] = []
    for name in pooled.conditions:
        for device in np.unique(pooled.devices).tolist():
            where = {"condition": name, "device": device}
            rows.append(row("accuracy", pooled.accuracy(name, device), **where))
            if name != plain:
                change = pooled.gain(name, plain, device)
                rows.append(row("accuracy_difference", change, **where, against_condition=plain))
    hits = {name: correct[name] for name in corrected}
    hits[MEAN] = np.mean(list(hits.values()), axis=0)
    for name, right in hits.items():
        share = recovered_share(
            right,
            correct[plain],
            pooled.devices,
            pooled.groups,
            reference=grid.devices["reference"][0],
            others=grid.devices["coloured"],
        )
        rows.append(row("recovered_share", share, condition=name))
    return Findings(rows)


def figure(found: Findings, conditions: Sequence[Condition], grid: Settings) -> Figure:
    """Draw a panel a device and a line a condition: accuracy with its 95 % interval."""
    from anymic.evaluation.report.style import (
        GRID,
        INK,
        MUTED,
        PAPER,
        SERIES,
        bare,
        canvas,
        quiet_style,
    )

    names = [condition.name for condition in conditions]
    references = [condition.levels["reference"] for condition in conditions]
    colours = dict(zip(dict.fromkeys(references[1:]), SERIES, strict=False))
    devices = sorted({item.condition["device"] for item in found.rows if item.metric == "accuracy"})
    with quiet_style():
        drawing, panels = canvas(3.4, 10.0, ncols=len(devices), sharex=True, sharey=True)
        for device, axes in zip(devices, panels, strict=True):
            without = 100 * found.of("accuracy", condition=names[0], device=device).value
            axes.axvline(without, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
            for line, (name, reference) in enumerate(zip(names, references, strict=True)):
                item = found.of("accuracy", condition=name, device=device)
                colour = colours.get(reference, INK)
                across(axes, line, item, "o", color=colour, markeredgecolor=PAPER)
                if line and reference != references[line - 1]:
                    axes.axhline(line - 0.5, color=GRID, linewidth=0.8)
            axes.set_title(grid.panels.get(device, device))
            axes.set_yticks(range(len(names)), names)
            bare(axes, grid="x")
        panels[0].invert_yaxis()
        drawing.supxlabel(
            "accuracy (%) with 95 % interval; the broken line is the accuracy without correction",
            fontsize=9.0,
            color=MUTED,
        )
    return drawing


def section(found: Findings, experiment: Experiment[Settings]) -> Section:
    """Return the table, what it says, and its figure."""
    grid = experiment.grid
    conditions = grid.conditions("table", scale=experiment.scale, changes=experiment.changes)
    accuracies = [item for item in found.rows if item.metric == "accuracy"]
    facts = {
        "found": found,
        "grid": grid,
        "conditions": conditions,
        "devices": sorted({item.condition["device"] for item in accuracies}),
        "mean": MEAN,
        "n": max(item.n for item in accuracies),
        "seeds": len(experiment.seeds),
    }
    return Section("table", facts, found.rows, figure=figure(found, conditions, grid))


def _table(experiment: Experiment[Settings]) -> list[Section]:
    return [section(compare(experiment.train("table"), experiment.grid), experiment)]


SECTIONS = {"table": _table}

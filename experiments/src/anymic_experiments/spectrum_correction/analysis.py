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
    """The grid file.

    Attributes
    ----------
    panels : dict of str to str
        The figure's titles by device.
    """

    panels: dict[str, str] = field(default_factory=dict)


def compare(outcomes: Iterable[Outcome], grid: Settings) -> Findings:
    """Pool folds and seeds by condition, all of which have the same clips in the same order.

    Returns
    -------
    Findings
        accuracy by condition and device; accuracy_difference by condition and device, against no
        correction; recovered_share by condition: how much of what the coloured devices lose to the
        reference device without correction is recovered.
    """
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


def facts(found: Findings, conditions: Sequence[Condition], grid: Settings) -> dict[str, object]:
    """Return what the table and the sentences below it are filled in with.

    Changes are in points, of the mean over conditions.
    """
    plain, *corrected = (condition.name for condition in conditions)
    devices = sorted({item.condition["device"] for item in found.rows if item.metric == "accuracy"})
    (flat,), coloured = grid.devices["reference"], grid.devices["coloured"]

    def change(device: str, names: Sequence[str]) -> float:
        values = [100 * found.of("accuracy", condition=name, device=device).value for name in names]
        before = found.of("accuracy", condition=plain, device=device)
        return float(np.mean(values)) - 100 * before.value

    references = {
        level: [one.name for one in conditions if one.levels["reference"] == level]
        for level in dict.fromkeys(one.levels["reference"] for one in conditions[1:])
    }
    unknown = [device for device in devices if device not in (flat, *coloured)]
    of_flat = found.of("accuracy", condition=plain, device=flat)
    losses = {
        device: 100 * (of_flat.value - found.of("accuracy", condition=plain, device=device).value)
        for device in coloured
    }
    return {
        "found": found,
        "devices": devices,
        "plain": plain,
        "corrected": corrected,
        "mean": MEAN,
        "losses": losses,
        "flat": flat,
        "flat_changes": [change(flat, [name]) for name in corrected],
        "unknown_changes": {
            level: {device: change(device, names) for device in unknown}
            for level, names in references.items()
        }
        if unknown
        else {},
    }


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


def section(experiment: Experiment[Settings]) -> list[Section]:
    """Train what is missing and compare it."""
    found = compare(experiment.train("table"), experiment.grid)
    return [described(found, experiment)]


def described(found: Findings, experiment: Experiment[Settings]) -> Section:
    """Return the section of what was found."""
    grid = experiment.grid
    conditions = grid.conditions("table", scale=experiment.scale, changes=experiment.changes)
    n = max(item.n for item in found.rows if item.metric == "accuracy")
    more = {"n": n, "seeds": len(experiment.seeds)}
    drawing = figure(found, conditions, grid)
    return Section("table", {**facts(found, conditions, grid), **more}, found.rows, figure=drawing)


SECTIONS = {"table": section}

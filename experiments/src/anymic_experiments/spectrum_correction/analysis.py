"""Accuracy by condition and device, and how much of the loss between devices is recovered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from anymic.evaluation.report.rows import Row, row
from anymic.metrics.recovery import recovered_share
from anymic_experiments.conditions import Grid
from anymic_experiments.drawing import dot, panels
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


def section(outcomes: Iterable[Outcome], grid: Settings) -> Section:
    """Return accuracies by condition and device, and the shares that are recovered."""
    pooled = pool(outcomes)
    plain, *corrected = pooled.conditions
    devices = {device: (device,) for device in np.unique(pooled.devices).tolist()}
    rows: list[Row] = pooled.compared(plain, devices, {}, condition=plain)
    for name in corrected:
        rows += pooled.compared(name, devices, {plain: plain}, condition=name)
    for name in (*corrected, MEAN):
        share = recovered_share(
            pooled.hits(corrected if name == MEAN else name),
            pooled.hits(plain) > 0,
            pooled.devices,
            pooled.groups,
            reference=grid.devices["reference"][0],
            others=grid.devices["coloured"],
        )
        rows.append(row("recovered_share", share, condition=name))
    found = Findings(rows)
    return Section("table", found, {"mean": MEAN}, figure=figure(found, grid))


def figure(found: Findings, grid: Settings) -> Figure:
    """Draw a panel a device and a line a condition: accuracy with its 95 % interval."""
    from anymic.evaluation.report.style import GRID, INK, MUTED, PAPER, SERIES

    conditions = grid.conditions("table", scale="small")
    plain, *others = dict.fromkeys(one.levels["reference"] for one in conditions)
    colours = {plain: INK, **dict(zip(others, SERIES, strict=False))}
    devices = found.values("device")
    titles = [grid.panels.get(device, device) for device in devices]
    caption = "accuracy (%) with 95 % interval; the broken line is the accuracy without correction"
    shared: Any = {"sharex": True, "sharey": True}
    with panels(titles, 3.4, 10.0, grid="x", caption=caption, **shared) as (drawing, each):
        for device, axes in zip(devices, each, strict=True):
            before = plain
            for line, one in enumerate(conditions):
                item = found.of("accuracy", condition=one.name, device=device)
                reference = one.levels["reference"]
                if not line:
                    dashes = (0, (3, 3))
                    axes.axvline(100 * item.value, color=MUTED, linewidth=0.8, linestyle=dashes)
                elif reference != before:
                    axes.axhline(line - 0.5, color=GRID, linewidth=0.8)
                dot(axes, line, item, "o", color=colours[reference], along="x", mec=PAPER)
                before = reference
            axes.set_yticks(range(len(conditions)), [one.name for one in conditions])
        each[0].invert_yaxis()
    return drawing


def _table(experiment: Experiment[Settings]) -> list[Section]:
    return [section(experiment.train("table"), experiment.grid)]


SECTIONS = {"table": _table}

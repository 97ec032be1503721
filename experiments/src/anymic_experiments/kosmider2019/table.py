"""Table 3 and figure 1: every setting with and without correction, beside the report's figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from anymic.evaluation.report.rows import Row, row
from anymic.metrics import intervals
from anymic_experiments.commands import ROOT
from anymic_experiments.conditions import Condition
from anymic_experiments.drawing import across
from anymic_experiments.findings import Findings, Published, clear
from anymic_experiments.kosmider2019.settings import Settings
from anymic_experiments.page import Section
from anymic_experiments.pooling import pool
from anymic_experiments.runs import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVERY = "mean of all eight"
Pair = tuple[Condition, Condition]  # the same setting with and without correction


def pairs(grid: Settings) -> list[Pair]:
    """Return the settings of the table with correction, each with its counterpart without."""
    conditions = grid.conditions("table", scale="small")
    return list(zip(conditions[::2], conditions[1::2], strict=True))


def compare(outcomes: Iterable[Outcome], grid: Settings) -> Findings:
    """Return accuracy by setting and device, and what correction changes, alone and on average."""
    pooled = pool(outcomes)
    rows: list[Row] = []
    for device, recorders in grid.devices.items():
        for corrected, plain in pairs(grid):
            for setting in (corrected, plain):
                accuracy = pooled.accuracy(setting.name, *recorders)
                rows.append(row("accuracy", accuracy, condition=setting.name, device=device))
            change = pooled.gain(corrected.name, plain.name, *recorders)
            where = {"condition": corrected.name, "device": device}
            rows.append(row("accuracy_difference", change, **where, against_condition=plain.name))
        kept = np.isin(pooled.devices, recorders)
        with_it, without = (
            np.mean([pooled.correct(setting.name)[kept] for setting in side], axis=0)
            for side in zip(*pairs(grid), strict=True)
        )
        change = intervals.paired_difference(with_it, without, pooled.groups[kept])
        where = {"condition": f"{EVERY}, correction", "device": device}
        rows.append(row("accuracy_difference", change, **where, against_condition=EVERY))
    return Findings(rows)


def section(found: Findings, grid: Settings) -> Section:
    """Return table 3, what correction changes, and figure 1."""
    own = pairs(grid)
    pair = tuple(grid.devices)[-1]
    gains = {
        corrected.name: found.of("accuracy_difference", condition=corrected.name, device=pair)
        for corrected, _ in own
    }
    facts = {
        "found": found,
        "pairs": own,
        "networks": tuple(grid.factors["network"]),
        "devices": tuple(grid.devices),
        "pair": pair,
        "every": EVERY,
        "gains": gains,
        "above": len(clear(gains.values())),
    }
    return Section("table", facts, found.rows, "figure1", figure(found, grid))


def figure(found: Findings, grid: Settings) -> Figure:
    """Draw figure 1: accuracy on B and C of every setting, with and without correction."""
    from anymic.evaluation.report.style import MUTED, SERIES, bare, canvas, quiet_style

    published = Published.read(ROOT / "kosmider2019")
    pair = tuple(grid.devices)[-1]
    networks = tuple(grid.factors["network"])
    with quiet_style():
        drawing, panels = canvas(3.2, 9.0, ncols=len(networks), sharey=True)
        for network, axes in zip(networks, panels, strict=True):
            lines = [own for own in pairs(grid) if own[0].levels["network"] == network]
            for place, own in enumerate(lines):
                for setting, shift, colour, marker in zip(
                    own, (-0.12, 0.12), SERIES, "os", strict=False
                ):
                    item = found.of("accuracy", condition=setting.name, device=pair)
                    across(axes, place + shift, item, marker, color=colour)
                    printed = published.of("3", setting.name, pair)
                    hollow = {"mfc": "none", "mec": colour, "alpha": 0.7}
                    axes.plot(printed, place + shift, marker, ms=6.5, **hollow)
            axes.set_yticks(range(len(lines)), [_label(corrected) for corrected, _ in lines])
            axes.set_title(network)
            bare(axes, grid="x")
        panels[0].invert_yaxis()
        drawing.supxlabel(
            "accuracy on B and C (%) with 95 % interval: circles with correction, squares\n"
            "without; hollow: the report's, on other clips and classes",
            fontsize=9.0,
            color=MUTED,
        )
    return drawing


def _label(setting: Condition) -> str:
    factors = ("augmentation", "normalization")
    return "\n".join(f for f in factors if setting.levels[f] == "with") or "neither"

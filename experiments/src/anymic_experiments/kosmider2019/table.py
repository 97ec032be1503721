"""Table 3 and figure 1: measured on our clips, beside what the report says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from anymic.evaluation.report.cells import percent, points
from anymic.evaluation.report.rows import Row, row
from anymic.metrics import intervals
from anymic_experiments.kosmider2019.grid import LINES, NETWORKS, TABLE, Setting
from anymic_experiments.pooling import Pooled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURED = ("B", "C")
PAIR = "B and C"
EVERY = "mean of all eight"
# Table 3 of the report, in per cent: accuracy on A, and on B and C. The header of the printed
# table is garbled; which column is which is our reading.
PAPER: dict[Setting, tuple[int, int]] = {
    Setting(network, augmentation, normalization, correction): figures
    for network, lines in {
        "basic1": ((72, 70), (73, 58), (70, 67), (72, 56), (71, 67), (71, 59), (68, 64), (69, 54)),
        "basic2": ((71, 68), (72, 58), (68, 64), (71, 55), (72, 64), (70, 58), (69, 64), (70, 54)),
    }.items()
    for (augmentation, normalization, correction), figures in zip(
        ((a, n, c) for a in (True, False) for n in (True, False) for c in (True, False)),
        lines,
        strict=True,
    )
}


@dataclass(frozen=True)
class Table3:
    """The measured table.

    Attributes
    ----------
    rows : list of Row
        accuracy by condition and device (A; B and C together); accuracy_difference of each
        setting with correction against the same without, and of all eight together.
    """

    rows: list[Row]

    def of(self, metric: str, condition: str, device: str) -> Row:
        """Return one row."""
        (found,) = (
            item
            for item in self.rows
            if item.metric == metric
            and (item.condition["condition"], item.condition["device"]) == (condition, device)
        )
        return found


def table3(pooled: Pooled) -> Table3:
    """Return accuracy on A and on B and C of every setting, and what correction changes."""
    groups = {"A": ("A",), PAIR: COLOURED}
    rows: list[Row] = []
    for setting in TABLE:
        for device, names in groups.items():
            where = {"condition": setting.name, "device": device}
            rows.append(row("accuracy", pooled.accuracy(setting.name, *names), **where))
            if setting.correction:
                without = replace(setting, correction=False).name
                change = pooled.gain(setting.name, without, *names)
                rows.append(row("accuracy_difference", change, **where, against_condition=without))
    for device, names in groups.items():
        kept = np.isin(pooled.devices, names)
        means = [
            np.mean([pooled.correct(item.name)[kept] for item in TABLE if item.correction == on], 0)
            for on in (True, False)
        ]
        change = intervals.paired_difference(means[0], means[1], pooled.groups[kept])
        where = {"condition": f"{EVERY}, correction", "device": device}
        rows.append(row("accuracy_difference", change, **where, against_condition=EVERY))
    return Table3(rows)


def markdown(table: Table3) -> str:
    """Return the table in the shape of the report's, its figures in brackets behind ours."""
    lines = [
        "| augmentation | normalization | correction | "
        + " | ".join(f"{network} A | {network} B and C" for network in NETWORKS)
        + " |",
        "|---" * (3 + 2 * len(NETWORKS)) + "|",
    ]
    for first in (setting for setting in TABLE if setting.network == NETWORKS[0]):
        switches = (first.augmentation, first.normalization, first.correction)
        cells = ["yes" if on else "-" for on in switches]
        for network in NETWORKS:
            setting = replace(first, network=network)
            for device, printed in zip(("A", PAIR), PAPER[setting], strict=True):
                cells.append(f"{_accuracy(table, setting.name, device)} ({printed})")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def gains_markdown(table: Table3) -> str:
    """Return what correction changes in each setting, in points."""
    lines = [
        "| network, augmentation, normalization | A | B and C | B and C in the report |",
        "|---|---|---|---|",
    ]
    for network, augmentation, normalization in LINES:
        setting = Setting(network, augmentation, normalization, correction=True)
        printed = PAPER[setting][1] - PAPER[replace(setting, correction=False)][1]
        name = f"{network}, {_yes(augmentation)}, {_yes(normalization)}"
        lines.append(f"| {name} | {_change(table, setting.name)} | {printed:+d} |")
    printed_gains = [
        PAPER[setting][1] - PAPER[replace(setting, correction=False)][1]
        for setting in TABLE
        if setting.correction
    ]
    every = _change(table, f"{EVERY}, correction")
    lines.append(f"| {EVERY} | {every} | {np.mean(printed_gains):+.1f} |")
    return "\n".join(lines) + "\n"


def reading(table: Table3) -> str:
    """Say in a sentence or two whether correction helps B and C in every setting."""
    gains = {
        setting.name: table.of("accuracy_difference", setting.name, PAIR)
        for setting in TABLE
        if setting.correction
    }
    beaten = [name for name, gain in gains.items() if gain.value <= 0]
    clear = sum(1 for gain in gains.values() if gain.low is not None and gain.low > 0)
    every = table.of("accuracy_difference", f"{EVERY}, correction", PAIR)
    text = (
        f"On B and C, {len(gains) - len(beaten)} of {len(gains)} settings with correction beat "
        f"the same setting without, {clear} of them with an interval above 0; all eight together "
        f"by {points(every)} points."
    )
    for name in beaten:
        text += f" Not so {name}: {points(gains[name])} points."
    return text


def figure(table: Table3) -> Figure:
    """Draw figure 1: accuracy on B and C of every setting, with and without correction."""
    from anymic.evaluation.report.style import MUTED, SERIES, bare, canvas, quiet_style

    with quiet_style():
        drawing, panels = canvas(3.2, 9.0, ncols=len(NETWORKS), sharey=True)
        for network, axes in zip(NETWORKS, panels, strict=True):
            lines = [line for line in LINES if line[0] == network]
            for place, (_, augmentation, normalization) in enumerate(lines):
                for correction, shift in ((False, 0.12), (True, -0.12)):
                    setting = Setting(network, augmentation, normalization, correction)
                    item = table.of("accuracy", setting.name, PAIR)
                    colour = SERIES[0] if correction else SERIES[1]
                    marker = "o" if correction else "s"
                    height = place + shift
                    if item.low is not None and item.high is not None:
                        ends = (100 * item.low, 100 * item.high)
                        axes.hlines(height, *ends, color=colour, linewidth=1.8)
                    axes.plot(100 * item.value, height, marker, color=colour, ms=6.5)
                    axes.plot(
                        PAPER[setting][1], height, marker, ms=6.5, mfc="none", mec=colour, alpha=0.7
                    )
            names = [
                _line_name(augmentation, normalization) for _, augmentation, normalization in lines
            ]
            axes.set_yticks(range(len(lines)), names)
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


def _line_name(augmentation: bool, normalization: bool) -> str:
    parts = [
        name
        for name, on in (("augmentation", augmentation), ("normalization", normalization))
        if on
    ]
    return "\n".join(parts) or "neither"


def _yes(on: bool) -> str:
    return "yes" if on else "-"


def _change(table: Table3, condition: str) -> str:
    return " | ".join(
        points(table.of("accuracy_difference", condition, device)) for device in ("A", PAIR)
    )


def _accuracy(table: Table3, condition: str, device: str) -> str:
    return percent(table.of("accuracy", condition, device), interval_digits=0)

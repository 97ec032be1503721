"""Figures of a report; each returns a matplotlib Figure, drawn without pyplot.

Values are dots with the interval as a line, because a bar would hide the lower half of the
interval. Colours and markers: `anymic.evaluation.report.style`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from anymic._internal.optional import extra
from anymic.evaluation.report.rows import Row, conditions
from anymic.evaluation.report.scored import Column, ScoredClips
from anymic.evaluation.report.style import (
    GRID,
    INK,
    MUTED,
    PAPER,
    SERIES,
    axis_start,
    bare,
    canvas,
    matrix_axes,
    matrix_cell,
    quiet_style,
    series,
    shared_labels,
    shorten,
)
from anymic.metrics import ACCURACY, calibration_bins, expected_calibration_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_INCHES = 0.34
_MEAN = "mean of devices"


def accuracy_by_device(rows: Iterable[Row]) -> Figure:
    """Draw accuracy with its interval for each device, and the mean of devices.

    Parameters
    ----------
    rows : iterable of Row
        "accuracy" of {"device": d, ...} and "macro_accuracy"; each further condition is a series
        of its own colour and marker. Other rows are left out.
    """
    shown = []
    for row in rows:
        of_device = "device" in row.condition and "label" not in row.condition
        if (row.metric == ACCURACY.name and of_device) or row.metric == ACCURACY.over_devices:
            shown.append(row)
    table = {
        name: {row.condition.get("device", _MEAN): row for row in found}
        for name, found in conditions(shown).items()
    }
    return _dots(table, title="Accuracy by device")


def accuracy_by_class(rows: Iterable[Row]) -> Figure:
    """Draw the accuracy of each class (its recall) with its interval, the highest on top."""
    shown = [row for row in rows if row.metric == ACCURACY.name and "label" in row.condition]
    total = dict.fromkeys((row.condition["label"] for row in shown), 0.0)
    for row in shown:
        total[row.condition["label"]] += row.value
    table = {}
    for name, found in conditions(shown).items():  # a condition keeps its colour
        of_label = {row.condition["label"]: row for row in found}
        table[name] = {
            label: of_label[label] for label in sorted(of_label, key=lambda label: -total[label])
        }
    return _dots(table, title="Accuracy by class")


def confusion(counts: ArrayLike, labels: Sequence[str]) -> Figure:
    """Draw a confusion matrix: shade is the share of the true class's clips, numbers are clips.

    Parameters
    ----------
    counts : (true class, predicted class)
        As `anymic.metrics.confusion_matrix` returns them; a class without clips stays empty.
    """
    table = np.asarray(counts)
    size = len(labels)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = min(1.8 + 0.42 * size, 9.0)
    font, number_font = (9.0, 8.5) if size <= 20 else (6.5, 5.0)
    slant = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    with quiet_style():
        figure, axes = canvas(side, side + 0.9)
        for true, predicted in np.argwhere(table > 0):
            share = float(shares[true, predicted])
            matrix_cell(
                axes,
                predicted,
                true,
                facecolor=SERIES[0],
                edgecolor="none",
                linewidth=0.8,
                alpha=0.06 + 0.94 * share,
            )
            axes.text(
                predicted,
                true,
                str(table[true, predicted]),
                ha="center",
                va="center",
                fontsize=number_font,
                color=PAPER if share > 0.65 else INK,
            )
        for place in range(size):  # the diagonal is marked where it is empty too
            matrix_cell(axes, place, place, facecolor="none", edgecolor=GRID, linewidth=0.8)
        axes.set_aspect("equal")
        matrix_axes(axes, labels, labels, font=font, **(slant if max(map(len, labels)) > 3 else {}))
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.set_title("What was taken for what")
    return figure


def reliability(
    probabilities: ArrayLike,
    targets: ArrayLike,
    devices: Column = None,
    groups: Column = None,
    *,
    title: str = "How often it is right when it says how sure it is",
) -> Figure:
    """Draw accuracy over confidence, one panel a device; the two are equal on the dashed line.

    The area of a dot is the number of clips of its bin, the vertical line their 95 % interval.

    Parameters
    ----------
    probabilities, targets, devices, groups
        As in `anymic.evaluation.report.evaluate`; without devices there is one panel of all clips.
    """
    parts = ScoredClips.of(probabilities, targets, groups).by_device(devices)
    parts = parts[1:] or parts
    down = -(-len(parts) // 4)
    across = -(-len(parts) // down)
    width = 7.2 if across > 2 else 3.0 * across + 0.4
    with quiet_style():
        figure, grid = canvas(
            0.5 + down * (width / across + 0.1),
            width,
            nrows=down,
            ncols=across,
            squeeze=False,
            sharex=True,
            sharey=True,
        )
        for axes in grid.flat[len(parts) :]:
            axes.set_visible(False)
        for number, (condition, part) in enumerate(parts):
            axes = grid.flat[number]
            _reliability_panel(axes, part, series(number)[0])
            name = condition.get("device", "all clips")
            axes.set_title(shorten(name, 76 // across), pad=4, fontsize=9.5)
            axes.tick_params(labelbottom=number + across >= len(parts))
        shared_labels(figure, title, "confidence (%)", "accuracy (%)")
    return figure


def _dots(table: dict[str, dict[str, Row]], *, title: str) -> Figure:
    """Draw a row of dots with intervals for each place; a single series has its values written."""
    with extra("report"):
        from matplotlib.ticker import MaxNLocator

    places = list(dict.fromkeys(place for found in table.values() for place in found))
    places.sort(key=[_MEAN].count)
    step = max(1.0, 0.62 * len(table))
    height = {name: step * line for line, name in enumerate(places)}
    alone = len(table) <= 1
    lows = [r.value if r.low is None else r.low for found in table.values() for r in found.values()]
    with quiet_style():
        each = _ROW_INCHES if len(places) <= 25 else 0.7 * _ROW_INCHES
        figure, axes = canvas(1.05 + each * step * max(len(places), 1) + (0 if alone else 0.3))
        for number, (name, found) in enumerate(table.items()):
            colour, marker = series(number)
            offset = 0.0 if alone else 0.42 * (number - (len(table) - 1) / 2)
            for place, row in found.items():
                y = height[place] + offset
                if row.low is not None and row.high is not None:
                    axes.plot([100 * row.low, 100 * row.high], [y, y], color=colour, linewidth=1.8)
                axes.plot(
                    100 * row.value,
                    y,
                    marker,
                    color=colour,
                    markersize=6.5,
                    markeredgecolor=PAPER,
                    markeredgewidth=1.0,
                    label=name if place == next(iter(found)) else None,
                )
                if alone:
                    axes.annotate(
                        f"{100 * row.value:.1f} %\u2003n = {row.n}",
                        (1.015, y),
                        xycoords=("axes fraction", "data"),
                        va="center",
                        color=MUTED,
                        fontsize=8.5,
                    )
        axes.set_xlim(axis_start(min(lows, default=0.0)), 101)
        axes.set_ylim(max(height.values(), default=0) + 0.65 * step, -0.65 * step)
        axes.set_yticks(list(height.values()), list(height))
        axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
        bare(axes, grid="x")
        if _MEAN in height and len(height) > 1:
            axes.axhline(height[_MEAN] - step / 2, color=GRID, linewidth=0.8)
        axes.set_xlabel("accuracy (%), with 95 % interval")
        axes.set_title(title, pad=10 if alone else 26)
        if not alone:
            axes.legend(
                loc="lower left",
                bbox_to_anchor=(-0.01, 1.0),
                ncols=min(len(table), 4),
                borderaxespad=0.2,
                handletextpad=0.3,
                columnspacing=1.4,
            )
    return figure


def _reliability_panel(axes: Axes, clips: ScoredClips, colour: str) -> None:
    place = calibration_bins(clips.confidence)
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    for number in np.unique(place):
        part = clips[place == number]
        confidence, right = 100 * float(part.confidence.mean()), part.accuracy()
        ends = [100 * right.low, 100 * right.high]
        axes.plot([confidence, confidence], ends, color=colour, linewidth=1.1, alpha=0.4)
        axes.scatter(
            confidence,
            100 * right.value,
            s=8 + 220 * len(part) / len(clips),
            color=colour,
            edgecolors=PAPER,
            linewidths=0.8,
            zorder=3,
            clip_on=False,
        )
    error = expected_calibration_error(clips.probabilities, clips.targets)
    axes.text(2, 98, f"ECE {error:.3f}", va="top", color=MUTED, fontsize=8.5)
    axes.set(xlim=(-2, 102), ylim=(-2, 102), aspect="equal")
    axes.set_xticks([0, 50, 100])
    axes.set_yticks([0, 50, 100])
    bare(axes, grid="both", labelcolor=MUTED, labelsize=8.5)

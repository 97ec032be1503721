"""Figures of a report; each returns a matplotlib Figure, drawn without pyplot.

Values are dots with the interval as a line: a bar would hide the half of the interval that
matters. Colours and shapes: `anymic.evaluation.report.style`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic._internal.optional import extra
from anymic.evaluation.report.evaluation import Column, by_device
from anymic.evaluation.report.rows import Row
from anymic.evaluation.report.style import (
    GRID,
    INK,
    MUTED,
    PAPER,
    SERIES,
    bare,
    canvas,
    quiet_style,
    series,
)
from anymic.evaluation.report.tables import conditions
from anymic.metrics import (
    ACCURACY,
    accuracy,
    calibration_bins,
    check_probabilities,
    expected_calibration_error,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_INCHES = 0.34


def accuracy_by_device(rows: Iterable[Row], *, title: str = "Accuracy by device") -> Figure:
    """Draw accuracy with its interval for each device, and the mean of devices.

    Parameters
    ----------
    rows : iterable of Row
        "accuracy" of {"device": d, ...} and "macro_accuracy"; each further condition is a series
        of its own colour and shape. Other rows are left out.
    """
    shown = [
        row
        for row in rows
        if (
            row.metric == ACCURACY.name
            and "device" in row.condition
            and "label" not in row.condition
        )
        or row.metric == ACCURACY.over_devices
    ]
    return _dots(
        {
            name: {row.condition.get("device", "mean of devices"): row for row in found}
            for name, found in conditions(shown).items()
        },
        title=title,
        last="mean of devices",
    )


def accuracy_by_class(rows: Iterable[Row], *, title: str = "Accuracy by class") -> Figure:
    """Draw the accuracy of each class (its recall) with its interval, the easiest on top."""
    shown = [row for row in rows if row.metric == ACCURACY.name and set(row.condition) >= {"label"}]
    easiest = {row.condition["label"]: 0.0 for row in shown}
    for row in shown:
        easiest[row.condition["label"]] -= row.value
    series_of = conditions(shown)  # in the order of the rows: a condition keeps its colour
    return _dots(
        {
            name: {
                row.condition["label"]: row
                for row in sorted(found, key=lambda row: easiest[row.condition["label"]])
            }
            for name, found in series_of.items()
        },
        title=title,
    )


def confusion(
    counts: ArrayLike, labels: Sequence[str], *, title: str = "What was taken for what"
) -> Figure:
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
    font = 9.0 if size <= 20 else 6.5
    slant = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    with quiet_style():
        figure, axes = canvas(side, side + 0.9)
        for true, predicted in np.argwhere(table > 0):
            share = float(shares[true, predicted])
            _cell(axes, predicted, true, alpha=0.06 + 0.94 * share)
            axes.text(
                predicted,
                true,
                str(table[true, predicted]),
                ha="center",
                va="center",
                fontsize=font - 0.5 if size <= 20 else 5.0,
                color=PAPER if share > 0.65 else INK,
            )
        for place in range(size):  # the diagonal is marked where it is empty too
            _cell(axes, place, place, alpha=1.0, outline=True)
        axes.set_xlim(-0.5, size - 0.5)
        axes.set_ylim(size - 0.5, -0.5)
        axes.set_aspect("equal")
        axes.set_xticks(range(size), labels, **(slant if max(map(len, labels)) > 3 else {}))
        axes.set_yticks(range(size), labels)
        axes.tick_params(labelcolor=INK, labelsize=font)
        bare(axes, grid="both")
        axes.grid(False)
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.set_title(title)
    return figure


def reliability(
    probabilities: ArrayLike,
    targets: ArrayLike,
    devices: Column = None,
    groups: Column = None,
    *,
    title: str = "How often it is right when it says how sure it is",
) -> Figure:
    """Draw accuracy over confidence, one panel a device; on the diagonal they are equal.

    The area of a dot is the number of clips of its bin, the vertical line their 95 % interval.

    Parameters
    ----------
    probabilities, targets, devices, groups
        As in `anymic.evaluation.report.evaluate`; without devices there is one panel of all clips.
    """
    p, t = check_probabilities(probabilities, targets)
    source = np.arange(len(t)) if groups is None else np.asarray(groups)
    panels = by_device(devices) or {"all clips": np.ones(len(t), dtype=bool)}
    down = -(-len(panels) // 4)
    across = -(-len(panels) // down)
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
        for number, axes in enumerate(grid.flat):
            axes.set_visible(number < len(panels))
        for number, (axes, (name, of)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
            colour, _ = series(number if devices is not None else 0)
            _reliability_panel(axes, p[of], t[of], source[of], colour)
            axes.set_title(shorten(name, 76 // across), pad=4, fontsize=9.5)
            axes.tick_params(labelbottom=number + across >= len(panels))
        figure.suptitle(title, x=0.01, ha="left")
        figure.supxlabel("confidence (%)", fontsize=9, color=MUTED)
        figure.supylabel("accuracy (%)", fontsize=9, color=MUTED)
    return figure


def _dots(table: dict[str, dict[str, Row]], *, title: str, last: str = "") -> Figure:
    """Draw series of places: rows of dots with intervals, values written where they fit."""
    with extra("report"):
        from matplotlib.ticker import MaxNLocator

    places = list(dict.fromkeys(place for found in table.values() for place in found))
    places.sort(key=[last].count)
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
                    text = f"{100 * row.value:.1f} %\u2003n = {row.n}"
                    axes.annotate(
                        text,
                        (1.015, y),
                        xycoords=("axes fraction", "data"),
                        va="center",
                        color=MUTED,
                        fontsize=8.5,
                    )
        left = 10 * np.floor(10 * max(0.0, min(lows, default=0.0) - 0.02))
        axes.set_xlim(left, 101)
        axes.set_ylim(max(height.values(), default=0) + 0.65 * step, -0.65 * step)
        axes.set_yticks(list(height.values()), list(height))
        axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
        bare(axes, grid="x")
        if last in height and len(height) > 1:
            axes.axhline(height[last] - step / 2, color=GRID, linewidth=0.8)
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


def _reliability_panel(
    axes: Axes,
    p: NDArray[np.float64],
    t: NDArray[np.intp],
    source: NDArray[Any],
    colour: str,
) -> None:
    confidence = p.max(axis=1)
    correct = p.argmax(axis=1) == t
    place = calibration_bins(confidence)
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    for number in np.unique(place):
        inside = place == number
        sure, right = (
            100 * float(confidence[inside].mean()),
            accuracy(correct[inside], source[inside]),
        )
        ends = [100 * right.low, 100 * right.high]
        axes.plot([sure, sure], ends, color=colour, linewidth=1.1, alpha=0.4)
        axes.scatter(
            sure,
            100 * right.value,
            s=8 + 220 * inside.mean(),
            color=colour,
            edgecolors=PAPER,
            linewidths=0.8,
            zorder=3,
            clip_on=False,
        )
    error = expected_calibration_error(p, t)
    axes.text(2, 98, f"ECE {error:.3f}", va="top", color=MUTED, fontsize=8.5)
    axes.set(xlim=(-2, 102), ylim=(-2, 102), aspect="equal")
    axes.set_xticks([0, 50, 100])
    axes.set_yticks([0, 50, 100])
    bare(axes, grid="both")
    axes.tick_params(labelcolor=MUTED, labelsize=8.5)


def _cell(axes: Axes, x: int, y: int, *, alpha: float, outline: bool = False) -> None:
    with extra("report"):
        from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle(
            (x - 0.48, y - 0.48),
            0.96,
            0.96,
            facecolor="none" if outline else SERIES[0],
            edgecolor=GRID if outline else "none",
            linewidth=0.8,
            alpha=alpha,
        )
    )


def shorten(name: str, length: int) -> str:
    """Return the name, its end replaced by an ellipsis where it is longer than `length`."""
    return name if len(name) <= length else name[: length - 1] + "\u2026"

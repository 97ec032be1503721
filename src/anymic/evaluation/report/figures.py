"""Figures of a report; each returns a matplotlib Figure, drawn without pyplot.

Values are dots with the interval as a line, because a bar would hide the lower half of the
interval. Colours and markers: `anymic.evaluation.report.style`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from anymic._internal.optional import extra
from anymic.errors import counted
from anymic.evaluation.report.evaluation import COVERAGES
from anymic.evaluation.report.rows import Row, conditions
from anymic.evaluation.report.scored import ScoredClips
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
    panels,
    quiet_style,
    series,
    shared_labels,
    shorten,
)
from anymic.metrics import (
    ACCURACY,
    calibration_bins,
    expected_calibration_error,
    metric_named,
)
from anymic.metrics.coverage import coverage_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from anymic.devices.correction.profile import DeviceProfile

LOWEST_HZ = 30.0
TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)
LEAST = 10  # clips behind each point of a line: with fewer, every clip makes accuracy jump
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


def scores_by_label(rows: Iterable[Row]) -> Figure:
    """Draw average precision and F1 of each label with their intervals, the highest on top."""
    found = list(rows)
    table = {}
    for metric in ("average_precision", "f1"):
        own = {row.condition["label"]: row for row in found if row.metric == metric}
        ordered = sorted(own, key=lambda label: -own[label].value)
        table[metric_named(metric).title] = {label: own[label] for label in ordered}
    return _dots(table, title="Average precision and F1 by label", measure="score")


@quiet_style()
def confusion(counts: ArrayLike, labels: Sequence[str]) -> Figure:
    """Draw a confusion matrix: shade is the share of the true class's clips, numbers are clips.

    Parameters
    ----------
    counts : (true class, predicted class)
        As `anymic.metrics.confusion_matrix` returns them; a class without clips stays empty.
    """
    table = np.asarray(counts)
    labels = [shorten(label, 24) for label in labels]
    size = len(labels)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = min(1.8 + 0.42 * size, 9.0)
    font, number_font = (9.0, 8.5) if size <= 20 else (6.5, 5.0)
    slant = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    figure, axes = canvas(side, side + 0.9)
    for true, predicted in np.argwhere(table > 0):
        share = float(shares[true, predicted])
        matrix_cell(axes, predicted, true, facecolor=SERIES[0], alpha=0.06 + 0.94 * share)
        ink, count = PAPER if share > 0.65 else INK, str(table[true, predicted])
        axes.text(predicted, true, count, ha="center", va="center", fontsize=number_font, color=ink)
    for place in range(size):  # the diagonal is marked where it is empty too
        matrix_cell(axes, place, place, facecolor="none", edgecolor=GRID)
    axes.set_aspect("equal")
    matrix_axes(axes, labels, labels, font=font, **(slant if max(map(len, labels)) > 3 else {}))
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_title("Confusion matrix")
    return figure


@quiet_style()
def reliability(clips: ScoredClips, *, title: str = "Accuracy over confidence") -> Figure:
    """Draw accuracy over confidence, one panel a device; the two are equal on the dashed line.

    The area of a dot is the number of clips of its bin, the vertical line their 95 % interval.
    Without devices there is one panel of all clips.
    """
    parts = clips.of_devices() or {"all clips": clips}
    down = -(-len(parts) // 4)
    across = -(-len(parts) // down)
    width = 7.2 if across > 2 else 3.0 * across + 0.4
    figure, grid = panels(len(parts), across, 0.5 + down * (width / across + 0.1), width)
    for number, (axes, (name, part)) in enumerate(zip(grid, parts.items(), strict=True)):
        _reliability_panel(axes, part, series(number)[0])
        axes.set_title(shorten(name, 76 // across), pad=4, fontsize=9.5)
    shared_labels(figure, title, "confidence (%)", "accuracy (%)")
    return figure


@quiet_style()
def accuracy_over_coverage(clips: ScoredClips) -> Figure:
    """Draw accuracy over the share of clips that are answered, one line a device.

    If a line rises towards the left, the confidence is informative. The marks are at 50, 80, 90
    and 100 %. A line begins at ten clips.
    """
    parts = clips.of_devices() or {"all clips": clips}
    lowest = 1.0
    figure, axes = canvas(3.6)
    for number, (name, part) in enumerate(parts.items()):
        curve = coverage_curve(part.confidence, part.correct)
        colour, marker = series(number)
        shown = curve.clips >= min(LEAST, len(part))
        x, y = 100 * curve.coverage, 100 * curve.accuracy
        axes.plot(x[shown], y[shown], color=colour, linewidth=1.3)
        at = np.array([curve.at(coverage) for coverage in COVERAGES])
        at = at[shown[at]]
        dot: Any = {"markersize": 5.5, "markeredgecolor": PAPER, "markeredgewidth": 0.8}
        axes.plot(x[at], y[at], marker, color=colour, label=shorten(name), **dot)
        lowest = min(lowest, float(curve.accuracy[shown].min()))
    axes.set_xlim(0, 101)
    axes.set_ylim(axis_start(lowest), 101)
    bare(axes, grid="both")
    axes.set(xlabel="clips answered (%)", ylabel="accuracy of these (%)")
    axes.set_title("Accuracy when the least sure clips are declined")
    if len(parts) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.2)
    return figure


@quiet_style()
def gains_figure(profile: DeviceProfile) -> Figure:
    """Draw the gain of every device in dB over frequency, one panel a device.

    The band around a line is plus and minus one standard deviation over clips. A single
    reference device has no panel, because its gains are 0 dB.
    """
    frequency_hz = profile.frequencies_hz()
    shown = frequency_hz >= min(LOWEST_HZ, frequency_hz[-1] / 2)
    drawn = [name for name in profile.devices if (name,) != profile.reference]
    drawn = drawn or list(profile.devices)
    down = -(-len(drawn) // (1 if len(drawn) <= 3 else 2))
    figure, grid = panels(len(drawn), -(-len(drawn) // down), 0.8 + 1.5 * down)
    for number, (axes, name) in enumerate(zip(grid, drawn, strict=True)):
        device, colour = profile.devices[name], series(number)[0]
        gain_db = 20 * np.log10(device.gains[shown])
        low_db, high_db = gain_db - device.spread_db[shown], gain_db + device.spread_db[shown]
        axes.axhline(0, color=MUTED, linewidth=0.8)
        band: Any = {"color": colour, "alpha": 0.2, "linewidth": 0}
        axes.fill_between(frequency_hz[shown], low_db, high_db, **band)
        axes.plot(frequency_hz[shown], gain_db, color=colour, linewidth=1.3)
        axes.set_title(f"{shorten(name)} ({counted(device.count, 'clip')})", pad=4, fontsize=9.5)
        _hertz(axes, frequency_hz[shown][0], frequency_hz[-1])
    reference, estimator = shorten(" + ".join(profile.reference)), profile.estimator
    title = f"Gains towards {reference} ({estimator.replace('_', ' ')})"
    shared_labels(figure, title, "frequency (Hz)", "gain (dB)")
    return figure


@quiet_style()
def _dots(table: dict[str, dict[str, Row]], *, title: str, measure: str = "accuracy") -> Figure:
    """Draw a row of dots with intervals for each place; a single series has its values written."""
    with extra("report"):
        from matplotlib.ticker import MaxNLocator

    places = list(dict.fromkeys(place for found in table.values() for place in found))
    places.sort(key=[_MEAN].count)
    step = max(1.0, 0.62 * len(table))
    height = {name: step * line for line, name in enumerate(places)}
    alone = len(table) <= 1
    lows = [r.value if r.low is None else r.low for found in table.values() for r in found.values()]
    each = _ROW_INCHES if len(places) <= 25 else 0.7 * _ROW_INCHES
    figure, axes = canvas(1.05 + each * step * max(len(places), 1) + (0 if alone else 0.3))
    for number, (name, found) in enumerate(table.items()):
        colour, marker = series(number)
        offset = 0.0 if alone else 0.42 * (number - (len(table) - 1) / 2)
        for place, row in found.items():
            y = height[place] + offset
            if row.low is not None and row.high is not None:
                axes.plot([100 * row.low, 100 * row.high], [y, y], color=colour, linewidth=1.8)
            label = shorten(name) if place == next(iter(found)) else None
            dot: Any = {"markersize": 6.5, "markeredgecolor": PAPER, "markeredgewidth": 1.0}
            axes.plot(100 * row.value, y, marker, color=colour, label=label, **dot)
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
    axes.set_yticks(list(height.values()), list(map(shorten, height)))
    axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
    bare(axes, grid="x")
    if _MEAN in height and len(height) > 1:
        axes.axhline(height[_MEAN] - step / 2, color=GRID, linewidth=0.8)
    axes.set_xlabel(f"{measure} (%), with 95 % interval")
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


def _hertz(axes: Axes, low_hz: float, high_hz: float) -> None:
    ticks = [tick for tick in TICKS_HZ if low_hz <= tick <= high_hz]
    axes.set_xscale("log")
    axes.set_xlim(low_hz, high_hz)
    axes.set_xticks(ticks, [f"{t // 1000} k" if t >= 1000 else str(t) for t in ticks])
    axes.set_xticks([], minor=True)
    bare(axes, grid="both")
    axes.tick_params(axis="y", labelcolor=MUTED, labelsize=8.5)

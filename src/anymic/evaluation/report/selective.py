"""Accuracy if the clips of low confidence are declined: rows and a figure for each device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from anymic.evaluation.report.rows import Row, row
from anymic.evaluation.report.scored import Column, ScoredClips
from anymic.evaluation.report.style import PAPER, axis_start, bare, canvas, quiet_style, series
from anymic.metrics import accuracy
from anymic.metrics.coverage import coverage_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COVERAGES = (0.5, 0.8, 0.9, 1.0)
LEAST = 10  # clips behind each point of a line: with fewer, every clip makes accuracy jump


def selective_rows(
    probabilities: ArrayLike, targets: ArrayLike, devices: Column = None, groups: Column = None
) -> list[Row]:
    """Return the accuracy of the 50, 80, 90 and 100 % of clips of highest confidence.

    Parameters and errors are those of `anymic.evaluation.report.evaluate`.

    Returns
    -------
    list of Row
        Of all clips and of each device, {"device": d, "coverage": "80 %"}. accuracy_at_coverage:
        n is the number of clips answered, which is more than the coverage says if several have
        the same confidence; the interval is that of accuracy, at this threshold.
        confidence_at_coverage: the threshold, which is the lowest confidence among them.
    """
    rows = []
    clips = ScoredClips.of(probabilities, targets, groups)
    for condition, part in clips.by_device(devices):
        curve = coverage_curve(part.confidence, part.correct)
        for coverage in COVERAGES:
            threshold = float(curve.threshold[curve.at(coverage)])
            found = part[part.confidence >= threshold].accuracy()
            keys = {**condition, "coverage": f"{100 * coverage:.0f} %"}
            rows.append(row("accuracy_at_coverage", found, **keys))
            rows.append(Row(keys, "confidence_at_coverage", threshold, None, None, found.n))
    return rows


def threshold_rows(
    probabilities: ArrayLike,
    targets: ArrayLike,
    min_confidence: float,
    devices: Column = None,
    groups: Column = None,
) -> list[Row]:
    """Return how many clips are answered from a confidence on, and the accuracy of these.

    Parameters
    ----------
    min_confidence : float
        A clip is answered if its most probable label has at least this probability.
    probabilities, targets, devices, groups
        As in `anymic.evaluation.report.evaluate`, which raises the same errors.

    Returns
    -------
    list of Row
        Of all clips and of each device, {"device": d, "min_confidence": "0.8"}. coverage: the
        share of clips that are answered. accuracy_when_sure: that of these clips, n of them; no
        row if none is answered.
    """
    rows = []
    clips = ScoredClips.of(probabilities, targets, groups)
    for condition, part in clips.by_device(devices):
        keys = {**condition, "min_confidence": f"{min_confidence:g}"}
        answered = part.confidence >= min_confidence
        rows.append(row("coverage", accuracy(answered, part.recordings), **keys))
        if answered.any():
            rows.append(row("accuracy_when_sure", part[answered].accuracy(), **keys))
    return rows


def accuracy_over_coverage(
    probabilities: ArrayLike, targets: ArrayLike, devices: Column = None
) -> Figure:
    """Draw accuracy over the share of clips that are answered, one line a device.

    If a line rises towards the left, the confidence is informative. The marks are at 50, 80, 90
    and 100 %. A line begins at ten clips.
    """
    parts = ScoredClips.of(probabilities, targets).by_device(devices)
    lowest = 1.0
    with quiet_style():
        figure, axes = canvas(3.6)
        for number, (condition, part) in enumerate(parts[1:] or parts):
            curve = coverage_curve(part.confidence, part.correct)
            colour, marker = series(number)
            shown = curve.clips >= min(LEAST, len(part))
            x, y = 100 * curve.coverage, 100 * curve.accuracy
            axes.plot(x[shown], y[shown], color=colour, linewidth=1.3)
            at = np.array([curve.at(coverage) for coverage in COVERAGES])
            at = at[shown[at]]
            axes.plot(
                x[at],
                y[at],
                marker,
                color=colour,
                markersize=5.5,
                markeredgecolor=PAPER,
                markeredgewidth=0.8,
                label=condition.get("device", "all clips"),
            )
            lowest = min(lowest, float(curve.accuracy[shown].min()))
        axes.set_xlim(0, 101)
        axes.set_ylim(axis_start(lowest), 101)
        bare(axes, grid="both")
        axes.set(xlabel="clips answered (%)", ylabel="accuracy of these (%)")
        axes.set_title("Accuracy when the least sure clips are declined")
        if len(parts) > 2:
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.2)
    return figure

"""What declining the least sure clips would win: rows and a figure for each device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from anymic.evaluation.report.evaluation import Column, by_device
from anymic.evaluation.report.rows import Row, row
from anymic.evaluation.report.style import PAPER, bare, canvas, quiet_style, series
from anymic.metrics import accuracy, check_probabilities
from anymic.metrics.coverage import coverage_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COVERAGES = (0.5, 0.8, 0.9, 1.0)
LEAST = 10  # clips that a point of the line rests on: of fewer, accuracy jumps with each


def selective_rows(
    probabilities: ArrayLike, targets: ArrayLike, devices: Column = None, groups: Column = None
) -> list[Row]:
    """Return the accuracy of the surest 50, 80, 90 and 100 % of clips, and from where they are.

    Parameters
    ----------
    probabilities, targets, devices, groups
        As in `anymic.evaluation.report.evaluate`.

    Returns
    -------
    list of Row
        Of all clips and of each device, {"device": d, "coverage": "80 %"}. accuracy_at_coverage:
        n is the number of clips answered, which is more than the coverage says where several
        are equally sure; the interval is that of accuracy, at this threshold.
        confidence_at_coverage: the threshold, what the least sure of them is sure of.

    Raises
    ------
    MetricError
        As `anymic.evaluation.report.evaluate`.
    """
    p, t = check_probabilities(probabilities, targets)
    source = np.arange(len(t)) if groups is None else np.asarray(groups)
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == t
    rows = []
    for name, of in {"": np.ones(len(t), dtype=bool), **by_device(devices)}.items():
        curve = coverage_curve(confidence[of], correct[of])
        for coverage in COVERAGES:
            threshold = float(curve.threshold[curve.at(coverage)])
            answered = of & (confidence >= threshold)
            condition = {"device": name} if name else {}
            condition["coverage"] = f"{100 * coverage:.0f} %"
            found = accuracy(correct[answered], source[answered])
            rows.append(row("accuracy_at_coverage", found, **condition))
            rows.append(Row(condition, "confidence_at_coverage", threshold, None, None, found.n))
    return rows


def threshold_rows(
    probabilities: ArrayLike,
    targets: ArrayLike,
    min_confidence: float,
    devices: Column = None,
    groups: Column = None,
) -> list[Row]:
    """Return how many clips are answered from a confidence on, and how many of these rightly.

    Parameters
    ----------
    min_confidence : float
        Clips are answered whose most probable label has at least this probability.
    probabilities, targets, devices, groups
        As in `anymic.evaluation.report.evaluate`.

    Returns
    -------
    list of Row
        Of all clips and of each device, {"device": d, "min_confidence": "0.8"}. coverage: the
        share of clips that are answered. accuracy_when_sure: that of these clips, n of them; no
        row where none is answered.

    Raises
    ------
    MetricError
        As `anymic.evaluation.report.evaluate`.
    """
    p, t = check_probabilities(probabilities, targets)
    source = np.arange(len(t)) if groups is None else np.asarray(groups)
    sure, correct = p.max(axis=1) >= min_confidence, p.argmax(axis=1) == t
    rows = []
    for name, of in {"": np.ones(len(t), dtype=bool), **by_device(devices)}.items():
        condition = {"device": name} if name else {}
        condition["min_confidence"] = f"{min_confidence:g}"
        rows.append(row("coverage", accuracy(sure[of], source[of]), **condition))
        if (answered := of & sure).any():
            found = accuracy(correct[answered], source[answered])
            rows.append(row("accuracy_when_sure", found, **condition))
    return rows


def accuracy_over_coverage(
    probabilities: ArrayLike,
    targets: ArrayLike,
    devices: Column = None,
    *,
    title: str = "Accuracy when the least sure clips are declined",
) -> Figure:
    """Draw accuracy over the share of clips that are answered, one line a device.

    A line that rises towards the left is a confidence that can be used; a flat one says nothing.
    The marks are at 50, 80, 90 and 100 %. A line begins at ten clips.
    """
    p, t = check_probabilities(probabilities, targets)
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == t
    lines = by_device(devices) or {"all clips": np.ones(len(t), dtype=bool)}
    lowest = 1.0
    with quiet_style():
        figure, axes = canvas(3.6)
        for number, (name, of) in enumerate(lines.items()):
            curve = coverage_curve(confidence[of], correct[of])
            colour, marker = series(number)
            shown = curve.clips >= min(LEAST, int(of.sum()))
            x, y = 100 * curve.coverage[shown], 100 * curve.accuracy[shown]
            axes.plot(x, y, color=colour, linewidth=1.3)
            at = np.array([curve.at(coverage) for coverage in COVERAGES])
            at = at[shown[at]]
            axes.plot(
                100 * curve.coverage[at],
                100 * curve.accuracy[at],
                marker,
                color=colour,
                markersize=5.5,
                markeredgecolor=PAPER,
                markeredgewidth=0.8,
                label=name,
            )
            lowest = min(lowest, float(curve.accuracy[shown].min()))
        axes.set_xlim(0, 101)
        axes.set_ylim(_floor(lowest), 101)
        bare(axes, grid="both")
        axes.set(xlabel="clips answered (%)", ylabel="accuracy of these (%)")
        axes.set_title(title)
        if len(lines) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.2)
    return figure


def _floor(share: float) -> float:
    """Return the ten per cent below a share."""
    return float(10 * np.floor(10 * max(0.0, share - 0.02)))

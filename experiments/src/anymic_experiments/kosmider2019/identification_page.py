"""How well devices are recognized, as tables, sentences and a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anymic.evaluation.report.cells import percent, plain
from anymic_experiments.kosmider2019.hearing import KNOWN, STRANGERS
from anymic_experiments.kosmider2019.identification import (
    AIMED_CLIPS,
    BATCHES,
    METRICS,
    SIZES,
    Curve,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AIMED_ACCURACY, AIMED_AREA = 0.97, 0.95


def markdown(curve: Curve) -> str:
    """Return a line a size, a line a number of recordings together, and a line a stranger."""
    lines = [
        "| clips a device | right on A, B and C | A | B | C | AUROC, strangers "
        "| true accepts | false accepts | at 95 % true accepts |",
        "|---" * 9 + "|",
    ]
    for clips in SIZES:
        each = [
            f"{100 * curve.of('identification_accuracy', clips, device).value:.1f}"
            for device in KNOWN
        ]
        first, *others = _cells(curve, clips)
        lines.append("| " + " | ".join([str(clips), first, *each, *others]) + " |")
    first, *others = _cells(curve, AIMED_CLIPS, teachers="none")
    cells = [f"{AIMED_CLIPS}, imitations only", first, "", "", "", *others]
    lines += ["| " + " | ".join(cells) + " |", ""]
    lines += [
        "| recordings together | right on A, B and C | AUROC, strangers "
        "| true accepts | false accepts | at 95 % true accepts |",
        "|---" * 6 + "|",
    ]
    for recordings in BATCHES:
        cells = [str(recordings), *_cells(curve, AIMED_CLIPS, together=str(recordings))]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", f"| AUROC against | all | {' | '.join(KNOWN)} |", "|---" * 5 + "|"]
    for device in curve.strangers:
        areas = [curve.of("auroc", AIMED_CLIPS, device, known=known) for known in ("all", *KNOWN)]
        lines.append(f"| {device} | " + " | ".join(f"{item.value:.3f}" for item in areas) + " |")
    return "\n".join(lines) + "\n"


def _cells(curve: Curve, clips: int, **where: str) -> list[str]:
    accuracy, area, *accepts = (curve.of(name, clips, **where) for name in METRICS)
    return [percent(accuracy), plain(area), *map(percent, accepts)]


def reading(curve: Curve) -> str:
    """Say what was aimed at and what was reached with 40 clips a device."""
    right = curve.of("identification_accuracy", AIMED_CLIPS)
    area = curve.of("auroc", AIMED_CLIPS)
    passed = curve.of("false_accepts", AIMED_CLIPS)
    reached = "reached" if right.value >= AIMED_ACCURACY else "missed"
    told = "reached" if area.value >= AIMED_AREA else "missed"
    kept = curve.of("true_accepts", AIMED_CLIPS)
    return (
        f"With {AIMED_CLIPS} clips a device {percent(right)} % are named rightly: the aim of "
        f"{100 * AIMED_ACCURACY:.0f} % is {reached}. Strangers are told from A, B and C with an "
        f"area under the ROC curve of {plain(area)}: the aim of {AIMED_AREA} is {told}. At "
        f"the threshold {percent(kept)} % of known devices' clips and {percent(passed)} % of "
        "strangers' pass for a known device's."
    )


def figure(curve: Curve) -> Figure:
    """Draw accuracy and area under the ROC curve over the number of training clips."""
    from anymic.evaluation.report.style import MUTED, SERIES, bare, canvas, quiet_style

    with quiet_style():
        drawing, panels = canvas(2.8, 7.2, ncols=2)
        shown = (
            ("identification_accuracy", "right on A, B and C", AIMED_ACCURACY),
            ("auroc", f"area under the ROC curve, {STRANGERS}", AIMED_AREA),
        )
        for axes, (metric, title, bar), colour in zip(panels, shown, SERIES, strict=False):
            for place, clips in enumerate(SIZES):
                item = curve.of(metric, clips)
                if item.low is not None and item.high is not None:
                    axes.vlines(place, 100 * item.low, 100 * item.high, color=colour, linewidth=1.8)
                axes.plot(place, 100 * item.value, "o", color=colour, ms=6.5)
            axes.axhline(100 * bar, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
            axes.set_xticks(range(len(SIZES)), [str(clips) for clips in SIZES])
            axes.set_xlim(-0.5, len(SIZES) - 0.5)
            axes.set_title(title)
            axes.set_xlabel("training clips a device")
            axes.set_ylabel("%")
            bare(axes, grid="y")
    return drawing

"""The heat map: devices down, codecs across."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anymic.evaluation.report.style import (
    INK,
    MINUS,
    MUTED,
    PAPER,
    SERIES,
    canvas,
    matrix_axes,
    matrix_cell,
    quiet_style,
    shorten,
)
from anymic.evaluation.robustness.conditions import AS_RECORDED, CLEAN
from anymic.evaluation.robustness.findings import Findings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FULL = 0.3  # the loss (a share) of the full shade; the largest loss if that is more


def heat_map(findings: Findings) -> Figure:
    """Draw accuracy by device and codec, shaded by the loss against the clean clips.

    Each cell has the accuracy in per cent and below it the difference to clean in points, bold if
    its interval leaves out zero.
    """
    devices = list(dict.fromkeys(one.device for one in findings.conditions))
    codecs = list(dict.fromkeys(one.codec_name for one in findings.conditions))
    differences = [findings.difference(number) for number in range(len(findings.conditions))]
    full = max(_FULL, *(-one.value for one in differences))
    width = min(max(1.6 + 0.62 * len(codecs), 4.2), 11.0)
    text = {"ha": "center", "va": "center"}
    with quiet_style():
        figure, axes = canvas(1.4 + 0.5 * len(devices), width)
        for number, condition in enumerate(findings.conditions):
            x, y = codecs.index(condition.codec_name), devices.index(condition.device)
            change, share = differences[number], findings.accuracy(number).value
            shade = max(-change.value, 0.0) / full if number else 0.0
            alpha = 0.04 + 0.9 * shade
            matrix_cell(axes, x, y, 0.92, facecolor=SERIES[1], edgecolor="none", alpha=alpha)
            ink = PAPER if shade > 0.85 else INK
            points = f"{100 * change.value:+.1f}".replace("-", MINUS)
            # without an interval its ends are NaN, and both comparisons are false
            clear = number > 0 and (change.low > 0 or change.high < 0)
            axes.text(x, y - 0.14, f"{100 * share:.1f}", color=ink, fontsize=9, **text)
            axes.text(
                x,
                y + 0.24,
                points if number else CLEAN,
                color=ink if shade > 0.25 else MUTED,
                fontsize=7.5,
                fontweight="bold" if clear else "normal",
                **text,
            )
        matrix_axes(
            axes,
            [name.replace(" ", "\n", 1) for name in codecs],  # the bitrate on a second line
            [shorten(one or AS_RECORDED, 18) for one in devices],
            font=8.5,
        )
        axes.xaxis.tick_top()
        axes.set_xlabel(
            f"{len(findings.targets)} clips; bold: the 95 % interval leaves out zero", loc="left"
        )
        figure.suptitle("Accuracy in per cent, and points against clean", x=0.01, ha="left")
    return figure

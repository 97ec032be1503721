"""The heat map: devices down, codecs across."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from anymic.errors import counted
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
from anymic.evaluation.robustness.conditions import AS_RECORDED, CLEAN, Condition
from anymic.metrics import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FULL = 0.3  # the loss (a share) of the full shade; the largest loss if that is more


@quiet_style()
def heat_map(
    conditions: Sequence[Condition],
    accuracies: Sequence[Interval],
    differences: Sequence[Interval],
) -> Figure:
    """Draw accuracy by device and codec, shaded by the loss against the clean clips.

    Each cell has the accuracy in per cent and below it the difference to clean in points, bold if
    its interval leaves out zero.

    Parameters
    ----------
    conditions, accuracies, differences : (condition,)
        The clean condition first.
    """
    devices = list(dict.fromkeys(one.device for one in conditions))
    codecs = list(dict.fromkeys(one.codec_name for one in conditions))
    full = max(_FULL, *(-one.value for one in differences))
    width = min(max(1.6 + 0.62 * len(codecs), 4.2), 11.0)
    centred = {"ha": "center", "va": "center"}
    figure, axes = canvas(1.4 + 0.5 * len(devices), width)
    for number, condition in enumerate(conditions):
        x, y = codecs.index(condition.codec_name), devices.index(condition.device)
        change, share = differences[number], accuracies[number].value
        shade = max(-change.value, 0.0) / full if number else 0.0
        matrix_cell(axes, x, y, 0.92, facecolor=SERIES[1], alpha=0.04 + 0.9 * shade)
        ink = PAPER if shade > 0.85 else INK
        points = f"{100 * change.value:+.1f}".replace("-", MINUS) if number else CLEAN
        # without an interval its ends are NaN, and both comparisons are false
        clear = number > 0 and (change.low > 0 or change.high < 0)
        style = {"color": ink if shade > 0.25 else MUTED, "weight": "bold" if clear else "normal"}
        axes.text(x, y - 0.14, f"{100 * share:.1f}", color=ink, fontsize=9, **centred)
        axes.text(x, y + 0.24, points, fontsize=7.5, **style, **centred)
    names = [shorten(name).replace(" ", "\n", 1) for name in codecs]  # the bitrate on a second line
    matrix_axes(axes, names, [shorten(one or AS_RECORDED, 18) for one in devices], font=8.5)
    axes.xaxis.tick_top()
    clips = accuracies[0].n
    axes.set_xlabel(
        f"{counted(clips, 'clip')}; bold: the 95 % interval leaves out zero", loc="left"
    )
    figure.suptitle("Accuracy in per cent, and points against clean", x=0.01, ha="left")
    return figure

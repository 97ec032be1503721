"""The heat map: devices down, codecs across."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anymic.evaluation.report.style import (
    INK,
    MUTED,
    PAPER,
    SERIES,
    bare,
    canvas,
    quiet_style,
    shorten,
)
from anymic.evaluation.robustness.conditions import AS_RECORDED
from anymic.evaluation.robustness.findings import Findings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MINUS = "\u2212"
_FULL = 0.3  # the loss (a share) at which the shade is full; more where more is lost


def heat_map(findings: Findings, *, title: str = "") -> Figure:
    """Draw accuracy by device and codec, shaded by what is lost against the clean clips.

    Each cell has the accuracy in per cent and under it the difference to clean in points, bold
    where its interval leaves out zero.
    """
    devices = list(dict.fromkeys(one.device for one in findings.conditions))
    codecs = list(dict.fromkeys(one.codec_name for one in findings.conditions))
    differences = {
        number: findings.difference(number) for number in range(1, len(findings.conditions))
    }
    full = max([_FULL, *(-one.value for one in differences.values())])
    width = min(max(1.6 + 0.62 * len(codecs), 4.2), 11.0)
    with quiet_style():
        figure, axes = canvas(1.4 + 0.5 * len(devices), width)
        for number, condition in enumerate(findings.conditions):
            x, y = codecs.index(condition.codec_name), devices.index(condition.device)
            if number == 0:
                _cell(axes, x, y, 0.0)
                _write(axes, x, y, findings.accuracy(0).value, "clean", INK, MUTED, bold=False)
                continue
            change = differences[number]
            shade = max(-change.value, 0.0) / full
            _cell(axes, x, y, shade)
            ink = PAPER if shade > 0.85 else INK
            points = f"{100 * change.value:+.1f}".replace("-", _MINUS)
            clear = not change.low <= 0 <= change.high if change.low == change.low else False
            _write(
                axes, x, y, findings.accuracy(number).value, points, ink,
                ink if shade > 0.25 else MUTED, bold=clear,
            )  # fmt: skip
        axes.set_xlim(-0.5, len(codecs) - 0.5)
        axes.set_ylim(len(devices) - 0.5, -0.5)
        axes.set_xticks(range(len(codecs)), [_two_lines(name) for name in codecs])
        axes.set_yticks(range(len(devices)), [shorten(one or AS_RECORDED, 18) for one in devices])
        axes.xaxis.tick_top()
        bare(axes, grid="both")
        axes.grid(False)
        axes.tick_params(labelcolor=INK, labelsize=8.5)
        axes.set_xlabel(
            f"{len(findings.targets)} clips; bold: the 95 % interval leaves out zero", loc="left"
        )
        figure.suptitle(
            title or "Accuracy in per cent, and points against clean", x=0.01, ha="left"
        )
    return figure


def _write(
    axes: Axes, x: int, y: int, share: float, below: str, ink: str, muted: str, *, bold: bool
) -> None:
    axes.text(x, y - 0.14, f"{100 * share:.1f}", ha="center", va="center", color=ink, fontsize=9)
    axes.text(
        x, y + 0.24, below, ha="center", va="center", color=muted, fontsize=7.5,
        fontweight="bold" if bold else "normal",
    )  # fmt: skip


def _cell(axes: Axes, x: int, y: int, shade: float) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle(
            (x - 0.48, y - 0.46),
            0.96,
            0.92,
            facecolor=SERIES[1],
            edgecolor="none",
            alpha=0.04 + 0.9 * shade,
        )
    )


def _two_lines(name: str) -> str:
    """Break a codec's name before its bitrate: "mp3 32" is two lines."""
    return name.replace(" ", "\n", 1)

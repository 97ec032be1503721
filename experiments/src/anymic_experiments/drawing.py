"""What the figures of several papers draw: an estimate with its interval, in per cent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anymic.evaluation.report.rows import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def across(axes: Axes, place: float, item: Row, marker: str, *, color: str, **style: Any) -> None:
    """Draw a share along the x axis in the line `place`, its interval behind it."""
    if item.low is not None and item.high is not None:
        axes.hlines(place, 100 * item.low, 100 * item.high, color=color, linewidth=1.8)
    axes.plot(100 * item.value, place, marker, **{"color": color, "ms": 6.5, **style})


def upright(
    axes: Axes, place: float, item: Row, marker: str, *, color: str, width: float, **style: Any
) -> None:
    """Draw a share along the y axis in the column `place`, its interval behind it."""
    if item.low is not None and item.high is not None:
        axes.vlines(place, 100 * item.low, 100 * item.high, color=color, lw=width)
    axes.plot(place, 100 * item.value, marker, **{"color": color, "ms": 6.5, **style})

"""What the figures of several papers share: panels, and shares in per cent with their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from anymic.evaluation.report.rows import Row
from anymic.evaluation.report.scored import ScoredClips
from anymic_experiments.pooling import Pooled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@contextmanager
def panels(
    titles: Sequence[str],
    height_inches: float,
    width_inches: float,
    *,
    grid: Literal["x", "y"],
    rows: int = 1,
    caption: str = "",
    **shared: Any,
) -> Iterator[tuple[Figure, Any]]:
    """Open a figure and its list of axes, one a title; `shared` is as for `subplots`."""
    from anymic.evaluation.report.style import MUTED, bare, canvas, quiet_style

    shape = {"nrows": rows, "ncols": len(titles) // rows, "squeeze": False}
    with quiet_style():
        drawing, each = canvas(height_inches, width_inches, **shape, **shared)
        for axes, title in zip(each.flat, titles, strict=True):
            axes.set_title(title)
            bare(axes, grid=grid)
        if caption:
            drawing.supxlabel(caption, fontsize=9.0, color=MUTED)
        yield drawing, list(each.flat)


def dot(
    axes: Axes,
    place: float,
    item: Row,
    marker: str,
    *,
    color: str,
    along: Literal["x", "y"] = "y",
    width: float = 1.8,
    **style: Any,
) -> None:
    """Draw a share along one axis, at a place of the other, its interval behind it."""
    if item.low is not None and item.high is not None:
        line = axes.vlines if along == "y" else axes.hlines
        line(place, 100 * item.low, 100 * item.high, color=color, linewidth=width)
    point = (place, 100 * item.value) if along == "y" else (100 * item.value, place)
    axes.plot(*point, marker, **{"color": color, "ms": 6.5, **style})


def reliability(panels: Mapping[str, tuple[Pooled, str]], *, title: str) -> Figure:
    """Draw reliability diagrams: by the title of each panel its clips, and their condition."""
    from anymic.evaluation.report import figures

    clips = ScoredClips.of(
        np.concatenate([pooled.probabilities[name] for pooled, name in panels.values()]),
        np.concatenate([pooled.targets for pooled, _ in panels.values()]),
        devices=[panel for panel, (pooled, _) in panels.items() for _ in pooled.targets],
        groups=np.concatenate([pooled.groups for pooled, _ in panels.values()]),
    )
    return figures.reliability(clips, title=title)

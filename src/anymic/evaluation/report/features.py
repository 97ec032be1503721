"""Pooled features in two dimensions: Nguyen 2020, figure 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.errors import counted
from anymic.evaluation.report.rows import ReportError
from anymic.evaluation.report.style import (
    MUTED,
    bare,
    panels,
    quiet_style,
    series,
    shared_labels,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST = 3  # clips that two components are fitted on
_LAYERS = 8  # all series are drawn in so many turns, so that none covers the others


@dataclass(frozen=True)
class Plane:
    """The first two principal components of features.

    Attributes
    ----------
    points : array (clip, 2)
        The coordinates of every clip; the origin is the mean of the fitted clips.
    explained : array (2,)
        The share of the fitted clips' variance along each direction.
    """

    points: NDArray[np.float64]
    explained: NDArray[np.float64]


def principal_plane(features: ArrayLike, fitted: ArrayLike) -> Plane:
    """Project features on the first two principal components of some of them.

    Parameters
    ----------
    features : array (clip, channel)
    fitted : array (clip,) bool
        The clips that the mean and the components are fitted on: the training clips.

    Raises
    ------
    ReportError
        If fewer than three clips are fitted, there are fewer than two channels, or a number is
        not finite.
    """
    from sklearn.decomposition import PCA

    values, chosen = np.asarray(features, dtype=np.float64), np.asarray(fitted, dtype=bool)
    if values.ndim != 2 or values.shape[1] < 2 or chosen.shape != values.shape[:1]:
        raise ReportError(
            f"the features have shape {values.shape} and the choices {chosen.shape}",
            expected="(clip, channel) with at least two channels, and a choice for each clip",
        )
    if chosen.sum() < LEAST or not np.isfinite(values).all():
        what = "non-finite features" if chosen.sum() >= LEAST else "too few features"
        raise ReportError(
            f"there are {what} of {int(chosen.sum())} training clips",
            expected=f"finite features of at least {LEAST} clips",
            fix="pass more clips with train in the column split",
        )
    components = PCA(2, svd_solver="full").fit(values[chosen])
    return Plane(components.transform(values), components.explained_variance_ratio_)


@quiet_style()
def features_figure(
    features: ArrayLike,
    *,
    training: ArrayLike,
    test: ArrayLike,
    labels: Sequence[str],
    devices: Sequence[str] | None = None,
) -> Figure:
    """Draw training and test clips side by side, coloured by class and by device.

    Parameters
    ----------
    features : array (clip, channel)
        The mean over the windows of each clip.
    training, test : array (clip,) bool
        Which clips each panel shows; the components are those of the training clips alone.
    labels : sequence of str
        The class of each clip.
    devices : sequence of str, optional
        The device of each clip, "" if not known; None leaves the second row of panels out.

    Raises
    ------
    ReportError
        As `principal_plane`, and if no clip is a test clip.
    """
    halves = {"Training set": np.asarray(training, bool), "Test set": np.asarray(test, bool)}
    plane = principal_plane(features, halves["Training set"])
    if not halves["Test set"].any():
        raise ReportError(
            "there is no test clip to draw", expected="at least one", fix="check the column split"
        )
    colourings = {"class": np.array(labels, dtype=str)}
    if devices is not None:
        colourings["device"] = np.array([name or "not known" for name in devices], dtype=str)
    figure, grid = panels(2 * len(colourings), 2, 0.7 + 2.9 * len(colourings))
    for number, (what, names) in enumerate(colourings.items()):
        _draw_row(grid[2 * number : 2 * number + 2], plane, halves, what, names)
    shown = plane.points[halves["Training set"] | halves["Test set"]]
    grid[0].set(xlim=_limits(shown[:, 0]), ylim=_limits(shown[:, 1]))
    first, second = (f"{100 * share:.0f} %" for share in plane.explained)
    across = f"first component ({first} of the training clips' variance)"
    title = "Pooled features, first two principal components"
    shared_labels(figure, title, across, f"second component ({second})")
    return figure


def _draw_row(
    line: Sequence[Axes],
    plane: Plane,
    halves: dict[str, NDArray[np.bool_]],
    what: str,
    names: NDArray[Any],
) -> None:
    """Draw the training and the test panel of one colouring, with a legend."""
    known = sorted(set(names.tolist()))
    for axes, (half, shown) in zip(line, halves.items(), strict=True):
        turn = np.random.default_rng(0).integers(_LAYERS, size=len(names))
        for layer in range(_LAYERS):
            for number, name in enumerate(known):
                colour, marker = series(number)
                inside = shown & (names == name) & (turn == layer)
                x, y = plane.points[inside].T
                axes.scatter(x, y, s=9, marker=marker, color=colour, linewidths=0, alpha=0.7)
        axes.set_title(
            f"{half} ({counted(int(shown.sum()), 'clip')}), by {what}", pad=4, fontsize=9.5
        )
        bare(axes, grid="both", labelcolor=MUTED, labelsize=8.5)
    for number, name in enumerate(known):
        colour, marker = series(number)
        line[-1].scatter(
            [], [], s=22, marker=marker, color=colour, linewidths=0, label=shorten(name)
        )
    line[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.2)


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin

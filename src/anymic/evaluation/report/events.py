"""Events over time, under a picture of the recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from anymic import audio
from anymic.evaluation.report.style import INK, bare, canvas, quiet_style, series, shorten
from anymic.inference.events import Event
from anymic.inference.predictor import Predictor
from anymic.inference.windowing import Window, cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 1000  # of the picture, which is 7 inches wide
MOST_LABELS = 20  # rows of labels; those with the longest events
MINUTES_FROM_S = 300.0


def log_mel_picture(
    predictor: Predictor, path: str | Path, *, columns: int = COLUMNS
) -> tuple[NDArray[np.float64], float]:
    """Return the mean log-mel values of a recording, and its length in seconds.

    Parameters
    ----------
    predictor : Predictor
        The front-end is that of its model.
    path : path
        The recording; it is not kept in memory.
    columns : int
        Number of parts that the recording is divided into; fewer, where it has fewer frames.

    Returns
    -------
    picture : array (band, column)
        NaN where a part has no frame: in digital silence, and after the last window.
    length_s : float

    Raises
    ------
    AudioError
        If the recording cannot be read.
    """
    contract = replace(predictor.bundle.contract, hop_s=None)
    length_s = audio.length_s(path)
    sums: NDArray[np.float64] | None = None
    counts = np.zeros(0)
    for item in cut(path, contract):
        if not isinstance(item, Window):
            continue
        values = predictor.engine.features(torch.from_numpy(item.samples)[None])[0][0].numpy()
        frames = values.shape[1]
        if sums is None:
            columns = max(1, min(columns, int(length_s * frames / contract.clip_s)))
            sums, counts = np.zeros((len(values), columns)), np.zeros(columns)
        times_s = item.start_s + contract.clip_s * (np.arange(frames) + 0.5) / frames
        there = np.minimum(columns * times_s / max(length_s, 1e-9), columns - 1).astype(int)
        within = times_s <= length_s
        np.add.at(sums.T, there[within], values.T[within].astype(np.float64))
        np.add.at(counts, there[within], 1)
    assert sums is not None, "a recording has a window"
    empty = np.full(sums.shape, np.nan)
    return np.divide(sums, counts, out=empty, where=counts > 0), length_s


@quiet_style()
def events_figure(
    picture: NDArray[np.float64], length_s: float, events: Sequence[Event], *, title: str
) -> Figure:
    """Draw the log-mel picture of a recording, and below it a row for each label with its events.

    Parameters
    ----------
    picture : array (band, column)
        As of `log_mel_picture`; from the beginning of the recording to its end.
    length_s : float
        Of the recording.
    events : sequence of Event
        The 20 labels with the longest events are drawn; the title states if there are more.
    title : str
    """
    total: dict[str, float] = {}
    for one in events:
        total[one.label] = total.get(one.label, 0.0) + one.end_s - one.start_s
    shown = sorted(total, key=lambda label: -total[label])[:MOST_LABELS]
    if len(shown) < len(total):
        title += f" ({len(shown)} of {len(total)} labels)"
    rows = max(len(shown), 1)
    heights = {"height_ratios": [2.0, 0.35 * rows]}
    figure, (above, below) = canvas(
        2.6 + 0.3 * rows, nrows=2, ncols=1, sharex=True, gridspec_kw=heights
    )
    minutes = length_s >= MINUTES_FROM_S
    scale = 60.0 if minutes else 1.0
    kept = np.ma.masked_invalid(picture)
    extent = (0.0, length_s / scale, 0.0, float(len(picture)))
    above.imshow(
        kept, origin="lower", aspect="auto", extent=extent, cmap="magma", interpolation="nearest"
    )
    above.set_ylabel("mel band")
    above.grid(False)
    above.set_title(shorten(title, 90), loc="left")
    for number, label in enumerate(shown):
        own = [one for one in events if one.label == label]
        _draw_row(below, number, own, scale)
    below.set_ylim(rows - 0.5, -0.5)
    below.set_yticks(range(len(shown)), [shorten(label) for label in shown])
    below.set_xlabel("time (min)" if minutes else "time (s)")
    bare(below, grid="x", labelcolor=INK, labelsize=9)
    below.set_xlim(0.0, length_s / scale)
    return figure


def _draw_row(axes: Axes, number: int, events: Sequence[Event], scale: float) -> None:
    spans = [(one.start_s / scale, (one.end_s - one.start_s) / scale) for one in events]
    axes.broken_barh(spans, (number - 0.35, 0.7), color=series(number)[0], linewidth=0)

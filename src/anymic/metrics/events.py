"""Compare events with those of a reference: F1 by segments and by events.

Source: A. Mesaros, T. Heittola and T. Virtanen, "Metrics for polyphonic sound event detection",
Applied Sciences 6(6), 2016; the definitions and defaults are those of their program sed_eval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from anymic.errors import AnymicError

SEGMENT_S, COLLAR_S, OFFSET_SHARE = 1.0, 0.25, 0.5

Counts = NDArray[np.float64]  # (label, 3): right, in the reference, in the answer


class Labelled(Protocol):
    """A label with a start and an end."""

    @property
    def start_s(self) -> float:
        """In seconds from the beginning of the recording."""

    @property
    def end_s(self) -> float:
        """The same."""

    @property
    def label(self) -> str:
        """The name."""


class EventMetricError(AnymicError):
    """Events that cannot be compared."""


def segment_counts(
    reference: Iterable[Labelled],
    found: Iterable[Labelled],
    labels: Sequence[str],
    *,
    segment_s: float = SEGMENT_S,
) -> Counts:
    """Return for each label how many segments of a recording both, and each of them, have it in.

    A recording is divided into segments of `segment_s`, from 0 s on. A segment has a label if an
    event of it lies in it, also in a part of it.

    Parameters
    ----------
    reference, found : events of one recording
    labels : sequence of str
        Events of other labels are left out.
    segment_s : float

    Returns
    -------
    array (label, 3)
        Segments with the label in both, in the reference, and in what was found.

    Raises
    ------
    EventMetricError
        If `segment_s` is not positive.
    """
    if not (math.isfinite(segment_s) and segment_s > 0):
        raise EventMetricError(f"a segment of {segment_s} s", expected="a length above 0 s")
    sides = [_segments(events, segment_s) for events in (reference, found)]
    counts = np.zeros((len(labels), 3))
    for row, label in enumerate(labels):
        first, second = (side.get(label, set()) for side in sides)
        counts[row] = len(first & second), len(first), len(second)
    return counts


def _segments(events: Iterable[Labelled], segment_s: float) -> dict[str, set[int]]:
    """Return the numbers of the segments of each label."""
    found: dict[str, set[int]] = {}
    for one in events:
        first, end = math.floor(one.start_s / segment_s), math.ceil(one.end_s / segment_s)
        found.setdefault(one.label, set()).update(range(first, end))
    return found


def event_counts(
    reference: Iterable[Labelled],
    found: Iterable[Labelled],
    labels: Sequence[str],
    *,
    collar_s: float = COLLAR_S,
    offset_share: float = OFFSET_SHARE,
) -> Counts:
    """Return for each label how many events of a recording were found.

    An event is right if its label is that of an event of the reference, their starts differ by at
    most `collar_s`, and their ends by at most `collar_s` or `offset_share` of the length of that of
    the reference. Each event belongs to at most one pair, and there are as many pairs as possible.

    Parameters
    ----------
    reference, found : events of one recording
    labels : sequence of str
        Events of other labels are left out.
    collar_s, offset_share : float

    Returns
    -------
    array (label, 3)
        Pairs, events of the reference, and events that were found.

    Raises
    ------
    EventMetricError
        If a tolerance is negative.
    """
    for name, value in {"collar": collar_s, "offset share": offset_share}.items():
        if not (math.isfinite(value) and value >= 0):
            raise EventMetricError(f"the {name} is {value}", expected="0 or more")
    sides = [_times(events) for events in (reference, found)]
    counts = np.zeros((len(labels), 3))
    for row, label in enumerate(labels):
        first, second = (side.get(label, np.empty((0, 2))) for side in sides)
        pairs = 0
        if len(first) and len(second):
            starts = np.abs(first[:, None, 0] - second[None, :, 0])
            ends = np.abs(first[:, None, 1] - second[None, :, 1])
            within = np.maximum(collar_s, offset_share * (first[:, 1] - first[:, 0]))
            fits = (starts <= collar_s) & (ends <= within[:, None])
            pairs = int((maximum_bipartite_matching(csr_matrix(fits)) >= 0).sum())
        counts[row] = pairs, len(first), len(second)
    return counts


def _times(events: Iterable[Labelled]) -> dict[str, NDArray[np.float64]]:
    """Return the starts and ends (event, 2) of each label."""
    found: dict[str, list[tuple[float, float]]] = {}
    for one in events:
        found.setdefault(one.label, []).append((one.start_s, one.end_s))
    return {label: np.array(times) for label, times in found.items()}


def f1(counts: Counts) -> NDArray[np.float64]:
    """Return 2 x right / (reference + found) of counts (..., 3); NaN where there is neither.

    It is the harmonic mean of precision (right / found) and recall (right / reference). It is 0
    where nothing is right; sed_eval has NaN there if nothing was found.
    """
    total = counts[..., 1] + counts[..., 2]
    empty = np.full(total.shape, np.nan)
    values: NDArray[np.float64] = np.divide(2 * counts[..., 0], total, out=empty, where=total > 0)
    return values

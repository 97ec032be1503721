"""Turn the probabilities of windows into events: a label, a start, an end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.bundle.targets import THRESHOLD
from anymic.errors import ConfigError, require_type
from anymic.inference.prediction import Prediction, require_share

Overlap = Literal["mean", "maximum"]

SLACK_S = 1e-6  # two times that differ by less are one: starts are sums of rounded numbers


@dataclass(frozen=True)
class Event:
    """One sound in a recording.

    Attributes
    ----------
    start_s, end_s : float
        In seconds from the beginning of the recording.
    label : str
    probability : float
        The highest of the event's windows; it reaches the label's threshold.
    """

    start_s: float
    end_s: float
    label: str
    probability: float


@dataclass(frozen=True)
class EventRules:
    """How windows become events.

    The rules are applied in this order. Where windows overlap, their probabilities are combined
    for each stretch of time (`overlap`). A stretch belongs to a label's event if its probability is
    at least (1 - hysteresis) x threshold, and the event has a stretch that reaches the threshold.
    Events of one label with a gap of at most `longest_gap_s` are joined. Events shorter than
    `shortest_s` are then left out. Labels do not affect each other, so events may overlap.

    Attributes
    ----------
    threshold : float or None
        For every label; None is the model's own for each label, which a model of several labels a
        clip has, else 0.5.
    hysteresis : float
        A share of the threshold, from 0 to 1. With 0.2 and a threshold of 0.5 an event lasts while
        the probability is at least 0.4.
    shortest_s, longest_gap_s : float
    overlap : {"mean", "maximum"}
        Of the windows that contain a moment.

    Raises
    ------
    ConfigError
        If a number is out of its range.

    Examples
    --------
    >>> import anymic
    >>> rules = anymic.EventRules(threshold=0.6, longest_gap_s=0.5)
    >>> events = anymic.load("run").events("clip.wav", device="B", rules=rules)
    >>> list(events.columns)
    ['start_s', 'end_s', 'label', 'probability']
    """

    threshold: float | None = None
    hysteresis: float = 0.2
    shortest_s: float = 0.0
    longest_gap_s: float = 1.0
    overlap: Overlap = "mean"

    def __post_init__(self) -> None:
        """Check the values."""
        if self.threshold is not None:
            require_share(self.threshold, "threshold")
        require_share(self.hysteresis, "hysteresis")
        for name in ("shortest_s", "longest_gap_s"):
            value = getattr(self, name)
            require_type(value, Real, f"the argument {name}", expected="a number of seconds")
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(
                    f"{name} is {value}", expected="0 s or more", fix="choose a value such as 0.5"
                )
        if self.overlap not in get_args(Overlap):
            raise ConfigError(f"overlap is {self.overlap!r}", expected="'mean' or 'maximum'")

    def thresholds_for(
        self, labels: Sequence[str], own: Mapping[str, float] | None
    ) -> NDArray[np.float64]:
        """Return a threshold for each label; `own` are those of the model."""
        known = own if own is not None and self.threshold is None else {}
        usual = THRESHOLD if self.threshold is None else self.threshold
        return np.array([known.get(label, usual) for label in labels], dtype=np.float64)


@dataclass
class _Run:
    """A stretch of one label that is not finished."""

    start_s: float
    end_s: float
    probability: float


class EventFinder:
    """Finds events in windows that are added one by one.

    Parameters
    ----------
    labels : sequence of str
    length_s : float
        Of a window.
    rules : EventRules
    thresholds : mapping of str to float, optional
        The model's own (`Prediction.thresholds`).

    Examples
    --------
    >>> finder = EventFinder(["dog", "rain"], length_s=1.0)
    >>> [finder.add(start_s, [p, 1 - p]) for start_s, p in enumerate([0.2, 0.9, 0.8])]
    [[], [], []]
    >>> for event in finder.finish():
    ...     print(event.start_s, event.end_s, event.label, event.probability)
    0.0 1.0 rain 0.8
    1.0 3.0 dog 0.9
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        length_s: float,
        rules: EventRules = EventRules(),
        thresholds: Mapping[str, float] | None = None,
    ) -> None:
        self.labels, self.length_s, self.rules = tuple(labels), length_s, rules
        self.high = rules.thresholds_for(self.labels, thresholds)
        self.low = (1 - rules.hysteresis) * self.high
        self._windows: list[tuple[float, NDArray[np.float64]]] = []  # that may continue
        self._now_s = 0.0  # the end of the last stretch
        self._open: dict[int, _Run] = {}  # stretches above the lower threshold
        self._found: dict[int, _Run] = {}  # events that later ones may be joined to

    def add(self, start_s: float, probabilities: ArrayLike) -> list[Event]:
        """Add the probabilities (label,) of the next window; return the events that are final.

        Windows come in the order of their starts.
        """
        events = self._up_to(float(start_s))
        self._windows.append((float(start_s), np.asarray(probabilities, dtype=np.float64)))
        return events

    def finish(self, end_s: float | None = None) -> list[Event]:
        """Return the events that are left; `end_s` is the end of the recording, if it is known.

        The last window may be padded: no event ends after the recording.
        """
        last_s = self._windows[-1][0] + self.length_s if self._windows else self._now_s
        events = self._up_to(last_s if end_s is None else min(last_s, end_s))
        events += self._close(set(self._open))
        events += self._give(set(self._found))
        self._windows = []
        return _in_order(events, self.labels)

    def _up_to(self, until_s: float) -> list[Event]:
        """Go on to a time, from one beginning or end of a window to the next."""
        events: list[Event] = []
        while self._windows:
            begin_s = max(self._now_s, self._windows[0][0])
            end_s = min(until_s, self._windows[0][0] + self.length_s)
            if end_s - begin_s > SLACK_S:
                values = np.array([values for _, values in self._windows])
                pooled = values.mean(axis=0) if self.rules.overlap == "mean" else values.max(axis=0)
                events += self._stretch(begin_s, end_s, pooled)
                self._now_s = end_s
            if self._windows[0][0] + self.length_s > until_s + SLACK_S:
                break
            del self._windows[0]
        return _in_order(events, self.labels)

    def _stretch(self, begin_s: float, end_s: float, values: NDArray[np.float64]) -> list[Event]:
        """Add the probabilities (label,) of the time from `begin_s` to `end_s`."""
        inside = set(np.flatnonzero(values >= self.low).tolist())
        # Windows without an overlap may leave out some time; nothing continues across it.
        apart = {one for one, run in self._open.items() if begin_s - run.end_s > SLACK_S}
        events = self._close(apart | (set(self._open) - inside))
        for label in inside:
            value = float(values[label])
            run = self._open.setdefault(label, _Run(begin_s, end_s, value))
            run.end_s, run.probability = end_s, max(run.probability, value)
        late = {
            label
            for label, run in self._found.items()
            if not self._joins(run, self._open[label].start_s if label in self._open else end_s)
        }
        return events + self._give(late)

    def _joins(self, before: _Run, start_s: float) -> bool:
        return start_s - before.end_s <= self.rules.longest_gap_s + SLACK_S

    def _close(self, labels: set[int]) -> list[Event]:
        """End open stretches: those that reached their threshold are events, or join the last."""
        events: list[Event] = []
        for label in labels:
            run = self._open.pop(label)
            if run.probability < self.high[label]:
                continue
            before = self._found.get(label)
            if before is not None and self._joins(before, run.start_s):
                before.end_s = run.end_s
                before.probability = max(before.probability, run.probability)
                continue
            events += self._give({label} & set(self._found))
            self._found[label] = run
        return events

    def _give(self, labels: set[int]) -> list[Event]:
        """Return events to which no other can be joined, without those that are too short."""
        runs = [(label, self._found.pop(label)) for label in labels]
        return [
            Event(run.start_s, run.end_s, self.labels[label], run.probability)
            for label, run in runs
            if run.end_s - run.start_s >= self.rules.shortest_s - SLACK_S
        ]


def find_events(
    starts_s: Sequence[float],
    probabilities: ArrayLike,
    labels: Sequence[str],
    *,
    length_s: float,
    rules: EventRules = EventRules(),
    thresholds: Mapping[str, float] | None = None,
    end_s: float | None = None,
) -> list[Event]:
    """Return the events of a recording in the order of their starts.

    They are those that `EventFinder` gives for the same windows.

    Parameters
    ----------
    starts_s : sequence of float
        Of each window, ascending.
    probabilities : array (window, label)
    labels, length_s, rules, thresholds
        As for `EventFinder`.
    end_s : float, optional
        The end of the recording.

    Examples
    --------
    >>> find_events([0.0, 1.0, 2.0], [[0.9], [0.1], [0.9]], ["dog"], length_s=1.0)
    [Event(start_s=0.0, end_s=3.0, label='dog', probability=0.9)]
    """
    finder = EventFinder(labels, length_s=length_s, rules=rules, thresholds=thresholds)
    events: list[Event] = []
    for start_s, values in zip(starts_s, np.asarray(probabilities), strict=True):
        events += finder.add(start_s, values)
    return _in_order(events + finder.finish(end_s), labels)


def events_of(
    prediction: Prediction,
    *,
    length_s: float,
    rules: EventRules = EventRules(),
) -> list[Event]:
    """Return the events of a file's prediction; `length_s` is the contract's `clip_s`."""
    return find_events(
        prediction.window_starts_s,
        prediction.window_probabilities,
        tuple(prediction.probabilities),
        length_s=length_s,
        rules=rules,
        thresholds=prediction.thresholds,
        end_s=prediction.start_s + prediction.duration_s,
    )


def _in_order(events: list[Event], labels: Sequence[str]) -> list[Event]:
    place = {label: number for number, label in enumerate(labels)}
    return sorted(events, key=lambda event: (event.start_s, place[event.label], event.end_s))

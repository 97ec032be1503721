"""Find the events of recordings of any length: their windows are not kept in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from heapq import nlargest
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.bundle import Bundle, Ensemble
from anymic.errors import AnymicError, Failure
from anymic.inference.answers import calibrate, thresholds_by_label
from anymic.inference.events import Event, EventFinder, EventRules, events_of
from anymic.inference.pipeline import ClipPipeline
from anymic.inference.prediction import DeviceFrom, DevicePolicy, Prediction, Stretch
from anymic.inference.requests import ClipRequest
from anymic.inference.stretch_rows import notes_of, stretches_of
from anymic.inference.windowing import End, Window


@dataclass(frozen=True)
class RecordingEvents:
    """The events of one recording.

    Attributes
    ----------
    path : str
    events : tuple of Event
        In the order of their starts; with `every_window`, an entry for each window.
    start_s, duration_s : float
        The part of the file.
    windows : int
    device, device_from, device_policy, device_probability, notes, stretches
        As of a `Prediction`.
    """

    path: str
    events: tuple[Event, ...]
    start_s: float = 0.0
    duration_s: float = 0.0
    windows: int = 0
    device: str | None = None
    device_from: DeviceFrom = "assumed"
    device_policy: DevicePolicy = "identity"
    device_probability: float | None = None
    notes: tuple[str, ...] = ()
    stretches: tuple[Stretch, ...] = ()

    def as_mapping(self) -> dict[str, Any]:
        """Return plain values for JSON, which `from_mapping` reads."""
        values = asdict(self)
        values["events"] = [list(each.values()) for each in values["events"]]
        values["notes"] = list(self.notes)
        return values

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> RecordingEvents:
        """Return the events of a recording from what `as_mapping` returned."""
        events = tuple(Event(*each) for each in values["events"])
        stretches = tuple(Stretch(**each) for each in values["stretches"])
        notes = tuple(values["notes"])
        return cls(**{**values, "events": events, "notes": notes, "stretches": stretches})


class Finder(Protocol):
    """What turns windows into events: `EventFinder`, or `EveryWindow`."""

    def add(self, start_s: float, probabilities: ArrayLike) -> list[Event]:
        """Add a window; return the events that are final."""

    def finish(self, end_s: float | None = None) -> list[Event]:
        """Return the events that are left."""


class EveryWindow:
    """Gives each window as an event of its most probable label, or of the `top` most probable."""

    def __init__(self, labels: tuple[str, ...], *, length_s: float, top: int = 1) -> None:
        self.labels, self.length_s, self.top = labels, length_s, top
        self._last: list[Event] = []

    def add(self, start_s: float, probabilities: ArrayLike) -> list[Event]:
        """Add a window; return the one before it."""
        before = self._last
        best = nlargest(self.top, enumerate(np.asarray(probabilities).tolist()), key=_share)
        end_s = float(start_s) + self.length_s
        self._last = [Event(float(start_s), end_s, self.labels[one], p) for one, p in best]
        return before

    def finish(self, end_s: float | None = None) -> list[Event]:
        """Return the last window; it ends with the recording."""
        return [
            Event(one.start_s, min(one.end_s, end_s or one.end_s), one.label, one.probability)
            for one in self._last
        ]


def _share(item: tuple[int, float]) -> float:
    return item[1]


@dataclass(frozen=True)
class EventSettings:
    """What decides the events of a model's windows.

    Attributes
    ----------
    rules : EventRules
    every_window : bool
        Give each window instead of events.
    top : int
        With `every_window`: of so many labels, the most probable ones.
    """

    rules: EventRules = field(default_factory=EventRules)
    every_window: bool = False
    top: int = 1

    def finder(
        self, labels: tuple[str, ...], length_s: float, thresholds: dict[str, float] | None
    ) -> Finder:
        """Return what finds the events of a recording."""
        if self.every_window:
            return EveryWindow(labels, length_s=length_s, top=self.top)
        return EventFinder(labels, length_s=length_s, rules=self.rules, thresholds=thresholds)

    def of_prediction(self, found: Prediction, length_s: float) -> RecordingEvents:
        """Return the events of a prediction that has kept its windows."""
        if self.every_window:
            finder = EveryWindow(tuple(found.probabilities), length_s=length_s, top=self.top)
            events: list[Event] = []
            for start_s, row in zip(found.window_starts_s, found.window_probabilities, strict=True):
                events += finder.add(start_s, row)
            events += finder.finish(found.start_s + found.duration_s)
        else:
            events = events_of(found, length_s=length_s, rules=self.rules)
        return RecordingEvents(
            found.path,
            tuple(events),
            found.start_s,
            found.duration_s,
            found.windows,
            found.device,
            found.device_from,
            found.device_policy,
            found.device_probability,
            found.notes,
            found.stretches,
        )


@dataclass(eq=False, kw_only=True)
class EventRequest(ClipRequest):
    """A recording whose windows go through a finder as they are computed."""

    model: Bundle | Ensemble
    finder: Finder
    found: list[Event] = field(default_factory=list)
    windows_done: int = 0

    def begin(self, window: Window) -> None:
        """Add a window that was read."""
        self.computing += 1

    def deliver(
        self, window: Window, result: NDArray[np.float64] | AnymicError, *, finite: bool
    ) -> None:
        """Pass the probabilities of a window on, calibrated as if it were the whole clip."""
        super().deliver(window, result, finite=finite)
        values = self.windows.pop()
        if self.failed is not None:
            self.found.clear()
            return
        (own,) = calibrate(values[None], self.model.calibration, [self.device_at(window.start_s)])
        self.found += self.finder.add(window.start_s, own)
        self.windows_done += 1

    def outcome(self) -> RecordingEvents | Failure:
        """Return the events, when the request is done."""
        if self.failed is not None:
            return Failure(self.path, str(self.failed))
        assert isinstance(self.end, End)
        self.found += self.finder.finish(self.end.start_s + self.end.duration_s)
        place = {label: number for number, label in enumerate(self.model.labels)}
        if isinstance(self.finder, EventFinder):
            self.found.sort(key=lambda one: (one.start_s, place[one.label], one.end_s))
        stretches = stretches_of(self)
        return RecordingEvents(
            path=self.path,
            events=tuple(self.found),
            start_s=self.end.start_s,
            duration_s=self.end.duration_s,
            windows=self.windows_done,
            device=self.device,
            device_from=self.device_from,
            device_policy=self.policy,
            device_probability=self.identification.probability if self.identification else None,
            notes=notes_of(self, self.model, stretches),
            stretches=stretches,
        )


def recording_events(
    pipeline: ClipPipeline,
    model: Bundle | Ensemble,
    requests: Iterable[ClipRequest],
    settings: EventSettings,
) -> Iterator[RecordingEvents | Failure]:
    """Yield the events of each recording, or its failure, in order.

    Parameters
    ----------
    pipeline : ClipPipeline
        That of a `Predictor` of the model.
    model : Bundle or Ensemble
    requests : iterable of ClipRequest
        They are drawn as they are needed.
    settings : EventSettings
    """
    thresholds = thresholds_by_label(model)

    def requested(one: ClipRequest) -> EventRequest:
        finder = settings.finder(model.labels, model.contract.clip_s, thresholds)
        same = {each.name: getattr(one, each.name) for each in fields(ClipRequest)}
        return EventRequest(**same, model=model, finder=finder)

    for request in pipeline.run(map(requested, requests), alike=True):
        assert isinstance(request, EventRequest)
        yield request.outcome()

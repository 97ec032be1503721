"""Classify sound while it arrives: the windows of a file, one by one, and the events in them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import overload

import numpy as np
from numpy.typing import NDArray

from anymic.audio.source import Source
from anymic.bundle import Bundle, Ensemble
from anymic.errors import AnymicError
from anymic.inference.answers import calibrate, thresholds_by_label
from anymic.inference.device_policy import device_note
from anymic.inference.events import Event, EventFinder, EventRules
from anymic.inference.exported_predictor import ExportedPredictor
from anymic.inference.onnx_model import OnnxModel
from anymic.inference.prediction import named_labels
from anymic.inference.predictor import Predictor
from anymic.inference.requests import ClipRequest
from anymic.inference.windowing import End, Window

KEPT = 10_000  # computing times for the summary


@dataclass(frozen=True)
class StreamWindow:
    """The answer for one window.

    Attributes
    ----------
    start_s, end_s : float
        In seconds from the first sample.
    label, probability
        The most probable label, as of a `Prediction`.
    labels : tuple of str
        With several labels a clip, those that are named; else that one.
    probabilities : dict of str to float
    latency_s : float
        From the window's last sample to the answer: the time of computing.
    """

    start_s: float
    end_s: float
    label: str
    probability: float
    labels: tuple[str, ...]
    probabilities: dict[str, float]
    latency_s: float


@dataclass(frozen=True)
class StreamEvent:
    """An event; see `anymic.inference.events.Event`.

    Attributes
    ----------
    start_s, end_s, label, probability
        As of an `Event`.
    latency_s : float
        From the event's end to its answer, where sound arrives in real time: the sound that had to
        be awaited and the time of computing.
    """

    start_s: float
    end_s: float
    label: str
    probability: float
    latency_s: float


class LiveClassifier:
    """Classifies sound from an open source while it arrives.

    The windows are those that `Predictor.predict` cuts a file into, and their probabilities are
    the same. Each is computed as soon as its last sample has arrived (with resampling, up to 0.2 s
    later). A model that identifies devices, or estimates gains blindly, first waits for half a
    minute of sound, as for a file.

    Parameters
    ----------
    predictor : Predictor or ExportedPredictor
    source : Source
        Open; it is not closed.
    device : str, optional
        The device that records.
    rules : EventRules
        How windows become events.

    Attributes
    ----------
    windows : int
        How many there were.
    notes : tuple of str
        What was done to the sound; complete at its end.

    Examples
    --------
    >>> import anymic, sys
    >>> from anymic.audio.live import PcmSource
    >>> source = PcmSource(sys.stdin.buffer, rate_hz=16000)  # doctest: +SKIP
    >>> live = LiveClassifier(anymic.load("run"), source)  # doctest: +SKIP
    >>> for answer in live:  # doctest: +SKIP
    ...     print(answer.start_s, answer.label)
    """

    def __init__(
        self,
        predictor: Predictor | ExportedPredictor,
        source: Source,
        *,
        device: str | None = None,
        rules: EventRules | None = None,
    ) -> None:
        self.predictor, self.source = predictor, source
        bundle = predictor.bundle
        self.contract, self.labels = bundle.contract, bundle.labels
        self.thresholds = thresholds_by_label(bundle)
        self.request = ClipRequest(source, device, "assumed" if device is None else "stated")
        self.finder = EventFinder(
            self.labels,
            length_s=self.contract.clip_s,
            rules=rules or EventRules(),
            thresholds=self.thresholds,
        )
        self.windows, self.notes = 0, tuple[str, ...]()
        self._until_s = 0.0  # where the sound ends of which windows are computed
        self._times_s: list[float] = []
        self._sound = False

    def __iter__(self) -> Iterator[StreamWindow | StreamEvent]:
        """Yield each window, and each event after the window that makes it final.

        Raises
        ------
        AudioError
            If the source ends too early or sends what cannot be classified. `finish` then returns
            the events until there.
        DeviceError
            If the contract refuses clips of unknown devices.
        """
        for item in self._cut():
            if isinstance(item, End):
                yield from self.finish(item)
            else:
                yield from self._answers(item)

    def finish(self, end: End | None = None) -> list[StreamEvent]:
        """Return the events that are left, at the end or after an interruption; once."""
        end_s = None
        if end is not None:
            end_s = end.start_s + end.duration_s
            self.notes += end.notes
            self.notes += tuple(one for one in self.source.notes if one not in self.notes)
            if not self._sound:
                self.notes += ("every sample was 0",)
        return self._events(self.finder.finish(end_s), 0.0)

    def latency(self) -> str:
        """Return a sentence on the latency so far."""
        length_s, hop_s = self.contract.clip_s, self.contract.hop_samples / self.contract.rate_hz
        text = f"{self.windows} windows of {length_s:.3f} s, one every {hop_s:.3f} s"
        if not self._times_s:
            return text
        usual, most = median(self._times_s), max(self._times_s)
        return (
            f"{text}; latency: the window's {length_s:.3f} s, and {usual:.3f} s to compute it "
            f"(at most {most:.3f} s)"
        )

    def _answers(self, window: Window) -> Iterator[StreamWindow | StreamEvent]:
        """Compute one window, and yield the answer and the events that it ends."""
        begun_s = time.perf_counter()
        own = self._probabilities(window)
        if not self.windows:
            self.notes += self._device_notes()
        self.windows += 1
        self._sound = self._sound or bool(window.samples.any())
        self._until_s = window.start_s + self.contract.clip_s
        probabilities = dict(zip(self.labels, own.tolist(), strict=True))
        best = int(own.argmax())
        labels: tuple[str, ...] = (self.labels[best],)
        if self.thresholds is not None:
            least = self.predictor.min_confidence
            named = named_labels(probabilities, self.thresholds, least)
            labels = tuple(label for label, _ in named)
        events = self.finder.add(window.start_s, own)
        took_s = time.perf_counter() - begun_s
        if len(self._times_s) < KEPT:
            self._times_s.append(took_s)
        yield StreamWindow(
            start_s=window.start_s,
            end_s=self._until_s,
            label=self.labels[best],
            probability=float(own[best]),
            labels=labels,
            probabilities=probabilities,
            latency_s=took_s,
        )
        yield from self._events(events, took_s)

    def _cut(self) -> Iterator[Window | End]:
        if isinstance(self.predictor, ExportedPredictor):
            return self.predictor.windows(self.request)
        return self.predictor.pipeline.gain_selector.windows(self.request)

    def _probabilities(self, window: Window) -> NDArray[np.float64]:
        """Return the probabilities (label,) of a window, calibrated."""
        request = self.request
        if isinstance(self.predictor, ExportedPredictor):
            return self.predictor.of_window(window, request.device)
        ((_, _, result, finite),) = self.predictor.pipeline.compute_batch([(request, window)])
        request.deliver(window, result, finite=finite)
        if isinstance(request.failed, AnymicError):
            raise request.failed
        values = request.windows.pop()
        calibration = self.predictor.bundle.calibration
        return np.asarray(calibrate(values[None], calibration, [request.device])[0])

    def _device_notes(self) -> tuple[str, ...]:
        request = self.request
        if isinstance(self.predictor, ExportedPredictor):
            return self.predictor.notes(request.device)
        bundle = self.predictor.bundle
        return device_note(request.device, request.policy, bundle.devices, bundle.blind_devices)

    def _events(self, events: list[Event], took_s: float) -> list[StreamEvent]:
        return [
            StreamEvent(
                one.start_s,
                one.end_s,
                one.label,
                one.probability,
                max(self._until_s - one.end_s, 0.0) + took_s,
            )
            for one in events
        ]


@overload
def with_hop(model: Bundle, hop_s: float | None) -> Bundle: ...


@overload
def with_hop(model: Ensemble, hop_s: float | None) -> Ensemble: ...


@overload
def with_hop(
    model: Bundle | Ensemble | OnnxModel, hop_s: float | None
) -> Bundle | Ensemble | OnnxModel: ...


def with_hop(
    model: Bundle | Ensemble | OnnxModel, hop_s: float | None
) -> Bundle | Ensemble | OnnxModel:
    """Return a model whose windows begin every `hop_s` seconds; the model itself without one.

    Raises
    ------
    ConfigError
        If it is shorter than a sample, or longer than a window.
    """
    if hop_s is None:
        return model
    if isinstance(model, OnnxModel):
        return model.with_hop(hop_s)
    if isinstance(model, Ensemble):
        members = tuple(with_hop(member, hop_s) for member in model.members)
        return replace(model, members=members)
    return replace(model, contract=replace(model.contract, hop_s=hop_s))

"""Measure the events that a model finds in recordings against annotated ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anymic.bundle import load
from anymic.data.annotations import Annotation, read_annotations
from anymic.data.tables import some
from anymic.errors import AudioError, Failure, ManifestError, counted, did_you_mean
from anymic.evaluation.report.cells import percent
from anymic.evaluation.report.rows import Row, row, write_json
from anymic.evaluation.report.tables import Table
from anymic.inference.predictor import Predictor
from anymic.inference.recordings import EventSettings, RecordingEvents, recording_events
from anymic.inference.requests import request_of
from anymic.inference.streaming import with_hop
from anymic.metrics.events import (
    COLLAR_S,
    OFFSET_SHARE,
    SEGMENT_S,
    Counts,
    event_counts,
    f1,
    segment_counts,
)
from anymic.metrics.intervals import Interval, percentile_interval, resampled_totals

BEHIND_S = 0.01  # an annotation may end so much after the file: tables round times
SEGMENTS, EVENTS = "segment_f1", "event_f1"


@dataclass(frozen=True)
class EventEvaluation:
    """What `evaluate_events` measured.

    Attributes
    ----------
    rows : tuple of Row
        `segment_f1` and `event_f1` of all labels together, of their mean (label "mean of labels")
        and of each label; n is the number of annotated events, or segments.
    failures : tuple of Failure
        Recordings that could not be used.
    recordings : int
    settings : dict
        Those of the comparison and of the events.
    """

    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]
    recordings: int
    settings: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: str | Path, **header: Any) -> Path:
        """Write `events.json` into a folder; return the file."""
        failures = [asdict(one) for one in self.failures]
        return write_json(
            self.rows,
            Path(folder) / "events.json",
            recordings=self.recordings,
            failures=failures,
            settings=self.settings,
            **header,
        )

    def table(self) -> Table:
        """Return the rows as a table."""
        names = list(dict.fromkeys(one.condition.get("label", "all events") for one in self.rows))
        found = {(one.condition.get("label", "all events"), one.metric): one for one in self.rows}
        lines = []
        for name in names:
            of_events = found.get((name, EVENTS))
            both = (found.get((name, SEGMENTS)), of_events)
            cells = ["-" if one is None else percent(one, unit=" %") for one in both]
            lines.append((name, *cells, str(of_events.n) if of_events else "-"))
        columns = ("label", "segment F1", "event F1", "events")
        return Table(columns, tuple(lines))


def evaluate_events(
    model: str | Path,
    annotations: str | Path,
    *,
    settings: EventSettings | None = None,
    hop_s: float | None = None,
    segment_s: float = SEGMENT_S,
    collar_s: float = COLLAR_S,
    device: str | None = None,
    seed: int = 0,
    accelerator: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> EventEvaluation:
    """Compare the events of a model with annotated events: segment-based and event-based F1.

    The definitions are those of sed_eval (`anymic.metrics.events`). Counts are added over all
    recordings; the 95 % intervals are over resamples of whole recordings.

    Parameters
    ----------
    model : path
        The folder of a model or an ensemble.
    annotations : path
        A table (`anymic.data.annotations.read_annotations`).
    settings, hop_s, device, accelerator, progress
        As for `anymic.inference.event_run.predict_events`.
    segment_s : float
        Length of a segment.
    collar_s : float
        By how much starts and ends of events may differ; ends also by half the event's length.
    seed : int
        Of the resamples.

    Raises
    ------
    ManifestError
        If the annotations cannot be used, or name a label that the model does not have.
    AudioError
        If no recording can be used.
    """
    settings = settings or EventSettings()
    wanted = read_annotations(annotations)
    loaded = with_hop(load(model), hop_s)
    _refuse_labels(wanted, loaded.labels)
    predictor = Predictor(loaded, accelerator=accelerator)
    requests = [request_of(path, device) for path in wanted]
    wanted = {one.path: own for one, own in zip(requests, wanted.values(), strict=True)}
    outcomes = recording_events(predictor.pipeline, loaded, iter(requests), settings)
    counts: dict[str, list[Counts]] = {SEGMENTS: [], EVENTS: []}
    failures: list[Failure] = []
    for number, one in enumerate(outcomes, start=1):
        if progress is not None:
            progress(number, len(requests))
        if not isinstance(one, Failure):
            one = _refused(one, wanted[one.path])
        if isinstance(one, Failure):
            failures.append(one)
            continue
        pair = (wanted[one.path], one.events, loaded.labels)
        counts[SEGMENTS].append(segment_counts(*pair, segment_s=segment_s))
        counts[EVENTS].append(event_counts(*pair, collar_s=collar_s))
    if not counts[EVENTS]:
        raise AudioError(
            f"no recording can be used. The first failure: {failures[0].reason}",
            expected="at least one",
            fix="correct the files",
        )
    rows = [
        each
        for metric, own in counts.items()
        for each in _rows(metric, np.stack(own), loaded.labels, seed)
    ]
    used = {
        "segment_s": segment_s,
        "collar_s": collar_s,
        "offset_share": OFFSET_SHARE,
        "hop_s": hop_s,
        **asdict(settings.rules),
    }
    return EventEvaluation(tuple(rows), tuple(failures), len(counts[EVENTS]), used)


def _rows(metric: str, counts: Counts, labels: Sequence[str], seed: int) -> list[Row]:
    """Return the rows of a metric; `counts` are (recording, label, 3)."""
    annotated = counts[:, :, 1].sum(axis=0)
    there = np.flatnonzero(counts.sum(axis=(0, 2)))
    found = []
    if len(there):
        own = counts[:, there].sum(axis=1)
        found.append(row(metric, _interval(own, int(annotated.sum()), seed)))
        mean = float(np.mean(f1(counts[:, there].sum(axis=0))))
        mean_row = Interval.unknown(mean, max(int(annotated.sum()), 1))
        found.append(row(metric, mean_row, label="mean of labels"))
    for one in there.tolist():
        found.append(
            row(metric, _interval(counts[:, one], int(annotated[one]), seed), label=labels[one])
        )
    return found


def _interval(counts: Counts, n: int, seed: int) -> Interval:
    """Return F1 of counts (recording, 3) with the interval over resamples of recordings."""
    value = float(f1(counts.sum(axis=0)))
    if len(counts) < 2:
        return Interval.unknown(value, max(n, 1))
    resampled = f1(resampled_totals(counts, seed=seed))
    return percentile_interval(value, resampled, groups=len(counts), n=max(n, 1))


def _refuse_labels(wanted: Mapping[str, list[Annotation]], labels: Sequence[str]) -> None:
    unknown = dict.fromkeys(
        one.label for events in wanted.values() for one in events if one.label not in labels
    )
    if unknown:
        named = some(repr(one) + did_you_mean(one, labels) for one in unknown)
        raise ManifestError(
            f"the annotations have {counted(len(unknown), 'label')} that the model does not have:"
            f" {named}",
            expected=f"labels of the model ({some(labels, most=10)})",
            fix="rename them, or leave these events out",
        )


def _refused(one: RecordingEvents, wanted: Sequence[Annotation]) -> RecordingEvents | Failure:
    """Return a failure for a recording that is shorter than its annotations."""
    end_s = one.start_s + one.duration_s
    behind = [event for event in wanted if event.end_s > end_s + BEHIND_S]
    if not behind:
        return one
    error = AudioError(
        f"{counted(len(behind), 'annotation')} of {one.path} end after it, the last at"
        f" {max(event.end_s for event in behind):.3f} s",
        expected=f"events within its {end_s:.3f} s",
        fix="correct the table, or the name of the file",
    )
    return Failure(one.path, str(error))

"""Write the events of many recordings into a file; an interrupted run goes on where it ended."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from anymic._internal.files import key_of
from anymic._internal.journal import journal_of
from anymic.bundle import Bundle, Ensemble
from anymic.errors import AnymicWarning, ConfigError, Failure, none_of
from anymic.inference.embedding_head import VectorHead
from anymic.inference.engine import Precision
from anymic.inference.event_formats import refuse_several, target_of, write_events
from anymic.inference.files import audio_files, load_model
from anymic.inference.onnx_model import OnnxModel
from anymic.inference.onnx_predictor import predict_onnx
from anymic.inference.pipeline import LEAN_VALUES, fitting_batch
from anymic.inference.predictor import Predictor
from anymic.inference.recordings import EventSettings, RecordingEvents, recording_events
from anymic.inference.requests import ClipRequest, request_of, share_device
from anymic.inference.resuming import Resumed, model_key, states_key
from anymic.inference.spreading import HERE, Spreading, settings_of
from anymic.inference.streaming import with_hop

Found = Iterator[RecordingEvents | Failure]
MODEL = "a model of audio"


@dataclass(frozen=True)
class EventsWritten:
    """What a run has written.

    Attributes
    ----------
    files : tuple of Path
    recordings, events, kept, without : int
        `kept` of the recordings were done by an earlier run that was interrupted, and
        `without` have no event.
    failures : tuple of Failure
    journal : Path or None
        Of a run some of whose recordings failed: a repeated run tries only them again.
    """

    files: tuple[Path, ...]
    recordings: int
    events: int
    kept: int
    without: int = 0
    failures: tuple[Failure, ...] = ()
    journal: Path | None = None


def predict_events(
    model: str | Path,
    places: Sequence[str | Path],
    out: str | Path,
    *,
    kind: str | None = None,
    settings: EventSettings | None = None,
    hop_s: float | None = None,
    device: str | None = None,
    together: bool = False,
    batch_size: int | None = None,
    accelerator: str = "auto",
    spreading: Spreading = HERE,
    progress: Callable[[int, int], None] | None = None,
) -> EventsWritten:
    """Find the events of recordings, and write them into a file or a folder.

    A journal beside the output (`events.csv.journal`) keeps the results of finished recordings. A
    run that was interrupted and is repeated goes on with the others, and ends with the same bytes.
    Files that have changed since are done again. At the end the journal is deleted, unless some
    recordings failed.

    Parameters
    ----------
    model : path
        The folder of a model or an ensemble, the name of an installed model, or an .onnx file.
    places : sequence of path
        Files, folders and patterns (`anymic.data.files.find_files`).
    out : path
        A file, or a folder (`anymic.inference.event_formats.target_of`).
    kind : str, optional
        csv, jsonl, parquet, audacity, raven or textgrid; by default that of the ending.
    settings : EventSettings, optional
        How windows become events; by default the rules of `EventRules`.
    hop_s : float, optional
        From the start of a window to that of the next; by default the model's.
    device, together
        As for `Predictor.predict_many`.
    batch_size, accelerator
        As for `Predictor`.
    spreading : Spreading
        Where the recordings are computed; the output has the same bytes.
    progress : callable, optional
        Called with the number of recordings that are done, and of all.

    Raises
    ------
    ConfigError
        If the format, an option or the journal does not fit.
    BundleError
        If there is no model of audio.

    Examples
    --------
    >>> predict_events("run", ["recordings/"], "events.csv")  # doctest: +SKIP
    """
    settings = settings or EventSettings()
    target = target_of(out, kind)
    places_found = audio_files(places)
    never = [one for one in places_found if isinstance(one, Failure)]
    files_found = {str(one): one for one in places_found if isinstance(one, Path)}
    paths = list(files_found)
    refuse_several(target, len(paths))
    finder = EventModel(str(model), settings, hop_s, together, batch_size, accelerator)
    loaded, predictor = finder.load()
    _note_unknown(device, loaded.devices)
    if predictor is not None:
        finder = replace(finder, **settings_of(predictor.pipeline))
    decisive = {"model": model_key(model), "device": device, "hop_s": hop_s}
    if together:  # each recording has a part in the gains of the others
        decisive["together"] = key_of(states_key(files_found.values()))
    with journal_of(target.place, {**decisive, **_decisive(settings, predictor)}) as journal:
        run = Resumed(
            journal,
            paths,
            lambda path: request_of(files_found[path], device),
            lambda requests: _found(loaded, predictor, requests, settings),
            RecordingEvents.as_mapping,
            RecordingEvents.from_mapping,
            spread=spreading.over(finder, accelerator=accelerator),
        )
        if together and predictor is not None:
            run.prepare = partial(_with_shared_gains, predictor, run)
        for number, _ in enumerate(run.run(), start=1):
            if progress is not None:
                progress(number, len(paths))
        counter = _Counter(one for _, one in run.results())
        files = write_events(counter, target, paths=paths, highest_hz=_highest_hz(loaded))
        journal.end(keep=bool(run.failures))
    return EventsWritten(
        files=tuple(files),
        recordings=counter.recordings,
        events=counter.events,
        kept=run.kept,
        without=counter.without,
        failures=(*never, *run.failures.values()),
        journal=journal.folder if run.failures else None,
    )


def _decisive(settings: EventSettings, predictor: Predictor | None) -> dict[str, Any]:
    """Return what else decides the results, to the last bit."""
    return {
        "work": "events",
        "anymic": version("anymic"),
        "number_format": str(predictor.engine.dtype) if predictor else "onnx",
        "batch": predictor.pipeline.batch_size if predictor else 0,
        **asdict(settings.rules),
        "every_window": settings.every_window,
        "top": settings.top,
    }


def _note_unknown(device: str | None, known: Sequence[str]) -> None:
    if device and known and device not in known:
        warnings.warn(none_of(device, known), AnymicWarning, stacklevel=3)


class _Counter:
    """Counts what goes through it."""

    def __init__(self, found: Iterable[RecordingEvents]) -> None:
        self._found, self.recordings, self.events, self.without = found, 0, 0, 0

    def __iter__(self) -> Iterator[RecordingEvents]:
        for one in self._found:
            self.recordings += 1
            self.events += len(one.events)
            self.without += not one.events
            yield one


@dataclass(frozen=True)
class EventModel:
    """Loads a model, here or in a worker, that finds the events of recordings.

    The parameters are those of `predict_events`.
    """

    model: str
    settings: EventSettings
    hop_s: float | None
    together: bool
    batch_size: int | None
    accelerator: str
    precision: Precision = "auto"

    def load(self) -> tuple[Bundle | Ensemble | OnnxModel, Predictor | None]:
        """Return the model, and what answers with it, if it is no .onnx file."""
        loaded = _loaded(self.model, self.hop_s, together=self.together)
        if isinstance(loaded, OnnxModel):
            return loaded, None
        predictor = Predictor(
            loaded,
            batch_size=self.batch_size,
            precision=self.precision,
            accelerator=self.accelerator,
        )
        if self.batch_size is None:
            lean = fitting_batch(loaded, predictor.engine, most_values=LEAN_VALUES)
            predictor.pipeline.batch_size = lean
        return loaded, predictor

    def __call__(self) -> Callable[[list[ClipRequest]], list[RecordingEvents | Failure]]:
        """Return the function of a worker."""
        loaded, predictor = self.load()
        return lambda requests: list(_found(loaded, predictor, requests, self.settings))


def _loaded(
    place: str | Path, hop_s: float | None, *, together: bool
) -> Bundle | Ensemble | OnnxModel:
    model = load_model(place)
    if isinstance(model, VectorHead):
        raise ConfigError(
            "a head on embeddings has no times", expected=MODEL, fix="leave the output out"
        )
    if isinstance(model, OnnxModel):
        given = {"hop": hop_s is not None, "together": together}
        if refused := [name for name, value in given.items() if value]:
            raise ConfigError(
                f"{refused[0]} cannot be used with an .onnx file",
                expected="the folder of a model",
                fix=f"leave {refused[0]} out",
            )
        return model
    return with_hop(model, hop_s)


def _highest_hz(model: Bundle | Ensemble | OnnxModel) -> float:
    """Return the highest frequency that a model analyses."""
    rate_hz = model.rate_hz if isinstance(model, OnnxModel) else model.contract.rate_hz
    return rate_hz / 2


def _found(
    model: Bundle | Ensemble | OnnxModel,
    predictor: Predictor | None,
    requests: Iterable[ClipRequest],
    settings: EventSettings,
) -> Found:
    """Yield the events of each recording."""
    if isinstance(model, OnnxModel):
        yield from _found_by_onnx(model, requests, settings)
        return
    assert predictor is not None
    yield from recording_events(predictor.pipeline, model, requests, settings)


def _with_shared_gains(
    predictor: Predictor, run: Resumed[Any], requests: Iterable[ClipRequest]
) -> Iterator[ClipRequest]:
    """Yield the requests with gains that are estimated from all recordings of a run."""
    everyone = {one.path: one for one in run.requests(run.keys)}
    share_device(list(everyone.values()), predictor.bundle.contract.unknown_device)
    predictor.pipeline.gain_selector.share_gains(list(everyone.values()))
    for request in requests:
        everyone[request.path].apart = request.apart
        yield everyone[request.path]


def _found_by_onnx(
    model: OnnxModel, requests: Iterable[ClipRequest], settings: EventSettings
) -> Found:
    for request in requests:
        for one in predict_onnx(model, [request.file], device=request.device):
            if isinstance(one, Failure):
                yield one
                continue
            length_s = one.duration_s
            if model.exported is not None:
                length_s = model.exported.contract.clip_s
            elif model.clip_samples is not None:
                length_s = model.clip_samples / model.rate_hz
            yield settings.of_prediction(one, length_s)

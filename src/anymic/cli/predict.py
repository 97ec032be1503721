"""``anymic predict``: classify audio files, and find the events in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anymic._internal.progress import growing_bar, track
from anymic.cli.event_options import event_settings, refuse_event_options
from anymic.cli.predict_rows import print_results, recorded
from anymic.cli.printing import Outcome, exit_if_failed, failures_as_json, note
from anymic.errors import ConfigError, counted, none_of

if TYPE_CHECKING:
    from anymic.inference.recordings import EventSettings
    from anymic.inference.spreading import Spreading


def predict(
    paths: list[str],
    *,
    model: Path,
    device: str | None = None,
    together: bool = False,
    out: Path | None = None,
    format: str | None = None,
    every_window: bool = False,
    threshold: float | None = None,
    hysteresis: float = 0.2,
    shortest: float = 0.0,
    longest_gap: float = 1.0,
    overlap: str = "mean",
    hop: float | None = None,
    min_confidence: float = 0.0,
    top: int = 1,
    batch: int | None = None,
    accelerator: str = "auto",
    workers: int = 1,
    ray: str | None = None,
    submission: Path | None = None,
    as_json: bool = False,
) -> None:
    """Classify audio files.

    A file longer than the model's clips is cut into windows, each is classified, and the mean of
    their probabilities decides. With --out, the events in each file are written: what, from when to
    when. The notes list what was done to fit a file to the model (rate,
    channels, length). Where no device is stated, the model's identifier names it, if it has one.
    What is done with a file of unknown device is a setting of the model (`anymic devices policy`):
    it is not corrected, or corrected with gains estimated from its first half minute (with
    --together, from all such files), or refused.

    With --min-confidence 0.8, a file (or window) whose most probable label has less than 0.8 gets
    the answer "not sure"; the probability stays, and the notes name the label (in JSON, "answer"
    is null). `anymic calibrate` calibrates the probabilities; `anymic evaluate` measures how many
    clips are answered at such a threshold, and how well.

    A model of several labels a clip names the labels whose score reaches their threshold, with
    semicolons between them (in JSON, "labels" is a list): several, one, or none of them. --top 5
    then shows the five highest scores, whether they are named or not.

    Into a pipe, rows are tab-separated: file, label, probability, device, correction ("device
    stated: corrected", "device identified (0.98): corrected", "device unknown: not corrected") or
    "failed", and notes or the reason; --every-window is a row for each window, with its start in
    seconds after the file; --top 3 adds two more pairs of label and probability.

    --out events.csv writes a row for each event: file, start and end in seconds, label, highest
    probability, device, how it is known, correction, notes. Other formats are JSON Lines, Parquet,
    and the labels of Audacity, Raven and Praat (TextGrid), a file for each recording. A label's
    event lasts as long as its probability is at least (1 - hysteresis) x threshold, if it reaches
    the threshold once; events of one label with a gap of at most --longest-gap are joined; those
    shorter than --shortest are then left out. A journal beside the output keeps what is done: a run
    that is interrupted, and repeated, goes on there, and repeats only files that have changed.

    --submission FILE writes a CSV with the columns fname and label: the file's name, and its three
    most probable labels separated by spaces (Freesound General-Purpose Audio Tagging Challenge). A
    file that failed has no row in it.

    With a head on embeddings (`anymic train-head --embeddings`) the files are .npz of embeddings,
    as `anymic embed` writes them, and each of their paths is a row.

    --workers 4 computes in four processes, each with its own copy of the model and its share of the
    processors; rows and bytes are the same. --ray HOST:PORT computes on a Ray cluster.

    The exit status is 1 if some files failed; the others' rows are complete.

    Example: anymic predict recordings/ --model run --device B

    Example: anymic predict night.flac --model run --out night.txt --format audacity
    """
    if workers > 1:
        from anymic._internal.processes import prepare_processes

        prepare_processes()
    from anymic.inference.embedding_head import VectorHead
    from anymic.inference.files import load_model, predict_files
    from anymic.inference.prediction import require_share
    from anymic.inference.spreading import Spreading
    from anymic.inference.submission import Submission

    require_share(min_confidence, "min_confidence")
    settings = event_settings(
        *(threshold, hysteresis, shortest, longest_gap, overlap),
        every_window=every_window,
        top=top,
    )
    if out is not None:
        _refuse_for_events(
            min_confidence=min_confidence, submission=submission, top=top > 1 and not every_window
        )
        outcome = _write_events(
            *(paths, model, out, format, settings, hop, device, together, batch, accelerator),
            Spreading(workers, ray),
        )
        return outcome.show(as_json=as_json)
    refuse_event_options(settings, "--out", format=format, hop=hop)
    loaded = load_model(model)
    answers = Submission(submission, loaded.labels) if submission else None
    if isinstance(loaded, VectorHead):
        _refuse_for_embeddings(
            device=device,
            together=together,
            every_window=every_window,
            workers=workers > 1,
            ray=ray is not None,
        )
    elif device and loaded.devices and device not in loaded.devices:
        note(none_of(device, loaded.devices))
    count, results = predict_files(
        loaded,
        paths,
        device=device,
        together=together,
        batch_size=batch,
        accelerator=accelerator,
        min_confidence=min_confidence,
        spreading=Spreading(workers, ray),
        folder=model,
    )
    top = min(top, len(loaded.labels))  # no empty columns
    found = recorded(track(results, count, "predicting"), answers)
    exit_if_failed(print_results(found, windows=every_window, top=top, as_json=as_json), count)


def _write_events(
    paths: list[str],
    model: Path,
    out: Path,
    kind: str | None,
    settings: EventSettings,
    hop_s: float | None,
    device: str | None,
    together: bool,
    batch: int | None,
    accelerator: str,
    spreading: Spreading,
) -> Outcome:
    from anymic.inference.event_run import predict_events

    with growing_bar("predicting") as progress:
        done = predict_events(
            model,
            paths,
            out,
            kind=kind,
            settings=settings,
            hop_s=hop_s,
            device=device,
            together=together,
            batch_size=batch,
            accelerator=accelerator,
            spreading=spreading,
            progress=progress,
        )
    what = "window" if settings.every_window else "event"
    recordings = counted(done.recordings, "recording")
    without = f", {done.without} of them without any" if done.without else ""
    lines = [f"{out}  {counted(done.events, what)} in {recordings}{without}"]
    notes = []
    if done.journal is not None:
        notes = [f"{done.journal} is kept: the same command tries only the failed files again"]
    plain = {
        "out": [str(file) for file in done.files],
        "recordings": done.recordings,
        "events": done.events,
        "recordings_without_events": done.without,
        "kept": done.kept,
        "failures": failures_as_json(done.failures),
    }
    files = done.recordings + len(done.failures)
    return Outcome(plain, lines, done.failures, files=files, notes=notes)


def _refuse_for_events(**options: object) -> None:
    """Refuse options of one answer a file, where events are written."""
    if given := [f"--{name.replace('_', '-')}" for name, value in options.items() if value]:
        raise ConfigError(
            f"{given[0]} cannot be used with --out",
            expected="options of events",
            fix=f"leave {given[0]} out; --threshold decides which events are written",
        )


def _refuse_for_embeddings(**options: object) -> None:
    """Refuse options of audio, where there are only embeddings."""
    if given := [f"--{name.replace('_', '-')}" for name, value in options.items() if value]:
        raise ConfigError(
            f"{' and '.join(given)} cannot be used with a head on embeddings",
            expected="a model of audio",
            fix="leave it out, or train with `anymic train-head --data --model`",
        )

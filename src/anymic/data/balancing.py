"""Classes made even by pitch shift, clips trimmed and normalized: prepared once, kept on disk."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anymic import audio
from anymic._internal.build_log import Entry, Ledger
from anymic._internal.files import file_state, key_of
from anymic._internal.machine import processors
from anymic._internal.optional import extra
from anymic._internal.processes import in_processes
from anymic._internal.progress import track
from anymic.audio import Clip
from anymic.data.derived import refuse_foreign
from anymic.data.manifest import Manifest
from anymic.data.shifts import SEMITONES, draw_shifts
from anymic.errors import AnymicError, AudioError, ConfigError, Failure, ManifestError

VERSION = 1  # raise it when the same settings begin to give other samples
_FIRST_COLUMNS = ("path", "label", "split", "group", "semitones", "source")


@dataclass(frozen=True)
class Evening:
    """What `even` wrote.

    Attributes
    ----------
    manifest : Manifest
        Every prepared clip, as in `manifest.csv`.
    failures : tuple of Failure
        Clips that could not be used; they are in no row.
    added : dict of str to int
        Label and how many shifted clips it got.
    written, kept : int
        Files made now, and files of an earlier run that were still right.
    """

    manifest: Manifest
    failures: tuple[Failure, ...]
    added: dict[str, int]
    written: int
    kept: int


@dataclass(frozen=True)
class _Job:
    """One file to make: a row's clip, trimmed, shifted by so many semitones, normalized."""

    row: int
    source: Path
    start_s: float
    duration_s: float | None
    semitones: int
    top_db: float
    rate_hz: int | None
    target: Path


def even(
    manifest: Manifest,
    out: str | Path,
    *,
    seed: int = 0,
    semitones: int = SEMITONES,
    top_db: float = 60.0,
    rate_hz: int | None = None,
    clips: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Evening:
    """Prepare a corpus as Xu 2018 does: trim, normalize, and shift in pitch until classes are even.

    Every clip is trimmed of silence at both ends and scaled to a peak of 1. Then each label of the
    training clips (all, where there is no column `split`) gets shifted clips until it has as many
    as the largest: drawn from its own clips, each as often as any other, by random whole numbers of
    semitones, never 0 and never the same clip by the same shift twice: a label whose clips have no
    shift left stays smaller. Test clips are never shifted.

    Written below `out`: `audio/*.flac` (24 bits), `manifest.csv` with the columns `semitones` (0:
    not shifted), `source` and `group` (so that no split divides what comes from one recording),
    and `ledger.jsonl`: a rerun keeps what was made from the same source and settings.

    Parameters
    ----------
    manifest : Manifest
    out : path
        Folder to write; made where it is missing.
    seed : int
        Of the draws.
    semitones : int
        Shifts lie between minus this and this, both excluded; 12 in Xu 2018.
    top_db : float
        What is so far below a clip's loudest frame counts as silence.
    rate_hz : int, optional
        What every clip is resampled to; by default each keeps its rate.
    clips : int, optional
        How many training clips each label gets at least; by default as many as the largest has.
    workers : int, optional
        Processes; by default one a processor. Shifting runs inside the interpreter's lock, so
        threads would not help.
    progress : bool
        Whether to show a progress bar on stderr.

    Raises
    ------
    ConfigError
        If `semitones` leaves no shift.
    ManifestError
        If `out` holds another manifest, there is no training clip, or no clip can be used.
    """
    out = Path(out)
    if semitones < 2:
        raise ConfigError(
            f"shifts between -{semitones} and {semitones} semitones", expected="2 or more"
        )
    refuse_foreign(out)
    draw = partial(draw_shifts, manifest, seed=seed, semitones=semitones, clips=clips)
    shifts = draw()
    out.mkdir(parents=True, exist_ok=True)
    make = partial(_make, out=out, workers=workers or processors(), progress=progress)
    plain = [(row, 0) for row in range(len(manifest))]
    with Ledger(out) as ledger:
        jobs = _jobs(manifest, plain, out, top_db, rate_hz)
        missing = [job for job in jobs if _find(ledger, job, out) is None]
        failures = make(missing, ledger, doing="preparing")
        lost = {job.row for job, _ in failures}
        if 0 < len(lost) < len(manifest):  # what cannot be used makes no label larger
            shifts = draw(without=lost)
        jobs = _jobs(manifest, [*plain, *shifts], out, top_db, rate_hz)
        others = [job for job in jobs if job.semitones and job.row not in lost]
        others = [job for job in others if _find(ledger, job, out) is None]
        failures += make(others, ledger, doing="shifting")
    missing += others
    lost = {job.row for job, _ in failures}
    done = [job for job in jobs if job.row not in lost]
    written = _write_table(manifest, done, out, [failure for _, failure in failures])
    labels = manifest.table["label"].tolist()
    return Evening(
        manifest=written,
        failures=tuple({failure.path: failure for _, failure in failures}.values()),
        added=dict(Counter(labels[job.row] for job in done if job.semitones)),
        written=len(missing) - len(failures),
        kept=len(jobs) - len(missing),
    )


def prepare(clip: Clip, *, semitones: int = 0, top_db: float = 60.0) -> Clip:
    """Return the clip trimmed at both ends, shifted in pitch, and scaled to a peak of 1.

    Parameters
    ----------
    clip : Clip
    semitones : int
        By `librosa.effects.pitch_shift`; the length stays.
    top_db : float
        As for `anymic.audio.trim_silence`.

    Raises
    ------
    AudioError
        If it is silent from beginning to end.
    """
    with extra("train"):
        import librosa

    trimmed = audio.trim_silence(clip, top_db=top_db)
    samples = trimmed.samples
    if semitones:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="n_fft=")  # a clip shorter than a window
            samples = librosa.effects.pitch_shift(
                samples, sr=clip.rate_hz, n_steps=float(semitones)
            )
    peak = float(np.abs(samples).max())
    if not peak > 0:
        raise AudioError(
            f"{clip.path or 'a clip'} of {trimmed.duration_s:.3f} s, of which a shift by "
            f"{semitones} semitones leaves nothing",
            expected="sound",
            fix="leave it out",
        )
    return replace(trimmed, samples=(samples / peak).astype(np.float32))


def _jobs(
    manifest: Manifest,
    wanted: Sequence[tuple[int, int]],
    out: Path,
    top_db: float,
    rate_hz: int | None,
) -> list[_Job]:
    """Return a job for every (row, semitones); none twice."""
    paths, table = manifest.paths(), manifest.table
    often = Counter(path.stem for path in paths)
    starts = table["start_s"].tolist() if "start_s" in table.columns else [0.0] * len(table)
    lengths = table["duration_s"].tolist() if "duration_s" in table.columns else [None] * len(table)
    ids = manifest.clip_ids()
    jobs: dict[Path, _Job] = {}
    for row, shift in wanted:
        stem = paths[row].stem
        name = stem if often[stem] == 1 else f"{stem}-{ids[row]}"
        target = out / "audio" / (f"{name}{shift:+d}.flac" if shift else f"{name}.flac")
        length_s = None if pd.isna(lengths[row]) else lengths[row]
        # A label so small that its clips have no shift left stays smaller: a manifest holds no
        # clip twice.
        job = _Job(row, paths[row], starts[row], length_s, shift, top_db, rate_hz, target)
        jobs.setdefault(target, job)
    return list(jobs.values())


def _find(ledger: Ledger, job: _Job, out: Path) -> Entry | None:
    return ledger.find(_relative(job, out), _made_from(job))


def _make(
    jobs: Sequence[_Job],
    ledger: Ledger,
    *,
    out: Path,
    workers: int,
    progress: bool,
    doing: str,
) -> list[tuple[_Job, Failure]]:
    failures: dict[_Job, Failure] = {}
    results = in_processes(_one, jobs, workers=workers)
    for job, reason in track(results, len(jobs), doing, shown=progress):
        if reason is None:
            path = _relative(job, out)
            ledger.add(Entry(path, _made_from(job), job.target.stat().st_size, 0))
        else:
            failures[job] = Failure(str(job.source), reason)
    return [(job, failures[job]) for job in jobs if job in failures]


def _one(job: _Job) -> str | None:
    """Make one file; return the reason where it cannot be."""
    try:
        clip = audio.read(
            job.source, rate_hz=job.rate_hz, start_s=job.start_s, duration_s=job.duration_s
        )
        prepared = prepare(clip, semitones=job.semitones, top_db=job.top_db)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        audio.write(job.target, prepared, subtype="PCM_24", clip=True)
    except AnymicError as error:
        return str(error)
    return None


def _made_from(job: _Job) -> str:
    """Hash everything that decides the samples of one file."""
    origin = file_state(job.source)
    parts = [VERSION, job.semitones, job.top_db, job.rate_hz, job.start_s, job.duration_s, origin]
    return key_of(parts)


def _relative(job: _Job, out: Path) -> str:
    return job.target.relative_to(out).as_posix()


def _write_table(
    manifest: Manifest, done: Sequence[_Job], out: Path, failures: Sequence[Failure]
) -> Manifest:
    if not done:
        raise ManifestError(
            f"no clip that could be used (the first: {failures[0].reason})",
            fix="check the manifest's paths",
        )
    records: list[dict[Any, Any]] = manifest.table.to_dict("records")
    recordings = manifest.recordings()
    rows = []
    for job in done:
        row = {**records[job.row], "source": records[job.row]["path"], "path": _relative(job, out)}
        row |= {"semitones": job.semitones, "group": recordings[job.row]}
        # The written file is the clip.
        rows.append({key: row[key] for key in row if key not in ("start_s", "duration_s", "take")})
    table = pd.DataFrame(rows)
    first = [column for column in _FIRST_COLUMNS if column in table.columns]
    table = table[first + [column for column in table.columns if column not in first]]
    written = Manifest.from_table(table, out, name=manifest.name)
    written.write(out / "manifest.csv")
    return written

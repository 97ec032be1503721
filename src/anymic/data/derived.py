"""A corpus in several versions: every clip as each device or codec gives it, written once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import pandas as pd

from anymic import audio
from anymic._internal.build_log import NAME, Entry, Ledger
from anymic._internal.files import file_state
from anymic._internal.progress import track
from anymic._internal.threads import in_order
from anymic.audio import Clip
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, Failure, ManifestError

TABLE = "manifest.csv"

Version = TypeVar("Version", bound=Hashable)


@dataclass(frozen=True)
class Source:
    """One clip of a corpus, a file or a stretch of one; `stem` names its versions."""

    path: Path
    stem: str
    start_s: float
    duration_s: float | None

    @property
    def origin(self) -> list[Any]:
        """What tells that the file has changed: its size and time of change, and the stretch."""
        state = file_state(self.path)
        return [*state, self.start_s, self.duration_s] if state else []


@dataclass(frozen=True)
class Rendered:
    """A version of a clip, to be written with so many bits.

    Attributes
    ----------
    clip : Clip
    bits : int
        Of the FLAC file.
    over_full_scale : int
        Samples that are limited to full scale, or were.
    kbps : float or None
        The bitrate it took, where it was encoded.
    """

    clip: Clip
    bits: int
    over_full_scale: int
    kbps: float | None = None


@dataclass
class Made(Generic[Version]):
    """What became of one clip: a file a version, or the reason why some are missing."""

    entries: dict[Version, Entry] = field(default_factory=dict)
    written: int = 0
    failure: Failure | None = None


@dataclass(frozen=True)
class Written:
    """A corpus that was written.

    Attributes
    ----------
    manifest : Manifest
        Every clip and version, as in `manifest.csv`.
    folds : dict of int to Path
        Fold and its table `foldK.csv`, where the corpus has folds and no splits: fold K is the
        split "test" and the others are "train".
    failures : tuple of Failure
        Clips that could not be used; they are in none of the tables.
    written, kept : int
        Files made now, and files of an earlier run that were still right.
    """

    manifest: Manifest
    folds: dict[int, Path]
    failures: tuple[Failure, ...]
    written: int
    kept: int


def name_stems(manifest: Manifest) -> list[str]:
    """Name each row: by its file's stem, with the clip's id where two clips share a stem."""
    stems = [path.stem for path in manifest.paths()]
    often = Counter(stems)
    return [
        stem if often[stem] == 1 else f"{stem}-{clip_id}"
        for stem, clip_id in zip(stems, manifest.clip_ids(), strict=True)
    ]


def sources(manifest: Manifest) -> list[Source]:
    """Return the clips of a manifest, in its order."""
    table = manifest.table
    starts = table["start_s"].tolist() if "start_s" in table.columns else [0.0] * len(table)
    lengths = table["duration_s"].tolist() if "duration_s" in table.columns else [None] * len(table)
    return [
        Source(path, stem, start_s, None if pd.isna(duration_s) else duration_s)
        for path, stem, start_s, duration_s in zip(
            manifest.paths(), name_stems(manifest), starts, lengths, strict=True
        )
    ]


def make(
    jobs: Sequence[tuple[Source, Sequence[Version]]],
    ledger: Ledger,
    render: Callable[[Source, Clip, Version], Rendered],
    *,
    folder_of: Callable[[Version], str],
    made_from: Callable[[Source, Version, list[Any]], str],
    silence: bool,
    workers: int | None,
    progress: bool,
    doing: str,
) -> list[Made[Version]]:
    """Write `audio/<folder>/<stem>.flac` for every clip and version that is not there yet.

    Parameters
    ----------
    jobs : sequence of (Source, versions)
        Each clip is read once for all of its versions.
    ledger : Ledger
        Of the folder to write to; it knows what is there, and from what it was made.
    render : callable
        Returns a version of a clip; it runs in a thread.
    folder_of : callable
        Names the folder of a version.
    made_from : callable
        Hashes what decides the samples of a file, its source's `origin` among it.
    silence : bool
        Whether a clip of digital silence is one that can be used.
    workers : int, optional
        Threads; by default one a processor.
    progress : bool
        Whether to show a bar on stderr, named `doing`.

    Returns
    -------
    list of Made
        One a job, in their order.
    """

    def one(job: tuple[Source, Sequence[Version]]) -> Made[Version]:
        source, versions = job
        made = Made[Version]()
        try:
            origin = source.origin
            missing: dict[Version, tuple[str, str]] = {}
            for version in versions:
                path = f"audio/{folder_of(version)}/{source.stem}.flac"
                key = made_from(source, version, origin)
                known = ledger.find(path, key)
                if known is None:
                    missing[version] = (path, key)
                else:
                    made.entries[version] = known
            if missing or not versions:
                clip = audio.read(
                    source.path,
                    start_s=source.start_s,
                    duration_s=source.duration_s,
                    allow_silence=silence,
                )
            for version, (path, key) in missing.items():
                made.entries[version] = _write(ledger, path, key, render(source, clip, version))
                made.written += 1
        except AnymicError as error:
            made.failure = Failure(str(source.path), str(error))
        return made

    return list(track(in_order(one, jobs, workers=workers), len(jobs), doing, shown=progress))


def write_table(table: pd.DataFrame, csv: Path, first: Sequence[str]) -> Manifest:
    """Write a manifest, these of its columns first."""
    front = [column for column in first if column in table.columns]
    table = table[front + [column for column in table.columns if column not in front]]
    written = Manifest.from_table(table, csv.parent, name=csv.stem)
    written.write(csv)
    return written


def refuse_nothing(usable: Sequence[Any], made: Iterable[Made[Version]]) -> None:
    """Refuse to write a table without a row: no clip could be used."""
    if not usable:
        reason = next(one.failure.reason for one in made if one.failure)
        raise ManifestError(
            f"no clip that could be used (the first: {reason})", fix="check the manifest's paths"
        )


def refuse_foreign(out: Path) -> None:
    """Refuse a folder that holds a manifest which was not written here."""
    if (out / TABLE).exists() and not (out / NAME).exists():
        raise ManifestError(
            f"a folder {out} with a {TABLE} that was not written here before",
            expected="a new folder, or one that an earlier run wrote",
            fix="name another folder",
        )


def _write(ledger: Ledger, path: str, made_from: str, rendered: Rendered) -> Entry:
    file = ledger.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    audio.write(file, rendered.clip, subtype=f"PCM_{rendered.bits}", clip=True)
    entry = Entry(path, made_from, file.stat().st_size, rendered.over_full_scale, rendered.kbps)
    ledger.add(entry)
    return entry

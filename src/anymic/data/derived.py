"""Corpora derived from a corpus: each clip in some variants, each file written once.

A variant is a device that the clip is passed through, a codec, or a shift in pitch. A `Recipe`
makes the variants; `DerivedCorpus` writes the audio and the tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import pandas as pd

from anymic import audio
from anymic._internal.build_log import BuildLog, BuiltFile
from anymic._internal.files import file_state, key_of
from anymic._internal.machine import processors
from anymic._internal.processes import in_processes
from anymic._internal.progress import track
from anymic._internal.threads import in_order
from anymic.audio import Clip
from anymic.data.checks import require_usable
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, Failure, ManifestError

TABLE = "manifest.csv"

Variant = TypeVar("Variant", bound=Hashable)
RecipeVariant = TypeVar("RecipeVariant", bound=Hashable, contravariant=True)


@dataclass(frozen=True)
class Source:
    """One clip of a corpus, a file or a part of one; `stem` names its files."""

    row: int
    path: Path
    stem: str
    start_s: float
    duration_s: float | None

    @property
    def origin(self) -> list[Any]:
        """The file's size and time of change, and the part: it differs if the clip changed."""
        state = file_state(self.path)
        return [*state, self.start_s, self.duration_s] if state else []


@dataclass(frozen=True)
class Rendered:
    """A variant of a clip, and what the build log says of its file (see `BuiltFile`)."""

    clip: Clip
    bits: int  # of the FLAC file
    over_full_scale: int = 0
    kbps: float | None = None


class Recipe(Protocol[RecipeVariant]):
    """How a variant of a clip is made, and the name of its file."""

    @property
    def rate_hz(self) -> int | None:
        """The rate that clips are resampled to when they are read; None: each keeps its rate."""

    @property
    def allow_silence(self) -> bool:
        """Whether a clip of digital silence can be used."""

    def file_name(self, source: Source, variant: RecipeVariant) -> str:
        """Return the path below `audio/`, without its suffix."""

    def made_from(self, source: Source, variant: RecipeVariant, origin: list[Any]) -> list[Any]:
        """Return all that decides the samples of the file, including `origin` of the source."""

    def render(self, source: Source, clip: Clip, variant: RecipeVariant) -> Rendered:
        """Return a variant of a clip; it runs in a thread, or in another process."""


@dataclass(frozen=True)
class Derived:
    """A corpus that was written.

    Attributes
    ----------
    manifest : Manifest
        Every clip and variant, as in `manifest.csv`.
    folds : dict of int to Path
        Fold and its table `foldK.csv`, where the corpus has folds and no splits: fold K is the
        split "test" and the others are "train".
    failures : tuple of Failure
        Clips that could not be used; they are in none of the tables.
    written, kept : int
        Files made now, and files of an earlier run that are still valid.
    """

    manifest: Manifest
    folds: dict[int, Path]
    failures: tuple[Failure, ...]
    written: int
    kept: int


@dataclass
class Made(Generic[Variant]):
    """The files of one clip by variant, and the reason if some are missing."""

    files: dict[Variant, BuiltFile] = field(default_factory=dict)
    written: int = 0
    failure: Failure | None = None


_Job = tuple[Source, dict[Variant, tuple[str, str]]]  # of each missing file the path and key


class DerivedCorpus(Generic[Variant]):
    """A folder with variants of a corpus's clips: `audio/*.flac`, tables, and a build log.

    A rerun keeps the files that were made from the same source and settings according to the log.
    The bytes do not depend on the number of workers.

    Parameters
    ----------
    manifest : Manifest
        The original clips.
    folder : Path
        Created if it is missing.
    recipe : Recipe
    processes : bool
        Whether to use processes instead of threads: for work that holds the interpreter's lock.
    workers : int, optional
        Clips rendered at the same time; by default one a processor.
    progress : bool
        Whether to show a bar on stderr.

    Raises
    ------
    ManifestError
        If the folder holds a manifest that was not written here.
    """

    def __init__(
        self,
        manifest: Manifest,
        folder: Path,
        recipe: Recipe[Variant],
        *,
        processes: bool = False,
        workers: int | None = None,
        progress: bool = True,
    ) -> None:
        if (folder / TABLE).exists() and not BuildLog.exists_in(folder):
            raise ManifestError(
                f"{folder} holds a {TABLE} from elsewhere",
                expected="a new folder, or one that an earlier run wrote",
                fix="choose another folder",
            )
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.recipe = folder, recipe
        self.made: dict[int, Made[Variant]] = {}
        self._sources = _sources(manifest)
        self._records: list[dict[Any, Any]] = manifest.table.to_dict("records")
        self._processes, self._workers, self._progress = processes, workers, progress

    def build(self, wanted: Mapping[int, Collection[Variant]], *, doing: str) -> None:
        """Write the missing variants of rows; `doing` names the bar.

        A clip that cannot be used is the failure of its row; the other clips are not affected.
        """
        with BuildLog(self.folder) as log:
            missing = ((row, self._missing(log, row, own)) for row, own in wanted.items())
            jobs = [(self._sources[row], own) for row, own in missing if own or not wanted[row]]
            done: Iterable[tuple[_Job[Variant], Made[Variant]]]
            work = partial(_render, recipe=self.recipe, folder=self.folder)
            if self._processes:
                done = in_processes(work, jobs, workers=self._workers or processors())
            else:
                done = zip(jobs, in_order(work, jobs, workers=self._workers), strict=True)
            for (source, _), new in track(done, len(jobs), doing, shown=self._progress):
                for file in new.files.values():
                    log.add(file)
                made = self.made[source.row]
                made.files.update(new.files)
                made.written += len(new.files)
                made.failure = new.failure

    def _missing(
        self, log: BuildLog, row: int, variants: Collection[Variant]
    ) -> dict[Variant, tuple[str, str]]:
        """Return the path and the key of each file that the log does not know."""
        source, made = self._sources[row], self.made.setdefault(row, Made())
        origin = source.origin
        missing: dict[Variant, tuple[str, str]] = {}
        for variant in variants:
            path = f"audio/{self.recipe.file_name(source, variant)}.flac"
            key = key_of(self.recipe.made_from(source, variant, origin))
            known = log.find(path, key)
            if known is None:
                missing[variant] = (path, key)
            else:
                made.files[variant] = known
        return missing

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The clips that could not be used, in the order of the manifest's rows."""
        return tuple(one.failure for one in self.made.values() if one.failure is not None)

    @property
    def written(self) -> int:
        """The number of files made now."""
        return sum(one.written for one in self.made.values())

    @property
    def kept(self) -> int:
        """The number of files of an earlier run that are still valid."""
        return sum(len(one.files) for one in self.made.values()) - self.written

    @property
    def files(self) -> list[tuple[Variant, BuiltFile]]:
        """Every file with its variant."""
        return [pair for one in self.made.values() for pair in one.files.items()]

    def count_over_full_scale(self) -> Counter[Variant]:
        """Count each variant's files in which samples were limited to full scale."""
        return Counter(variant for variant, file in self.files if file.over_full_scale)

    def row(self, row: int, path: str, **columns: Any) -> dict[Any, Any]:
        """Return a row with a new path, the original path as `source`, and these columns."""
        record = self._records[row]
        return {**record, "source": record["path"], "path": path, **columns}

    def write(
        self, rows: Sequence[Mapping[Any, Any]], name: str = TABLE, *, first: Sequence[str]
    ) -> Manifest:
        """Write a table, the columns `first` before the others; a ManifestError without rows."""
        require_usable(rows, self.failures)
        table = pd.DataFrame(rows)
        front = [column for column in first if column in table.columns]
        table = table[front + [column for column in table.columns if column not in front]]
        written = Manifest.from_table(table, self.folder, name=Path(name).stem)
        written.write(self.folder / name)
        return written


def name_stems(manifest: Manifest) -> list[str]:
    """Return a name for each row: its file's stem, and the clip's id if two share a stem."""
    stems = [path.stem for path in manifest.paths()]
    often = Counter(stems)
    return [
        stem if often[stem] == 1 else f"{stem}-{clip_id}"
        for stem, clip_id in zip(stems, manifest.clip_ids(), strict=True)
    ]


def _sources(manifest: Manifest) -> list[Source]:
    table = manifest.table
    starts = table["start_s"].tolist() if "start_s" in table.columns else [0.0] * len(table)
    lengths = table["duration_s"].tolist() if "duration_s" in table.columns else [None] * len(table)
    return [
        Source(row, path, stem, start_s, None if pd.isna(duration_s) else duration_s)
        for row, (path, stem, start_s, duration_s) in enumerate(
            zip(manifest.paths(), name_stems(manifest), starts, lengths, strict=True)
        )
    ]


def _render(job: _Job[Variant], *, recipe: Recipe[Variant], folder: Path) -> Made[Variant]:
    """Read a clip once and write its missing variants; return these files, or the failure."""
    made: Made[Variant] = Made()
    source, missing = job
    try:
        clip = audio.read(
            source.path,
            rate_hz=recipe.rate_hz,
            start_s=source.start_s,
            duration_s=source.duration_s,
            allow_silence=recipe.allow_silence,
        )
        for variant, (path, key) in missing.items():
            rendered = recipe.render(source, clip, variant)
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            audio.write(file, rendered.clip, subtype=f"PCM_{rendered.bits}", clip=True)
            made.files[variant] = BuiltFile(
                path, key, file.stat().st_size, rendered.over_full_scale, rendered.kbps
            )
    except AnymicError as error:
        made.failure = Failure(str(source.path), str(error))
    return made

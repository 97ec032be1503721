"""Corpora derived from a corpus: each clip in some variants, each file written once.

A variant is a device that the clip is passed through, a codec, or a shift in pitch. A `Recipe`
makes the variants; `DerivedCorpus` writes the audio and the tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import pandas as pd

from anymic import audio
from anymic._internal.build_log import BuildLog, BuiltFile
from anymic._internal.cluster import on_cluster, require_one
from anymic._internal.files import file_digest, file_state, key_of
from anymic._internal.frames import frame
from anymic._internal.processes import in_processes
from anymic._internal.processors import processors
from anymic._internal.progress import track
from anymic._internal.threads import in_order
from anymic._internal.workers import Lost
from anymic.audio import Clip
from anymic.data.checks import require_usable
from anymic.data.manifest import Manifest
from anymic.data.tables import MEASURED_COLUMNS
from anymic.errors import Failure, ManifestError

TABLE = "manifest.csv"
PART = ("start_s", "duration_s")  # of a clip that is a part of a file; a written file is whole

Variant = TypeVar("Variant", bound=Hashable)


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


@dataclass(frozen=True)
class Recipe(ABC, Generic[Variant]):
    """How a variant of a clip is made, and the name of its file.

    Attributes
    ----------
    rate_hz : int, optional
        The rate that clips are resampled to when they are read; by default each keeps its rate.
    allow_silence : bool
        Whether a clip of digital silence can be used.
    """

    rate_hz: int | None = field(default=None, kw_only=True)
    allow_silence: bool = field(default=False, kw_only=True)

    @abstractmethod
    def file_name(self, source: Source, variant: Variant) -> str:
        """Return the path below `audio/`, without its suffix."""

    @abstractmethod
    def made_from(self, source: Source, variant: Variant, origin: list[Any]) -> list[Any]:
        """Return all that decides the samples of the file, including `origin` of the source."""

    @abstractmethod
    def render(self, source: Source, clip: Clip, variant: Variant) -> Rendered:
        """Return a variant of a clip; it runs in a thread, or in another process."""


@dataclass(frozen=True, kw_only=True)
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
    folds: dict[int, Path] = field(default_factory=dict)
    failures: tuple[Failure, ...]
    written: int
    kept: int


_Job = tuple[Source, dict[Variant, tuple[str, str]]]  # of each missing file the path and key
_Done = tuple[dict[Variant, BuiltFile], Failure | None]  # the files of a job, and what ended it


class DerivedCorpus(Generic[Variant]):
    """A folder with variants of a corpus's clips: `audio/*.flac`, tables, and a build log.

    A rerun keeps the files that were made from the same source and settings according to the log,
    and have the checksum that it holds.
    The bytes do not depend on the number of workers. A folder that holds a manifest that was not
    written here is a ManifestError.

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
    ray : str, optional
        The address of a Ray cluster that renders them; clips and `folder` must have the same paths
        there.
    progress : bool
        Whether to show a bar on stderr.
    """

    def __init__(
        self,
        manifest: Manifest,
        folder: Path,
        recipe: Recipe[Variant],
        *,
        processes: bool = False,
        workers: int | None = None,
        ray: str | None = None,
        progress: bool = True,
    ) -> None:
        require_one(workers, ray)
        if (folder / TABLE).exists() and not BuildLog.exists_in(folder):
            raise ManifestError(
                f"{folder} holds a {TABLE} from elsewhere",
                expected="a new folder, or one that an earlier run wrote",
                fix="choose another folder",
            )
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.recipe = folder, recipe
        self.files: dict[tuple[int, Variant], BuiltFile] = {}  # by the row of the clip
        self.failed: dict[int, Failure] = {}  # by row; some files of these clips may be missing
        self.written = 0  # now; the other files are of an earlier run
        self._sources = _sources(manifest)
        self._several = manifest.several
        self._records: list[dict[Any, Any]] = manifest.table.to_dict("records")
        self._processes, self._workers, self._progress = processes, workers, progress
        self._ray = ray

    def build(self, wanted: Mapping[int, Collection[Variant]], *, doing: str) -> None:
        """Write the missing variants of rows; `doing` names the bar.

        A clip that cannot be used is the failure of its row; the other clips are not affected.
        """
        with BuildLog(self.folder) as log:
            missing = ((row, self._missing(log, row, own)) for row, own in wanted.items())
            jobs = [(self._sources[row], own) for row, own in missing if own or not wanted[row]]
            done: Iterable[tuple[_Job[Variant], _Done[Variant]]]
            work = partial(_render, recipe=self.recipe, folder=self.folder)
            if self._ray is not None:
                done = _on_cluster(work, jobs, self._ray)
            elif self._processes:
                done = in_processes(work, jobs, workers=self._workers or processors())
            else:
                done = zip(jobs, in_order(work, jobs, workers=self._workers), strict=True)
            for (source, _), (made, failure) in track(done, len(jobs), doing, shown=self._progress):
                for variant, file in made.items():
                    log.add(file)
                    self.files[source.row, variant] = file
                self.written += len(made)
                if failure is not None:
                    self.failed[source.row] = failure

    def _missing(
        self, log: BuildLog, row: int, variants: Collection[Variant]
    ) -> dict[Variant, tuple[str, str]]:
        """Return the path and the key of each file that the log does not know."""
        source = self._sources[row]
        origin = source.origin
        missing: dict[Variant, tuple[str, str]] = {}
        for variant in variants:
            path = f"audio/{self.recipe.file_name(source, variant)}.flac"
            key = key_of(self.recipe.made_from(source, variant, origin))
            if known := log.find(path, key):
                self.files[row, variant] = known
            else:
                missing[variant] = (path, key)
        return missing

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The clips that could not be used, in the order of the manifest's rows."""
        return tuple(self.failed[row] for row in sorted(self.failed))

    @property
    def kept(self) -> int:
        """The number of files of an earlier run that are still valid."""
        return len(self.files) - self.written

    def over_full_scale(self, variants: Iterable[Variant]) -> dict[Variant, int]:
        """Count each variant's files in which samples were limited to full scale."""
        limited = Counter(
            variant for (_, variant), one in self.files.items() if one.over_full_scale
        )
        return {variant: limited[variant] for variant in variants}

    def row(
        self, row: int, path: str, *, without: Collection[str] = (), **columns: Any
    ) -> dict[Any, Any]:
        """Return a row with a new path, the original one as `source`, and columns to change."""
        out = {*without, *MEASURED_COLUMNS}  # what was measured holds for the source
        record = {name: cell for name, cell in self._records[row].items() if name not in out}
        return {**record, "source": self._records[row]["path"], "path": path, **columns}

    def write(
        self, rows: Sequence[Mapping[Any, Any]], name: str = TABLE, *, first: Sequence[str]
    ) -> Manifest:
        """Write a table, the columns `first` before the others; a ManifestError without rows."""
        require_usable(rows, self.failures)
        table = frame(rows)
        front = [column for column in first if column in table.columns]
        table = table[front + [column for column in table.columns if column not in front]]
        name_of = Path(name).stem
        written = Manifest.from_table(table, self.folder, name=name_of, several=self._several)
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
    parts = manifest.parts()
    lengths = [None if pd.isna(length_s) else length_s for length_s in parts["duration_s"].tolist()]
    columns = (manifest.paths(), name_stems(manifest), parts["start_s"].tolist(), lengths)
    return [Source(row, *values) for row, values in enumerate(zip(*columns, strict=True))]


def _on_cluster(
    work: Callable[[_Job[Variant]], _Done[Variant]], jobs: Sequence[_Job[Variant]], address: str
) -> Iterator[tuple[_Job[Variant], _Done[Variant]]]:
    """Yield each job and what was done, in the order in which they finish."""
    for _, job, found in on_cluster(_Given(work), jobs, address=address, gpus=False):
        if isinstance(found, Lost):
            yield job, ({}, Failure(str(job[0].path), found.reason))
        else:
            yield job, found


@dataclass(frozen=True)
class _Given:
    """Gives the function of a worker, for which nothing is to be loaded."""

    work: Callable[..., Any]

    def __call__(self) -> Callable[..., Any]:
        return self.work


def _render(job: _Job[Variant], *, recipe: Recipe[Variant], folder: Path) -> _Done[Variant]:
    """Read a clip once and write its missing variants; return these files, or the failure."""
    source, missing = job
    made: dict[Variant, BuiltFile] = {}
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
            made[variant] = BuiltFile(
                path,
                key,
                file.stat().st_size,
                rendered.over_full_scale,
                rendered.kbps,
                sha256=file_digest(file),
            )
    except Exception as error:
        return made, Failure.of(source.path, error)
    return made, None

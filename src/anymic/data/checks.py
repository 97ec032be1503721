"""Checks of the files of a manifest: every file is read, and all problems are listed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from anymic import audio
from anymic._internal.progress import track
from anymic._internal.threads import in_order
from anymic.audio.condition import Condition
from anymic.audio.condition_meter import ConditionMeter
from anymic.audio.reading import SEGMENT_SLACK_S
from anymic.data.manifest import Manifest
from anymic.data.tables import some
from anymic.errors import ConfigError, Failure, ManifestError, as_anymic_error, counted

Kind = Literal[
    "missing",  # no such file
    "empty",  # a file of 0 bytes, or audio without a sample
    "unreadable",  # not audio, or cut short, or with samples that are not numbers
    "rate",  # another sampling rate than asked for
    "silent",  # every sample is 0
    "outside",  # start_s and duration_s reach beyond the end of the file
    "duplicate",  # the same samples as an earlier file with the same label
    "conflict",  # the same samples as a file with another label
]

_WINDOW_S = 30.0  # read piece by piece, so that a file of hours takes no more memory than this


@dataclass(frozen=True)
class Problem:
    """A problem of a file.

    Attributes
    ----------
    path : str
        The file, as in the manifest.
    kind : str
        See ``Kind``.
    reason : str
        One line.
    rows : tuple of int
        The rows of the manifest that cannot be used because of it.
    """

    path: str
    kind: Kind
    reason: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class _File:
    """The rows of a file, and what was read: its length, rate and a hash of its samples."""

    name: str
    rows: tuple[int, ...]
    labels: list[str]
    duration_s: float = 0.0
    rate_hz: int = 0
    content: str = ""
    condition: Condition | None = None

    def problem(self, kind: Kind, reason: str) -> Problem:
        return Problem(self.name, kind, reason, self.rows)


@dataclass(frozen=True)
class Checked:
    """What was found in the files of a manifest.

    Attributes
    ----------
    problems : list of Problem
        In the order of the manifest, duplicates last. Content is compared after decoding and
        mixing to mono: copies with another header or in another lossless format are found. A row
        can be in several problems.
    conditions : mapping of int to Condition
        The condition of the file of each row that could be read (`anymic.audio.condition`).
    """

    problems: list[Problem]
    conditions: Mapping[int, Condition]

    def described(self, manifest: Manifest) -> Manifest:
        """Return the manifest with the columns `bandwidth_hz`, in Hz, and `condition`, in words."""
        found = [self.conditions.get(row) for row in range(len(manifest))]
        return manifest.with_columns(
            bandwidth_hz=[round(one.bandwidth_hz) or np.nan if one else np.nan for one in found],
            condition=["; ".join((*one.clipping(), *one.notes())) if one else "" for one in found],
        )


def check(
    manifest: Manifest, *, rate_hz: int | None = None, workers: int = 2, progress: bool = True
) -> list[Problem]:
    """Read every file, header and content, and list all problems, as `check_files` finds them."""
    found = check_files(manifest, rate_hz=rate_hz, workers=workers, progress=progress)
    return found.problems


def check_files(
    manifest: Manifest, *, rate_hz: int | None = None, workers: int = 2, progress: bool = True
) -> Checked:
    """Read every file, header and content; list all problems, and measure the condition of each.

    Parameters
    ----------
    manifest : Manifest
        The clips; a file of several rows is read once.
    rate_hz : int, optional
        The rate that every file should have, in Hz; by default any.
    workers : int
        Threads that read, 1 or more; a ConfigError if not.
    progress : bool
        Show a progress bar on stderr if that is a terminal.

    Returns
    -------
    Checked
    """
    if workers < 1:
        raise ConfigError(f"the number of workers is {workers}", expected="at least 1")
    rows: dict[Path, list[int]] = {}
    for row, name in enumerate(manifest.files()):
        rows.setdefault(Path(os.path.abspath(manifest.root), name), []).append(row)
    read = in_order(partial(_read, manifest), rows.items(), workers=workers)
    files = list(track(read, len(rows), "reading files", shown=progress))
    problems: list[Problem] = []
    parts = manifest.parts()
    for file in files:
        if isinstance(file, Problem):
            problems.append(file)
            continue
        if rate_hz is not None and file.rate_hz != rate_hz:
            reason = f"The rate is {file.rate_hz} Hz. Expected {rate_hz} Hz. Convert the file."
            problems.append(file.problem("rate", reason))
        own = parts.loc[list(file.rows)]
        problems += _outside(own, file) + _again(manifest, own, file)
    good = [file for file in files if isinstance(file, _File)]
    conditions = {row: file.condition for file in good for row in file.rows if file.condition}
    return Checked(problems + _copies(good), conditions)


def usable(manifest: Manifest, problems: Iterable[Problem]) -> Manifest:
    """Leave out the rows that a problem names; the result can be empty."""
    keep = np.ones(len(manifest), dtype=bool)
    for problem in problems:
        keep[list(problem.rows)] = False
    return manifest.rows(keep)


def require_usable(used: Sized, failures: Sequence[Failure], *, which: str = "") -> None:
    """Make sure that `used` is not empty; else a ManifestError has the first of the failures."""
    if len(used):
        return
    problem = f"there are no clips{which}"
    if failures:
        problem = f"no clip{which} can be used ({len(failures)} failed). The first: "
        problem += failures[0].reason
    raise ManifestError(
        problem,
        expected="at least one clip that can be used",
        fix="correct the files or the paths in the manifest",
    )


def require_all_usable(failures: Sequence[Failure], *, which: str = "") -> None:
    """Make sure that there are no failures; else a ManifestError has the first."""
    if failures:
        count = counted(len(failures), "clip")
        raise ManifestError(
            f"{count}{which} cannot be used. The first: {failures[0].reason}",
            fix="correct the files, or leave them out of the manifest",
        )


def _read(manifest: Manifest, item: tuple[Path, list[int]]) -> _File | Problem:
    """Read a file, given its path and its rows in the manifest."""
    path, rows = item
    own = manifest.table.loc[rows]
    file = _File(own["path"].iloc[0], tuple(rows), sorted(set(own["label"])))
    if not path.is_file():
        reason = "There is no such file. Check the path, or fetch it again."
        return file.problem("missing", reason)
    if path.stat().st_size == 0:
        return file.problem("empty", "The file has 0 bytes. Fetch it again.")
    digest = hashlib.sha256()
    samples, rate_hz, peak = 0, 0, 0.0
    meter = ConditionMeter()
    try:
        for clip in audio.stream(path, window_s=_WINDOW_S, allow_silence=True, meter=meter):
            rate_hz = clip.rate_hz
            samples += len(clip.samples)
            peak = max(peak, float(np.abs(clip.samples).max(initial=0.0)))
            digest.update(clip.samples.tobytes())
    except Exception as error:
        return file.problem("unreadable", str(as_anymic_error(error)))
    if samples == 0:
        return file.problem("empty", "The audio has no samples. Record or fetch it again.")
    if peak == 0.0:
        return file.problem("silent", f"All {samples} samples are 0. Leave the file out.")
    content = f"{rate_hz} {digest.hexdigest()}"
    return replace(
        file,
        duration_s=samples / rate_hz,
        rate_hz=rate_hz,
        content=content,
        condition=meter.result(),
    )


def _outside(parts: pd.DataFrame, file: _File) -> list[Problem]:
    """Find the rows whose part of the file reaches beyond its end."""
    whole = file.duration_s
    problems = []
    for row, first, length in parts.fillna(0.0).itertuples():
        last = first + length
        if last > whole + SEGMENT_SLACK_S or first >= whole:
            part = f"{first:g} s to {last:g} s" if last > first else f"from {first:g} s"
            reason = f"The file has {whole:g} s of audio. Expected {part}. "
            reason += "Correct start_s and duration_s."
            problems.append(Problem(file.name, "outside", reason, (row,)))
    return problems


def _again(manifest: Manifest, parts: pd.DataFrame, file: _File) -> list[Problem]:
    """Find the rows that are the same part of a file as an earlier row, by another path."""
    first: dict[tuple[float, float], int] = {}
    problems = []
    table = manifest.table
    for row, *part in parts.fillna(file.duration_s).itertuples():
        one = first.setdefault(tuple(part), row)
        if one == row:
            continue
        path, label = str(table.at[one, "path"]), str(table.at[one, "label"])
        kind: Kind = "duplicate" if label == table.at[row, "label"] else "conflict"
        reason = f"It is the same file as {path} ({label}). Keep one of them."
        rows = (row,) if kind == "duplicate" else (one, row)
        problems.append(Problem(str(table.at[row, "path"]), kind, reason, rows))
    return problems


def _copies(files: Sequence[_File]) -> list[Problem]:
    """Find files with the same content: copies, and copies with different labels."""
    same: dict[str, list[_File]] = {}
    for file in files:
        same.setdefault(file.content, []).append(file)
    problems = []
    for copies in (own for own in same.values() if len(own) > 1):
        conflict = len({label for file in copies for label in file.labels}) > 1
        for file in copies if conflict else copies[1:]:
            others = [other for other in copies if other != file] if conflict else copies[:1]
            listed = some(f"{other.name} ({', '.join(other.labels)})" for other in others)
            reason = f"The samples are the same as in {listed}"
            reason += f", labelled {', '.join(file.labels)} here. " if conflict else ". "
            reason += "Find out which label is right." if conflict else "Keep one of them."
            problems.append(file.problem("conflict" if conflict else "duplicate", reason))
    return problems

"""Write the events of recordings in any format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, count, groupby
from pathlib import Path

from anymic._internal.files import write_text
from anymic.errors import ConfigError
from anymic.inference.event_formats.choosing import ENDINGS, Target
from anymic.inference.event_formats.labels import audacity_text, raven_text, textgrid_text
from anymic.inference.event_formats.rows import plain, rows_of
from anymic.inference.event_formats.tables import write_table
from anymic.inference.recordings import RecordingEvents

SHARD_ROWS = 500_000  # of a table that is written into a folder
TEXTS = {"audacity": audacity_text, "raven": raven_text, "textgrid": textgrid_text}


def write_events(
    found: Iterable[RecordingEvents], target: Target, *, paths: Sequence[str], highest_hz: float
) -> list[Path]:
    """Write events, each file complete or not at all; return the files.

    A table in a folder is written as shards of at most 500,000 rows, `events-00000.csv` and so on;
    a recording is not divided among them. For label files in a folder see `label_files`.

    Parameters
    ----------
    found : iterable of RecordingEvents
        May be an iterator: one recording at a time is in memory.
    target : Target
    paths : sequence of str
        Of all recordings, also of those that could not be read.
    highest_hz : float
        The highest frequency that the model analyses, for Raven's selections.

    Raises
    ------
    ConfigError
        If label files of several recordings are wanted in one file.
    """
    if target.is_table:
        return _write_tables(found, target)
    refuse_several(target, len(paths))
    text_of, written = TEXTS[target.format], []
    files = dict.fromkeys(paths, target.place)
    if target.is_folder:
        files = label_files(paths, target.place, ENDINGS[target.format])
    for one in found:
        write_text(files[one.path], text_of(one, highest_hz=highest_hz))
        written.append(files[one.path])
    return written


def refuse_several(target: Target, recordings: int) -> None:
    """Raise ConfigError if label files of several recordings are wanted in one file."""
    if recordings > 1 and not (target.is_table or target.is_folder):
        raise ConfigError(
            f"{target.place} is one file, and there are {recordings} recordings",
            expected=f"a folder for the format {target.format}: a file for each recording",
            fix="pass a name without an ending, or choose csv, jsonl or parquet",
        )


def label_files(paths: Iterable[str], folder: Path, ending: str) -> dict[str, Path]:
    """Return the label file in a folder for each recording.

    The folders of the recordings below the one that all of them are in are kept, and so is the
    name; of two with the same name, the second keeps its ending, or gets a number.

    Examples
    --------
    >>> found = label_files(["in/may/a.wav", "in/june/a.wav"], Path("out"), ".txt")
    >>> [path.as_posix() for path in found.values()]
    ['out/may/a.txt', 'out/june/a.txt']
    """
    full = {path: Path(os.path.abspath(path)) for path in paths}
    above = os.path.commonpath([one.parent for one in full.values()]) if full else ""
    found: dict[str, Path] = {}
    used: set[str] = set()
    for path, one in full.items():
        below = one.relative_to(above)
        numbers = (f"{below.name}-{number}" for number in count(2))
        for name in chain((below.stem, below.name), numbers):
            place = folder / below.parent / (plain(name) + ending)
            if place.as_posix().casefold() not in used:
                break
        used.add(place.as_posix().casefold())
        found[path] = place
    return found


def _write_tables(found: Iterable[RecordingEvents], target: Target) -> list[Path]:
    if not target.is_folder:
        rows = chain.from_iterable(map(rows_of, found))
        write_table(target.place, target.format, rows)
        return [target.place]
    written = []
    for number, part in groupby(_numbered(found), key=lambda item: item[0]):
        path = target.place / f"events-{number:05d}{ENDINGS[target.format]}"
        write_table(path, target.format, (row for _, one in part for row in rows_of(one)))
        written.append(path)
    if not written:
        path = target.place / f"events-00000{ENDINGS[target.format]}"
        write_table(path, target.format, ())
        written.append(path)
    for path in target.stale(set(written)):
        with suppress(OSError):
            path.unlink()
    return written


def _numbered(found: Iterable[RecordingEvents]) -> Iterator[tuple[int, RecordingEvents]]:
    """Yield recordings with the number of their shard."""
    number = rows = 0
    for one in found:
        if rows and rows + len(one.events) > SHARD_ROWS:
            number, rows = number + 1, 0
        rows += len(one.events)
        yield number, one

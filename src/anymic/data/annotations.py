"""Read a table of annotated events: file, start, end and label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pandas as pd

from anymic._internal.frames import as_text, frame
from anymic._internal.remote import is_url
from anymic.data.tables import some
from anymic.data.text_tables import read_text_table
from anymic.errors import ManifestError

WANTED = "a table with one event a row and the columns file, start_s, end_s and label"
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "file": ("file", "filename", "path", "begin path", "begin file"),
    "start_s": ("start_s", "start", "onset", "onset_s", "begin time (s)", "event_onset"),
    "end_s": ("end_s", "end", "offset", "offset_s", "end time (s)", "event_offset"),
    "label": ("label", "event_label", "class", "annotation"),
}


@dataclass(frozen=True)
class Annotation:
    """An event that a person has annotated."""

    start_s: float
    end_s: float
    label: str
    row: int


def read_annotations(path: str | Path) -> dict[str, list[Annotation]]:
    """Return the annotated events of each file, in the order of their starts.

    The columns file, start_s, end_s and label are needed; their usual spellings (path, onset,
    offset, event_label, and those of Raven) are read too. A row with a file alone states a
    recording without events. Files are relative to the folder of the table, or at URLs.

    Raises
    ------
    ManifestError
        All problems in one line: a missing column, a time that is no number, an event that ends
        before it starts, or two events of one label that overlap.
    """
    path = Path(path)
    text = read_text_table(path, wanted=WANTED)
    table = _with_columns(text.frame(), path)
    found: dict[str, list[Annotation]] = {}
    problems: list[str] = []
    for row, (file, start, end, label) in enumerate(
        zip(*(table[name].tolist() for name in COLUMNS), strict=True)
    ):
        place = file.strip() if is_url(file.strip()) else str(path.parent / file.strip())
        events = found.setdefault(place, [])
        if not (start or end or label) and file.strip():
            continue
        problem = _problem(file, start, end, label)
        if problem:
            problems.append(f"{problem} in {text.name_of(row)}")
        else:
            events.append(Annotation(float(start), float(end), label.strip(), row))
    for events in found.values():
        events.sort(key=lambda one: (one.start_s, one.end_s))
        problems += _overlaps(events, text.name_of)
    if not found:
        problems.append("there are no rows")
    if problems:
        number = f"{len(problems)} problems: " if len(problems) > 1 else ""
        raise ManifestError(
            f"the annotations {path} cannot be used: {number}{some(problems, separator='; ')}",
            expected="events that start at 0 s or later, end after their start, and do not overlap"
            " others of their label",
            fix="correct the table and read it again",
        )
    return found


def _with_columns(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    names = {str(column).strip().casefold(): column for column in table.columns}
    chosen = {
        own: next((names[one] for one in spellings if one in names), None)
        for own, spellings in COLUMNS.items()
    }
    if missing := [own for own, column in chosen.items() if column is None]:
        had = some(map(str, table.columns), most=20) or "none"
        raise ManifestError(
            f"the annotations {path} have no column {' and no column '.join(missing)}"
            f" (their columns: {had})",
            expected=WANTED,
            fix="name the columns in the first line",
        )
    return frame({own: as_text(table[column]) for own, column in chosen.items()})


def _problem(file: str, start: str, end: str, label: str) -> str:
    """Return what is wrong with a row; nothing if it can be used."""
    if not file.strip():
        return "empty file"
    if not label.strip():
        return "empty label"
    try:
        start_s, end_s = float(start), float(end)
    except ValueError:
        return f"a time that is no number ({start!r}, {end!r})"
    if not 0 <= start_s < float("inf"):
        return f"a start of {start_s} s"
    if not start_s < end_s < float("inf"):
        return f"an event that ends at {end_s} s and starts at {start_s} s"
    return ""


def _overlaps(events: list[Annotation], name_of: Callable[[int], str]) -> list[str]:
    by_label: dict[str, list[Annotation]] = {}
    for one in events:
        by_label.setdefault(one.label, []).append(one)
    return [
        f"two events of {label!r} overlap in {name_of(one.row)} and {name_of(after.row)}"
        for label, own in by_label.items()
        for one, after in pairwise(own)
        if after.start_s < one.end_s
    ]

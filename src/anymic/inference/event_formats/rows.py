"""The rows of a table of events."""

from __future__ import annotations

from collections.abc import Iterator

from anymic.inference.recordings import RecordingEvents

COLUMNS = (
    "file",
    "start_s",
    "end_s",
    "label",
    "probability",
    "device",
    "device_from",
    "correction",
    "notes",
)
TIME_DIGITS, PROBABILITY_DIGITS = 3, 4  # decimal digits that are written
NUMBERS = ("start_s", "end_s", "probability")

Cell = str | float
Row = tuple[Cell, ...]


def rows_of(found: RecordingEvents) -> Iterator[Row]:
    """Yield a row for each event of a recording, with the cells of `COLUMNS`.

    Times are in seconds from the beginning of the recording. `device_from` is how the device is
    known: stated, identified (with the probability), or assumed where it is unknown. `correction`
    is profile, blind (estimated gains) or identity (none). Notes have semicolons between them.
    """
    known: str = found.device_from
    if found.device_probability is not None:
        known += f" ({found.device_probability:.2f})"
    same = (found.device or "", known, found.device_policy, "; ".join(found.notes))
    for event in found.events:
        yield (
            found.path,
            round(event.start_s, TIME_DIGITS),
            round(event.end_s, TIME_DIGITS),
            event.label,
            round(event.probability, PROBABILITY_DIGITS),
            *same,
        )


def plain(text: str) -> str:
    """Return a text that can be written as UTF-8: bytes of file names that cannot are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()

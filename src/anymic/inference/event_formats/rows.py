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
    is profile, blind (estimated gains) or identity (none). Where the device changes within the
    recording, these are those of the beginning of the event. Notes have semicolons between them.
    """
    notes = "; ".join(found.notes)
    for event in found.events:
        begun = [one for one in found.stretches if one.start_s <= event.start_s]
        own = begun[-1] if begun else found
        known: str = own.device_from
        if own.device_probability is not None:
            known += f" ({own.device_probability:.2f})"
        yield (
            found.path,
            round(event.start_s, TIME_DIGITS),
            round(event.end_s, TIME_DIGITS),
            event.label,
            round(event.probability, PROBABILITY_DIGITS),
            own.device or "",
            known,
            own.device_policy,
            notes,
        )


def plain(text: str) -> str:
    """Return a text that can be written as UTF-8: bytes of file names that cannot are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()

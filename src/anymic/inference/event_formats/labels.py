"""Write the label files of one recording: Audacity, Raven and Praat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from anymic.inference.event_formats.rows import plain, rows_of
from anymic.inference.events import Event
from anymic.inference.recordings import RecordingEvents

RAVEN_COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Begin Path",
    "File Offset (s)",
    "Label",
    "Probability",
    "Device",
    "Device From",
    "Correction",
    "Notes",
)
TIER = "events"  # of a recording without any


def audacity_text(found: RecordingEvents, *, highest_hz: float) -> str:
    r"""Return an Audacity label track: start, end and label of each event, with tabs.

    Source: Audacity manual, "Importing and Exporting Labels".

    Examples
    --------
    >>> dog = Event(start_s=1.0, end_s=2.5, label="dog", probability=0.9)
    >>> audacity_text(RecordingEvents("a.wav", (dog,)), highest_hz=8000)
    '1.000000\t2.500000\tdog\n'
    """
    return "".join(
        f"{event.start_s:.6f}\t{event.end_s:.6f}\t{_cell(event.label)}\n" for event in found.events
    )


def raven_text(found: RecordingEvents, *, highest_hz: float) -> str:
    """Return a selection table of Raven: a selection for each event, from 0 Hz to `highest_hz`.

    Columns are separated by tabs, and the first row has their names; those that Raven does not
    know are annotations. Source: Raven Pro User's Manual, "Selection Tables".
    """
    lines = ["\t".join(RAVEN_COLUMNS)]
    for number, row in enumerate(rows_of(found), start=1):
        path, start_s, end_s, label, probability, *known = row
        cells = (
            *(number, "Spectrogram 1", 1),
            *(f"{start_s:.6f}", f"{end_s:.6f}", "0.000", f"{highest_hz:.3f}"),
            *(path, f"{start_s:.6f}", label, f"{probability:.4f}", *known),
        )
        lines.append("\t".join(_cell(str(cell)) for cell in cells))
    return "\n".join(lines) + "\n"


def textgrid_text(found: RecordingEvents, *, highest_hz: float) -> str:
    """Return a TextGrid of Praat: a tier for each label, whose intervals cover the recording.

    The text of an interval is its label, or nothing between two events. Source: Praat manual,
    "TextGrid file formats".
    """
    begin_s, end_s = found.start_s, found.start_s + found.duration_s
    tiers: dict[str, list[Event]] = {one.label: [] for one in found.events} or {TIER: []}
    for event in found.events:
        tiers[event.label].append(event)
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        *_span("", begin_s, end_s),
        "tiers? <exists> ",
        f"size = {len(tiers)} ",
        "item []: ",
    ]
    for number, (label, events) in enumerate(tiers.items(), start=1):
        intervals = list(_intervals(events, begin_s, end_s))
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier" ',
            f"        name = {_quoted(label)} ",
            *_span("        ", begin_s, end_s),
            f"        intervals: size = {len(intervals)} ",
        ]
        for place, (start_s, stop_s, text) in enumerate(intervals, start=1):
            lines += [
                f"        intervals [{place}]:",
                *_span("            ", start_s, stop_s),
                f"            text = {_quoted(text)} ",
            ]
    return "\n".join(lines) + "\n"


def _intervals(
    events: Sequence[Event], begin_s: float, end_s: float
) -> Iterator[tuple[float, float, str]]:
    """Yield the events of one label, and what lies between them, without gaps or overlaps."""
    now_s = begin_s
    for event in sorted(events, key=lambda one: one.start_s):
        start_s, stop_s = max(event.start_s, now_s), min(event.end_s, end_s)
        if stop_s <= start_s:
            continue
        if start_s > now_s:
            yield now_s, start_s, ""
        yield start_s, stop_s, event.label
        now_s = stop_s
    if now_s < end_s:
        yield now_s, end_s, ""


def _span(indent: str, begin_s: float, end_s: float) -> list[str]:
    return [f"{indent}xmin = {begin_s:.6f} ", f"{indent}xmax = {end_s:.6f} "]


def _quoted(text: str) -> str:
    return '"' + _cell(text).replace('"', '""') + '"'


def _cell(text: str) -> str:
    """Return a text without tabs and line breaks."""
    return " ".join(plain(text).split())

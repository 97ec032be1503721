"""The journal of a long run: results that are kept beside its output until the run is complete.

A journal is a folder with the settings of the run (`settings.json`) and shards of records, one in
each line of a shard: a checksum, a blank, JSON. A record is written when it is complete, so a run
that is killed loses no record but the one it was computing. The journal is deleted at the end, or
kept (with the file `complete`) if the run is to be repeated for what failed.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from anymic._internal.files import naming, remove_unfinished, write_text
from anymic._internal.folder_lock import folder_lock
from anymic._internal.reading import parse_json
from anymic.errors import AnymicWarning, ConfigError, part_of

SETTINGS, COMPLETE, SHARD = "settings.json", "complete", "{:05d}.jsonl"
SHARD_BYTES = 32 << 20
CHECK_DIGITS = 16  # hexadecimal digits of a line's checksum

Place = tuple[int, int, int]  # of a record: the number of its shard, its first byte, its length


class Journal:
    """The records of a run.

    Use `journal_of` to open one.

    Parameters
    ----------
    folder : Path

    Attributes
    ----------
    places : list of tuple
        The place of each complete record, in the order in which they were added.
    was_complete : bool
        Whether the earlier run was not interrupted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places: list[Place] = []
        self.was_complete = False
        self._shard: BinaryIO | None = None
        self._number = 0
        self._reading: tuple[int, BinaryIO] | None = None

    def read(self, place: Place) -> dict[str, Any]:
        """Return the record at a place."""
        number, first, length = place
        if self._reading is None or self._reading[0] != number:
            self._end_reading()
            self._reading = (number, (self.folder / SHARD.format(number)).open("rb"))
        file = self._reading[1]
        file.seek(first)
        line = file.read(length)
        if not _is_whole(line):
            raise ConfigError(
                f"{self.folder / SHARD.format(number)} was changed while it was read",
                expected="a journal that no other program writes",
                fix="run the command again",
            )
        record: dict[str, Any] = json.loads(line.partition(b" ")[2])
        return record

    def records(self) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Yield each complete record with its place."""
        for place in self.places:
            yield place, self.read(place)

    def add(self, record: Mapping[str, Any]) -> Place:
        """Write a record, whole or, after a kill, not at all; return its place."""
        line = _line(record)
        with naming(self.folder):
            if self._shard is None or self._shard.tell() > SHARD_BYTES:
                self._end_writing()
                self._shard = (self.folder / SHARD.format(self._number)).open("xb")
            place = (self._number, self._shard.tell(), len(line))
            self._shard.write(line)
            self._shard.flush()
        self.places.append(place)
        return place

    def close(self) -> None:
        """Close the files."""
        self._end_reading()
        self._end_writing()

    def end(self, *, keep: bool = False) -> None:
        """Delete the journal, or keep it for a run that repeats what failed."""
        self.close()
        if keep:
            write_text(self.folder / COMPLETE, "")
            return
        self.clear()
        with suppress(OSError):  # something else is in it
            self.folder.rmdir()

    def clear(self) -> None:
        """Delete the journal's files; the settings first, so that what a kill leaves is not used.

        Files of others in the folder stay.
        """
        remove_unfinished(self.folder)
        for path in (self.folder / SETTINGS, self.folder / COMPLETE, *self._shards()):
            path.unlink(missing_ok=True)

    def load(self) -> None:
        """Find the complete records of an earlier run; new ones go into a new shard.

        An AnymicWarning says how many lines of a shard are damaged; what they held is done again.
        A last line that is not complete is what a kill leaves, and no damage.
        """
        for file in self._shards():
            number = int(file.stem)
            damaged, lines, first = 0, 0, 0
            with file.open("rb") as shard:
                for line in shard:
                    lines += 1
                    if _is_whole(line):
                        self.places.append((number, first, len(line)))
                    elif line.endswith(b"\n"):
                        damaged += 1
                    first += len(line)
            if damaged:
                self._warn(f"{part_of(damaged, lines, 'line')} of {file} cannot be read")
            self._number = max(self._number, number + 1)

    def _shards(self) -> list[Path]:
        return [file for file in sorted(self.folder.glob("*.jsonl")) if file.stem.isdecimal()]

    def _warn(self, what: str) -> None:
        text = f"{what}: the recordings in them are done again"
        warnings.warn(text, AnymicWarning, stacklevel=4)

    def _end_reading(self) -> None:
        if self._reading is not None:
            self._reading[1].close()
            self._reading = None

    def _end_writing(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None
            self._number += 1


def journal_folder(out: Path) -> Path:
    """Return the folder of the journal beside an output: events.csv has events.csv.journal."""
    return out.with_name(out.name + ".journal")


@contextmanager
def journal_of(out: Path, settings: Mapping[str, Any]) -> Iterator[Journal]:
    """Open the journal beside an output: that of an earlier run with these settings, or a new one.

    Parameters
    ----------
    out : Path
    settings : mapping
        Whatever decides the records, by names that a message can state.

    Raises
    ------
    ConfigError
        If there is a journal of other settings, or another run writes it. It is not changed. (That
        of a complete run, some of whose recordings failed, is replaced.)
    """
    folder = journal_folder(out)
    with folder_lock(folder):
        wanted = json.loads(json.dumps(settings))
        journal = Journal(folder)
        found = _settings_of(folder)
        complete = (folder / COMPLETE).is_file()
        if found is None or (complete and found != wanted):
            journal.clear()
            write_text(folder / SETTINGS, json.dumps(wanted, indent=1, sort_keys=True) + "\n")
        else:
            _refuse_other(folder, found, wanted)
            journal.was_complete = complete
            (folder / COMPLETE).unlink(missing_ok=True)
            journal.load()
        try:
            yield journal
        finally:
            journal.close()


def _settings_of(folder: Path) -> dict[str, Any] | None:
    """Return the settings of a journal; None if it has none."""
    file = folder / SETTINGS
    if not file.is_file():
        return None
    try:
        return parse_json(file.read_text(encoding="utf-8"))
    except Exception:  # a damaged file can raise any error
        return {}


def _refuse_other(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    if not names:
        return
    shown = [name for name in names if name in found and name in wanted and name != "model"]
    which = "; ".join(f"{name} {found[name]}, now {wanted[name]}" for name in shown)
    what = "of another model" if "model" in names and found else "of other settings"
    raise ConfigError(
        f"the journal {folder} is {what}" + (f" ({which})" if which else ""),
        expected="the journal of a run that was interrupted, with the model and settings of now",
        fix="repeat the run as it began, choose another output, or delete the journal",
    )


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
    return _checksum(text) + b" " + text + b"\n"


def _is_whole(line: bytes) -> bool:
    check, _, text = line.partition(b" ")
    return text.endswith(b"\n") and _checksum(text[:-1]) == check


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:CHECK_DIGITS].encode()

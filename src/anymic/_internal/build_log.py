"""What each written file was made from, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import dataclasses
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TextIO

from anymic._internal.files import write_text

NAME = "ledger.jsonl"


@dataclass(frozen=True)
class Entry:
    """One written file.

    Attributes
    ----------
    path : str
        Relative to the corpus's folder.
    made_from : str
        Hash of everything that decides the file's samples.
    bytes : int
        The file's size.
    over_full_scale : int
        How many samples the converter limited.
    kbps : float, optional
        For a clip that went through a codec, the bitrate that it took.
    """

    path: str
    made_from: str
    bytes: int
    over_full_scale: int
    kbps: float | None = None


class Ledger:
    """The file `ledger.jsonl` of a corpus: one line a file, appended when the file is complete.

    Opened as a context: an interruption loses nothing but the line being written, which the next
    run does not read. Leaving the context puts the lines in order, so that equal runs leave equal
    bytes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()
        self._stream: TextIO | None = None

    def __enter__(self) -> Ledger:
        file = self.folder / NAME
        if file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                try:
                    entry = Entry(**json.loads(line))
                except (ValueError, TypeError):
                    continue
                self._entries[entry.path] = entry
        self._stream = file.open("a", encoding="utf-8")
        self._stream.write("\n")  # ends a line that an interruption may have left half written
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._stream.close()
        lines = [_line(self._entries[path]) for path in sorted(self._entries)]
        write_text(self.folder / NAME, "".join(lines))

    def find(self, path: str, made_from: str) -> Entry | None:
        """Return the entry of a file that is there, whole, and made from exactly this."""
        entry = self._entries.get(path)
        if entry is None or entry.made_from != made_from:
            return None
        file = self.folder / path
        return entry if file.is_file() and file.stat().st_size == entry.bytes else None

    def add(self, entry: Entry) -> None:
        """Note a complete file; safe from several threads."""
        with self._lock:
            self._entries[entry.path] = entry
            if self._stream is not None:
                self._stream.write(_line(entry))
                self._stream.flush()


def _line(entry: Entry) -> str:
    known = {name: value for name, value in dataclasses.asdict(entry).items() if value is not None}
    return json.dumps(known, sort_keys=True) + "\n"

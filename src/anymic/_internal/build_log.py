"""The build log of a folder: what each file was made from, so that a rerun can continue."""

from __future__ import annotations

import dataclasses
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from anymic._internal.files import file_digest, naming, write_text
from anymic._internal.reading import parse_json
from anymic._internal.settings import from_mapping

NAME = "build_log.jsonl"
OLD_NAME = "ledger.jsonl"  # of folders that were written before


@dataclass(frozen=True)
class BuiltFile:
    """One written file."""

    path: str  # relative to the corpus's folder
    made_from: str  # hash of everything that decides the file's samples
    bytes: int
    over_full_scale: int  # samples that the converter limited
    kbps: float | None = None  # of the file of a clip that went through a codec
    sha256: str | None = None  # of the file; none in logs that were written before


class BuildLog:
    """The file `build_log.jsonl` of a folder, with one line for each complete file.

    It is a context manager. An interruption can leave one line half written, which the next run
    ignores. The lines are sorted at the end, so that equal runs write equal bytes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, BuiltFile] = {}
        self._stream: TextIO | None = None

    def __enter__(self) -> BuildLog:
        file = self.folder / NAME
        if (old := self.folder / OLD_NAME).is_file() and not file.exists():
            old.replace(file)
        if file.is_file():
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(Exception):  # a damaged line can raise any error
                    entry = from_mapping(BuiltFile, parse_json(line))
                    self._files[entry.path] = entry
        self._stream = file.open("a", encoding="utf-8")
        self._stream.write("\n")  # ends a line that an interruption may have left half written
        return self

    def __exit__(self, *error: object) -> None:
        if self._stream is not None:
            with naming(self.folder / NAME):
                self._stream.close()
        lines = [_line(self._files[path]) for path in sorted(self._files)]
        write_text(self.folder / NAME, "".join(lines))

    @staticmethod
    def exists_in(folder: Path) -> bool:
        """Return whether files of this folder were logged."""
        return (folder / NAME).exists() or (folder / OLD_NAME).exists()

    def find(self, path: str, made_from: str) -> BuiltFile | None:
        """Return the entry of a file that is undamaged and was made from exactly this, or None.

        The file is read once, for its checksum.
        """
        entry = self._files.get(path)
        if entry is None or entry.made_from != made_from:
            return None
        file = self.folder / path
        if not file.is_file() or file.stat().st_size != entry.bytes:
            return None
        return entry if entry.sha256 in (None, file_digest(file)) else None

    def add(self, entry: BuiltFile) -> None:
        """Log a complete file."""
        self._files[entry.path] = entry
        if self._stream is not None:
            with naming(self.folder / NAME):
                self._stream.write(_line(entry))
                self._stream.flush()


def _line(entry: BuiltFile) -> str:
    known = {name: value for name, value in dataclasses.asdict(entry).items() if value is not None}
    return json.dumps(known, sort_keys=True) + "\n"

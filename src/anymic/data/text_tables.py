"""Text tables: every cell is read as text."""

from __future__ import annotations

import codecs
import csv
import io
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from anymic.data.tables import MOST_NAMED, TABLE, is_unicode, some
from anymic.errors import AnymicWarning, ManifestError

MOST_COLUMNS = 1000
SEPARATORS = (",", "\t", ";")
_HEAD_BYTES = 1 << 16
_ROWS_AT_ONCE = 256
_UNNAMED = "\x00"  # begins the name of a column that has none; no name in a file has it
_ENCODINGS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class TextTable:
    """The cells of a text table, and where its rows stand in the file.

    Attributes
    ----------
    table : pandas.DataFrame
        Every cell is text, and empty cells are "".
    rows, lines : list of int
        For each row of the table, its row in the file (comments and blank lines are rows too; the
        first is 1), and the line that it begins on.
    """

    table: pd.DataFrame
    rows: list[int]
    lines: list[int]

    def name_of(self, row: int) -> str:
        """Return how messages name a row; with its line where a cell before it has several."""
        return row_name(self.rows[row], self.lines[row])


def row_name(row: int, line: int) -> str:
    """Return how messages name a row of a file."""
    return f"row {row}" if row == line else f"row {row} (line {line})"


def read_table(
    path: str | Path, *, separator: str | None = None, columns: Sequence[str] = ()
) -> pd.DataFrame:
    """Read a text table with every cell as text; see `read_text_table`.

    Parameters
    ----------
    path : path
    separator : str, optional
    columns : sequence of str
        Columns that must be there; a ManifestError names the missing ones.
    """
    wanted = f"a table with the columns {', '.join(columns)}" if columns else TABLE
    table = read_text_table(path, separator=separator, wanted=wanted).table
    if missing := [column for column in columns if column not in table.columns]:
        raise ManifestError(
            f"{path} has the columns {some(table.columns, most=MOST_NAMED)}",
            expected=f"also {', '.join(missing)}",
            fix="check that this is the file as published",
        )
    return table


def read_text_table(
    path: str | Path, *, separator: str | None = None, wanted: str = TABLE
) -> TextTable:
    """Read a text table: RFC 4180, in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    Blank lines are skipped, as are lines that begin with # (an AnymicWarning counts them). Bytes
    that are not UTF-8 are kept in the column ``path`` (names of files) and refused elsewhere.

    Parameters
    ----------
    path : path
    separator : str, optional
        By default the one of comma, tab and semicolon that divides the header into most cells; an
        AnymicWarning says so where it is a semicolon.
    wanted : str
        What a message says that was expected.

    Raises
    ------
    ManifestError
        The file is missing, empty, not text or not a table: a row has more or fewer cells than the
        header, a column has no name or is there twice, or there are more than `MOST_COLUMNS`.
    """
    path = Path(path)
    text = _text(path, wanted)
    if separator is None:
        separator = max(SEPARATORS, key=lambda each: len(_header(text, each)))
        if separator == ";":
            _note(f"{path} is separated by semicolons")
    found = _Records(path, wanted)
    found.read(_Lines(text), separator)
    return found.table()


@dataclass
class _Records:
    """The rows of a file, as they are read."""

    path: Path
    wanted: str
    names: list[str] = field(default_factory=list)
    columns: list[list[str]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def read(self, lines: _Lines, separator: str) -> None:
        """Read all rows, and refuse what is no table."""
        row = line = 0
        some_rows: list[list[str]] = []  # few, because a list of all rows takes long to collect
        reader = csv.reader(lines, delimiter=separator, strict=True)
        try:
            for record in reader:
                row, line, begin = row + 1, reader.line_num, line + 1
                lines.at_row = True
                if not any(record) or not "".join(record).strip():
                    continue
                if not self.names:
                    self.names = _checked_header(self.path, record, self.wanted)
                    self.columns = [[] for _ in self.names]
                    continue
                if len(record) != len(self.names):
                    record = self._fitted(record, row_name(row, begin))
                some_rows.append(record)
                self.rows.append(row)
                self.lines.append(begin)
                if len(some_rows) == _ROWS_AT_ONCE:
                    self._add(some_rows)
            self._add(some_rows)
        except csv.Error as error:
            where = row_name(row + 1, line + 1)
            raise _no_table(
                self.path,
                f"({error} in {where})",
                expected=self.wanted,
                fix="close each quotation mark, and write a quotation mark in a cell twice",
            ) from error
        if lines.comments:
            _note(f"{self.path} has {lines.comments} comments (lines that begin with #)")

    def _add(self, rows: list[list[str]]) -> None:
        for column, cells in zip(self.columns, zip(*rows, strict=True), strict=bool(rows)):
            column.extend(cells)
        rows.clear()

    def _fitted(self, record: list[str], where: str) -> list[str]:
        """Return a row with a cell for each column; note where it has more or fewer."""
        width = len(self.names)
        if any(record[width:]):
            last = f"the last column, {self.names[-1]}"
            self.problems.append(f"{where} has {record[width]!r} after {last}")
        elif len(record) < width:
            self.problems.append(f"{where} has no cell for {self.names[len(record)]}")
        return (record + [""] * width)[:width]

    def table(self) -> TextTable:
        """Return the table, if there is nothing to refuse."""
        if self.problems:
            raise _no_table(
                self.path,
                f"({some(self.problems, separator='; ')})",
                expected=f"a cell for each of the {len(self.names)} columns",
                fix="put a cell that contains the separator into quotation marks, and fill the"
                " others",
            )
        if not self.names:
            raise _no_table(
                self.path,
                "(it is empty)",
                expected=self.wanted,
                fix="write it with a header line",
            )
        columns = dict(zip(self.names, self.columns, strict=True))
        table = pd.DataFrame(columns, dtype=object)
        found = TextTable(table, self.rows, self.lines)
        _check_text(self.path, found, self.wanted)
        return _without_unnamed(self.path, found)


class _Lines:
    """The lines of a text. Comments, which begin with # where a row begins, are blank."""

    def __init__(self, text: str) -> None:
        self.lines = io.StringIO(text, newline="")
        self.at_row = True
        self.comments = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        if self.at_row and line.startswith("#"):
            self.comments += 1
            return "\n"
        if line.strip():
            self.at_row = False
        return line


def _header(text: str, separator: str) -> list[str]:
    """Return the cells of the header line; none if it cannot be read."""
    reader = csv.reader(_Lines(text), delimiter=separator)
    try:
        return next((cells for cells in reader if any(cells)), [])
    except csv.Error:
        return []


def _text(path: Path, wanted: str) -> str:
    """Return the text of a file; bytes that are not UTF-8 become surrogates."""
    if not path.is_file():
        raise ManifestError(f"no file {path}", expected=wanted, fix="check the name and the folder")
    fix = "save it as CSV in UTF-8"
    with path.open("rb") as stream:
        data = stream.read(_HEAD_BYTES)
        encoding = next((name for mark, name in _ENCODINGS if data.startswith(mark)), None)
        if encoding or b"\0" not in data:  # a recording is not read whole
            data += stream.read()
    try:
        text = data.decode(encoding) if encoding else data.decode("utf-8-sig", "surrogateescape")
    except UnicodeDecodeError as error:
        reason = f"(its byte order mark says {encoding}: {error.reason})"
        raise _no_table(path, reason, expected=wanted, fix=fix) from error
    if (nul := text.find("\0")) >= 0:
        reason = f"(there is a NUL byte in line {text[:nul].count(chr(10)) + 1})"
        raise _no_table(path, reason, expected=wanted, fix=fix)
    return text


def _no_table(path: Path, reason: str, *, expected: str, fix: str) -> ManifestError:
    problem = f"{path} cannot be read as a table {reason}"
    return ManifestError(problem, expected=expected, fix=fix)


def _checked_header(path: Path, names: list[str], wanted: str) -> list[str]:
    """Return the names of the columns; refuse too many, and one that is there twice."""
    if len(names) > MOST_COLUMNS:
        raise ManifestError(
            f"{path} has {len(names)} columns",
            expected=f"at most {MOST_COLUMNS}",
            fix="leave out the columns that do not describe the clips",
        )
    if twice := [name for name, count in Counter(names).items() if name.strip() and count > 1]:
        raise ManifestError(
            f"{path} has the column {' and '.join(twice)} twice",
            expected=wanted,
            fix="rename or remove one of them",
        )
    return [name if name.strip() else f"{_UNNAMED}{at}" for at, name in enumerate(names)]


def _check_text(path: Path, found: TextTable, wanted: str) -> None:
    """Refuse bytes that are not UTF-8, but for the names of files."""
    for column in found.table.columns:
        cells = found.table[column].tolist()
        if is_unicode("".join([column, *cells])):
            continue
        for row, cell in enumerate([column, *cells], start=-1):
            if is_unicode(cell) or (column == "path" and os.path.lexists(path.parent / cell)):
                continue
            shown = os.fsencode(cell).decode("latin-1")
            where = "the header" if row < 0 else f"the column {column} in {found.name_of(row)}"
            reason = f"({where} is not UTF-8: {shown!r})"
            raise _no_table(path, reason, expected=wanted, fix="save it as CSV in UTF-8")


def _without_unnamed(path: Path, found: TextTable) -> TextTable:
    """Leave out columns without a name: the first, and others that are empty."""
    table = found.table
    unnamed = [name for name in table.columns if name.startswith(_UNNAMED)]
    for name in unnamed:
        filled = np.flatnonzero((table[name] != "").to_numpy(dtype=bool))
        if not len(filled):
            continue
        number = int(name.removeprefix(_UNNAMED))
        if number == 0:
            _note(f"the first column of {path} has no name, and is not used")
            continue
        cell = table[name].iloc[filled[0]]
        raise ManifestError(
            f"{path} has a cell without a column in {found.name_of(int(filled[0]))} ({cell!r})",
            expected="a name for each column in the header",
            fix="put a cell that contains the separator into quotation marks, or name the column",
        )
    return replace(found, table=table.drop(columns=unnamed)) if unnamed else found


def _note(text: str) -> None:
    warnings.warn(text, AnymicWarning, stacklevel=4)

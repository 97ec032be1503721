"""Text tables: every cell is read as text."""

from __future__ import annotations

import codecs
import csv
import io
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pandas as pd

from anymic.data.tables import MOST_NAMED, TABLE, is_unicode, refuse_twice, some
from anymic.errors import AnymicWarning, ManifestError

MOST_COLUMNS = 1000
SEPARATORS = (",", "\t", ";")
_HEAD_BYTES = 1 << 16
_ROWS_AT_ONCE = 256  # few, because the interpreter often visits lists that it keeps
_ENCODINGS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_table(
    path: str | Path, *, separator: str | None = None, columns: Sequence[str] = ()
) -> pd.DataFrame:
    """Read a text table with every cell as text; see `read_text_table`.

    `columns` must be there; a ManifestError names the missing ones.
    """
    wanted = f"a table with the columns {', '.join(columns)}" if columns else TABLE
    table = read_text_table(path, separator=separator, wanted=wanted).frame()
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

    Blank lines are skipped, as are lines that begin with # (an AnymicWarning counts them). Blanks
    after separators are left out if the header has one after each. Bytes that are not UTF-8 are
    kept in the column ``path`` (names of files) and refused elsewhere.

    Parameters
    ----------
    path : path
    separator : str, optional
        By default the one of comma, tab and semicolon that divides the header into most cells; an
        AnymicWarning states it where it is a semicolon.
    wanted : str
        What was expected, for messages.

    Raises
    ------
    ManifestError
        The file is missing, empty, not text or not a table: a row has more or fewer cells than the
        header, a column has no name or is there twice, or there are more than `MOST_COLUMNS`.
    """
    found = TextTable(Path(path), wanted)
    text = found.text()
    if separator is None:
        separator = max(SEPARATORS, key=lambda each: len(_header(text, each)))
        if separator == ";":
            _note(f"{path} is separated by semicolons")
    found.read(text, separator)
    return found


@dataclass
class TextTable:
    """The cells of a text table, by column, and where its rows stand in the file.

    `rows` and `lines` are the row of the file (comments and blank lines are rows too; the first is
    1) and the line that each row begins on.
    """

    path: Path
    wanted: str
    columns: dict[str, list[str]] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def frame(self) -> pd.DataFrame:
        """Return the table; empty cells are ""."""
        return pd.DataFrame(self.columns, dtype=object)

    def name_of(self, row: int) -> str:
        """Return how messages name a row; with its line where a cell before it has several."""
        return _row_name(self.rows[row], self.lines[row])

    def text(self) -> str:
        """Return the text of the file; bytes that are not UTF-8 become surrogates."""
        if not self.path.is_file():
            fix = "check the name and the folder"
            raise ManifestError(f"no file {self.path}", expected=self.wanted, fix=fix)
        with self.path.open("rb") as stream:
            data = stream.read(_HEAD_BYTES)
            encoding = next((name for mark, name in _ENCODINGS if data.startswith(mark)), None)
            if encoding or b"\0" not in data:  # a recording is not read whole
                data += stream.read()
        try:
            text = data.decode(encoding or "utf-8-sig", "strict" if encoding else "surrogateescape")
        except UnicodeDecodeError as error:
            raise self._refusal(f"its byte order mark states {encoding}: {error.reason}") from error
        if (nul := text.find("\0")) >= 0:
            raise self._refusal(f"there is a NUL byte in line {text[:nul].count(chr(10)) + 1}")
        return text

    def read(self, text: str, separator: str) -> None:
        """Read all rows, and refuse a text that is not a table."""
        lines, header = _Lines(text), _header(text, separator)
        blanks = len(header) > 1 and all(name.startswith(" ") for name in header[1:])
        reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=blanks)
        names, together, problems = list[str](), list[list[str]](), list[str]()
        row = line = 0
        try:
            for record in reader:
                row, line, begin = row + 1, reader.line_num, line + 1
                lines.at_row = True
                if not any(record) or not "".join(record).strip():
                    continue
                if not names:
                    names = self._named(record)
                    continue
                if len(record) != len(names):
                    record, problem = _fitted(record, names)
                    problems += [f"{_row_name(row, begin)} {problem}"] if problem else []
                together.append(record)
                self.rows.append(row)
                self.lines.append(begin)
                if len(together) == _ROWS_AT_ONCE:
                    self._add(together)
            self._add(together)
        except csv.Error as error:
            fix = "close each quotation mark, and write a quotation mark in a cell twice"
            raise self._refusal(f"{error} in {_row_name(row + 1, line + 1)}", fix=fix) from error
        if problems:
            raise self._refusal(
                some(problems, separator="; "),
                expected=f"a cell for each of the {len(names)} columns",
                fix="put a cell that contains the separator in quotation marks",
            )
        if not names:
            raise self._refusal("it is empty", fix="write it with a header line")
        if lines.comments:
            _note(f"{self.path} has {lines.comments} comments (lines that begin with #)")
        self._check_text()
        self._leave_out_unnamed()

    def _named(self, names: list[str]) -> list[str]:
        """Begin a column for each name; return the names."""
        if len(names) > MOST_COLUMNS:
            raise ManifestError(
                f"{self.path} has {len(names)} columns",
                expected=f"at most {MOST_COLUMNS}",
                fix="leave out the columns that do not describe the clips",
            )
        refuse_twice(filter(str.strip, names), str(self.path))
        # A name in a file has no NUL.
        names = [name if name.strip() else f"\0{number}" for number, name in enumerate(names)]
        self.columns = {name: [] for name in names}
        return names

    def _add(self, rows: list[list[str]]) -> None:
        for column, cells in zip(self.columns.values(), zip(*rows, strict=True), strict=bool(rows)):
            column.extend(cells)
        rows.clear()

    def _check_text(self) -> None:
        """Refuse bytes that are not UTF-8, except in the names of files."""
        for column, cells in self.columns.items():
            if is_unicode("".join([column, *cells])):
                continue
            for row, cell in enumerate([column, *cells], start=-1):
                exists = column == "path" and os.path.lexists(self.path.parent / cell)
                if not exists and not is_unicode(cell):
                    where = "the header" if row < 0 else f"{self.name_of(row)}, column {column},"
                    shown = os.fsencode(cell).decode("latin-1")
                    raise self._refusal(f"{where} is not UTF-8: {shown!r}")

    def _leave_out_unnamed(self) -> None:
        """Leave out columns without a name: the first, and others that are empty."""
        for name in [name for name in self.columns if name.startswith("\0")]:
            cells = self.columns.pop(name)
            if not any(cells):
                continue
            if name == "\x000":
                _note(f"the first column of {self.path} has no name, and is not used")
                continue
            row = next(row for row, cell in enumerate(cells) if cell)
            raise self._refusal(
                f"a cell without a column in {self.name_of(row)}: {cells[row]!r}",
                expected="a name for each column in the header",
                fix="put a cell that contains the separator in quotation marks, or name the column",
            )

    def _refusal(
        self, reason: str, *, expected: str = "", fix: str = "save it as CSV in UTF-8"
    ) -> ManifestError:
        problem = f"{self.path} cannot be read as a table ({reason})"
        return ManifestError(problem, expected=expected or self.wanted, fix=fix)


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


def _fitted(record: list[str], names: Sequence[str]) -> tuple[list[str], str]:
    """Return a row with a cell for each column, and whether it has more or fewer."""
    width, problem = len(names), ""
    if any(record[width:]):
        problem = f"has {record[width][:40]!r} after the last column, {names[-1][:40]}"
    elif len(record) < width:
        problem = f"has no cell for {names[len(record)]}"
    return (record + [""] * width)[:width], problem


def _row_name(row: int, line: int) -> str:
    return f"row {row}" if row == line else f"row {row} (line {line})"


def _note(text: str) -> None:
    warnings.warn(text, AnymicWarning, stacklevel=4)

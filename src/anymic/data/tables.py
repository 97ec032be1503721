"""Columns of tables: each gets its type, and problems are listed by row."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anymic._internal.remote import is_url
from anymic.errors import ManifestError

TABLE = "a table with one clip a row and at least the columns path and label"
INTEGER_COLUMNS = ("fold", "manually_verified")  # an empty cell is read as -1: "not known"
# An empty cell is NaN, but 0 for start_s.
NUMBER_COLUMNS = ("start_s", "duration_s", "kbps", "bandwidth_hz")
MEASURED_COLUMNS = ("bandwidth_hz", "condition")  # of the sound of a file, by `anymic data prepare`
KNOWN_COLUMNS = ("path", "label", "device", "take", "group", "split", "codec") + (
    INTEGER_COLUMNS + NUMBER_COLUMNS
)
MOST_INTEGER = 2**53  # above, a float does not hold every whole number
MOST_NAMED = 20  # columns in a message


def tidy(
    table: pd.DataFrame, name_of: Callable[[int], str] | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Give every column its type; return the new table and what could not be converted."""
    columns: dict[str, Any] = {}
    problems: list[str] = []
    for column in table.columns:
        cells = [cell if type(cell) is str else cell_text(cell) for cell in table[column].tolist()]
        if column not in (*INTEGER_COLUMNS, *NUMBER_COLUMNS):
            columns[str(column)] = pd.Series(cells, dtype=object)
            continue
        text = pd.Series(cells, dtype=object)
        numbers = pd.to_numeric(text.where(text != "", None), errors="coerce")
        values = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = (np.isnan(values) & (text != "").to_numpy(dtype=bool)) | np.isinf(values)
        if column in INTEGER_COLUMNS:
            values = np.where(np.isnan(values), -1.0, values)
            wrong |= (values != np.round(values)) | (np.abs(values) > MOST_INTEGER)
            columns[column] = np.where(wrong, -1.0, values).astype(np.int64)
        else:
            values = np.where(np.isnan(values) & (column == "start_s"), 0.0, values)
            wrong |= (values < 0) if column == "start_s" else (values <= 0)
            columns[column] = values
        kind = "a whole number" if column in INTEGER_COLUMNS else "a number in range"
        problems += rows_problem(f"{column} is not {kind}", wrong, cells, name_of)
    return pd.DataFrame(columns, index=pd.RangeIndex(len(table))), problems


def rows_problem(
    what: str,
    wrong: NDArray[np.bool_],
    cells: Sequence[str] = (),
    name_of: Callable[[int], str] | None = None,
) -> list[str]:
    """Return one problem for all wrong rows; by default the header of the file is row 1."""
    rows = np.flatnonzero(wrong).tolist()
    if not rows:
        return []
    name_of = name_of or after_header
    listed = some(name_of(row) + (f" ({cells[row]})" if cells else "") for row in rows)
    return [f"{what} in {listed}"]


def after_header(row: int) -> str:
    """Return how messages name a row of a table whose header is row 1."""
    return f"row {row + 2}"


def joined(units: list[str], *others: Sequence[str]) -> list[str]:
    """Return the units, of which those that share a name in one of the others are the same."""
    same: dict[str, str] = {}  # from a unit to one that it is joined to

    def first(unit: str) -> str:
        while unit in same:
            unit = same[unit]
        return unit

    for names in others:
        if len(names):
            of_name: dict[str, dict[str, None]] = {}
            for name, unit in zip(names, units, strict=True):
                of_name.setdefault(name, {})[unit] = None
            of_name.pop("", None)
            for _, several in sorted(of_name.items()):
                one, *rest = dict.fromkeys(map(first, several))
                same.update(dict.fromkeys(rest, one))
    return [first(unit) for unit in units] if same else units


def refuse_twice(names: Iterable[str], where: str) -> None:
    """Refuse columns of which two have one name."""
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ManifestError(
            f"{where} has the column {some(twice)} twice",
            expected=TABLE,
            fix="rename or remove one of them",
        )


def is_unicode(text: str) -> bool:
    """Return whether a text can be written as UTF-8; names of files may not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def some(items: Iterable[str], *, most: int = 5, separator: str = ", ") -> str:
    """Return the first few, and how many more there are."""
    listed = list(items)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return separator.join(listed[:most]) + more


def cell_text(value: Any) -> str:
    """Return a cell's text, "" where missing: the same before writing and after reading."""
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def relative(path: str | Path, folder: str) -> str:
    """Return the path relative to the folder, with forward slashes; absolute if it is elsewhere.

    A URL stays as it is.
    """
    if is_url(os.fspath(path)):
        return os.fspath(path)
    full = os.path.normpath(path)
    below = os.path.join(folder, "")
    return (full[len(below) :] if full.startswith(below) else full).replace(os.sep, "/")

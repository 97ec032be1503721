"""Text tables: every cell is read as text, then each column gets its type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anymic.errors import ManifestError

TABLE = "a table with one clip a row and at least the columns path and label"
INTEGER_COLUMNS = ("fold", "manually_verified")  # an empty cell is read as -1: "not known"
NUMBER_COLUMNS = ("start_s", "duration_s", "kbps")  # an empty cell is NaN, but 0 for start_s


def read_table(
    path: str | Path, *, separator: str | None = None, columns: Sequence[str] = ()
) -> pd.DataFrame:
    """Read a text table with every cell as text, empty cells as "".

    Parameters
    ----------
    path : path
        A UTF-8 file with a header line.
    separator : str, optional
        By default a tab where the header line has one and has no comma, else a comma.
    columns : sequence of str
        Columns that must be there.

    Raises
    ------
    ManifestError
        The file is missing, empty, not text, not a table, or lacks a column.
    """
    path = Path(path)
    wanted = f"a table with the columns {', '.join(columns)}" if columns else TABLE
    if not path.is_file():
        raise ManifestError(f"no file {path}", expected=wanted, fix="check the name and the folder")
    try:
        with path.open(encoding="utf-8-sig") as stream:
            header = stream.readline()
        if separator is None:
            separator = "\t" if "\t" in header and "," not in header else ","
        options: dict[str, Any] = {"dtype": str, "keep_default_na": False, "index_col": False}
        table: pd.DataFrame = pd.read_csv(path, sep=separator, encoding="utf-8-sig", **options)
    except (ValueError, OSError) as error:  # pandas' parser errors and bad UTF-8 are ValueErrors
        reason = " ".join(str(error).split())
        raise ManifestError(
            f"{path} cannot be read as a table ({reason})",
            expected=wanted,
            fix="write it as UTF-8 text with a header line",
        ) from error
    if missing := [column for column in columns if column not in table.columns]:
        raise ManifestError(
            f"{path} has the columns {', '.join(table.columns)}",
            expected=f"also {', '.join(missing)}",
            fix="check that this is the file as published",
        )
    return table


def tidy(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Give every column its type; return the new table and what could not be converted."""
    columns: dict[str, Any] = {}
    problems: list[str] = []
    for column in table.columns:
        cells = [cell_text(cell) for cell in table[column].tolist()]
        if column not in (*INTEGER_COLUMNS, *NUMBER_COLUMNS):
            columns[str(column)] = pd.Series(cells, dtype=object)
            continue
        text = pd.Series(cells, dtype=object)
        numbers = pd.to_numeric(text.where(text != "", None), errors="coerce")
        values = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = (np.isnan(values) & (text != "").to_numpy(dtype=bool)) | np.isinf(values)
        if column in INTEGER_COLUMNS:
            values = np.where(np.isnan(values), -1.0, values)
            wrong |= values != np.round(values)
            columns[column] = np.where(wrong, -1.0, values).astype(np.int64)
        else:
            values = np.where(np.isnan(values) & (column == "start_s"), 0.0, values)
            wrong |= (values < 0) if column == "start_s" else (values <= 0)
            columns[column] = values
        kind = "a whole number" if column in INTEGER_COLUMNS else "a number in range"
        problems += rows_problem(f"{column} is not {kind}", wrong, cells)
    return pd.DataFrame(columns, index=pd.RangeIndex(len(table))), problems


def rows_problem(what: str, wrong: NDArray[np.bool_], cells: Sequence[str] = ()) -> list[str]:
    """Return one problem for all wrong rows; the header of the file is row 1."""
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return []
    listed = some(f"row {row + 2}" + (f" ({cells[row]})" if cells else "") for row in rows.tolist())
    return [f"{what} in {listed}"]


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

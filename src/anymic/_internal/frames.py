"""Data frames whose text may be any name of a file.

With pyarrow installed pandas keeps text in its arrays, which hold UTF-8 only: the name of a file
that is not UTF-8 is then an error. And pandas before 3.1 can take two such names for the same one
where it groups rows, counts different values or compares several columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

STORAGE = ("mode.string_storage", "python")

# A decorator of functions that assign columns of text.
python_text = pd.option_context(*STORAGE)


def frame(rows: Any, **settings: Any) -> pd.DataFrame:
    r"""Return what pd.DataFrame returns, with text as Python's.

    Examples
    --------
    >>> frame({"path": ["caf\udce9.wav"]})["path"].tolist()
    ['caf\udce9.wav']
    """
    with pd.option_context(*STORAGE):
        return pd.DataFrame(rows, **settings)


def as_text(column: Any) -> Any:
    """Return a column, or a table, whose cells are text, as Python's."""
    with pd.option_context(*STORAGE):
        return column.astype(str)


def group_numbers(table: pd.DataFrame, columns: Sequence[str]) -> pd.Series[int]:
    r"""Return a number for the cells of each row, the same for equal cells, from 0 upwards.

    Use it in place of the columns for grouping by names of files and for finding repeated ones.

    Examples
    --------
    >>> table = frame({"path": ["b", "caf\udce9", "b", "caf\udce8"]})
    >>> group_numbers(table, ["path"]).tolist()
    [0, 1, 0, 2]
    """
    first: dict[tuple[Any, ...], int] = {}
    cells = zip(*(table[column] for column in columns), strict=True)
    return pd.Series([first.setdefault(row, len(first)) for row in cells], table.index, dtype=int)

"""Data frames whose text may be any name of a file.

With pyarrow installed pandas keeps text in its arrays, which hold UTF-8 only: the name of a file
that is not UTF-8 is then an error.
"""

from __future__ import annotations

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

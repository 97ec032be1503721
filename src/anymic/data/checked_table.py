"""Check a table of clips, give its columns their types, and find its aligned takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from anymic._internal.frames import group_numbers, python_text
from anymic.data import label_sets
from anymic.data.spelling import renaming, with_slashes, with_usual_columns, with_usual_splits
from anymic.data.tables import (
    KNOWN_COLUMNS,
    MOST_NAMED,
    TABLE,
    after_header,
    is_unicode,
    refuse_twice,
    rows_problem,
    some,
    tidy,
)
from anymic.errors import ManifestError

_REQUIRED = ("path", "label")


@python_text
def checked(
    table: pd.DataFrame,
    root: Path,
    *,
    name: str,
    several: bool | None,
    name_of: Callable[[int], str] = after_header,
) -> tuple[pd.DataFrame, bool]:
    """Return the table of a manifest, and whether a clip may have several labels.

    Parameters
    ----------
    table : pandas.DataFrame
    root : Path
        Relative paths are relative to this folder.
    name : str
        The name of the table in messages.
    several : bool, optional
        Whether a clip may have several labels; None is True where a label is empty.
    name_of : callable
        From the number of a row to its name in messages.

    Raises
    ------
    ManifestError
        As `Manifest.from_table`: all problems in one line.
    """
    where = f"the table {name}" if name else "the table"
    refuse_twice(map(str, table.columns), where)
    table = with_usual_columns(table, KNOWN_COLUMNS)
    table = label_sets.with_label_column(table) if several else table
    if missing := [column for column in _REQUIRED if column not in table.columns]:
        had = some(map(str, table.columns), most=MOST_NAMED) or "none"
        raise ManifestError(
            f"{where} has no column {' and no column '.join(missing)} (its columns: {had})",
            expected=TABLE,
            fix=renaming(missing, table) or "name the columns in the first line",
        )
    table = with_slashes(table, root)
    problems = ["there are no rows"] if table.empty else []
    typed, numbers = tidy(table, name_of)
    problems += numbers
    without = [not cell.strip() for cell in typed["label"]]
    several = any(without) and not all(without) if several is None else several
    needed = _REQUIRED[: 1 if several else 2]
    problems += _cell_problems(typed, needed, name_of) + _duplicates(typed, root, name_of)
    if problems:
        number = f"{len(problems)} problems: " if len(problems) > 1 else ""
        raise ManifestError(
            f"{where} cannot be used: {number}{'; '.join(problems)}",
            expected=TABLE,
            fix="correct the table and read it again",
        )
    if "split" in typed.columns:
        typed["split"] = with_usual_splits(typed["split"].tolist())
    if several:
        ordered = [label_sets.as_cell([cell]) for cell in typed["label"]]
        typed["label"] = pd.Series(ordered, dtype=object)
    return typed, several


def _cell_problems(
    table: pd.DataFrame, needed: Sequence[str], name_of: Callable[[int], str]
) -> list[str]:
    """Return a problem for the empty cells of each column `needed`, and for labels not in UTF-8."""
    problems = []
    for column in needed:
        empty = table[column].map(lambda cell: not cell.strip()).to_numpy(dtype=bool)
        problems += rows_problem(f"empty {column}", empty, name_of=name_of)
    if not is_unicode("".join(table["label"])):
        wrong = ~table["label"].map(is_unicode).to_numpy(dtype=bool)
        problems += rows_problem("label that is not UTF-8", wrong, name_of=name_of)
    return problems


def _duplicates(table: pd.DataFrame, root: Path, name_of: Callable[[int], str]) -> list[str]:
    """Return one problem for all clips, by path and start, that are there twice."""
    keys = table.reindex(columns=["path", "start_s"]).fillna({"start_s": 0.0})
    folder = os.path.abspath(root)
    keys["path"] = [os.path.normpath(os.path.join(folder, path)) for path in table["path"]]
    again = group_numbers(keys, ["path", "start_s"]).duplicated() & (table["path"] != "")
    found = [f"{table['path'][row]} ({name_of(row)})" for row in np.flatnonzero(again).tolist()]
    return [f"the same path and start_s twice: {some(found)}"] if found else []


def complete_takes(table: pd.DataFrame, devices: Sequence[str], *, named: str) -> pd.DataFrame:
    """Return the row numbers of the takes that all devices recorded; see `Manifest.takes`.

    `named` is the name of the manifest in messages, after a blank.
    """
    chosen = table["device"].isin(list(devices)) & (table["take"] != "")
    rows = table.loc[chosen, ["take", "device"]].assign(row=lambda part: part.index)
    twice = group_numbers(rows, ["take", "device"]).duplicated()
    if twice.any():
        listed = some(f"{row.take} ({row.device})" for row in rows[twice].itertuples())
        raise ManifestError(
            f"some takes have two rows of a device{named}: {listed}",
            expected="one row for each take and device",
            fix="give clips that were recorded at different times different takes",
        )
    rows = rows.sort_values("take").assign(number=lambda part: group_numbers(part, ["take"]))
    wide = rows.pivot(index="number", columns="device", values="row")
    wide.index = pd.Index(rows["take"][~rows["number"].duplicated()], name="take")
    wide = wide.reindex(columns=list(devices)).dropna().astype(np.int64)
    wide.columns.name = None
    return wide

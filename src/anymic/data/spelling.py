"""The usual spellings of columns and splits, and names that look alike."""

from __future__ import annotations

import os
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from anymic._internal.frames import python_text
from anymic.data.tables import MOST_NAMED, some
from anymic.errors import AnymicWarning, counted

_OTHER_COLUMNS: Final = {"splits": "split", "folds": "fold"}
_LIKE_SPLIT = ("subset", "set", "partition", "usage")  # read as `split` if its values are splits
_SPLITS: Final = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "val", "valid", "validate", "dev", "development"),
    "test": ("test", "testing", "tst", "eval", "evaluation"),
}
_SPLIT_OF: Final = {name: split for split, names in _SPLITS.items() for name in names}
_OTHERWISE: Final = {  # what others call the columns that are required
    "path": ("file", "filename", "file_name", "filepath", "file_path", "fname", "audio", "wav"),
    "label": ("class", "category", "class_name", "target", "label_name", "tag", "scene_label"),
}
_LISTED = 5


def usual_split(name: str) -> str | None:
    """Return train, validation or test for their usual spellings; None for another name.

    >>> usual_split(" Val "), usual_split("fold1")
    ('validation', None)
    """
    return _SPLIT_OF.get(_folded(name))


def with_usual_columns(table: pd.DataFrame, known: Iterable[str]) -> pd.DataFrame:
    """Return the table whose `known` columns have their own names, as does a split.

    Another case, blanks around the name, and another name for ``split`` of a column whose values
    are splits are accepted; an AnymicWarning states it, and names such a column that is not used.
    """
    usual = {**{name: name for name in known}, **_OTHER_COLUMNS}
    there, renamed, notes = set(map(str, table.columns)), {}, []
    for column in table.columns:
        name = usual.get(_folded(column)) or ("split" if _has_splits(table, column) else None)
        flag = "split" not in there and usual_split(_folded(column).removeprefix("is_"))
        if column == name or not (name or flag):
            continue
        if name and name not in there:
            there.add(name)
            renamed[column] = name
            notes.append(f"the column {column!r} is read as {name}")
        elif name:
            notes.append(f"the column {column!r} is not used, because there is {name}")
        else:
            notes.append(f"the column {column!r} is not used: name the splits in a column split")
    _warn(notes)
    return table.rename(columns=renamed) if renamed else table


def _has_splits(table: pd.DataFrame, column: Any) -> bool:
    """Return whether all cells are names of splits: several, or one in a column of a usual name."""
    cells = table[column]
    if not all(usual_split(str(cell)) or not str(cell).strip() for cell in cells.iloc[:9]):
        return False
    found = {usual_split(str(cell)) for cell in cells.unique() if str(cell).strip()}
    if None in found or not found:
        return False
    return len(found) > 1 or _folded(column) in _LIKE_SPLIT


def with_usual_splits(cells: list[str]) -> list[str]:
    """Return the cells of a column ``split``; usual spellings are changed, with AnymicWarnings."""
    counts = Counter(cells)
    usual = {cell: usual_split(cell) or cell.strip() for cell in counts}
    changed = [cell for cell in counts if usual[cell] != cell]
    _warn(
        f"split {cell!r} is read as {usual[cell]!r} ({counted(counts[cell], 'row')})"
        for cell in changed
    )
    return [usual[cell] for cell in cells] if changed else cells


def renaming(missing: Sequence[str], table: pd.DataFrame) -> str:
    """Return which columns to rename to those that are missing, where their names say so."""
    other = {
        name: [c for c in map(str, table.columns) if c.lower() in _OTHERWISE[name]]
        for name in missing
    }
    return " and ".join(
        f"rename the column {found[0]} to {name}" for name, found in other.items() if found
    )


@python_text
def with_slashes(table: pd.DataFrame, root: Path) -> pd.DataFrame:
    r"""Return the table with / for \\ in its paths, where files exist by that name only."""
    paths = table["path"].tolist()
    odd = [path for path in map(str, paths) if "\\" in path and not os.path.lexists(root / path)]
    if os.sep == "\\" or not any(
        (root / path.replace("\\", "/")).exists() for path in odd[:MOST_NAMED]
    ):
        return table
    text = f"paths with \\ are read with / ({counted(len(odd), 'row')})"
    warnings.warn(text, AnymicWarning, stacklevel=3)
    usual = {path: path.replace("\\", "/") for path in odd}
    return table.assign(path=[usual.get(path, path) for path in paths])


def warn_of_lookalikes(table: pd.DataFrame, *, several: bool = False) -> None:
    """Name labels, and devices, that look alike, and how to merge them, in an AnymicWarning."""
    for column in ("label", "device"):
        if column not in table.columns:
            continue
        alike: dict[str, list[str]] = {}
        cells = table[column]
        if several and column == "label":
            cells = cells.str.split(";").explode()
        counts = cells.value_counts().to_dict()
        counts.pop("", None)
        for name in counts:  # the most frequent first
            alike.setdefault(_folded(name, joined=True), []).append(str(name))
        for names in (names for names in alike.values() if len(names) > 1):
            show = _shown(names)
            listed = ", ".join(
                f"{show[name]} ({counted(counts[name], 'row')})" for name in names[:_LISTED]
            )
            others = " and ".join(show[name] for name in names[1:_LISTED])
            text = f"some {column}s look alike: {listed}; to merge them, write {show[names[0]]}"
            warnings.warn(f"{text} in place of {others}", AnymicWarning, stacklevel=3)


def _folded(name: object, *, joined: bool = False) -> str:
    """Return a key that is equal for names that differ in case, blanks, width or composition.

    With `joined`, hyphens and underscores are blanks.
    """
    text = unicodedata.normalize("NFKC", str(name)).casefold()
    text = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    if joined:
        text = text.replace("_", " ").replace("-", " ")
    return unicodedata.normalize("NFKC", " ".join(text.split()))


def _shown(names: list[str]) -> dict[str, str]:
    """Return how names are shown so that their difference is seen."""
    same = len({unicodedata.normalize("NFKC", name) for name in names}) < len(names)
    return {name: ascii(name) if same else repr(name) for name in names}


def _warn(notes: Iterable[str]) -> None:
    if found := list(notes):
        warnings.warn(some(found, separator="; "), AnymicWarning, stacklevel=4)

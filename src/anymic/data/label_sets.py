"""Several labels of one clip: a cell `dog;rain`, or a column of 0 and 1 for each label."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anymic._internal.frames import python_text
from anymic.data.tables import KNOWN_COLUMNS, cell_text, some
from anymic.errors import AnymicWarning, ManifestError, counted, part_of

SEPARATOR = ";"
NO_LABEL = ("noise", "background", "other")  # folders of clips that have none of the labels


def labels_of(cell: str) -> tuple[str, ...]:
    """Return the labels that a cell names, sorted and each once; none for an empty cell.

    >>> labels_of("rain; dog;")
    ('dog', 'rain')
    """
    return tuple(sorted({part.strip() for part in cell.split(SEPARATOR)} - {""}))


def as_cell(labels: Iterable[str]) -> str:
    """Return the cell that names these labels, in one order: `labels_of` reads it."""
    return SEPARATOR.join(labels_of(SEPARATOR.join(labels)))


def indicators(sets: Sequence[Sequence[str]], labels: Sequence[str]) -> NDArray[np.int64]:
    """Return 1 where a clip has a label, else 0: (clip, label).

    Raises KeyError for a label that is not among them.
    """
    number = {label: at for at, label in enumerate(labels)}
    found = np.zeros((len(sets), len(labels)), dtype=np.int64)
    for row, own in enumerate(sets):
        found[row, [number[label] for label in own]] = 1
    return found


@python_text
def with_label_column(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with a column ``label``, where it has a column of 0 and 1 for each label.

    These are all columns with another name than those of a manifest whose cells are 0 or 1; an
    AnymicWarning names them. A table that has a column ``label``, or none of these columns, is
    returned as it is.
    """
    if "label" in table.columns:
        return table
    cells = {
        str(column): [cell_text(cell).removesuffix(".0") for cell in table[column]]
        for column in table.columns
        if column not in KNOWN_COLUMNS
    }
    found = {name: own for name, own in cells.items() if own and set(own) <= {"0", "1"}}
    if not found:
        return table
    warnings.warn(
        f"the columns {some(found)} are read as labels (1: the clip has the label)",
        AnymicWarning,
        stacklevel=2,
    )
    rows = zip(*found.values(), strict=True)
    named = [
        as_cell(label for label, cell in zip(found, row, strict=True) if cell == "1")
        for row in rows
    ]
    return table.drop(columns=list(found)).assign(label=named)


def refuse_several(cells: Sequence[str], paths: Sequence[str], *, name: str = "") -> None:
    """Raise ManifestError, which names the setting, where a clip has several labels or none."""
    several = [
        f"{path} ({cell})" if cell else f"{path} (no label)"
        for path, cell in zip(paths, cells, strict=True)
        if SEPARATOR in cell or not cell
    ]
    if several:
        raise ManifestError(
            part_of(len(several), len(cells), "clip", name, verb=("does", "do"))
            + f" not have one label: {some(several, most=3)}",
            expected="one label a clip, because targets is one",
            fix="set targets to several to train with several labels a clip, or correct the labels",
        )


def require_known(
    sets: Sequence[Sequence[str]], paths: Sequence[str], known: set[str], *, named: str
) -> None:
    """Raise ManifestError for labels that are not known, with the number of their rows."""
    counts = Counter(label for own in sets for label in own if label not in known)
    if not counts:
        return
    listed = ", ".join(f"{label} ({counted(counts[label], 'row')})" for label in sorted(counts))
    fix = "rename these labels or leave their rows out"
    if any(SEPARATOR in label for label in counts):
        fix = "use a model of several labels a clip, or leave these rows out"
    elif all(
        len(own) == 1 and str(path).startswith(f"{own[0]}/")
        for own, path in zip(sets, paths, strict=True)
    ):
        fix = "name each folder after its label, or list the files and labels in a CSV file"
        listed += "; each label is the name of a folder"
    raise ManifestError(
        f"unknown labels{named}: {listed}", expected=f"only {', '.join(sorted(known))}", fix=fix
    )

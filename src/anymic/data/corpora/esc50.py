"""ESC-50 and its ESC-10 subset (Piczak, ESC: Dataset for Environmental Sound Classification, 2015).

https://github.com/karolpiczak/ESC-50: 2000 clips of 5 s, 44.1 kHz, mono, 50 classes, five folds.
ESC-50 is CC BY-NC 3.0; the clips of ESC-10 are CC BY.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from anymic.data.corpora.published import FACTS, find_root, refuse, register_published
from anymic.data.manifest import Manifest
from anymic.data.text_tables import read_table

_COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
_NAMES = {"filename": "path", "category": "label", "src_file": "group", "fold": "fold"}
_VALUES = {"fold": {"1", "2", "3", "4", "5"}, "esc10": {"True", "False"}}


@register_published("esc50")
def esc50(root: str | Path, *, subset: Literal["esc10", "esc50"] = "esc50") -> Manifest:
    """Read the release: the rows of ``meta/esc50.csv``, whether their files are there or not.

    Parameters
    ----------
    root : path
        The folder that holds ``meta`` and ``audio``, or the one above it.
    subset : {"esc50", "esc10"}
        ``"esc10"`` keeps the rows whose column ``esc10`` is ``True``.

    Returns
    -------
    Manifest
        Columns ``path``, ``label`` (the category), ``group`` (``src_file``, the Freesound
        recording that the clip was cut from) and ``fold`` (1 to 5). The column ``take`` of the
        release is left out: its clips were not recorded at the same moment.

    Raises
    ------
    ManifestError
        The layout differs, a column is missing, or rows do not fit the published classes.
    """
    folder = find_root(root, ["meta/esc50.csv"], corpus="ESC-50", below=("ESC-50-master", "ESC-50"))
    csv = folder / "meta" / "esc50.csv"
    table = read_table(csv, columns=_COLUMNS)
    refuse(_problems(table), where=csv, corpus="ESC-50")
    if subset == "esc10":
        table = table[table["esc10"] == "True"]
    rows = table[list(_NAMES)].rename(columns=_NAMES)
    rows["path"] = "audio/" + rows["path"]
    return Manifest.from_table(rows, folder, name=subset)


@register_published("esc10")
def esc10(root: str | Path) -> Manifest:
    """Read the release's subset of ten classes; see `esc50`."""
    return esc50(root, subset="esc10")


def _problems(table: pd.DataFrame) -> list[str]:
    problems = []
    number = {category: str(target) for target, category in enumerate(FACTS["esc50"].labels)}
    for row in table.to_dict("records"):
        name = row["filename"] or "a row without a filename"
        if row["category"] not in number:
            problems.append(f"{name} has the unknown category {row['category'] or '(empty)'}")
        elif row["target"] != number[row["category"]]:
            problems.append(f"{name} has target {row['target']} for {row['category']}")
        for column, values in _VALUES.items():
            if row[column] not in values:
                problems.append(f"{name} has {column} {row[column] or '(empty)'}")
    return problems

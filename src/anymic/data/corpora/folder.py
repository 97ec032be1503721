"""A folder of one folder for each label, or a table of clips."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from anymic._internal.frames import frame
from anymic.data.corpora.registry import register_corpus
from anymic.data.files import ENDINGS_LISTED, is_audio, search, warn_of_skipped
from anymic.data.label_sets import NO_LABEL
from anymic.data.manifest import Manifest
from anymic.data.spelling import usual_split, warn_of_lookalikes
from anymic.data.tables import some
from anymic.errors import AnymicWarning, ManifestError

WANTED = "a folder of one folder per label"


@register_corpus("folder", about="a folder of one folder for each label")
def folder(root: str | Path, *, several: bool = False) -> Manifest:
    """Read a folder of one folder per label; files may lie in folders below the label's.

    Files are found as by `anymic.data.files.search`, and AnymicWarnings list what was skipped.
    Where all folders are named as splits (train, val, test), each holds the folders of the labels.
    With `several`, clips may have several labels or none: the clips of folders named noise,
    background or other have none, and an AnymicWarning counts them.

    Returns
    -------
    Manifest
        Columns ``path`` and ``label``, and ``split`` where there are folders of splits; rows are
        sorted by path.

    Raises
    ------
    ManifestError
        The folder is missing, has no audio, has audio that is in no label's folder, or a label's
        folder has none.
    """
    root = Path(root)
    if not root.is_dir():
        raise ManifestError(f"no folder {root}", expected=WANTED, fix="check the name")
    skipped: Counter[str] = Counter()
    places = _folders(root, skipped)
    splits = {place: usual_split(place.name) for place in places}
    rows: list[dict[str, str]] = []
    if places and all(splits.values()):
        names = ", ".join(place.name for place in places)
        warnings.warn(f"the folders {names} are read as splits", AnymicWarning, stacklevel=2)
        for place, split in splits.items():
            found = _labelled(root, place, _folders(place, skipped), skipped)
            rows += [{**row, "split": str(split)} for row in found]
    else:
        rows += _labelled(root, root, places, skipped)
    warn_of_skipped(skipped)
    table = frame(rows)
    if several:
        table = _without_label(table)
    manifest = Manifest.from_table(table, root, name=root.resolve().name, several=several)
    warn_of_lookalikes(manifest.table, several=manifest.several)
    return manifest


def _folders(root: Path, skipped: Counter[str]) -> list[Path]:
    """Return the folders in a folder, sorted; refuse audio beside them."""
    folders, loose = [], []
    for entry in sorted(root.iterdir()):
        if entry.name.startswith("."):
            skipped["hidden"] += 1
        elif entry.is_dir():
            folders.append(entry)
        elif is_audio(entry):
            loose.append(entry.name)
        else:
            skipped[entry.suffix.lower() or "without an ending"] += 1
    if loose:
        raise ManifestError(
            f"some audio in {root} is not in the folder of a label: {some(loose)}",
            expected=WANTED,
            fix="move these files into a folder named after their label",
        )
    return folders


def _labelled(
    root: Path, place: Path, folders: list[Path], skipped: Counter[str]
) -> list[dict[str, str]]:
    """Return path and label of the audio in the folders of labels."""
    rows, bare = [], []
    for label in folders:
        files, others = search(label)
        skipped += others
        if not files:
            bare.append(label.name)
        rows += [{"path": file.relative_to(root).as_posix(), "label": label.name} for file in files]
    if bare or not folders:
        raise ManifestError(
            f"the folder {place} has {f'no audio in {some(bare)}' if bare else 'no folders'}",
            expected=f"{WANTED}, each with audio ({ENDINGS_LISTED})",
            fix="remove the folders that are not labels, or convert the files"
            if bare
            else "make a folder named after each label, with its recordings in it",
        )
    return rows


def _without_label(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with empty labels for the clips of folders that name no label."""
    none = [label.casefold() in NO_LABEL for label in table["label"]]
    if any(none):
        names = some(sorted(set(table["label"][none])))
        warnings.warn(
            f"{sum(none)} clips in the folders {names} are clips without a label",
            AnymicWarning,
            stacklevel=3,
        )
    return table.assign(label=table["label"].where(~np.array(none, dtype=bool), ""))


@register_corpus("csv", about="a CSV file with the columns path and label")
def csv(root: str | Path, *, several: bool = False) -> Manifest:
    """Read a table of clips; see `Manifest.read`."""
    return Manifest.read(root, several=several)

"""ESC-50 and its ESC-10 subset (Piczak, ESC: Dataset for Environmental Sound Classification, 2015).

https://github.com/karolpiczak/ESC-50: 2000 clips of 5 s, 44.1 kHz, mono, 50 classes, five folds.
ESC-50 is CC BY-NC 3.0; the clips of ESC-10 are CC BY.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from anymic.data.corpora.layout import find_root, refuse
from anymic.data.corpora.registry import register_corpus
from anymic.data.download import Archive
from anymic.data.manifest import Manifest
from anymic.data.tables import read_table

# The archive of a branch is made by GitHub on request and has no published checksum. The one
# recorded here is that of three independent projects (soundata, hear-preprocess, PaddleAudio).
ARCHIVES = (
    Archive(
        "https://github.com/karolpiczak/ESC-50/archive/master.zip",
        "ESC-50-master.zip",
        None,
        seen_md5="7771e4b9d86d0945acce719c7a59305a",
    ),
)
_COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")

# In the order of the numeric targets, 0 to 49.
# fmt: off
CATEGORIES = (
    "dog", "rooster", "pig", "cow", "frog", "cat", "hen", "insects", "sheep", "crow", "rain",
    "sea_waves", "crackling_fire", "crickets", "chirping_birds", "water_drops", "wind",
    "pouring_water", "toilet_flush", "thunderstorm", "crying_baby", "sneezing", "clapping",
    "breathing", "coughing", "footsteps", "laughing", "brushing_teeth", "snoring",
    "drinking_sipping", "door_wood_knock", "mouse_click", "keyboard_typing", "door_wood_creaks",
    "can_opening", "washing_machine", "vacuum_cleaner", "clock_alarm", "clock_tick",
    "glass_breaking", "helicopter", "chainsaw", "siren", "car_horn", "engine", "train",
    "church_bells", "airplane", "fireworks", "hand_saw",
)
# fmt: on


@register_corpus(
    "esc50", about="ESC-50: 2000 clips, 50 classes, five folds", rate_hz=44100, archives=ARCHIVES
)
def esc50(root: str | Path, *, subset: Literal["esc10", "esc50"] = "esc50") -> Manifest:
    """Read the release: ``meta/esc50.csv`` beside ``audio/``.

    The rows are those of the CSV, whatever is in ``audio/``: a copy of part of the corpus has a
    CSV with those rows.

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
        recording that the clip was cut from) and ``fold`` (1 to 5). The release's ``take``, a
        letter that tells the clips cut from one recording apart, is left out: they were not
        recorded at the same moment, which is what ``take`` means here.

    Raises
    ------
    ManifestError
        The layout is another, a column is missing, or rows do not fit the published classes.
    """
    folder = find_root(root, ["meta/esc50.csv"], corpus="ESC-50", below=("ESC-50-master", "ESC-50"))
    csv = folder / "meta" / "esc50.csv"
    table = read_table(csv, columns=_COLUMNS)
    refuse(_problems(table), where=csv, corpus="ESC-50")
    if subset == "esc10":
        table = table[table["esc10"] == "True"]
    rows = pd.DataFrame(
        {
            "path": "audio/" + table["filename"],
            "label": table["category"],
            "group": table["src_file"],
            "fold": table["fold"],
        }
    )
    return Manifest.from_table(rows, folder, name=subset)


@register_corpus(
    "esc10", about="ESC-10: 400 clips, 10 classes, five folds", rate_hz=44100, archives=ARCHIVES
)
def esc10(root: str | Path) -> Manifest:
    """Read the release's subset of ten classes; see `esc50`."""
    return esc50(root, subset="esc10")


def _problems(table: pd.DataFrame) -> list[str]:
    problems = []
    number = {category: str(target) for target, category in enumerate(CATEGORIES)}
    for row in table.to_dict("records"):
        name = row["filename"] or "a row without a filename"
        if row["category"] not in number:
            problems.append(f"{name} has the unknown category {row['category'] or '(empty)'}")
        elif row["target"] != number[row["category"]]:
            problems.append(f"{name} has target {row['target']} for {row['category']}")
        if row["fold"] not in {"1", "2", "3", "4", "5"}:
            problems.append(f"{name} has fold {row['fold'] or '(empty)'}")
        if row["esc10"] not in {"True", "False"}:
            problems.append(f"{name} has esc10 {row['esc10'] or '(empty)'}")
    return problems

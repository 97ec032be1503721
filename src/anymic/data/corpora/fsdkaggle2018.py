"""FSDKaggle2018 (Fonseca et al., General-purpose tagging of Freesound audio, DCASE 2018 task 2).

Zenodo 10.5281/zenodo.2552860: 11,073 clips of 0.3 to 30 s, 44.1 kHz, mono, 41 classes; Creative
Commons, clip by clip.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from anymic.data.corpora.published import FACTS, find_root, register_published
from anymic.data.manifest import Manifest
from anymic.data.text_tables import read_table
from anymic.errors import ManifestError

_ZENODO_TRAIN = "FSDKaggle2018.meta/train_post_competition.csv"
_ZENODO_TEST = "FSDKaggle2018.meta/test_post_competition_scoring_clips.csv"
_KAGGLE_TRAIN = "train.csv"
_KAGGLE_TEST = "test_post_competition.csv"


@register_published("fsdkaggle2018")
def fsdkaggle2018(root: str | Path) -> Manifest:
    """Read the corpus as Zenodo or as Kaggle publishes it.

    - Zenodo: ``FSDKaggle2018.meta/`` with ``train_post_competition.csv`` and
      ``test_post_competition_scoring_clips.csv``, ``FSDKaggle2018.audio_train/`` and
      ``FSDKaggle2018.audio_test/``.
    - Kaggle: ``train.csv``, ``audio_train/`` and ``audio_test/``. Test clips have rows only if
      ``test_post_competition.csv`` is there (rows with ``usage`` ``Ignored`` are left out).

    Parameters
    ----------
    root : path
        The folder that holds them, or the one above it.

    Returns
    -------
    Manifest
        Columns ``path``, ``label``, ``split`` (``train`` or ``test``), ``manually_verified`` (1
        or 0; -1 for test clips, where it is not published) and, where published, ``usage``,
        ``freesound_id`` and ``license``.

    Raises
    ------
    ManifestError
        The layout differs from both, a column is missing, or a label is none of the 41.
    """
    root = Path(root)
    if (root / _KAGGLE_TRAIN).is_file():
        folder, prefix = root, ""
        tables = {"train": _KAGGLE_TRAIN}
        if (root / _KAGGLE_TEST).is_file():
            tables["test"] = _KAGGLE_TEST
    else:
        prefix = "FSDKaggle2018."
        tables = {"train": _ZENODO_TRAIN, "test": _ZENODO_TEST}
        folder = find_root(
            root,
            list(tables.values()),
            corpus=f"FSDKaggle2018 in its Zenodo layout (or {_KAGGLE_TRAIN} in its Kaggle layout)",
            below=["FSDKaggle2018"],
        )
    parts = []
    for split, csv in tables.items():
        third = "manually_verified" if split == "train" else "usage"
        table = read_table(folder / csv, columns=("fname", "label", third))
        if split == "test":
            table = table[table["usage"] != "Ignored"]
        flags = set(table["manually_verified"]) if "manually_verified" in table.columns else set()
        if wrong := sorted(flags - {"0", "1"}):
            raise ManifestError(
                f"manually_verified is {', '.join(map(repr, wrong))} in {folder / csv}",
                expected="0 or 1",
                fix="download the file again",
            )
        kept = [c for c in (third, "freesound_id", "license") if c in table.columns]
        part = table[["label", *kept]].copy()
        part.insert(0, "path", f"{prefix}audio_{split}/" + table["fname"])
        parts.append(part.assign(split=split))
    rows = pd.concat(parts, ignore_index=True)
    manifest = Manifest.from_table(rows, folder, name="fsdkaggle2018")
    manifest.require_labels(FACTS["fsdkaggle2018"].labels)
    return manifest

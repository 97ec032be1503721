"""FSDKaggle2018 (Fonseca et al., General-purpose tagging of Freesound audio, DCASE 2018 task 2).

Zenodo 10.5281/zenodo.2552860: 11,073 clips of 0.3 to 30 s, 44.1 kHz, mono, 41 classes; Creative
Commons, clip by clip.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from anymic.data.corpora.layout import find_root
from anymic.data.corpora.registry import register_corpus
from anymic.data.download import zenodo
from anymic.data.manifest import Manifest
from anymic.data.tables import read_table
from anymic.errors import ManifestError

# fmt: off
LABELS = (
    "Acoustic_guitar", "Applause", "Bark", "Bass_drum", "Burping_or_eructation", "Bus", "Cello",
    "Chime", "Clarinet", "Computer_keyboard", "Cough", "Cowbell", "Double_bass",
    "Drawer_open_or_close", "Electric_piano", "Fart", "Finger_snapping", "Fireworks", "Flute",
    "Glockenspiel", "Gong", "Gunshot_or_gunfire", "Harmonica", "Hi-hat", "Keys_jangling", "Knock",
    "Laughter", "Meow", "Microwave_oven", "Oboe", "Saxophone", "Scissors", "Shatter", "Snare_drum",
    "Squeak", "Tambourine", "Tearing", "Telephone", "Trumpet", "Violin_or_fiddle", "Writing",
)
# fmt: on
# Checksums as a converter of the corpus to the Hugging Face format records them for Zenodo record
# 2552860; only one source was at hand.
ARCHIVES = zenodo(
    2552860,
    "FSDKaggle2018",
    {
        "meta": "f16828ac8be0e5285b9175a12f90d784",
        "audio_train": "a8b47ff4b52022c178f88fa5c6f080d0",
        "audio_test": "f85c8665c3fc39311ea1b748e194a81d",
    },
)
_ZENODO_TRAIN = "FSDKaggle2018.meta/train_post_competition.csv"
_ZENODO_TEST = "FSDKaggle2018.meta/test_post_competition_scoring_clips.csv"
_KAGGLE_TRAIN = "train.csv"
_KAGGLE_TEST = "test_post_competition.csv"


@register_corpus(
    "fsdkaggle2018",
    about="FSDKaggle2018: 11,073 clips, 41 classes, train and test",
    rate_hz=44100,
    archives=ARCHIVES,
)
def fsdkaggle2018(root: str | Path) -> Manifest:
    """Read the corpus as Zenodo or as Kaggle publishes it.

    - Zenodo: ``FSDKaggle2018.meta/`` with ``train_post_competition.csv`` and
      ``test_post_competition_scoring_clips.csv``, ``FSDKaggle2018.audio_train/`` and
      ``FSDKaggle2018.audio_test/``.
    - Kaggle: ``train.csv``, ``audio_train/`` and ``audio_test/``. The competition gave no labels
      for its test clips, so they have no rows, unless ``test_post_competition.csv`` is there
      (its rows with ``usage`` ``Ignored`` are padding and are left out).

    Parameters
    ----------
    root : path
        The folder that holds them, or the one above it.

    Returns
    -------
    Manifest
        Columns ``path``, ``label``, ``split`` (``train`` or ``test``), ``manually_verified`` (1,
        0, or -1 where the table does not say, as for the test clips) and, where published,
        ``usage``, ``freesound_id`` and ``license``.

    Raises
    ------
    ManifestError
        The layout is neither, a column is missing, or a label is none of the 41.
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
        _require_flag(table, folder / csv)
        kept = [c for c in (third, "freesound_id", "license") if c in table.columns]
        part = table[["label", *kept]].copy()
        part.insert(0, "path", f"{prefix}audio_{split}/" + table["fname"])
        parts.append(part.assign(split=split))
    rows = pd.concat(parts, ignore_index=True)
    manifest = Manifest.from_table(rows, folder, name="fsdkaggle2018")
    manifest.require_labels(LABELS)
    return manifest


def _require_flag(table: pd.DataFrame, csv: Path) -> None:
    if "manually_verified" not in table.columns:
        return
    wrong = sorted(set(table["manually_verified"]) - {"0", "1"})
    if wrong:
        raise ManifestError(
            f"manually_verified is {', '.join(value or '(empty)' for value in wrong)} in {csv}",
            expected="0 or 1",
            fix="download the file again",
        )

"""A folder of one folder for each label, or a table of clips."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from anymic.data.corpora.registry import register_corpus
from anymic.data.files import SUFFIXES_LISTED, audio_below, is_audio
from anymic.data.manifest import Manifest
from anymic.data.tables import some
from anymic.errors import ManifestError


@register_corpus("folder", about="a folder of one folder for each label")
def folder(root: str | Path) -> Manifest:
    """Read a folder of one folder per label; files may lie in folders below the label's.

    Files are recognized by their suffix (WAV, FLAC, Ogg, Opus, MP3, M4A, AAC, AIFF). Other files,
    and names that begin with a dot, are ignored. Rows are sorted by path.

    Returns
    -------
    Manifest
        Columns ``path`` and ``label``.

    Raises
    ------
    ManifestError
        The folder is missing, has no audio, has audio that is in no label's folder, or a label's
        folder has none.
    """
    root = Path(root)
    wanted = "a folder of one folder per label"
    if not root.is_dir():
        raise ManifestError(f"no folder {root}", expected=wanted, fix="check the name")
    visible = sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))
    if loose := [entry.name for entry in visible if is_audio(entry)]:
        raise ManifestError(
            f"some audio in {root} is not in the folder of a label: {some(loose)}",
            expected=wanted,
            fix="move these files into a folder named after their label",
        )
    found = {entry.name: audio_below(entry) for entry in visible if entry.is_dir()}
    bare = [label for label, files in found.items() if not files]
    if bare or not found:
        what = f"no audio in {', '.join(bare)}" if bare else "no folders"
        raise ManifestError(
            f"the folder {root} has {what}",
            expected=f"{wanted}, each with audio ({SUFFIXES_LISTED})",
            fix="remove the folders that are not labels, or convert the files",
        )
    rows = [
        {"path": file.relative_to(root).as_posix(), "label": label}
        for label, files in found.items()
        for file in files
    ]
    return Manifest.from_table(pd.DataFrame(rows), root, name=root.resolve().name)


@register_corpus("csv", about="a CSV file with the columns path and label")
def csv(root: str | Path) -> Manifest:
    """Read a table of clips; see `Manifest.read`."""
    return Manifest.read(root)

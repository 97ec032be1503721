"""Clips as people have them: a manifest, a DataFrame, a CSV file or a folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from anymic.data.corpora.folder import folder
from anymic.data.manifest import Manifest


def as_manifest(clips: Manifest | pd.DataFrame | str | Path) -> Manifest:
    """Return a manifest of what was passed.

    Parameters
    ----------
    clips : Manifest, DataFrame or path
        A DataFrame has the columns of a manifest; its relative paths are relative to the current
        folder. A path is a CSV file, or a folder of one folder per label.

    Raises
    ------
    ManifestError
        If it is none of these, or not a usable table of clips.
    """
    if not isinstance(clips, str | Path):
        return Manifest.of(clips)
    path = Path(clips)
    return folder(path) if path.is_dir() else Manifest.read(path)

"""Clips in any form: a manifest, a DataFrame, a CSV file or a folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from anymic.data.corpora.folder import folder
from anymic.data.manifest import Manifest
from anymic.data.spelling import warn_of_lookalikes
from anymic.errors import ManifestError


def as_manifest(clips: Manifest | pd.DataFrame | str | Path) -> Manifest:
    """Return a manifest of the clips.

    Parameters
    ----------
    clips : Manifest, DataFrame or path
        A DataFrame has the columns of a manifest; its relative paths are relative to the current
        folder. A path is a CSV file, or a folder of one folder per label. Others, and tables that
        are not usable, are a ManifestError.
    """
    if isinstance(clips, Manifest):
        return clips
    if isinstance(clips, pd.DataFrame):
        manifest = Manifest.from_table(clips)
        warn_of_lookalikes(manifest.table)
        return manifest
    if isinstance(clips, str | Path):
        return folder(clips) if Path(clips).is_dir() else Manifest.read(clips)
    raise ManifestError(
        f"the clips are a {type(clips).__name__}",
        expected="a Manifest, or a pandas.DataFrame with the columns path and label",
        fix="read a CSV file with Manifest.read",
    )

"""Clips in any form: a manifest, a DataFrame, a CSV file or a folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from anymic.data.corpora.folder import folder
from anymic.data.label_sets import refuse_several
from anymic.data.manifest import Manifest
from anymic.data.spelling import warn_of_lookalikes
from anymic.data.tables import TABLE
from anymic.errors import ManifestError

NOT_STATED = "not stated"  # the label of clips whose labels are not used


def without_labels(clips: Manifest | pd.DataFrame | str | Path) -> Manifest:
    """Return a manifest of clips whose labels are not used; the column may be missing.

    `clips` are as for `as_manifest`, whose ManifestErrors it raises.
    """
    if isinstance(clips, pd.DataFrame):
        labelled = clips if "label" in clips else clips.assign(label=NOT_STATED)
        return Manifest.from_table(labelled, several=None)
    if isinstance(clips, str | Path) and not Path(clips).is_dir():
        return Manifest.read(clips, several=None, label=NOT_STATED)
    return as_manifest(clips, several=None)


def as_manifest(
    clips: Manifest | pd.DataFrame | str | Path, *, several: bool | None = False
) -> Manifest:
    """Return a manifest of the clips.

    Parameters
    ----------
    clips : Manifest, DataFrame or path
        A DataFrame has the columns of a manifest; its relative paths are relative to the current
        folder. A path is a CSV file, or a folder of one folder per label. Others, and tables that
        are not usable, are a ManifestError.
    several : bool, optional
        Whether a clip may have several labels, or none; see `Manifest`. None where labels do not
        matter: they are kept as they are.
    """
    if isinstance(clips, Manifest):
        if several is None or clips.several == several:
            return clips
        if not several:
            refuse_several(clips.table["label"].tolist(), clips.table["path"].tolist())
        return Manifest.from_table(clips.table, clips.root, name=clips.name, several=several)
    if isinstance(clips, pd.DataFrame):
        manifest = Manifest.from_table(clips, several=several)
        warn_of_lookalikes(manifest.table, several=manifest.several)
        return manifest
    if isinstance(clips, str | Path):
        if Path(clips).is_dir():
            return folder(clips, several=bool(several))
        if not Path(clips).exists():
            raise ManifestError(
                f"no file or folder {clips}",
                expected=f"a folder of one folder per label, or {TABLE}",
                fix="check the name and the folder",
            )
        return Manifest.read(clips, several=several)
    raise ManifestError(
        f"the clips are a {type(clips).__name__}",
        expected="a Manifest, or a pandas.DataFrame with the columns path and label",
        fix="read a CSV file with Manifest.read",
    )

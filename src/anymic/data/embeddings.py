"""Embeddings from a file: an .npz of vectors, several of each clip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic._internal.frames import frame, group_numbers
from anymic._internal.npz import read_arrays
from anymic._internal.reading import parsing
from anymic.data.manifest import Manifest
from anymic.errors import ManifestError

_EXPECTED = "finite features (segment, number), and as many paths and labels"
_FIX = "write it with `anymic embed`, from a manifest"
COLUMNS = {"paths": "path", "labels": "label", "splits": "split", "groups": "group"}


@dataclass(frozen=True, eq=False)
class Vectors:
    """Embeddings of clips, several of each clip.

    Attributes
    ----------
    clips : Manifest
        A row for each clip, sorted by path: path, label ("?" where not known), and split and group
        where known. The files need not exist.
    sequences : tuple of array (segment, feature), float32
        The embeddings of each clip, in the order of time.
    """

    clips: Manifest
    sequences: tuple[NDArray[np.float32], ...]


def read_vectors(
    path: str | Path, *, labelled: bool = True, several: bool | None = False
) -> Vectors:
    """Read an .npz as `anymic embed` writes it.

    Parameters
    ----------
    path : path
        Arrays `features` (segment, feature), `paths` (segment,), the clip of each, and `labels`;
        optional are `starts_s`, which orders the segments of a clip, `splits` (train, validation)
        and `groups` (the recording).
    labelled : bool
        Whether `labels` are required.
    several : bool, optional
        As of `Manifest`; without `labelled`, labels are kept as they are.

    Raises
    ------
    ManifestError
        If the file is not an .npz, an array is missing or has another length, a number is not
        finite, or a clip has two labels.
    """
    path = Path(path)
    with parsing(f"the .npz {path}", ManifestError, expected=_EXPECTED, fix=_FIX):
        arrays = read_arrays(path)
    needed = ["features", "paths", *(["labels"] if labelled else [])]
    if missing := [name for name in needed if name not in arrays]:
        raise _refusal(
            f"{path} has no {' and no '.join(missing)} (it has {', '.join(arrays) or 'no array'})"
        )
    features = arrays["features"]
    if features.ndim != 2 or not features.size or features.dtype.kind not in "fiu":
        raise _refusal(f"the features of {path} are {features.shape} of {features.dtype}")
    known = [name for name in ("paths", "starts_s", *COLUMNS) if name in arrays]
    if wrong := [name for name in known if arrays[name].shape != (len(features),)]:
        raise _refusal(
            f"{path} has {len(features)} features and {arrays[wrong[0]].shape} {wrong[0]}"
        )
    if not np.isfinite(features).all():
        raise _refusal(f"some features of {path} are not finite")
    table = frame({COLUMNS[name]: arrays[name].astype(str) for name in COLUMNS if name in arrays})
    if "label" not in table:
        table["label"] = "?"
    order = arrays.get("starts_s", np.arange(len(features)))
    of_path: dict[str, list[int]] = {}
    for row, name in enumerate(table["path"]):
        of_path.setdefault(name, []).append(row)
    clips = table[~group_numbers(table, list(table.columns)).duplicated()]
    clips = clips.sort_values("path", ignore_index=True)
    if (twice := clips["path"].duplicated()).any():
        uneven = clips["path"][twice].iloc[0]
        raise _refusal(f"the segments of {uneven} have two labels, splits or groups in {path}")
    vectors = features.astype(np.float32)
    segments = [np.array(of_path[name]) for name in clips["path"]]
    return Vectors(
        Manifest.from_table(clips, path.parent, several=several if labelled else None),
        tuple(vectors[own[np.argsort(order[own], kind="stable")]] for own in segments),
    )


def _refusal(problem: str) -> ManifestError:
    return ManifestError(problem, expected=_EXPECTED, fix=_FIX)

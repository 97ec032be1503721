"""Embeddings that are brought along: an .npz of vectors, several of each clip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, ManifestError

COLUMNS = {"labels": "label", "splits": "split", "groups": "group"}


@dataclass(frozen=True, eq=False)
class Vectors:
    """Embeddings of clips, several a clip.

    Attributes
    ----------
    clips : Manifest
        A row a clip, in the order of their names: path, label ("?" where not known), and split and
        group where known. The files need not be there.
    sequences : tuple of array (segment, feature), float32
        Of each clip, in the order of time.
    """

    clips: Manifest
    sequences: tuple[NDArray[np.float32], ...]


def read_vectors(path: str | Path, *, labelled: bool = True) -> Vectors:
    """Read an .npz as `anymic embed` writes it.

    Parameters
    ----------
    path : path
        Arrays `features` (segment, feature), `paths` (segment,), the clip of each, and, to train,
        `labels`; where there, `starts_s` orders a clip's segments, `splits` (train, validation)
        and `groups`, the recording, divide the clips.
    labelled : bool
        Whether labels are needed.

    Raises
    ------
    ManifestError
        If it is no .npz, an array is missing or of another length, a number is not finite, or a
        clip has two labels.
    """
    path = Path(path)
    arrays = _arrays(path)
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
    table = pd.DataFrame({"path": arrays["paths"].astype(str)})
    for name, column in COLUMNS.items():
        if name in arrays:
            table[column] = arrays[name].astype(str)
    if "label" not in table:
        table["label"] = "?"
    order = arrays["starts_s"] if "starts_s" in arrays else np.arange(len(features))
    rows = {name: own.to_numpy() for name, own in table.groupby("path").groups.items()}
    if uneven := [name for name, own in rows.items() if len(table.iloc[own].drop_duplicates()) > 1]:
        raise _refusal(f"the segments of {uneven[0]} have two labels, splits or groups in {path}")
    first = table.iloc[[own[0] for own in rows.values()]].reset_index(drop=True)
    numbers = features.astype(np.float32)
    return Vectors(
        Manifest.from_table(first, path.parent),
        tuple(numbers[own[np.argsort(order[own], kind="stable")]] for own in rows.values()),
    )


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as found:
            if not isinstance(found, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            return {name: found[name] for name in found.files}
    except AnymicError:
        raise
    except Exception as error:  # a zip that is damaged raises many kinds
        raise _refusal(f"{path} is not an .npz of plain arrays ({error})") from error


def _refusal(got: str) -> ManifestError:
    return ManifestError(
        got,
        expected="finite features (segment, number), and as many paths and labels",
        fix="write it with `anymic embed`, from a manifest",
    )

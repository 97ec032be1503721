"""Read and write identifier.json and identifier.safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from anymic._internal.files import atomic_folder, file_digest
from anymic.errors import DeviceError

FORMAT = "anymic-device-identifier"
VERSION = 2
INDEX, WEIGHTS = "identifier.json", "identifier.safetensors"
_REMEDY = "pass the folder that `anymic devices fit` wrote"


def write(folder: Path, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write both files, whole or not at all; DeviceError if `folder` is a file."""
    from safetensors.torch import save

    if folder.exists() and not folder.is_dir():
        raise DeviceError(
            f"the path {folder} is a file", expected="a folder", fix="choose another path"
        )
    with atomic_folder(folder, index=INDEX) as unfinished:
        (unfinished / WEIGHTS).write_bytes(save(dict(tensors)))
        index = {**record, "sha256": {WEIGHTS: file_digest(unfinished / WEIGHTS)}}
        text = json.dumps(index, indent=1, allow_nan=False) + "\n"
        (unfinished / INDEX).write_text(text, encoding="utf-8")


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read both files; DeviceError if one is missing, altered or not of an identifier."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    index = folder / INDEX
    wanted = f"the folder of an identifier, with {INDEX} in it"
    if not index.is_file():
        what = f"the folder {folder} has no {INDEX}" if folder.is_dir() else f"no folder {folder}"
        what = f"the file {folder}" if folder.is_file() else what
        raise DeviceError(what, expected=wanted, fix=_REMEDY)
    try:
        record = json.loads(index.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DeviceError(
            f"{index} cannot be read ({error})", expected="JSON", fix=_REMEDY
        ) from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise DeviceError(
            f"{index} is not a device identifier", expected=f'"format": "{FORMAT}"', fix=_REMEDY
        )
    weights = folder / WEIGHTS
    sums = record.pop("sha256", None)
    if not weights.is_file():
        raise DeviceError(
            f"the folder {folder} has no {WEIGHTS}",
            expected="both files",
            fix="copy the whole folder again",
        )
    if not isinstance(sums, dict) or sums.get(WEIGHTS) != file_digest(weights):
        raise DeviceError(
            f"{WEIGHTS} of identifier {folder} was altered since it was saved",
            expected=f"the SHA-256 in its {INDEX}",
            fix="copy the whole folder again",
        )
    try:
        return record, load_file(weights)
    except (SafetensorError, OSError) as error:
        raise DeviceError(
            f"{weights} cannot be read ({error})",
            expected="a safetensors file",
            fix="copy the whole folder again",
        ) from error

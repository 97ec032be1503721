"""The files of a bundle: their names, the index, and the check that they are complete."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymic._internal import settings as config
from anymic._internal.files import file_digest
from anymic.bundle.contract import InputContract
from anymic.errors import BundleError, ConfigError, version_fix
from anymic.features import FrontendConfig

FORMAT = "anymic-bundle"
VERSION = 1
INDEX, WEIGHTS, PROFILE = "bundle.json", "weights.safetensors", "profile.json"

Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class NetworkRecord:
    """The arguments of `anymic.models.build`."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Correction:
    """The devices of the gains' rows, in order, and the profile's reference and estimator."""

    devices: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    estimator: str = ""


@dataclass(frozen=True)
class Record:
    """The content of a single model's `bundle.json`."""

    format: str
    version: int
    library: str
    created: str
    labels: tuple[str, ...]
    contract: InputContract
    frontend: FrontendConfig
    network: NetworkRecord
    correction: Correction
    temperature: float
    training: dict[str, Any]
    fitted_on: dict[str, list[str]]
    sha256: dict[str, str]
    identifier: dict[str, Any] | None = None
    spectrum: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None


def read_index(folder: Path) -> dict[str, Any]:
    """Read `bundle.json`; BundleError if there is none that this version can read."""
    wanted = f"the folder of a bundle, with a {INDEX} in it"
    remedy = "pass the folder that `anymic train` wrote"
    if not folder.exists():
        raise BundleError(f"no folder {folder}", expected=wanted, fix="check the path")
    index = folder / INDEX
    if not index.is_file():
        what = (
            f"the folder {folder} has no {INDEX}"
            if folder.is_dir()
            else f"the path {folder} is a file"
        )
        raise BundleError(what, expected=wanted, fix=remedy)
    try:
        values = json.loads(index.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BundleError(
            f"{index} cannot be read ({error})", expected="JSON", fix=remedy
        ) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise BundleError(
            f"{index} is not the index of a bundle", expected=f'"format": "{FORMAT}"', fix=remedy
        )
    found, library = values.get("version"), values.get("library")
    if found != VERSION:
        raise BundleError(
            f"bundle {folder} has version {found!r}, written by anymic {library}",
            expected=f"version {VERSION}",
            fix=version_fix(found, VERSION, written_by=library, otherwise="train it again"),
        )
    return values


def read_record(folder: Path) -> Record:
    """Read the index of a single model; BundleError if there is none."""
    values = read_index(folder)
    if "kind" in values:
        raise BundleError(
            f"the folder {folder} is an {values['kind']}",
            expected="a single model",
            fix="load it with `anymic.load`",
        )
    record = parse(Record, values, folder)
    if not isinstance(record.network.arguments, dict):
        raise _altered(folder, "network.arguments is not a mapping")
    return record


def parse(kind: type[Parsed], values: Mapping[str, Any], folder: Path) -> Parsed:
    """Build the dataclass of an index's values; BundleError if they do not fit it."""
    try:
        record = config.from_mapping(kind, values)
    except ConfigError as error:
        raise _altered(folder, error.problem) from error
    for name in ("training", "fitted_on", "sha256", "identifier", "spectrum", "calibration"):
        if not isinstance(getattr(record, name, None) or {}, dict):
            raise _altered(folder, f"{name} is not a mapping")
    return record


def _altered(folder: Path, what: str) -> BundleError:
    return BundleError(
        f"{folder / INDEX} was altered: {what}",
        expected="the settings of a bundle",
        fix="undo the change, or save the bundle again where it was trained",
    )


def require_folder(folder: str | Path) -> Path:
    """Return the folder to save in; BundleError if it is a file."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise BundleError(
            f"the path {folder} is a file", expected="a folder", fix="choose another path"
        )
    return folder


def header() -> dict[str, Any]:
    """Return the first entries of an index: the format, and when and by what it is written."""
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    library = version("anymic")
    return {"format": FORMAT, "version": VERSION, "library": library, "created": created}


def write_index(folder: Path, record: Any) -> None:
    """Write `bundle.json`; BundleError if JSON cannot represent a value of the record."""
    try:
        text = json.dumps(config.to_mapping(record), indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BundleError(
            f"the training record cannot be written as JSON ({error})",
            expected="strings, finite numbers, lists and mappings",
            fix="convert the values first",
        ) from error
    (folder / INDEX).write_text(text + "\n", encoding="utf-8")


def verify(
    folder: Path,
    sha256: Mapping[str, str],
    *,
    needed: Sequence[str],
    optional: Sequence[str] = (),
) -> None:
    """Refuse a bundle of which a file is missing or was altered."""
    remedy = "copy the whole folder again from where it was trained"
    wanted = "the files listed in its " + INDEX
    names = sorted({*needed, *sha256})
    if any(name not in (*needed, *optional) for name in names):
        raise BundleError(f"bundle {folder} lists {', '.join(names)}", expected=wanted, fix=remedy)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise BundleError(
            f"bundle {folder} has no {' and no '.join(missing)}", expected=wanted, fix=remedy
        )
    altered = [name for name in names if file_digest(folder / name) != sha256.get(name)]
    if altered:
        raise BundleError(
            f"bundle {folder} was altered since it was saved: {', '.join(altered)}",
            expected=f"the SHA-256 in its {INDEX}",
            fix=remedy,
        )


def tensor_bytes(tensors: Mapping[str, Tensor | NDArray[np.floating]]) -> bytes:
    """Return the content of a safetensors file, for which every tensor and array is copied.

    `safetensors.torch.save_file` makes files that only their owner can read, and refuses tensors
    that share memory.
    """
    from safetensors.torch import save

    copies = {
        name: one.clone(memory_format=torch.contiguous_format)
        if isinstance(one, Tensor)
        else torch.tensor(one)
        for name, one in tensors.items()
    }
    return save(copies)


def read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """Read a file's tensors, by name; BundleError if it is not a safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(folder / name)
    except (SafetensorError, OSError) as error:
        raise BundleError(
            f"{folder / name} cannot be read ({error})",
            expected="a safetensors file",
            fix="copy the whole folder again from where it was trained",
        ) from error

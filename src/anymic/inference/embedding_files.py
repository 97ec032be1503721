"""Write embeddings as .npz, .csv, or a folder for TensorBoard's projector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from anymic._internal.files import atomic_file, csv_text, write_arrays, write_text
from anymic._internal.frames import frame
from anymic.errors import AnymicError, ConfigError, did_you_mean
from anymic.inference.embedder import Embeddings

Format: TypeAlias = Literal["npz", "csv", "projector"]
FORMATS: tuple[Format, ...] = get_args(Format)
TENSORS, METADATA, PROJECTOR = "tensors.tsv", "metadata.tsv", "projector_config.pbtxt"
_PROJECTION = f"""embeddings {{
  tensor_name: "pooled features"
  tensor_path: "{TENSORS}"
  metadata_path: "{METADATA}"
}}
"""


def write(embeddings: Embeddings, out: str | Path) -> Path:
    """Write features to a file or folder; each file is written whole or not at all.

    `.npz` has the arrays features, paths, starts_s, and labels, devices, splits and groups if
    known; `.csv` one row for each window; a folder (without suffix, or existing) `tensors.tsv`,
    `metadata.tsv` and `projector_config.pbtxt` for TensorBoard's projector. ConfigError if the name
    has none of these formats, AnymicError if there are no windows.
    """
    out = Path(out)
    kind, _ = format_of(out)
    if not len(embeddings.paths):
        reason = embeddings.failures[0].reason if embeddings.failures else "no clip was given"
        raise AnymicError(
            f"no window has features. The first failure: {reason}",
            expected="at least one window",
            fix="correct the files",
        )
    known: dict[str, Any] = {"path": embeddings.paths, "start_s": embeddings.starts_s}
    for name in ("label", "device", "split", "group"):
        if values := getattr(embeddings, f"{name}s"):
            known[name] = values
    if kind == "npz":
        arrays: dict[str, Any] = {"features": embeddings.features, "starts_s": embeddings.starts_s}
        arrays |= {f"{name}s": np.array(known[name]) for name in known if name != "start_s"}
        write_arrays(out, **arrays)
        return out
    numbers = pd.DataFrame(embeddings.features)
    if kind == "csv":
        numbers.columns = pd.Index([f"feature_{number}" for number in numbers])
        write_text(out, csv_text(pd.concat([frame(known), numbers], axis=1)))
        return out
    with atomic_file(out / TENSORS) as file:
        numbers.to_csv(file, sep="\t", header=False, index=False)
    write_text(out / METADATA, _metadata(known))
    write_text(out / PROJECTOR, _PROJECTION)
    return out


def write_shards(parts: Iterable[Embeddings], out: Path, kind: Format) -> list[Path]:
    """Write each part into a file of a folder, `embeddings-00000.npz` and so on; return the files.

    The shards of an earlier run that this one did not write are deleted.
    """
    written = []
    for number, part in enumerate(parts):
        written.append(write(part, out / f"embeddings-{number:05d}.{kind}"))
    for path in set(out.glob(f"embeddings-[0-9]*.{kind}")) - set(written):
        path.unlink(missing_ok=True)
    return written


def format_of(out: Path, wanted: str | None = None) -> tuple[Format, bool]:
    """Return the format for a path, and whether it is a folder of shards.

    Parameters
    ----------
    out : path
        A name with an ending is a file, another one a folder.
    wanted : str, optional
        The format; by default that of the ending, and projector for a folder.

    Raises
    ------
    ConfigError
        If there is no such format, or it contradicts the ending.
    """
    if wanted is None:
        return _format_of_name(out), False
    if wanted not in FORMATS:
        raise ConfigError(
            f"there is no format {wanted!r}{did_you_mean(wanted, FORMATS)}",
            expected=f"one of {', '.join(FORMATS)}",
            fix="choose one of them",
        )
    kind: Format = wanted
    if out.is_dir() or not (out.suffix or out.exists()):
        return kind, kind != "projector"
    if out.suffix != f".{kind}":
        ending = "" if kind == "projector" else f"a name that ends in .{kind}, or "
        raise ConfigError(
            f"the name {out} does not fit the format {kind}",
            expected=f"{ending}a folder",
            fix="change the name, or leave the format out",
        )
    return kind, False


def _format_of_name(out: Path) -> Format:
    if out.suffix in (".npz", ".csv") and not out.is_dir():
        return "npz" if out.suffix == ".npz" else "csv"
    if out.suffix not in (".npz", ".csv") and (out.is_dir() or not (out.suffix or out.exists())):
        return "projector"
    raise ConfigError(
        f"the embeddings {out} cannot be written",
        expected="a file that ends in .npz or .csv, or a folder",
        fix="choose another name",
    )


def _metadata(known: Mapping[str, Iterable[Any]]) -> str:
    """Return a tab-separated table; the projector has no quotes, so blanks become spaces."""
    rows = [tuple(known), *zip(*known.values(), strict=True)]
    lines = ["\t".join(" ".join(str(cell).split()) for cell in row) for row in rows]
    return "\n".join(lines) + "\n"

"""Keep the features of a manifest on disk, in one memory-mapped file."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic._internal.cached import NOT_OF_CONTENT, note_unreadable
from anymic._internal.files import atomic_path, key_of, note_damaged
from anymic._internal.threads import in_order
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, Failure
from anymic.features.feature_batches import Length, Precision, batches_of
from anymic.features.frontend import Frontend
from anymic.features.frontend_config import FrontendConfig

FORMAT = 1
MAGIC = b"anymic-features-2"
BLOCK_BYTES = 1 << 24  # that share a checksum


@dataclass(frozen=True)
class FeatureStore:
    """Log-mel features of the usable clips of a manifest, before standardization.

    Attributes
    ----------
    features : array (clip, band, frame), float16 or float32, read-only
        One entry for each row of `rows`; float16 keeps log-mel values to about 0.004.
    rows : array (clip,), int64
        The manifest's row of each entry.
    failures : tuple of Failure
        The clips that could not be used.
    """

    features: NDArray[Any]
    rows: NDArray[np.int64]
    failures: tuple[Failure, ...]


def open_features(
    manifest: Manifest,
    frontend: Frontend,
    cache: Path,
    *,
    length: Length,
    dtype: Precision = "float16",
    progress: Callable[[int], None] | None = None,
    ray: str | None = None,
) -> FeatureStore:
    """Return the features of every clip of `manifest`, computed once and kept in `cache`.

    The name of the file is a hash of the front-end's settings, the device gains, the manifest and
    the size and date of each audio file. It is written whole or not at all. Its checksums are
    compared once, here; a damaged file is made again, with a warning.

    Parameters
    ----------
    manifest : Manifest
        Its `device` column, if any, selects the gains of each clip.
    frontend : Frontend
        Computes the features on the torch device of its buffers.
    cache : Path
        A folder.
    length : Length
    dtype : {"float16", "float32"}
        float16 is sufficient for training and takes half the space; float32 keeps the features
        exactly, so that predictions do not depend on the cache.
    progress : callable, optional
        Called with the number of clips done since the last call.
    ray : str, optional
        The address of a Ray cluster that computes them (`anymic._internal.cluster.on_cluster`), on
        processors; clips must have the same paths there.
    """
    key = _key(manifest, frontend, length, dtype)
    path = Path(cache) / f"{key}.features"
    found = _open(path)
    if found is None:
        _write(path, manifest, frontend, length, dtype, progress, ray)
        found = _read(path)
        if found is None:
            raise AnymicError(f"the cache {path} cannot be read", fix="check the disk")
    elif progress is not None:
        progress(len(manifest))
    return found


def _key(manifest: Manifest, frontend: Frontend, length: Length, dtype: Precision) -> str:
    settings = {"format": FORMAT, **asdict(length), **asdict(frontend.config)}
    del settings["deltas"]  # computed from the stored features
    for name in ("scaling", "window_samples", "centred", "mel_triangles"):  # newer than the format
        if settings[name] == getattr(FrontendConfig, name):
            del settings[name]
    if length.other_rates == "refuse":  # newer than the format
        del settings["other_rates"]
    if dtype != "float16":  # newer than the format, too
        settings["dtype"] = dtype
    gains = frontend.gains.cpu().numpy().tobytes()
    return key_of(settings, "\0".join(frontend.device_names), gains, manifest.state())


def _write(
    path: Path,
    manifest: Manifest,
    frontend: Frontend,
    length: Length,
    dtype: Precision,
    progress: Callable[[int], None] | None,
    ray: str | None,
) -> None:
    """Write a .npy array of all features, then a footer: JSON, its checksum and length, a mark."""
    config = frontend.config
    shape = (len(manifest), config.bands, config.frames(round(length.clip_s * config.rate_hz)))
    failures: list[Failure] = []
    rows: list[int] = []
    with atomic_path(path) as unfinished:
        array = np.lib.format.open_memmap(unfinished, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):  # else writing to a map of a full disk ends the process
            with unfinished.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, unfinished.stat().st_size)
        for batch in batches_of(manifest, frontend, length=length, dtype=dtype, ray=ray):
            failures += batch.failures
            array[len(rows) : len(rows) + len(batch.rows)] = batch.features
            rows += batch.rows
            if progress is not None:
                progress(batch.clips)
        array.flush()
        del array
        content = {
            "rows": rows,
            "failures": [asdict(item) for item in failures],
            "checksums": _checksums(unfinished, unfinished.stat().st_size),
        }
        footer = json.dumps(content).encode()
        sizes = zlib.crc32(footer).to_bytes(4, "little") + len(footer).to_bytes(8, "little")
        with unfinished.open("ab") as file:
            file.write(footer + sizes + MAGIC)


def _checksums(path: Path, end: int) -> list[int]:
    """Return the CRC-32 of each block of the first bytes of a file."""
    content = np.memmap(path, np.uint8, mode="r", shape=(end,))
    blocks = (content[start : start + BLOCK_BYTES] for start in range(0, end, BLOCK_BYTES))
    return list(in_order(lambda block: zlib.crc32(block.data), blocks))


def _open(path: Path) -> FeatureStore | None:
    """Open a cache; None if it is missing, or, with a warning, if it cannot be used."""
    try:
        found = _read(path)
    except FileNotFoundError:  # there is none, or another process has deleted it
        return None
    except OSError as error:
        note_unreadable(path, error)
        return None
    if found is None:
        note_damaged(path)
    return found


def _read(path: Path) -> FeatureStore | None:
    """Open a finished cache; None if it is incomplete, or damaged in a single bit.

    Raises
    ------
    OSError, MemoryError
        If it is missing or cannot be read at the moment.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < len(MAGIC) + 12:
                return None
            file.seek(-len(MAGIC) - 12, os.SEEK_END)
            checksum, length = (int.from_bytes(file.read(size), "little") for size in (4, 8))
            if file.read() != MAGIC:
                return None
            if length > os.fstat(file.fileno()).st_size - len(MAGIC) - 12:
                return None
            end = file.seek(-len(MAGIC) - 12 - length, os.SEEK_END)
            text = file.read(length)
        if zlib.crc32(text) != checksum:
            return None
        footer = json.loads(text)
        if _checksums(path, end) != footer["checksums"]:
            return None
        rows = np.array(footer["rows"], dtype=np.int64)
        features = np.load(path, mmap_mode="r")[: len(rows)]
        failures = tuple(Failure(**item) for item in footer["failures"])
        whole = features.ndim == 3 and features.shape[:1] == rows.shape
    except (OSError, *NOT_OF_CONTENT):
        raise
    except Exception:  # a damaged file can raise any error
        return None
    return FeatureStore(features, rows, failures) if whole else None

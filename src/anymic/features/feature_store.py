"""Keep the features of a manifest on disk, in one memory-mapped file."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from anymic import audio
from anymic._internal.cached import NOT_OF_CONTENT, note_unreadable
from anymic._internal.files import atomic_path, key_of, note_damaged
from anymic._internal.threads import READERS, in_order
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, AudioError, Failure, attempt
from anymic.features.frontend import Frontend
from anymic.features.frontend_config import FrontendConfig

FORMAT = 1
MAGIC = b"anymic-features-2"
BLOCK_BYTES = 1 << 24  # that share a checksum
BATCH = 16
SLACK_S = 1e-3

Precision = Literal["float16", "float32"]  # of the values on disk


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


@dataclass(frozen=True)
class Length:
    """Length of every clip in seconds, and the rules of `audio.fit_length` for other lengths.

    A difference of up to a millisecond is always padded or cropped.
    """

    clip_s: float
    shorter: Literal["refuse", "pad", "repeat"] = "refuse"
    longer: Literal["refuse", "crop", "center"] = "refuse"
    other_rates: Literal["refuse", "resample"] = "refuse"


def read_clip(
    path: Path, values: dict[str, Any], *, rate_hz: int, length: Length
) -> NDArray[np.float32]:
    """Read the clip of a row at exactly this rate and length.

    Raises an AudioError if the file cannot be read, has another rate, or a length that is refused.
    """
    cut, stated_s = "start_s" in values, float(values.get("duration_s", np.nan))
    clip = audio.read(
        path,
        start_s=float(values["start_s"]) if cut else 0.0,
        duration_s=None if np.isnan(stated_s) or not cut else stated_s,
        most_s=length.clip_s if cut else None,
        allow_silence=True,  # corpora contain silent clips
    )
    if clip.rate_hz != rate_hz and length.other_rates == "resample":
        clip = audio.resample(clip, rate_hz)
    if clip.rate_hz != rate_hz:
        raise AudioError(
            f"the rate of {path} is {clip.rate_hz} Hz",
            expected=f"{rate_hz} Hz",
            fix="convert the file, or set frontend.rate_hz to its rate, or other_rates to resample",
        )
    missing_s = length.clip_s - clip.duration_s
    refused = "shorter" if missing_s > SLACK_S else "longer" if missing_s < -SLACK_S else None
    if refused and getattr(length, refused) == "refuse":
        raise AudioError(
            f"{path} lasts {clip.duration_s:.3f} s",
            expected=f"{length.clip_s:g} s",
            fix=f"set the rule for clips that are {refused}, or set clip_s",
        )
    fitted = audio.fit_length(
        clip,
        length.clip_s,
        shorter="pad" if length.shorter == "refuse" else length.shorter,
        longer="crop" if length.longer == "refuse" else length.longer,
    )
    return fitted.samples


def open_features(
    manifest: Manifest,
    frontend: Frontend,
    cache: Path,
    *,
    length: Length,
    dtype: Precision = "float16",
    progress: Callable[[int], None] | None = None,
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
    """
    key = _key(manifest, frontend, length, dtype)
    path = Path(cache) / f"{key}.features"
    found = _open(path)
    if found is None:
        _write(path, manifest, frontend, length, dtype, progress)
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
) -> None:
    """Write a .npy array of all features, then a footer: JSON, its checksum and length, a mark."""
    config = frontend.config
    index = frontend.device_index(manifest.table.get("device", [None] * len(manifest)))
    shape = (len(manifest), config.bands, config.frames(round(length.clip_s * config.rate_hz)))
    failures: list[Failure] = []
    rows: list[int] = []
    with atomic_path(path) as unfinished:
        array = np.lib.format.open_memmap(unfinished, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):  # else writing to a map of a full disk ends the process
            with unfinished.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, unfinished.stat().st_size)
        clips = _clips(manifest, config.rate_hz, length)
        while batch := list(islice(clips, BATCH)):
            good = [(row, clip) for row, clip in batch if not isinstance(clip, Failure)]
            failures.extend(clip for _, clip in batch if isinstance(clip, Failure))
            if good:
                numbers = [row for row, _ in good]
                samples = torch.from_numpy(np.stack([clip for _, clip in good]))
                with torch.inference_mode():
                    place = frontend.window.device
                    log_mel = frontend.log_mel(samples.to(place), index[numbers].to(place))
                end = len(rows) + len(good)
                array[len(rows) : end] = log_mel.to("cpu", getattr(torch, dtype)).numpy()
                rows.extend(numbers)
            if progress is not None:
                progress(len(batch))
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


def _clips(manifest: Manifest, rate_hz: int, length: Length) -> Iterator[tuple[int, Any]]:
    """Read clips in threads, a few ahead, in the manifest's order."""

    def one(job: tuple[int, Path, dict[Any, Any]]) -> tuple[int, Any]:
        row, path, values = job
        return row, attempt(path, read_clip, path, values, rate_hz=rate_hz, length=length)

    rows = manifest.table.to_dict("records")
    jobs = zip(range(len(rows)), manifest.paths(), rows, strict=True)
    return in_order(one, jobs, workers=READERS, ahead=4 * BATCH)


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

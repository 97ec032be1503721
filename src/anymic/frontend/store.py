"""Features of a whole manifest on disk: float16, memory-mapped, one file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anymic import audio
from anymic.errors import AnymicError, AudioError, Failure
from anymic.frontend.chain import Frontend
from anymic.manifest import Manifest

FORMAT = 1
MAGIC = b"anymic-features"
READERS = 2
BATCH = 16


@dataclass(frozen=True)
class FeatureStore:
    """Log-mel features of the usable clips of a manifest, before standardization.

    Attributes
    ----------
    features : array (clip, band, frame), float16, read-only
        One entry for each row of `rows`; float16 keeps log-mel values to about 0.004.
    rows : array (clip,), int64
        The manifest's row of each entry.
    failures : tuple of Failure
        The clips that could not be used.
    """

    features: NDArray[np.float16]
    rows: NDArray[np.int64]
    failures: tuple[Failure, ...]


def read_clip(
    path: Path, values: dict[str, Any], *, rate_hz: int, clip_s: float
) -> NDArray[np.float32]:
    """Read one row's clip at exactly the front-end's rate and length.

    Raises
    ------
    AudioError
        If the file cannot be read, has another rate, or is shorter or longer than `clip_s`
        seconds by more than a millisecond.
    """
    start_s = float(manifest_row.get("start_s") or 0.0)
    clip = audio.read(
        path, start_s=start_s, duration_s=clip_s if "start_s" in manifest_row else None
    )
    if clip.rate_hz != rate_hz:
        raise AudioError(
            f"{clip.rate_hz} Hz in {path}",
            wanted=f"{rate_hz} Hz",
            remedy="convert the file, or set frontend.rate_hz to its rate",
        )
    if abs(clip.duration_s - clip_s) > 1e-3:
        raise AudioError(
            f"{clip.duration_s:.3f} s in {path}",
            wanted=f"{clip_s:.3f} s",
            remedy="cut the clips to one length, or set clip_s and start_s",
        )
    return audio.fit_length(clip, clip_s, shorter="pad", longer="crop").samples


def open_features(
    manifest: Manifest,
    frontend: Frontend,
    cache: Path,
    *,
    clip_s: float,
    progress: Callable[[int], None] | None = None,
) -> FeatureStore:
    """Return the features of every clip of `manifest`, computed once and kept in `cache`.

    The file is named by a hash of the front-end's settings, the device gains, the manifest and
    each audio file's size and date, so a changed file or setting is never answered from an old
    cache; it is written beside and renamed, so a half-written one is never read.

    Parameters
    ----------
    manifest : Manifest
        Its `device` column, where there is one, picks each clip's gains.
    frontend : Frontend
        Computes the features on the device it lies on.
    cache : Path
        A folder.
    clip_s : float
        Length of every clip, in seconds.
    progress : callable, optional
        Told the number of clips done since the last call.
    """
    key = _key(manifest, frontend, clip_s)
    path = Path(cache) / f"{key}.features"
    found = _read(path)
    if found is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, manifest, frontend, clip_s, progress)
        found = _read(path)
        if found is None:
            raise AnymicError(f"no readable cache at {path}", remedy="check the disk")
    elif progress is not None:
        progress(len(manifest))
    return found


def _key(manifest: Manifest, frontend: Frontend, clip_s: float) -> str:
    digest = hashlib.sha256()
    settings = {"format": FORMAT, "clip_s": clip_s, **asdict(frontend.config)}
    digest.update(json.dumps(settings, sort_keys=True).encode())
    digest.update("\0".join(frontend.device_names).encode())
    digest.update(frontend.gains.cpu().numpy().tobytes())
    digest.update(manifest.digest().encode())
    for path in manifest.paths():
        state = path.stat() if path.is_file() else None
        stamp = (state.st_size, state.st_mtime_ns) if state else ()
        digest.update(f"{path}{stamp}".encode())
    return digest.hexdigest()[:32]


def _write(
    path: Path,
    manifest: Manifest,
    frontend: Frontend,
    clip_s: float,
    progress: Callable[[int], None] | None,
) -> None:
    """Compute every clip and write: a .npy array, then a footer of JSON, its length and a mark."""
    config = frontend.config
    devices = (
        manifest.table["device"].tolist() if "device" in manifest.table else [None] * len(manifest)
    )
    index = frontend.device_index(devices)
    shape = (len(manifest), config.bands, config.frames(round(clip_s * config.rate_hz)))
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    failures: list[Failure] = []
    rows: list[int] = []
    try:
        array = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.float16, shape=shape)
        for batch in _batches(_clips(manifest, config.rate_hz, clip_s)):
            good = [(row, clip) for row, clip in batch if not isinstance(clip, Failure)]
            failures.extend(clip for _, clip in batch if isinstance(clip, Failure))
            if good:
                numbers = [row for row, _ in good]
                samples = torch.from_numpy(np.stack([clip for _, clip in good]))
                array[len(rows) : len(rows) + len(good)] = _features(
                    frontend, samples, index[numbers]
                )
                rows.extend(numbers)
            if progress is not None:
                progress(len(batch))
        array.flush()
        del array
        footer = json.dumps(
            {"rows": rows, "failures": [asdict(item) for item in failures]}
        ).encode()
        with unfinished.open("ab") as file:
            file.write(footer + len(footer).to_bytes(8, "little") + MAGIC)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@torch.inference_mode()
def _features(
    frontend: Frontend, samples: torch.Tensor, index: torch.Tensor
) -> NDArray[np.float16]:
    place = frontend.window.device
    log_mel = frontend.log_mel(samples.to(place), index.to(place))
    return log_mel.to("cpu", torch.float16).numpy()


def _clips(manifest: Manifest, rate_hz: int, clip_s: float) -> Iterator[tuple[int, Any]]:
    """Read clips in threads, a few ahead, in the manifest's order."""

    def one(job: tuple[int, Path, dict[str, Any]]) -> tuple[int, Any]:
        row, path, values = job
        try:
            return row, read_clip(path, values, rate_hz=rate_hz, clip_s=clip_s)
        except AudioError as error:
            return row, Failure(str(path), str(error))

    rows = manifest.table.to_dict("records")
    jobs = zip(range(len(rows)), manifest.paths(), rows, strict=True)
    with ThreadPoolExecutor(READERS) as pool:
        while ahead := list(islice(jobs, 4 * BATCH)):
            yield from pool.map(one, ahead)


def _batches(items: Iterator[tuple[int, Any]]) -> Iterator[list[tuple[int, Any]]]:
    while batch := list(islice(items, BATCH)):
        yield batch


def _read(path: Path) -> FeatureStore | None:
    """Open a finished cache; None where it is missing, half-written or damaged."""
    try:
        with path.open("rb") as file:
            file.seek(-len(MAGIC) - 8, os.SEEK_END)
            end = file.tell()
            length = int.from_bytes(file.read(8), "little")
            if file.read() != MAGIC:
                return None
            file.seek(end - length)
            footer = json.loads(file.read(length))
        rows = np.array(footer["rows"], dtype=np.int64)
        features = np.load(path, mmap_mode="r")[: len(rows)]
    except (OSError, ValueError, KeyError):
        return None
    return FeatureStore(features, rows, tuple(Failure(**item) for item in footer["failures"]))

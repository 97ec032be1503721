"""Write the embeddings of many recordings; an interrupted run goes on where it ended."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic import bundle
from anymic._internal.files import key_of
from anymic._internal.frames import as_text
from anymic._internal.journal import journal_of
from anymic.data.files import find_files
from anymic.data.manifest import Manifest
from anymic.errors import Failure
from anymic.inference.embedder import Embedder, Embeddings
from anymic.inference.embedding_files import Format, format_of, write, write_shards
from anymic.inference.engine import Precision
from anymic.inference.requests import ClipRequest, manifest_requests, request_of
from anymic.inference.resuming import Resumed, model_key, states_key
from anymic.inference.spreading import HERE, Spreading, settings_of

Progress = Callable[[int, int], None]

SHARD_VALUES = 25_000_000  # features in a shard: 100 MB


@dataclass(frozen=True)
class EmbeddingsWritten:
    """What a run has written.

    Attributes
    ----------
    files : tuple of Path
        The file, the folder of TensorBoard's projector, or the shards.
    clips, windows, channels : int
        Clips, also those that failed; windows with features, and features of a window.
    failures : tuple of Failure
    """

    files: tuple[Path, ...]
    clips: int
    windows: int
    channels: int
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, eq=False)
class _Embedded:
    """The embeddings of one clip."""

    path: str
    device: str
    starts_s: list[float]
    features: NDArray[np.float32]  # (window, channel)

    def as_mapping(self) -> dict[str, Any]:
        """Return plain values for JSON; numbers keep all bits."""
        data = base64.b64encode(self.features.astype("<f4").tobytes()).decode()
        return {
            "path": self.path,
            "device": self.device,
            "starts_s": self.starts_s,
            "features": data,
        }

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> _Embedded:
        """Return embeddings from what `as_mapping` returned."""
        numbers = np.frombuffer(base64.b64decode(values["features"]), dtype="<f4")
        shaped = numbers.reshape(len(values["starts_s"]), -1).astype(np.float32)
        return cls(values["path"], values["device"], values["starts_s"], shaped)


def embed_recordings(
    model: str | Path,
    places: Sequence[str | Path] | Manifest,
    out: str | Path,
    *,
    kind: str | None = None,
    device: str | None = None,
    batch_size: int | None = None,
    accelerator: str = "auto",
    spreading: Spreading = HERE,
    progress: Progress | None = None,
) -> EmbeddingsWritten:
    """Compute the embeddings of recordings, and write them into a file or a folder.

    A journal beside the output keeps what is done, as for
    `anymic.inference.event_run.predict_events`.

    Parameters
    ----------
    model : path
    places : sequence of path, or Manifest
        Files, folders and patterns; or the clips of a manifest, with their devices.
    out : path
        As for `anymic.inference.embedding_files.write`.
    kind : str, optional
        npz, csv or projector; by default that of the ending, and projector for a folder. With npz
        or csv a folder gets shards of at most 25 million numbers, of which one is in memory at a
        time; a clip is not divided among them.
    device : str, optional
        The device that recorded all files.
    batch_size, accelerator
        As for `Embedder`.
    spreading : Spreading
        Where the recordings are computed; the output has the same bytes.
    progress : callable, optional
        Called with the number of clips that are done, and of all.

    Raises
    ------
    ConfigError
        If the name of the output has no format, or the journal is of another run.
    BundleError
        If it is no single model.
    AnymicError
        If no window has features.
    """
    place = Path(out)
    form, in_shards = format_of(place, kind)
    loaded = EmbeddingModel(str(model), batch_size, accelerator)
    embedder = loaded.load()
    loaded = replace(loaded, **settings_of(embedder.pipeline))
    never: tuple[Failure, ...] = ()
    listed: list[ClipRequest] = []
    of_path: dict[str, Path] = {}
    if isinstance(places, Manifest):
        listed = manifest_requests(places, embedder.pipeline.gain_selector.contract.clip_s)
        keys = [f"{one.path} {one.start_s} {one.duration_s}" for one in listed]
    else:
        found = find_files(places)
        never = tuple(one for one in found if isinstance(one, Failure))
        of_path = {str(one): one for one in found if isinstance(one, Path)}
        keys = list(of_path)
    of_key = dict(zip(keys, listed, strict=True)) if listed else {}

    def make(key: str) -> ClipRequest:
        if key in of_key:
            return replace(of_key[key], starts_s=[], windows=[])
        return request_of(of_path[key], device)

    decisive = {
        "work": "embeddings",
        "anymic": version("anymic"),
        "model": model_key(model),
        "number_format": str(embedder.engine.dtype),
        "batch": embedder.pipeline.batch_size,
        "device": device,
        "format": f"{form} shards" if in_shards else form,
    }
    if listed:
        decisive["clips"] = key_of([one.device for one in listed])
        if embedder.pipeline.gain_selector.policy == "blind":  # and share their gains
            decisive["together"] = key_of(states_key(one.file for one in listed))
    with journal_of(place, decisive) as journal:
        if listed:  # clips of one unknown device share their gains
            embedder.pipeline.gain_selector.share_gains(listed)
        run = Resumed(
            journal,
            keys,
            make,
            lambda requests: _embedded(embedder, requests),
            _Embedded.as_mapping,
            _Embedded.from_mapping,
            spread=spreading.over(loaded, accelerator=accelerator),
        )
        for number, _ in enumerate(run.run(), start=1):
            if progress is not None:
                progress(number, len(keys))
        failures = (*never, *run.failures.values())
        if run.empty:
            journal.end()
        files, counts = _write(run, places, place, form if in_shards else None, failures)
        journal.end(keep=bool(run.failures))
    clips = len(keys) + len(never)
    return EmbeddingsWritten(tuple(files), clips, counts.windows, counts.channels, failures)


@dataclass(frozen=True)
class EmbeddingModel:
    """Loads a model, here or in a worker, that computes the embeddings of recordings.

    The parameters are those of `embed_recordings`.
    """

    model: str
    batch_size: int | None
    accelerator: str
    precision: Precision = "auto"

    def load(self) -> Embedder:
        """Return what computes the embeddings."""
        return Embedder(
            bundle.load(self.model),
            batch_size=self.batch_size,
            precision=self.precision,
            accelerator=self.accelerator,
        )

    def __call__(self) -> Callable[[list[ClipRequest]], list[_Embedded | Failure]]:
        """Return the function of a worker."""
        embedder = self.load()
        return lambda requests: list(_embedded(embedder, requests))


def _embedded(embedder: Embedder, requests: Iterable[ClipRequest]) -> Iterator[_Embedded | Failure]:
    for one in embedder.pipeline.run(iter(requests), alike=True):
        if one.failed is not None:
            yield Failure(one.path, str(one.failed))
            continue
        features = np.stack(one.windows).astype(np.float32)
        yield _Embedded(one.path, one.device or "", one.starts_s, features)


def _write(
    run: Resumed[_Embedded],
    places: Sequence[str | Path] | Manifest,
    out: Path,
    shards: Format | None,
    failures: tuple[Failure, ...],
) -> tuple[list[Path], _Counts]:
    """Write all embeddings, or shards of a format; AnymicError if there are none."""
    counts, in_shards = _Counts(), shards is not None
    parts = counts.through(_gathered(one, places, in_shards) for one in _parts(run, in_shards))
    if shards is not None and not run.empty:
        return write_shards(parts, out, shards), counts
    (whole,) = parts
    return [write(replace(whole, failures=failures), out)], counts


class _Counts:
    """Counts what goes through it."""

    windows = channels = 0

    def through(self, parts: Iterable[Embeddings]) -> Iterator[Embeddings]:
        for part in parts:
            self.windows += len(part.features)
            self.channels = part.features.shape[1]
            yield part


def _parts(run: Resumed[_Embedded], in_shards: bool) -> Iterator[list[tuple[int, _Embedded]]]:
    """Yield the row and the embeddings of each clip, from the journal: all, or for each shard."""
    row_of = {key: row for row, key in enumerate(run.keys)}
    part: list[tuple[int, _Embedded]] = []
    values = 0
    for key, one in run.results():
        if in_shards and part and values + one.features.size > SHARD_VALUES:
            yield part
            part, values = [], 0
        part.append((row_of[key], one))
        values += one.features.size
    yield part


def _gathered(
    done: list[tuple[int, _Embedded]], places: Sequence[str | Path] | Manifest, in_shards: bool
) -> Embeddings:
    """Return the embeddings of some clips; those of shards always have devices, known or not."""
    windows = [(row, one) for row, one in done for _ in one.starts_s]
    devices = tuple(one.device for _, one in windows)
    rows = np.array([row for row, _ in windows], dtype=np.int64)
    known: dict[str, Any] = {}
    if isinstance(places, Manifest):
        known = {
            f"{name}s": tuple(as_text(places.table[name]).iloc[rows])
            for name in ("label", "split", "group")
            if name in places.table.columns
        }
    return Embeddings(
        features=np.concatenate([one.features for _, one in done])
        if done
        else np.empty((0, 0), np.float32),
        paths=tuple(one.path for _, one in windows),
        starts_s=np.array([start for _, one in done for start in one.starts_s]),
        rows=rows,
        devices=devices if in_shards or any(devices) else None,
        **known,
    )

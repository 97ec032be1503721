"""The sequences of embeddings that heads classify, cached by the content of the files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from anymic import audio
from anymic._internal.cached import read_cached
from anymic._internal.files import file_digest, key_of, write_arrays
from anymic._internal.npz import parse_arrays
from anymic._internal.places import cache_folder
from anymic._internal.settings import to_mapping
from anymic._internal.threads import READERS, in_order
from anymic.bundle import Bundle
from anymic.data.checks import require_usable
from anymic.data.manifest import Manifest
from anymic.devices.simulation.copies import Copies, SampleDevice
from anymic.errors import AudioError, Failure, attempt
from anymic.features.feature_store import FeatureStore
from anymic.inference.embedder import SequenceEmbedder
from anymic.inference.pipeline import ClipPipeline
from anymic.inference.requests import ClipRequest, manifest_requests
from anymic.models.tagger import Tagger

FORMAT = 1
LARGEST = float(np.finfo(np.float16).max)


def embeddings_folder() -> Path:
    """Return the folder of the cached embeddings, which need not exist.

    It is `embeddings` in the environment variable ANYMIC_CACHE; else `anymic/embeddings` in the
    user's cache folder, which is XDG_CACHE_HOME or `~/.cache`. It may be deleted at any time.
    """
    return cache_folder() / "embeddings"


@dataclass(frozen=True)
class Sequences(FeatureStore):
    """Sequences of embeddings, float16, of the usable clips of a manifest and of their copies.

    Attributes
    ----------
    copies : array (example,), int64
        0 of a clip itself; else the number of its copy through a random device.
    """

    copies: NDArray[np.int64]


def open_sequences(
    manifest: Manifest,
    bundle: Bundle,
    cache: Path | None = None,
    *,
    most_windows: int | None = None,
    copies: Copies | None = None,
    copied: Collection[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Sequences:
    """Return the sequences of embeddings of every clip, each computed once.

    The features are (example, feature, segment), float16; a clip has an example for each of its
    windows. A file of the cache holds those of one clip. Its name is a hash of the content of the
    audio file, the part of it, the embedder's weights, its front-end, the contract and the gains of
    the clip's device. So another name or place of the file, another head or another split finds
    it again. A damaged file is made again, with a warning. Clips whose gains are estimated
    from the recordings themselves are computed every time.

    With `copies` some clips also have the examples of each copy, which are cached in the same way:
    the device is a part of the name. The gains of the clip's own device correct its copies too.

    Parameters
    ----------
    manifest : Manifest
    bundle : Bundle
        Its network is a `Tagger`.
    cache : Path, optional
        By default `embeddings_folder()`.
    most_windows : int, optional
        Of a longer clip, so many windows are used, at equal distances.
    copies : Copies, optional
        Random devices, which depend on the content of a clip's file.
    copied : collection of str
        The ids of the clips that have copies: those that train.
    progress : callable, optional
        Called with the number of clips done since the last call.

    Raises
    ------
    DeviceError
        If `copies` names a folder without responses, or with one that does not fit the rate.
    ManifestError
        If no clip can be used.
    """
    if copies is not None:
        copies.devices("", bundle.contract.rate_hz)  # its errors are of no clip
    embedder = SequenceEmbedder(bundle)
    place = (cache or embeddings_folder()) / _space(bundle, embedder)
    clips = _Clips(bundle, embedder.pipeline, place, most_windows, copies)
    found: dict[int, list[NDArray[np.float16]] | Failure] = {}
    missing: list[_Clip] = []
    requests = manifest_requests(manifest, bundle.contract.clip_s)
    own = [clip in copied for clip in manifest.clip_ids()] if copied else [False] * len(manifest)
    items = zip(range(len(manifest)), requests, own, strict=True)
    for clip in in_order(clips.prepare, items, workers=READERS, ahead=16):
        if clip.failure is None and clip.requests:
            missing.append(clip)
            continue
        found[clip.row] = clip.failure or clip.kept
        if progress is not None:
            progress(1)
    for row, result in clips.compute(missing):
        found[row] = result
        if progress is not None:
            progress(1)
    order = [(row, found[row]) for row in range(len(manifest))]
    failures = tuple(one for _, one in order if isinstance(one, Failure))
    done = [
        (row, number, each)
        for row, one in order
        if not isinstance(one, Failure)
        for number, each in enumerate(one)
    ]
    require_usable(done, failures)
    lengths = [len(each) for _, _, each in done]
    return Sequences(
        np.concatenate([each for _, _, each in done]),
        np.repeat([row for row, _, _ in done], lengths),
        failures,
        np.repeat([number for _, number, _ in done], lengths),
    )


@dataclass(frozen=True, eq=False)
class _Version:
    """A clip itself, or through a device: its file in the cache, and the content of that file."""

    device: SampleDevice | None
    path: Path | None = None
    kept: NDArray[np.float16] | None = None


@dataclass(frozen=True, eq=False)
class _Clip:
    """A row: its versions, and the requests for those that are not in the cache."""

    row: int
    requests: Sequence[ClipRequest] = ()
    versions: Sequence[_Version] = ()
    failure: Failure | None = None

    @property
    def kept(self) -> list[NDArray[np.float16]]:
        return [one.kept for one in self.versions if one.kept is not None]


class _Clips:
    """Reads cached sequences, and computes and caches the others."""

    def __init__(
        self,
        bundle: Bundle,
        pipeline: ClipPipeline,
        place: Path,
        most_windows: int | None,
        copies: Copies | None,
    ) -> None:
        self.contract, self.place, self.most = bundle.contract, place, most_windows
        self.pipeline, self.copies = pipeline, copies
        self.width = len(cast(Tagger, bundle.network).standardization.mean)
        self.digest = cache(file_digest)  # of a file with several rows once

    def prepare(self, item: tuple[int, ClipRequest, bool]) -> _Clip:
        """Return the clip of a row, with its cached sequences if there are any."""
        row, request, copied = item
        found = attempt(request.path, self._prepare, row, request, copied)
        return _Clip(row, failure=found) if isinstance(found, Failure) else found

    def _prepare(self, row: int, request: ClipRequest, copied: bool) -> _Clip:
        requests = self._thinned(request)
        if not Path(request.path).is_file():
            return _Clip(row, requests, [_Version(None)])  # reading it reports the fault
        digest, known = self.digest(request.path), self.pipeline.knows_gains(request)
        parts = [(one.start_s, one.duration_s) for one in requests]
        devices: list[SampleDevice | None] = [None]
        if copied and self.copies is not None:
            clip = key_of([request.start_s, request.duration_s], digest)
            devices += self.copies.devices(clip, self.contract.rate_hz)
        gains = [b"" if one is None else one.cpu().numpy().tobytes() for one in request.gains or ()]
        versions = []
        for device in devices:
            own = [] if device is None else [device.content]
            key = key_of(parts, digest, *gains, *own)
            path = self.place / key[:2] / f"{key[2:]}.npz"
            versions.append(
                _Version(device, path, read_cached(path, self._sequences))
                if known
                else _Version(device)
            )
        through = tuple(one.device for one in versions if one.kept is None)
        wanted = [replace(one, through=through, starts_s=[], windows=[]) for one in requests]
        return _Clip(row, wanted if through else (), versions)

    def _thinned(self, request: ClipRequest) -> list[ClipRequest]:
        """Return the request, or requests for some windows of a clip that has too many."""
        if self.most is None:
            return [request]
        begin, length = request.start_s or 0.0, request.duration_s
        if length is None:
            length = audio.length_s(request.file) - begin
            length = min(length, request.most_s or length)
        hop_s = self.contract.hop_samples / self.contract.rate_hz
        windows = int((length - self.contract.clip_s) / hop_s) + 1
        if windows <= self.most:
            return [request]
        chosen = np.linspace(0, windows - 1, self.most).round().astype(int)
        return [
            replace(
                request,
                start_s=begin + float(number) * hop_s,
                duration_s=self.contract.clip_s,
                starts_s=[],
                windows=[],
            )
            for number in chosen
        ]

    def compute(
        self, clips: Sequence[_Clip]
    ) -> Iterator[tuple[int, list[NDArray[np.float16]] | Failure]]:
        """Yield the row and the sequences of each clip's versions, and cache them."""
        done = self.pipeline.run([request for clip in clips for request in clip.requests])
        for clip in clips:
            own = [next(done) for _ in clip.requests]
            yield clip.row, self._gathered(clip, own)

    def _gathered(
        self, clip: _Clip, requests: Sequence[ClipRequest]
    ) -> list[NDArray[np.float16]] | Failure:
        good = [one for one in requests if one.failed is None]
        if not good:
            return Failure(requests[0].path, str(requests[0].failed))
        found = []
        missing = [one for one in clip.versions if one.kept is None]
        for version in clip.versions:
            if version.kept is not None:
                found.append(version.kept)
                continue
            place = missing.index(version)
            values = np.stack([w for one in good for w in one.windows[place :: len(missing)]])
            if np.abs(values).max() > LARGEST:
                problem = f"embeddings reach {np.abs(values).max():.3g}"
                error = AudioError(problem, expected=f"at most {LARGEST:g}", fix="lower the level")
                return Failure(requests[0].path, str(error))
            parts = values.reshape(len(values), -1, self.width).transpose(0, 2, 1)
            found.append(parts.astype(np.float16))
            if version.path is not None and len(good) == len(requests):
                write_arrays(version.path, sequences=found[-1])
        for one in requests:
            one.windows.clear()
        return found

    def _sequences(self, content: bytes) -> NDArray[np.float16] | None:
        """Return the sequences of a cached file; None if it is of others."""
        found = parse_arrays(content)["sequences"]
        fits = found.ndim == 3 and found.shape[1] == self.width and found.dtype == np.float16
        return found if fits and len(found) else None


def _space(bundle: Bundle, embedder: SequenceEmbedder) -> str:
    """Return a key of the weights, the front-end and the contract, which all clips share."""
    tagger = cast(Tagger, bundle.network)
    tensors = {f"embedder.{name}": value for name, value in tagger.embedder.state_dict().items()}
    tensors |= {
        name: value for name, value in bundle.frontend.state_dict().items() if name != "gains"
    }
    contract = to_mapping(bundle.contract)
    segments = {name: value for name, value in bundle.network_arguments.items() if name != "head"}
    settings: list[Any] = [FORMAT, to_mapping(bundle.frontend.config), contract, segments]
    precision = str(embedder.engine.dtype)
    return key_of([*settings, precision], *(_bytes(name, value) for name, value in tensors.items()))


def _bytes(name: str, value: torch.Tensor) -> bytes:
    return name.encode() + value.cpu().contiguous().numpy().tobytes()

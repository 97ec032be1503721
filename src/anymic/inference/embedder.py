"""Compute the pooled features of files: the input of a network's last layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal.frames import as_text
from anymic._internal.process_state import default_torch
from anymic.audio import Clip
from anymic.bundle import Bundle, Ensemble
from anymic.data.manifest import Manifest
from anymic.errors import BundleError, Failure, counted
from anymic.features import Features
from anymic.inference.engine import Engine, Precision, at
from anymic.inference.pipeline import ClipPipeline
from anymic.inference.requests import ClipRequest, as_sources, manifest_requests, request_of
from anymic.models.fusion import FusedBasic, fuse


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Pooled features of windows, and the source of each window.

    Attributes
    ----------
    features : array (window, channel), float32
        The input of the network's last layer.
    paths : tuple of str
        The file of each window.
    starts_s : array (window,), float64
        Start of the window in the file, in seconds.
    rows : array (window,), int64
        Place of its source in the list, or row in the manifest.
    labels, devices, splits, groups : tuple of str, or None
        Of each window, "" if unknown; None if all are unknown.
    failures : tuple of Failure
        The sources that could not be used.
    """

    features: NDArray[np.float32]
    paths: tuple[str, ...]
    starts_s: NDArray[np.float64]
    rows: NDArray[np.int64]
    labels: tuple[str, ...] | None = None
    devices: tuple[str, ...] | None = None
    failures: tuple[Failure, ...] = ()
    splits: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None

    def clips(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the mean over each source's windows (clip, channel), and the sources (clip,)."""
        rows, first, counts = np.unique(self.rows, return_index=True, return_counts=True)
        if not len(rows):
            return np.empty((0, self.features.shape[1])), rows
        sums = np.add.reduceat(self.features.astype(np.float64), first, axis=0)
        return sums / counts[:, None], rows


class Embedder:
    """Computes the pooled features of files and clips.

    Windows, device gains and failures are those of `Predictor`, and so are the parameters. The
    last layer of `basic1` and `basic2` computes the logits from these features; `fcnn` pools after
    its last layer, so its features are the means of the input of that layer.

    Raises
    ------
    BundleError
        As for `Predictor`, and if it is an ensemble: each member has features of its own.
    """

    method = "embed"  # of the network: its input maps to the features

    def __init__(
        self,
        bundle: Bundle | Ensemble,
        *,
        batch_size: int | None = None,
        precision: Precision = "auto",
        accelerator: str = "auto",
    ) -> None:
        if isinstance(bundle, Ensemble):
            raise BundleError(
                f"the model is an ensemble of {counted(len(bundle.members), 'model')} with"
                " different features",
                expected="a single model",
                fix="pass one of its members, such as its folder members/00",
            )
        self.engine = Engine(bundle, precision=precision, accelerator=accelerator, classifies=False)
        self._network = fuse(at(self.engine.place, bundle.network), dtype=self.engine.dtype)
        self._clip_s = bundle.contract.clip_s
        self.pipeline = ClipPipeline(bundle, self.engine, self.pool, batch_size=batch_size)

    @default_torch()
    @torch.inference_mode()
    def pool(self, features: Features) -> NDArray[np.float64]:
        """Return the pooled features (batch, channel) of log-mel features (batch, band, frame)."""
        maps = self.engine.frontends[0].maps(features[0].to(self.engine.place))
        with self.engine.autocast(fused=isinstance(self._network, FusedBasic)):
            pooled = getattr(self._network, self.method)(maps).flatten(1)
        return np.asarray(pooled.double().cpu().numpy())

    def embed(
        self,
        sources: Sequence[str | Path | Clip],
        *,
        device: str | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Embeddings:
        """Compute the features of files or clips, all recorded by `device` where it is stated.

        `progress` is called with the number of files done since the last call.
        """
        return self._gather([request_of(one, device) for one in as_sources(sources)], progress)

    def embed_manifest(
        self, manifest: Manifest, *, progress: Callable[[int], None] | None = None
    ) -> Embeddings:
        """Compute the features of a manifest's clips, with their label, device, split and group.

        A row with `start_s` is that part of its file, as in `Predictor.predict_manifest`.
        """
        found = self._gather(manifest_requests(manifest, self._clip_s), progress)
        known: dict[str, Any] = {
            f"{name}s": tuple(as_text(manifest.table[name]).iloc[found.rows])
            for name in ("label", "split", "group")
            if name in manifest.table.columns
        }
        return replace(found, **known)

    def _gather(
        self, requests: Sequence[ClipRequest], progress: Callable[[int], None] | None
    ) -> Embeddings:
        done: list[tuple[int, ClipRequest]] = []
        failures = []
        for row, request in enumerate(self.pipeline.run(requests)):
            if request.failed is None:
                done.append((row, request))
            else:
                failures.append(Failure(request.path, str(request.failed)))
            if progress is not None:
                progress(1)
        windows = [(row, request) for row, request in done for _ in request.starts_s]
        devices = tuple(request.device or "" for _, request in windows)
        found = [window for _, request in done for window in request.windows]
        return Embeddings(
            features=np.stack(found).astype(np.float32) if found else np.empty((0, 0), np.float32),
            paths=tuple(request.path for _, request in windows),
            starts_s=np.array([start for _, request in done for start in request.starts_s]),
            rows=np.array([row for row, _ in windows], dtype=np.int64),
            devices=devices if any(devices) else None,
            failures=tuple(failures),
        )


class SequenceEmbedder(Embedder):
    """Computes the sequence of embeddings that a `Tagger` passes to its head.

    `Embeddings.features` are (window, segment * feature): the segments of a window side by side.
    """

    method = "sequence"

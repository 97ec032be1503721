"""Predictions from features that are kept on disk, for clips that are classified repeatedly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anymic.bundle import InputContract
from anymic.data.manifest import Manifest
from anymic.errors import Failure
from anymic.features.feature_store import Length, Precision, open_features
from anymic.inference.engine import Engine


@dataclass(frozen=True, eq=False)
class CachedPredictions:
    """Probabilities (clip, label) of the usable rows (clip,) of a manifest, and the failures."""

    probabilities: NDArray[np.float64]
    rows: NDArray[np.int64]
    failures: tuple[Failure, ...]


def predict_cached(
    engine: Engine,
    contract: InputContract,
    manifest: Manifest,
    cache: Path,
    *,
    batch_size: int,
    dtype: Precision = "float32",
    progress: Callable[[int], None] | None = None,
) -> CachedPredictions:
    """Classify the clips of a manifest, whose features are computed once and kept in `cache`.

    Parameters
    ----------
    engine : Engine
    contract : InputContract
        The length of a clip, and what happens to shorter ones; files must have the model's rate.
    manifest : Manifest
        Its `device` column names each clip's gains: those of the profile, or none.
    cache : Path
        A folder.
    batch_size : int
        Clips in one pass of the network.
    dtype : {"float32", "float16"}
        Of the features on disk. With float32 the probabilities are those of the same clips without
        a cache; float16 takes half the space, and probabilities may differ by 0.003.
    progress : callable, optional
        Called with the number of clips done since the last call.
    """
    length = Length(contract.clip_s, shorter=contract.shorter)
    clips = _known_devices_only(engine, manifest)
    stores = [
        open_features(
            clips,
            frontend,
            cache,
            length=length,
            dtype=dtype,
            progress=None if number else progress,
        )
        for number, frontend in enumerate(engine.frontends)
    ]
    probabilities = classify_features(
        engine, [store.features for store in stores], batch_size=batch_size
    )
    return CachedPredictions(probabilities, stores[0].rows, stores[0].failures)


def classify_features(
    engine: Engine, features: Sequence[NDArray[np.floating]], *, batch_size: int
) -> NDArray[np.float64]:
    """Return the probabilities (clip, label) of clips of one window each.

    Parameters
    ----------
    engine : Engine
    features : sequence of array (clip, band, frame)
        For each of the engine's front-ends, log-mel features; they may be memory-mapped.
    batch_size : int
        Clips in one pass of the network.
    """
    batches = (
        [each[first : first + batch_size] for each in features]
        for first in range(0, len(features[0]), batch_size)
    )

    def classify(batch: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
        return engine.classify(tuple(torch.from_numpy(each.astype(np.float32)) for each in batch))

    parts = list(engine.spread(classify, batches))
    return np.concatenate(parts) if parts else np.empty((0, len(engine.labels)))


def _known_devices_only(engine: Engine, manifest: Manifest) -> Manifest:
    """Leave out the names of devices that only some members of an ensemble know."""
    known = engine.devices
    if all(set(frontend.device_names) <= set(known) for frontend in engine.frontends):
        return manifest
    if "device" not in manifest.table:
        return manifest
    names = [name if name in known else "" for name in manifest.table["device"]]
    return manifest.with_columns(device=names)

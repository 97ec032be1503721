"""Predict clips from features that are kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anymic.bundle import InputContract
from anymic.data.manifest import Manifest
from anymic.features.feature_store import Length, Precision, open_features
from anymic.inference.engine import Engine
from anymic.inference.prediction import ManifestPredictions


def predict_cached(
    engine: Engine,
    contract: InputContract,
    manifest: Manifest,
    cache: Path,
    *,
    batch_size: int,
    dtype: Precision = "float32",
    progress: Callable[[int], None] | None = None,
) -> ManifestPredictions:
    """Classify clips with the gains of the profile or none; the results are not calibrated.

    Parameters are those of `Predictor.predict_manifest`.
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
    return ManifestPredictions(probabilities, stores[0].rows, stores[0].failures)


def classify_features(
    engine: Engine, features: Sequence[NDArray[np.floating]], *, batch_size: int
) -> NDArray[np.float64]:
    """Return the probabilities (clip, label) of clips of one window each.

    Parameters
    ----------
    engine : Engine
    features : sequence of array (clip, band, frame)
        Log-mel features for each of the engine's front-ends; they may be memory-mapped.
    batch_size : int
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
    """Remove the names of devices that only some members of an ensemble have gains for."""
    known = engine.devices
    agree = all(set(frontend.device_names) <= set(known) for frontend in engine.frontends)
    if agree or "device" not in manifest.table:
        return manifest
    names = [name if name in known else "" for name in manifest.table["device"]]
    return manifest.with_columns(device=names)

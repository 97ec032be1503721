"""Classify the clips of a manifest from features that are kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from anymic.data.manifest import Manifest
from anymic.features.feature_batches import Length, Precision
from anymic.features.feature_store import open_features
from anymic.inference.pipeline import ClipPipeline
from anymic.inference.prediction import ManifestPredictions


def predict_stored(
    pipeline: ClipPipeline,
    manifest: Manifest,
    cache: Path,
    *,
    dtype: Precision,
    progress: Callable[[int], None] | None,
) -> ManifestPredictions:
    """Classify clips with the gains of the profile or none; the results are not calibrated.

    Parameters
    ----------
    pipeline : ClipPipeline
    manifest : Manifest
        Of clips whose gains are known without reading them (`ClipPipeline.knows_gains`).
    cache, dtype, progress
        As for `Predictor.predict_manifest`.
    """
    engine, contract = pipeline.engine, pipeline.gain_selector.contract
    known, frontends = engine.devices, engine.frontends
    if "device" in manifest.table:  # only some members of an ensemble may have its gains
        names = [name if name in known else "" for name in manifest.table["device"]]
        shared = all(set(frontend.device_names) <= set(known) for frontend in frontends)
        manifest = manifest if shared else manifest.with_columns(device=names)
    stores = [
        open_features(
            manifest,
            frontend,
            cache,
            length=Length(contract.clip_s, shorter=contract.shorter),
            dtype=dtype,
            progress=None if number else progress,
        )
        for number, frontend in enumerate(frontends)
    ]
    features = [store.features for store in stores]
    found = engine.classify_stored(features, batch_size=pipeline.batch_size)
    return ManifestPredictions(found, stores[0].rows, stores[0].failures)

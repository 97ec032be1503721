"""Predicting from features kept on disk, for clips that are heard again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal.threads import spread
from anymic.bundle import InputContract
from anymic.data.manifest import Manifest
from anymic.errors import Failure
from anymic.features.feature_store import Length, open_features
from anymic.inference.engine import Inference

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Stored:
    """Probabilities (clip, label) of the usable rows (clip,) of a manifest, and the others."""

    probabilities: NDArray[np.float64]
    rows: NDArray[np.int64]
    failures: tuple[Failure, ...]


def predict_stored(
    model: Inference,
    contract: InputContract,
    manifest: Manifest,
    cache: Path,
    *,
    batch_size: int,
    progress: Callable[[int], None] | None = None,
) -> Stored:
    """Classify the clips of a manifest, whose features are computed once and kept in `cache`.

    Parameters
    ----------
    model : Inference
    contract : InputContract
        Its length, and what happens to shorter clips; the rest is up to `frontend.store`.
    manifest : Manifest
        Its `device` column picks each clip's gains: those of the profile, or none.
    cache : Path
        A folder.
    batch_size : int
        Clips in one pass of the network.
    progress : callable, optional
        Told the number of clips done since the last call.
    """
    length = Length(contract.clip_s, shorter=contract.shorter)
    clips = _known_devices_only(model, manifest)
    stores = [
        open_features(clips, frontend, cache, length=length, progress=None if number else progress)
        for number, frontend in enumerate(model.frontends)
    ]
    rows = stores[0].rows
    batches = (
        [store.features[first : first + batch_size] for store in stores]
        for first in range(0, len(rows), batch_size)
    )

    def classify(kept: Sequence[NDArray[np.float16]]) -> NDArray[np.float64]:
        features = [torch.from_numpy(each.astype(np.float32)) for each in kept]
        return model.classify(tuple(features))

    parts = list(compute(model, classify, batches))
    probabilities = np.concatenate(parts) if parts else np.empty((0, len(model.labels)))
    return Stored(probabilities, rows, stores[0].failures)


def compute(
    model: Inference, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Compute in several threads on a processor, in this one for a GPU."""
    return spread(function, items) if model.place.type == "cpu" else map(function, items)


def _known_devices_only(model: Inference, manifest: Manifest) -> Manifest:
    """Leave out the names of devices that only some members of an ensemble know."""
    known = model.devices
    if all(set(frontend.device_names) <= set(known) for frontend in model.frontends):
        return manifest
    if "device" not in manifest.table:
        return manifest
    names = [name if name in known else "" for name in manifest.table["device"]]
    return manifest.with_columns(device=names)

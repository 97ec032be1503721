"""The embeddings that a head is trained on: of clips, their copies, and their coded versions."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anymic._internal.places import cache_folder
from anymic.bundle import Bundle
from anymic.data.checks import require_all_usable
from anymic.data.manifest import Manifest
from anymic.devices.simulation.copies import Copies
from anymic.inference.sequences import Sequences, open_sequences
from anymic.training.coded import coded_versions
from anymic.training.config import TrainingConfig
from anymic.training.windows import MOST_WINDOWS


@dataclass(frozen=True)
class TrainingSequences(Sequences):
    """Sequences of embeddings of clips, of their copies, and of their coded versions.

    Attributes
    ----------
    copies : array (example,), int64
        0 of a clip itself; else the number of its copy, or of its coded version after the copies.
    notes : list of str
        On the coded versions.
    """

    notes: list[str]


def with_coded(
    manifest: Manifest,
    bundle: Bundle,
    config: TrainingConfig,
    *,
    training: Collection[str],
    cache: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> TrainingSequences:
    """Return the sequences of embeddings of clips, and of what training clips are passed through.

    Embeddings and coded clips are kept by the content of the files, and a second training finds
    both.

    Parameters
    ----------
    manifest : Manifest
        The clips that train and those that validate.
    bundle : Bundle
        Its network is a `Tagger`.
    config : TrainingConfig
        Its `random_devices` and `codecs`.
    training : collection of str
        The ids of the clips that train.
    cache : Path, optional
        Folder for embeddings and coded clips; by default that of the user.
    progress : callable, optional
        Called with the number of clips embedded since the last call; not for coded versions.

    Raises
    ------
    ManifestError
        If no clip can be used, or one that is usable without a codec cannot be encoded.
    """
    devices, own = config.random_devices, set(training)
    found = open_sequences(
        manifest,
        bundle,
        cache,
        most_windows=MOST_WINDOWS,
        copies=None if devices is None else Copies(devices, config.seed),
        copied=own,
        progress=progress,
    )
    if config.codecs is None:
        return TrainingSequences(**vars(found), notes=[])
    ids = manifest.clip_ids()
    rows = np.array([row for row in np.unique(found.rows) if ids[row] in own], dtype=np.int64)
    coded = coded_versions(
        manifest.rows(rows),
        config.codecs,
        (cache or cache_folder()) / "coded",
        training=own,
        seed=config.seed,
    )
    features, clips, copies = [found.features], [found.rows], [found.copies]
    first = int(found.copies.max(initial=0)) + 1
    for number, version in enumerate(coded.manifests, start=first):
        each = open_sequences(version, bundle, cache, most_windows=MOST_WINDOWS)
        require_all_usable(each.failures, which=" to embed through codecs")
        features.append(each.features)
        clips.append(rows[each.rows])
        copies.append(np.full(len(each.rows), number, dtype=np.int64))
    return TrainingSequences(
        features=np.concatenate(features),
        rows=np.concatenate(clips),
        failures=found.failures,
        copies=np.concatenate(copies),
        notes=coded.notes,
    )

"""Features of training clips that are passed through codecs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.coded_corpus import encode
from anymic.codecs.random_codec import Codecs
from anymic.data.manifest import Manifest
from anymic.errors import ManifestError
from anymic.features import Frontend
from anymic.features.feature_store import FeatureStore, Length, open_features


def coded_features(
    manifest: Manifest,
    clean: FeatureStore,
    codecs: Codecs,
    frontend: Frontend,
    cache: Path,
    *,
    length: Length,
    progress: bool = False,
) -> tuple[NDArray[np.float16], ...]:
    """Return the features (clip, band, frame) of the clips of `clean` after each codec of the set.

    The decoded clips are written to `cache`/coded (see `anymic.codecs.coded_corpus.encode`), and
    their features are stored like those of the clips themselves. An epoch only chooses among these
    arrays.

    Raises
    ------
    DependencyError
        If a codec is not available here.
    ManifestError
        If a clip that is usable without a codec cannot be encoded.
    """
    usable = manifest.rows(clean.rows)
    coded = encode(usable, codecs.codecs, cache / "coded", progress=progress)
    failures = list(coded.failures)
    features = []
    for codec in codecs.codecs:
        rows = coded.manifest.where(codec=codec.name, kbps=codec.kbps)
        store = open_features(rows, frontend, cache, length=length)
        failures += store.failures
        features.append(store.features)
    if failures:
        raise ManifestError(
            f"{len(failures)} clips cannot be encoded. The first: {failures[0].reason}",
            expected="codecs that encode every training clip",
            fix="leave that codec or these clips out",
        )
    return tuple(features)

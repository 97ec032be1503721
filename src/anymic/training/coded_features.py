"""Features of the training clips as they are heard through codecs."""

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
    """Return the clips' features through each codec of the set, computed once and kept.

    What is heard is written once below `cache`/coded (see `anymic.codecs.coded_corpus.encode`), and
    its features are kept as those of the clips themselves are: an epoch only chooses among arrays
    that are there.

    Parameters
    ----------
    manifest : Manifest
        The clips of `clean`.
    clean : FeatureStore
        Their features without a codec.
    codecs : Codecs
    frontend : Frontend
    cache : Path
    length : Length
    progress : bool
        Show a bar while encoding.

    Returns
    -------
    tuple of arrays (clip, band, frame), float16
        One for each codec; clips in the order of `clean`.

    Raises
    ------
    DependencyError
        A codec is not available here.
    ManifestError
        A clip that can be used as it is cannot be encoded.
    """
    usable = manifest.rows(clean.rows)
    heard = encode(usable, codecs.codecs, cache / "coded", progress=progress)
    failures = list(heard.failures)
    features = []
    for codec in codecs.codecs:
        rows = heard.manifest.where(codec=codec.name, kbps=codec.kbps)
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

"""The codecs of the clips of a manifest."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.table import ORIGINAL
from anymic.data.manifest import Manifest
from anymic.errors import ManifestError, counted

CLEAN = "clean"
NO_CODEC = ("", "none", ORIGINAL)  # in the column codec


def codec_names(manifest: Manifest) -> NDArray[np.str_]:
    """Return each clip's codec and kbps, such as "mp3 32"; "clean" where there is none.

    Without a clean clip the accuracy on these cannot be measured: a ManifestError.
    """
    table = manifest.table
    names = np.full(len(table), CLEAN, dtype=object)
    if "codec" in table:
        rates = table["kbps"] if "kbps" in table else np.full(len(table), math.nan)
        for row, (codec, kbps) in enumerate(zip(table["codec"], rates, strict=True)):
            if codec not in NO_CODEC:
                names[row] = codec + (f" {kbps:g}" if math.isfinite(kbps) else "")
    if CLEAN not in names:
        raise ManifestError(
            f"no clip to measure on is clean ({counted(len(table), 'clip')})",
            expected="clips whose codec is empty or wav, to measure the accuracy on clean audio",
            fix="add wav to the codecs of `anymic data encode`",
        )
    return names.astype(str)

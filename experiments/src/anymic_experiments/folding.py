"""Each fold of a corpus is the test set once."""

from __future__ import annotations

import numpy as np

from anymic.data.manifest import Manifest


def by_fold(manifest: Manifest) -> dict[str, Manifest]:
    """Return the corpus once for each fold, with a column `split`: that fold tests, others train.

    Clips of no fold train always.

    Raises
    ------
    ManifestError
        If there is no column `fold`.
    """
    manifest.require("fold", purpose="a test set")
    folds = manifest.table["fold"].to_numpy()
    return {
        f"fold{number}": manifest.with_columns(split=np.where(folds == number, "test", "train"))
        for number in sorted(set(folds.tolist()) - {-1})
    }

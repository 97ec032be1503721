"""The folds of a corpus: those that a manifest numbers, or its own training and test clips."""

from __future__ import annotations

import numpy as np

from anymic.data.manifest import Manifest
from anymic.data.splits import check_splits
from anymic.errors import ManifestError


def by_fold(manifest: Manifest) -> dict[str, Manifest]:
    """Return the corpus once for each fold, with a column `split`: that fold tests, others train.

    Clips of no fold train always.

    Raises ManifestError if there is no column `fold`.
    """
    manifest.require("fold", purpose="a test set")
    folds = manifest.table["fold"].to_numpy()
    return {
        f"fold{number}": manifest.with_columns(split=np.where(folds == number, "test", "train"))
        for number in sorted(set(folds.tolist()) - {-1})
    }


def has_split(manifest: Manifest) -> bool:
    """Say whether a manifest names training and test clips itself.

    Raises ManifestError if it does, and there are none of one of them, or a recording is in both.
    """
    if "split" not in manifest.table.columns:
        return False
    check_splits(manifest)
    for part in ("train", "test"):
        if not len(manifest.where(split=part)):
            raise ManifestError(
                f"no clip has the split {part!r}",
                expected="clips to train on and clips to test",
                fix="correct the column split, or use folds",
            )
    return True

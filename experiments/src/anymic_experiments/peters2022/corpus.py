"""A clean corpus passed through codecs: what to train, to fine-tune and to test on, by fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from anymic.codecs.codec import Codec
from anymic.codecs.codec_set import CodecSet
from anymic.codecs.coded_corpus import encode
from anymic.codecs.conditions import CLEAN, codec_names
from anymic.codecs.table import ORIGINAL
from anymic.data.checks import require_all_usable
from anymic.data.manifest import Manifest, concatenate
from anymic_experiments.experiment import by_fold, has_split


class Conditions(Protocol):
    """The codecs that a corpus is passed through."""

    @property
    def trained(self) -> tuple[str, ...]:
        """Those of fine-tuning, all of which are in `coded`."""

    @property
    def coded(self) -> tuple[str, ...]:
        """Those of the test clips."""


@dataclass(frozen=True)
class Fold:
    """Manifests with the same test clips, each of them clean and through every codec."""

    name: str
    clean: Path  # trains on originals
    coded: Path  # trains on originals and on what they are through the codecs of fine-tuning


def folds(data: Path, out: Path, grid: Conditions, *, progress: bool = True) -> list[Fold]:
    """Encode a corpus and divide it; files and manifests are written below `out`.

    Raises ManifestError if there is neither column, or a clip cannot be encoded. Raises
    DependencyError if a codec is not available here.
    """
    manifest = Manifest.read(data)
    if has_split(manifest):
        wanted = {"train": grid.trained, "test": grid.coded}
        coded = concatenate(
            [
                _encode(manifest.where(split=part), codecs, out / part, progress=progress)
                for part, codecs in wanted.items()
            ]
        )
        return [_write(coded, "all", out, grid.trained)]
    manifest.require("fold", purpose="a test set")
    coded = _encode(manifest, grid.coded, out, progress=progress)
    return [_write(fold, name, out, grid.trained) for name, fold in by_fold(coded).items()]


def _encode(manifest: Manifest, codecs: Sequence[str], out: Path, *, progress: bool) -> Manifest:
    chosen = CodecSet(tuple(Codec.parse(name) for name in (ORIGINAL, *codecs)))
    encoding = encode(manifest, chosen, out, progress=progress)
    require_all_usable(encoding.failures)
    return encoding.manifest


def _write(coded: Manifest, name: str, out: Path, trained: Sequence[str]) -> Fold:
    codecs = codec_names(coded)
    training = (coded.table["split"] == "train").to_numpy(dtype=bool)
    fold = Fold(name, clean=out / f"{name}-clean.csv", coded=out / f"{name}-coded.csv")
    for path, kept in ((fold.clean, [CLEAN]), (fold.coded, [CLEAN, *trained])):
        coded.rows(~training | np.isin(codecs, kept)).write(path)
    return fold

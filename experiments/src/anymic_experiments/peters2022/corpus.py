"""A clean corpus as codecs leave it: what to train on, to fine-tune on and to test on, by fold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anymic.codecs.codec import Codec
from anymic.codecs.codec_set import CodecSet
from anymic.codecs.coded_corpus import encode
from anymic.codecs.conditions import CLEAN, codec_names
from anymic.codecs.table import ORIGINAL
from anymic.data.manifest import Manifest, concatenate
from anymic.data.splits import check_splits
from anymic.errors import ManifestError
from anymic_experiments.folding import by_fold

# The paper's conditions, by what fine-tuning hears of them. HE-AAC is fine-tuned on there, and not
# tested.
HEARD = ("aac 32", "he-aac 16", "he-aac 32", "mp3 64")
OTHER_BITRATE = ("aac 48", "aac 64", "mp3 32")
OTHER_CODEC = ("opus 64", "sbc 64")
CODED = (*HEARD, *OTHER_BITRATE, *OTHER_CODEC)


@dataclass(frozen=True)
class Fold:
    """Manifests with the same test clips, each of them clean and through every codec.

    Attributes
    ----------
    name : str
    clean : Path
        Trains on originals.
    coded : Path
        Trains on originals and on what they are through the codecs of fine-tuning.
    """

    name: str
    clean: Path
    coded: Path


def folds(data: Path, out: Path, *, progress: bool = True) -> list[Fold]:
    """Encode a corpus and divide it; files and manifests are written below `out`.

    Parameters
    ----------
    data : path
        A manifest of clean clips with a column `split` (train and test), or `fold`: then each fold
        is the test set once.
    out : path
        What is in it already and still right is not made again.
    progress : bool

    Raises
    ------
    ManifestError
        If there is neither column, or a clip cannot be encoded.
    DependencyError
        If a codec is not available here.
    """
    manifest = Manifest.read(data)
    if "split" in manifest.table:
        check_splits(manifest)
        parts = {name: manifest.where(split=name) for name in ("train", "test")}
        coded = concatenate(
            [
                _encode(parts["train"], (ORIGINAL, *HEARD), out / "train", progress=progress),
                _encode(parts["test"], (ORIGINAL, *CODED), out / "test", progress=progress),
            ]
        )
        return [_write(coded, "all", out)]
    manifest.require("fold", purpose="a test set")
    coded = _encode(manifest, (ORIGINAL, *CODED), out, progress=progress)
    return [_write(fold, name, out) for name, fold in by_fold(coded).items()]


def _encode(manifest: Manifest, codecs: tuple[str, ...], out: Path, *, progress: bool) -> Manifest:
    chosen = CodecSet(tuple(Codec.parse(name) for name in codecs))
    encoding = encode(manifest, chosen, out, progress=progress)
    if encoding.failures:
        raise ManifestError(
            f"{len(encoding.failures)} clips cannot be encoded. "
            f"The first: {encoding.failures[0].reason}",
            fix="check the corpus with `anymic data prepare`",
        )
    return encoding.manifest


def _write(coded: Manifest, name: str, out: Path) -> Fold:
    codecs = codec_names(coded)
    training = (coded.table["split"] == "train").to_numpy(dtype=bool)
    fold = Fold(name, clean=out / f"{name}-clean.csv", coded=out / f"{name}-coded.csv")
    for path, heard in ((fold.clean, [CLEAN]), (fold.coded, [CLEAN, *HEARD])):
        coded.rows(~training | np.isin(codecs, heard)).write(path)
    return fold

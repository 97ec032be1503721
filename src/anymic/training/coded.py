"""The coded versions of training clips, written once and used again."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from anymic.codecs.coded_corpus import encode_versions
from anymic.codecs.conditions import NO_CODEC
from anymic.codecs.random_codec import Codecs
from anymic.codecs.table import ORIGINAL
from anymic.data.checks import require_all_usable
from anymic.data.manifest import Manifest, concatenate
from anymic.errors import counted


@dataclass(frozen=True)
class CodedVersions:
    """Training clips through codecs.

    Attributes
    ----------
    manifests : tuple of Manifest
        One for each version, with the rows of the clips; those of clips that do not train name the
        originals.
    notes : list of str
        What was drawn, and which codecs are not available here.
    """

    manifests: tuple[Manifest, ...]
    notes: list[str]


def coded_versions(
    manifest: Manifest,
    codecs: Codecs,
    folder: Path,
    *,
    training: Collection[str],
    seed: int,
    progress: bool = False,
) -> CodedVersions:
    """Pass clips through the codecs of a training's settings.

    Parameters
    ----------
    manifest : Manifest
        Usable clips: those that train and those that validate.
    codecs : Codecs
    folder : Path
        For the coded clips; several trainings may share it.
    training : collection of str
        The ids of the clips that train.
    seed : int
        Of what is drawn from the table.
    progress : bool
        Whether to show a bar on stderr.

    Raises
    ------
    DependencyError
        If a codec of a set is not available here. Of the table it is left out, with a note.
    ManifestError
        If a clip cannot be encoded.
    """
    wanted, ids = set(training), manifest.clip_ids()
    if codecs.set:
        chosen = codecs.codecs.require().codecs
        drawn = [chosen if clip in wanted else () for clip in ids]
    else:
        table, versions = codecs.table, codecs.versions
        drawn = [
            table.draw(clip, versions=versions, seed=seed) if clip in wanted else () for clip in ids
        ]
    found = encode_versions(manifest, drawn, folder, progress=progress, wait=True)
    require_all_usable(found.failures, which=" to pass through codecs")
    if codecs.set:
        return CodedVersions(found.manifests, [])
    names = {codec.name for codec in table.codecs}
    notes = [
        f"codecs: {counted(codecs.versions, 'coded version')} of each training clip, drawn from"
        f" {counted(len(names), 'codec')} and chains"
    ]
    if absent := table.absent:
        notes.append(f"codecs that are not available here were left out: {', '.join(absent)}")
    return CodedVersions(found.manifests, notes)


def with_versions(manifest: Manifest, codecs: Codecs, folder: Path) -> Manifest:
    """Return clips to measure on, and the same clips through each codec of a set.

    The columns `codec` and `kbps` say which they are. Clips of which some are coded already are
    returned as they are, and so are all where codecs are drawn from the table.

    Raises
    ------
    DependencyError
        If a codec is not available here.
    ManifestError
        If a clip cannot be encoded.
    """
    coded = "codec" in manifest.table and not manifest.table["codec"].isin(NO_CODEC).all()
    if coded or not codecs.set:
        return manifest
    chosen = codecs.codecs.require().codecs
    found = encode_versions(manifest, [chosen] * len(manifest), folder, progress=False, wait=True)
    require_all_usable(found.failures, which=" to pass through codecs")
    parts = [
        version.with_columns(codec=codec.row_name, kbps=codec.kbps)
        for codec, version in zip(chosen, found.manifests, strict=True)
    ]
    return concatenate([manifest.with_columns(codec=ORIGINAL, kbps=math.nan), *parts])

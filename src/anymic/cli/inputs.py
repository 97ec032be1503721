"""What several verbs take in: clips named by paths, manifests named by a file or folder."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anymic.bundle import Bundle, Ensemble
    from anymic.data.manifest import Manifest
    from anymic.errors import Failure
    from anymic.inference.embedding_head import VectorHead

ALL = "all"


def read_manifest(path: Path) -> Manifest:
    """Read a CSV, or a folder of one folder per label."""
    if path.is_dir():
        from anymic.data.corpora.folder import folder

        return folder(path)
    from anymic.data.manifest import Manifest

    return Manifest.read(path)


def load_model(folder: Path) -> Bundle | Ensemble | VectorHead:
    """Load a model, or a head on embeddings that `anymic train-head --embeddings` wrote."""
    from anymic import bundle
    from anymic.inference.embedding_head import is_head, load_head

    return load_head(folder) if is_head(folder) else bundle.load(folder)


def find_files(places: Sequence[str]) -> list[Path | Failure]:
    """Return the files that places name, in their order; a Failure where a place names none.

    Parameters
    ----------
    places : sequence of str
        Files, folders (all audio below them, by suffix, sorted), or patterns (a*.wav, ** too).
    """
    found: list[Path | Failure] = []
    for place in places:
        found += _at(place)
    return list(dict.fromkeys(found))


def _at(place: str) -> list[Path | Failure]:
    from anymic.data.corpora.layout import AUDIO_SUFFIXES
    from anymic.errors import Failure

    path = Path(place)
    if path.is_dir():
        files = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
        heard = [
            file
            for file in sorted(files)
            if file.suffix.lower() in AUDIO_SUFFIXES and not file.name.startswith(".")
        ]
        suffixes = ", ".join(sorted(AUDIO_SUFFIXES))
        reason = f"The folder has no audio. Expected files that end in {suffixes}. Check the path."
        return [*heard] or [Failure(place, reason)]
    if glob.has_magic(place) and not path.exists():
        matches = [Path(match) for match in sorted(glob.glob(place, recursive=True))]
        reason = "The pattern matches no file. Check the pattern."
        return [match for match in matches if match.is_file()] or [Failure(place, reason)]
    return [path]


def choose_split(manifest: Manifest, split: str | None) -> tuple[Manifest, str]:
    """Return the clips of the split (by default "test", if there are splits), and their name."""
    from anymic.data.splits import check_splits
    from anymic.errors import ManifestError

    name = manifest.name or "clips"
    if "split" not in manifest.table.columns:
        if split not in (None, ALL):
            manifest.require("split", purpose=f"--split {split}")
        return manifest, name
    check_splits(manifest)
    wanted = split or "test"
    if wanted == ALL:
        return manifest, name
    chosen = manifest.where(split=wanted)
    if not len(chosen):
        there = ", ".join(sorted(set(manifest.table["split"]) - {""})) or "none"
        raise ManifestError(
            f"no clip whose split is {wanted!r} (splits: {there})",
            expected="clips to evaluate on",
            fix="pass --split with one that is there, or --split all",
        )
    return chosen, f"{name}, {wanted}"


def trained_on(bundle: Bundle | Ensemble | VectorHead, manifest: Manifest) -> str:
    """Say how many of the clips the model was fitted on, and for what."""
    ids = set(manifest.clip_ids())
    seen = {use: ids.intersection(clips) for use, clips in bundle.fitted_on.items()}
    count = len(set().union(*seen.values()))
    if not count:
        return ""
    uses = ", ".join(use for use, clips in seen.items() if clips)
    return (
        f"the model was fitted on {count} of these {len(manifest)} clips ({uses}):"
        " what is measured on them says nothing about new ones"
    )


def require_folders(*places: Path | None) -> None:
    """Refuse, before hours of work, to write into what cannot be a folder.

    Raises
    ------
    ConfigError
        A place, or one above it, is a file.
    """
    from anymic.errors import ConfigError

    for place in filter(None, places):
        taken = next((one for one in (place, *place.parents) if one.exists()), None)
        if taken is not None and not taken.is_dir():
            raise ConfigError(f"a file {taken}", expected="a folder", fix="choose another place")


def note_replaced(out: Path, *, resume: bool) -> None:
    """Say on stderr, before hours of work, that a finished model will be replaced."""
    if (out / "bundle.json").is_file() and not resume:
        print(f"note: {out} holds a model, which this one will replace", file=sys.stderr)


def one_corpus(
    data: Sequence[Path] | None, esc50: Path | None, responses: Path | None, *, command: str
) -> None:
    """Refuse to reproduce a paper on no data, or on two kinds at once.

    Raises
    ------
    ConfigError
        Unless there is either `data`, or `esc50` with `responses`.
    """
    from anymic.errors import ConfigError

    made = esc50 is not None and responses is not None
    if bool(data) == made or (esc50 is None) != (responses is None):
        raise ConfigError(
            "no data" if not data and esc50 is None else "an unclear choice of data",
            expected="either --data, once a fold, or --esc50 with --responses",
            fix=f"see {command} --help",
        )

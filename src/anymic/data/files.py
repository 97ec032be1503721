"""Audio files that paths, folders and patterns name."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from anymic.data.corpora.layout import AUDIO_SUFFIXES
from anymic.errors import Failure


def find_files(places: Sequence[str | Path]) -> list[Path | Failure]:
    """Return the files that places name, in their order; a Failure where a place names none.

    Parameters
    ----------
    places : sequence of path
        Files, folders (all audio below them, by suffix, sorted), or patterns (a*.wav, ** too).
    """
    found: list[Path | Failure] = []
    for place in places:
        found += _at(str(place))
    return list(dict.fromkeys(found))


def _at(place: str) -> list[Path | Failure]:
    path = Path(place)
    if path.is_dir():
        files = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
        audio = [
            file
            for file in sorted(files)
            if file.suffix.lower() in AUDIO_SUFFIXES and not file.name.startswith(".")
        ]
        suffixes = ", ".join(sorted(AUDIO_SUFFIXES))
        reason = f"The folder has no audio. Expected files that end in {suffixes}. Check the path."
        return [*audio] or [Failure(place, reason)]
    if glob.has_magic(place) and not path.exists():
        matches = [Path(match) for match in sorted(glob.glob(place, recursive=True))]
        reason = "The pattern matches no file. Check the pattern."
        return [match for match in matches if match.is_file()] or [Failure(place, reason)]
    return [path]

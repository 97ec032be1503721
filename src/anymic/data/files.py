"""Audio files that paths, folders and patterns name."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from anymic.errors import Failure

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".mp4", ".aac", ".aif", ".aiff"}
)
SUFFIXES_LISTED = ", ".join(sorted(AUDIO_SUFFIXES))


def is_audio(file: Path) -> bool:
    """Say whether this is a file whose suffix is one of audio."""
    return file.suffix.lower() in AUDIO_SUFFIXES and file.is_file()


def audio_below(folder: Path) -> list[Path]:
    """Return the audio below a folder, sorted, without hidden files and folders."""
    return sorted(
        file
        for file in folder.rglob("*")
        if is_audio(file)
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def find_files(places: Sequence[str | Path]) -> list[Path | Failure]:
    """Return the files that places name, in their order; a Failure where a place names none.

    Parameters
    ----------
    places : sequence of path
        Files, folders (see `audio_below`), or patterns (a*.wav, ** too).
    """
    found: list[Path | Failure] = []
    for place in map(str, places):
        files, reason = [Path(place)], ""
        if files[0].is_dir():
            files = audio_below(files[0])
            reason = (
                f"The folder has no audio. Expected files that end in {SUFFIXES_LISTED}. "
                "Check the path."
            )
        elif glob.has_magic(place) and not files[0].exists():
            matches = map(Path, sorted(glob.glob(place, recursive=True)))
            files = [match for match in matches if match.is_file()]
            reason = "The pattern matches no file. Check the pattern."
        found += files or [Failure(place, reason)]
    return list(dict.fromkeys(found))

"""Audio files that paths, folders and patterns name: one rule for every command."""

from __future__ import annotations

import glob
import os
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from anymic._internal.files import file_identity
from anymic._internal.remote import RemotePath, as_path, files_at
from anymic.audio.endings import AUDIO_ENDINGS
from anymic.data.tables import some
from anymic.errors import AnymicError, AnymicWarning, Failure, counted

ENDINGS_LISTED = some((".wav", ".flac", ".mp3", *sorted(AUDIO_ENDINGS)), most=3)
NO_AUDIO = f"The folder has no audio. Expected files that end in {ENDINGS_LISTED}. Check the path."
NO_NAME = "The path is empty. Expected a file, a folder or a pattern. Write . for this folder."
NO_MATCH = "The pattern matches no audio file. Check the pattern."


def is_audio(name: str | Path) -> bool:
    """Say whether the ending of a name is one of audio, and the name is not hidden."""
    path = Path(name)
    return path.suffix.lower() in AUDIO_ENDINGS and not path.name.startswith(".")


def search(folder: Path) -> tuple[list[Path], Counter[str]]:
    """Return the audio below a folder, sorted, and what else there is, counted by ending.

    Files are recognized by the ending of their name, in capitals too (`AUDIO_ENDINGS`). Files and
    folders whose name begins with a dot are hidden, and skipped. Linked folders are searched; no
    folder is searched twice, nor one that contains `folder`. A link to a file that does not exist
    is in the list, so that it is reported.
    """
    found: list[Path] = []
    skipped: Counter[str] = Counter()
    searched = {file_identity(above) for above in folder.resolve().parents}
    waiting, linked = [folder], list[Path]()
    while waiting or linked:
        here = waiting.pop() if waiting else linked.pop(0)
        if (identity := file_identity(here)) in searched:
            continue
        searched.add(identity)
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError:
            skipped["folder that cannot be read"] += 1
            continue
        for entry in entries:
            if entry.name.startswith("."):
                skipped["hidden"] += 1
            elif _is_folder(entry):
                (linked if entry.is_symlink() else waiting).append(Path(entry.path))
            elif is_audio(entry.name):
                found.append(Path(entry.path))
            else:
                skipped[Path(entry.name).suffix.lower() or "without an ending"] += 1
    return sorted(found), skipped


def warn_of_skipped(skipped: Counter[str]) -> None:
    """Warn once with the number of files of a folder that are not audio, by ending."""
    if count := skipped.total():
        kinds = some(f"{number} {kind}" for kind, number in skipped.most_common())
        text = f"{counted(count, 'file')} skipped: {kinds}"
        warnings.warn(text, AnymicWarning, stacklevel=3)


def find_files(places: Iterable[str | Path]) -> list[Path | Failure]:
    """Return the files that places name, in their order; a Failure where a place names none.

    An AnymicWarning lists the files of folders that were skipped.

    Parameters
    ----------
    places : iterable of path
        Files, folders (see `search`), or patterns (a*.wav, ** too); each can be a URL, such as
        s3://bucket/recordings/ (`anymic._internal.remote`). Files that are named are read with any
        ending.
    """
    found: list[Path | Failure] = []
    skipped: Counter[str] = Counter()
    for given in places:
        path, place = as_path(given), str(given)
        files, reason = [path], ""
        if not place:  # of Path, it would be this folder
            files, reason = [], NO_NAME
        elif isinstance(path, RemotePath):
            place = str(path)
            files, others, reason = _at_url(path)
            skipped += others
        elif path.is_dir():
            files, others = search(path)
            skipped += others
            reason = NO_AUDIO
        elif glob.has_magic(place) and not os.path.lexists(place):
            files, others = _matches(place)
            skipped += others
            reason = NO_MATCH
        found += files or [Failure(place, reason)]
    warn_of_skipped(skipped)
    return list(dict.fromkeys(found))


def _matches(pattern: str) -> tuple[list[Path], Counter[str]]:
    """Return the files that a pattern matches, and those in folders that it matches."""
    files: list[Path] = []
    skipped: Counter[str] = Counter()
    for match in map(Path, sorted(glob.glob(pattern, recursive=True))):
        if not match.is_dir():
            files.append(match)
        elif "**" not in pattern:  # which matches the files below as well
            below, others = search(match)
            files += below
            skipped += others
    return files, skipped


def _at_url(path: RemotePath) -> tuple[list[Path], Counter[str], str]:
    """Return the audio at a URL, what else is there by ending, and why there is none."""
    skipped: Counter[str] = Counter()
    try:
        below = files_at(path, is_file=is_audio(path))
    except AnymicError as error:
        return [], skipped, str(error)
    if below is None:
        return [path], skipped, ""
    files: list[Path] = []
    for one in below:
        if any(part.startswith(".") for part in one.url.removeprefix(path.url).split("/")):
            skipped["hidden"] += 1
        elif is_audio(one):
            files.append(one)
        else:
            skipped[one.suffix.lower() or "without an ending"] += 1
    return files, skipped, NO_MATCH if glob.has_magic(path.url) else NO_AUDIO


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False

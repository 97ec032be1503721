"""What the readers of published corpora share: finding the folder, refusing the wrong one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from anymic.data.tables import some
from anymic.errors import ManifestError

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".mp4", ".aac", ".aif", ".aiff"}
)


def find_root(
    root: str | Path, markers: Sequence[str], *, corpus: str, below: Sequence[str]
) -> Path:
    """Find the folder that holds the corpus: ``root``, or one of its usual subfolders.

    Parameters
    ----------
    root : path
        What the user gave.
    markers : sequence of str
        Files that must all be there, relative to the folder.
    corpus : str
        Its name, for the message.
    below : sequence of str
        Names of the folder that the published archives unpack to.

    Raises
    ------
    ManifestError
        No such folder; the missing file and what was expected are named.
    """
    root = Path(root)
    if not root.is_dir():
        raise ManifestError(
            f"no folder {root}",
            expected=f"the folder of {corpus}",
            fix="check the name, or download the corpus",
        )
    best = root
    for folder in (root, *(root / name for name in below)):
        missing = [marker for marker in markers if not (folder / marker).is_file()]
        if not missing:
            return folder
        if len(missing) < len(markers):
            best = folder
    missing = [marker for marker in markers if not (best / marker).is_file()]
    raise ManifestError(
        f"{best} has no {', '.join(missing)}",
        expected=f"{corpus} as published, with {', '.join(markers)}",
        fix="pass the folder that contains these files, or download the corpus",
    )


def refuse(problems: Iterable[str], *, where: str | Path, corpus: str) -> None:
    """Raise one error for all that does not fit the published layout; five examples are shown."""
    listed = list(problems)
    if listed:
        raise ManifestError(
            f"{len(listed)} problem{'s' * (len(listed) > 1)} in {where}: "
            f"{some(listed, separator='; ')}",
            expected=f"{corpus} as published",
            fix="correct these rows, or download the file again",
        )

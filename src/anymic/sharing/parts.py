"""The files that belong to a bundle, and no others."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anymic._internal.files import file_digest
from anymic.bundle.format import FOLDER, MEMBER_CALIBRATORS, PARTS, PROFILE, WEIGHTS
from anymic.errors import BundleError, counted

CARD = "MODEL_CARD.md"
MOST_MEMBERS = 1000

FILES = {WEIGHTS, PROFILE, MEMBER_CALIBRATORS, *PARTS.values()}
_MEMBER_INDEX = re.compile(rf"members/[0-9]{{1,4}}/{re.escape(FOLDER.index)}")

Fetch = Callable[[str, Path], None]  # writes the file of this name to a path


def names_of(folder: Path) -> list[str]:
    """Return the names of a saved bundle's files, relative to its folder, the index last.

    Raises
    ------
    BundleError
        If the folder has no bundle, or its index lists something else.
    """
    return collect(folder, lambda name, path: None)


def collect(folder: Path, fetch: Fetch) -> list[str]:
    """Fetch a bundle's files into a folder, and return their names, the index last.

    Each file is one that a bundle may have, and has the SHA-256 that the index states.

    Raises
    ------
    BundleError
        If the index lists another file, or a file differs from it.
    """
    fetch(FOLDER.index, folder / FOLDER.index)
    stated = _listed(folder, "")
    members = [name for name in stated if _MEMBER_INDEX.fullmatch(name)]
    if len(members) > MOST_MEMBERS:
        raise BundleError(f"{counted(len(members), 'member')}", expected=f"at most {MOST_MEMBERS}")
    for name in members:
        _fetched(folder, name, stated[name], fetch)
        prefix = name.removesuffix(FOLDER.index)
        stated |= _listed(folder, prefix)
    for name, digest in stated.items():
        if name not in members:
            _fetched(folder, name, digest, fetch)
    return [*stated, FOLDER.index]


def _listed(folder: Path, prefix: str) -> dict[str, str]:
    """Return the files that the index of a bundle, or of a member, lists, with their SHA-256."""
    values: Any = FOLDER.read_index(folder / prefix)
    stated = values.get("sha256")
    if not isinstance(stated, dict) or not all(isinstance(one, str) for one in stated.values()):
        raise BundleError(
            f"{prefix}{FOLDER.index} has no list of files", expected='"sha256", a mapping'
        )
    for name in stated:
        if name not in FILES and (prefix or not _MEMBER_INDEX.fullmatch(name)):
            raise BundleError(
                f"{prefix}{FOLDER.index} lists the file {name!r}, which is no part of a bundle",
                expected=f"{', '.join(sorted(FILES))}, or the index of a member",
                fix="do not use it: it was not written by anymic",
            )
    return {prefix + name: digest for name, digest in stated.items()}


def _fetched(folder: Path, name: str, digest: str, fetch: Fetch) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    fetch(name, path)
    if not path.is_file() or path.is_symlink():
        raise BundleError(f"the file {name} is missing", expected="every file of the bundle")
    if file_digest(path) != digest:
        raise BundleError(
            f"the file {name} is not the one that was saved",
            expected=f"the SHA-256 in {FOLDER.index}",
            fix="copy it again from where it was made",
        )

"""Checks of arguments that several verbs have."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


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
            raise ConfigError(f"{taken} is a file", expected="a folder", fix="choose another path")


def note_replaced(out: Path, *, resume: bool) -> None:
    """Note on stderr, before hours of work, that a finished model will be replaced."""
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
            "no data is given" if not data and esc50 is None else "the choice of data is unclear",
            expected="either --data, once a fold, or --esc50 with --responses",
            fix=f"see {command} --help",
        )

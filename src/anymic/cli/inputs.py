"""Checks of arguments that several verbs have."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from anymic.cli.printing import note
from anymic.errors import ConfigError


def require_place(place: Path, *, kind: str = "folder") -> None:
    """Refuse a place that cannot be written to, before any work.

    Parameters
    ----------
    place : Path
    kind : {"folder", "file", "any"}

    Raises
    ------
    ConfigError
        It is a file and not a folder, or the reverse; a folder above it is a file; or this user
        may not write there.
    """
    from anymic._internal.files import is_writable

    taken = next(one for one in (place, *place.absolute().parents) if one.exists())
    found, wanted = "folder" if taken.is_dir() else "file", kind if taken == place else "folder"
    if wanted not in (found, "any"):
        raise ConfigError(
            f"the path {taken} is a {found}", expected=f"a {wanted}", fix="choose another path"
        )
    if not is_writable(taken):
        raise ConfigError(
            f"nothing can be written to {taken}",
            expected="a place that this user may write to",
            fix="choose another path, or change its permissions",
        )


def place_of(model: Path, out: Path | None, *parts: str) -> Path:
    """Return the folder a verb writes into: `out`, else the model's own, or one in it.

    Raises
    ------
    ConfigError
        As `require_out` and `require_place`.
    """
    require_out(model, out)
    place = out or model.joinpath(*parts)
    require_place(place)
    return place


def require_out(model: Path, out: Path | None) -> None:
    """Raise ConfigError if an installed model, stated by its name, would be changed."""
    from anymic.bundle.installed import installed

    if out is None and not model.exists() and installed(str(model)) is not None:
        raise ConfigError(
            f"the model {model} is an installed one, in which nothing is written",
            expected="another folder",
            fix="add --out FOLDER",
        )


def require_other(out: Path, recording: Path) -> None:
    """Raise ConfigError if a recording would be written over, or the folder is missing."""
    if not out.absolute().parent.is_dir():
        raise ConfigError(
            f"the folder {out.parent} is missing", expected="an existing one", fix="create it first"
        )
    if out.exists() and recording.exists() and out.samefile(recording):
        raise ConfigError(
            f"the file {out} is both input and output", expected="another file", fix="change --out"
        )


def require_png(path: Path | None) -> None:
    """Raise ConfigError if a figure is wanted in another format."""
    if path is not None and path.suffix.lower() != ".png":
        raise ConfigError(f"{path} cannot be drawn", expected="a .png file", fix="change the name")


def require_choice(option: str, value: str, known: Collection[str]) -> None:
    """Raise ConfigError if the value of an option is not one of those that it may have."""
    if value not in known:
        raise ConfigError(
            f"{option} is {value}",
            expected=f"one of {', '.join(known)}",
            fix="choose one of them",
        )


def require_both(option: str, given: object, needed: str, there: object) -> None:
    """Raise ConfigError if an option is given without what it needs."""
    if given and not there:
        raise ConfigError(
            f"{option} is given without {needed}",
            expected="both",
            fix=f"leave {option.split()[0]} out, or pass {needed} too",
        )


def note_replaced(out: Path, *, resume: bool) -> None:
    """Note on stderr, before hours of work, that a finished model will be replaced."""
    if (out / "bundle.json").is_file() and not resume:
        note(f"{out} holds a model, which this one will replace")


def read_channel(text: str) -> Any:
    """Return a channel as `audio.read` takes it, which also checks it."""
    return int(text) if text.isdecimal() else text


def read_names(text: str | None) -> list[str] | None:
    """Return the names in a text that separates them by commas; None without a text."""
    return None if text is None else [name.strip() for name in text.split(",")]

"""Read files of a cache: what is damaged is told from what cannot be read at the moment."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from anymic._internal.files import note_damaged
from anymic._internal.reading import reason_of
from anymic.errors import AnymicWarning, concerns_every_file

Result = TypeVar("Result")
# Of the machine or the interpreter: they say nothing of the content of a file.
NOT_OF_CONTENT = (MemoryError, SystemError)


def read_cached(path: Path, parse: Callable[[bytes], Result | None]) -> Result | None:
    """Return what a file of a cache holds; None where there is none that can be used.

    The file is read once, whole, so that another process may replace or delete it meanwhile.
    `parse` returns None, or raises, for content that is none. Only then it is damaged, with a
    warning; where the system cannot read it, the warning has the reason.

    Raises
    ------
    MemoryError, OSError
        If memory or the disk ran out, which concerns every file.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        note_unreadable(path, error)
        return None
    try:
        found = parse(content)
    except NOT_OF_CONTENT:
        raise
    except Exception:  # damaged content can raise any error
        found = None
    if found is None:
        note_damaged(path)
    return found


def note_unreadable(path: Path, error: OSError) -> None:
    """Warn that the system cannot read a file of a cache; raise the error of a full disk."""
    if concerns_every_file(error):
        raise error
    problem = f"{path} cannot be read ({reason_of(error)}), and is made again"
    warnings.warn(problem, AnymicWarning, stacklevel=3)

"""Standard streams that are closed, have another encoding, or whose reader has ended."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from pathlib import Path

from anymic.errors import NO_SPACE, AnymicError

BROKEN_PIPE = 141  # as shells report a program that SIGPIPE ended


def open_streams() -> None:
    r"""Open streams that are closed, and let the others print every text.

    A closed stream is opened on nothing. Otherwise the next file that is opened would have its
    number, and what is printed on stderr would go to stdout. A character that the encoding does not
    have is printed as an escape such as \xe9, and in a file name that is not valid text each such
    byte as it is, so that other programs find the file; in a terminal it is an escape, too.
    """
    codecs.register_error("anymic", _as_bytes)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            place = os.open(os.devnull, os.O_RDWR)  # which takes the lowest free number
            os.set_inheritable(place, place == number)
            stream = open(place, "w" if number else "r", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
        if number and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace" if stream.isatty() else "anymic")


def _as_bytes(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    one = UnicodeEncodeError(
        error.encoding, error.object, error.start, error.start + 1, error.reason
    )
    if 0xDC80 <= ord(error.object[error.start]) <= 0xDCFF:
        return codecs.lookup_error("surrogateescape")(one)
    return codecs.backslashreplace_errors(one)


def give_up(error: OSError) -> int:
    """Return the exit status after an error in printing; nothing more is printed on stdout."""
    broken = isinstance(error, BrokenPipeError)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr) if broken else (sys.stdout,):
        with suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    if not broken:
        print(f"error: standard output: {as_line(error)}", file=sys.stderr)
    return BROKEN_PIPE if broken else 2


def as_line(error: OSError) -> str:
    """Return the line for an error of the system; of a full disk, which disk it is."""
    name = str(error.filename or "")
    if name and error.errno in NO_SPACE:
        place = Path(os.path.abspath(name))
        disk = next(one for one in (place, *place.parents) if os.path.ismount(one))
        problem = f"{name} cannot be written, because the disk {disk} is full"
        fix = "delete what is not needed, or choose a folder on another disk"
        return str(AnymicError(problem, expected="free space", fix=fix))
    return f"{error.strerror or error}: {name}".removesuffix(": ")

"""Files that are written completely or not at all, and hashes that show changes."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from anymic.errors import AnymicError, AnymicWarning

if sys.platform != "win32":  # where what a killed process left stays
    import fcntl

BLOCK_BYTES = 1 << 20
SAMPLES, SAMPLE_BYTES = 8, 1 << 14  # of a large file that `content_key` reads
KEY_DIGITS = 32  # hexadecimal digits of a key; 128 bits do not collide by chance
UNFINISHED = re.compile(r"\.[0-9a-f]{8}\.part\b")
OPEN_FILES = "/proc/self/fd"  # of Linux
SWEEP_S = 2.0  # a folder is searched for what killed processes left no more often than this
_swept: dict[Path, float] = {}  # when each folder was searched


@contextmanager
def atomic_path(path: str | Path, *, make_folder: bool = True) -> Iterator[Path]:
    """Give a temporary path in the same folder, which is renamed to `path` when the block ends.

    If the block raises, the temporary file is deleted and an existing `path` is unchanged. Several
    threads and processes may write the same file: the last one stays. A missing folder is made,
    unless `make_folder` is False. What a killed process left in the folder is deleted.

    Raises
    ------
    OSError
        With the path as its file name, if the disk is full.
    """
    path = Path(path)
    with naming(path):
        if path.exists() and not (path.is_file() or path.is_dir()):
            yield path  # /dev/stdout, which must not be replaced
            return
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(path.parent) as folder, naming(path):  # while the disk is full
            yield folder / path.name
            os.replace(folder / path.name, path)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in an error of the system that names none, and in any error of a full disk.

    Libraries report a full disk by errors of their own, or do not say which file it was.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            if not error.filename or UNFINISHED.search(str(error.filename)):
                error.filename, error.filename2 = str(path), None
            raise
        if isinstance(error, AnymicError) or not _is_full(path.parent):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < BLOCK_BYTES
    except OSError:
        return False


@contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """Give a temporary folder in a folder; it is held by a lock that ends with the process."""
    if time.monotonic() > _swept.get(folder, -math.inf) + SWEEP_S:
        remove_unfinished(folder)
        _swept[folder] = time.monotonic()
    while True:
        unfinished = folder / f".{secrets.token_hex(4)}.part"
        unfinished.mkdir()
        with _held(unfinished, wait=True):
            if not unfinished.exists():  # another process was quicker, and deleted it
                continue
            try:
                yield unfinished
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
            return


@contextmanager
def _held(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """Lock a folder; yield False if another process holds it, or there are no locks."""
    place, held = None, False
    try:
        if sys.platform != "win32":
            place = os.open(folder, os.O_RDONLY)
            fcntl.flock(place, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            held = True
    except OSError:
        pass
    try:
        yield held
    finally:
        if place is not None:
            os.close(place)


def remove_unfinished(folder: Path, *, below: bool = False) -> None:
    """Delete what killed processes left in a folder, and with `below` in those below it."""
    for place, names, _ in os.walk(folder):
        for name in filter(UNFINISHED.fullmatch, list(names)):
            names.remove(name)
            with _held(Path(place, name)) as held:
                if held:
                    shutil.rmtree(Path(place, name), ignore_errors=True)
        if not below:
            return


@contextmanager
def atomic_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a binary file that appears at `path` when the block ends, as `atomic_path` does."""
    with atomic_path(path) as unfinished, unfinished.open("wb") as file:
        yield file


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file as `atomic_path` does."""
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(content)


def encoded(text: str) -> bytes:
    """Return a text as UTF-8; the name of a file that is not UTF-8 keeps its bytes."""
    return text.encode("utf-8", "surrogateescape")


def write_text(path: str | Path, text: str) -> None:
    r"""Write UTF-8 text, with lines that end in \n, as `atomic_path` does.

    Halves of surrogate pairs, as in file names that are not UTF-8, are escaped.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def csv_text(table: Any, *, quoted: bool = False) -> str:
    """Return a data frame of pandas as CSV; with `quoted`, every text is in quotes.

    A cell may hold anything: csv quotes commas, quotes and line feeds by itself, but no carriage
    return, which also ends a line.
    """
    text = "" if quoted else str(table.to_csv(index=False, lineterminator="\n"))
    if quoted or "\r" in text:
        text = table.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    return text


def write_arrays(path: str | Path, **arrays: Any) -> None:
    """Write arrays as .npz without pickles, as `atomic_path` does."""
    refused = [name for name, array in arrays.items() if np.asarray(array).dtype.hasobject]
    if refused:
        raise ValueError(f"arrays of objects: {', '.join(refused)}")
    with atomic_file(path) as file:
        np.savez(file, **arrays)


@contextmanager
def atomic_folder(folder: Path, *, index: str, optional: Collection[str] = ()) -> Iterator[Path]:
    """Give an empty folder whose files and folders are moved into `folder` when the block ends.

    The file `index`, which lists or checks the others, is moved last. An interruption therefore
    leaves the old content, the new content, or an index that does not match its files. The
    `optional` files are deleted from `folder` where the block does not write them; others stay.
    """
    with naming(folder / index):
        folder.mkdir(parents=True, exist_ok=True)
        with _temporary(folder) as unfinished, naming(folder / index):
            new, old = unfinished / "new", unfinished / "old"
            new.mkdir()
            old.mkdir()
            yield new
            names = sorted(path.name for path in new.iterdir())
            for name in sorted(names, key=index.__eq__):
                if (folder / name).is_dir():  # which no rename replaces
                    os.replace(folder / name, old / name)
                os.replace(new / name, folder / name)
            for name in set(optional).difference(names):
                (folder / name).unlink(missing_ok=True)


def is_writable(place: Path) -> bool:
    """Return whether a file, or new files in a folder, can be written."""
    if not place.is_dir():
        return os.access(place, os.W_OK)
    try:
        with _temporary(place):
            return True
    except OSError:
        return False


def file_digest(path: str | Path, algorithm: str = "sha256") -> str:
    """Return the hash of a file's content in hexadecimal."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with Path(path).open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def content_key(path: str | Path) -> str:
    """Return 16 hexadecimal digits that identify the content of a file; "" if it cannot be read.

    They are of its size and of all its bytes, or of eight evenly spread blocks of a large file, so
    that those of a corpus are soon computed.
    """
    try:
        if not os.path.isfile(path):  # opening a pipe would wait
            return ""
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256(str(size).encode())
            last = max(size - SAMPLE_BYTES, 0)
            whole = size <= SAMPLES * SAMPLE_BYTES
            for number in range(1 if whole else SAMPLES):
                file.seek(number * last // (SAMPLES - 1))
                digest.update(file.read(size if whole else SAMPLE_BYTES))
    except (OSError, ValueError):
        return ""
    return digest.hexdigest()[:16]


def note_damaged(path: Path) -> None:
    """Warn that a file of a cache cannot be used and is made again."""
    problem = f"{path} is damaged, or of another version of anymic, and is made again"
    warnings.warn(problem, AnymicWarning, stacklevel=3)


def key_of(settings: Any, *content: str | bytes) -> str:
    """Return the key of a cached result: a hash, in 32 hexadecimal digits, of what determines it.

    `settings` are values that JSON can hold; the order of a mapping's keys does not matter. Other
    content is text or bytes, such as those of an array.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for part in content:
        digest.update(encoded(part) if isinstance(part, str) else part)
    return digest.hexdigest()[:KEY_DIGITS]


def file_state(path: Path) -> tuple[int, ...]:
    """Return a file's size in bytes and time of change in ns; nothing if there is no such file."""
    try:
        state = path.stat()
    except OSError:
        return ()
    return (state.st_size, state.st_mtime_ns)


def file_identity(path: str | Path) -> object:
    """Return a key that is equal for all names of a file: links, spellings, absolute paths."""
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return os.path.abspath(path)
    return (state.st_dev, state.st_ino) if state.st_ino else os.path.realpath(path)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give an empty folder of this user among the system's temporary files; delete it at the end.

    Nobody else can read it.
    """
    with tempfile.TemporaryDirectory(prefix="anymic-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def temporary_folder() -> str:
    """Return the folder of temporary files."""
    return tempfile.gettempdir()


def temporary_file() -> tuple[IO[bytes], str]:
    """Return an empty file among the temporary ones, and its path for as long as it is open.

    On Linux it is in no folder, so that nothing remains of it, also if the process is killed.
    """
    if os.path.isdir(OPEN_FILES):
        file = tempfile.TemporaryFile(prefix="anymic-")  # noqa: SIM115
        return file, f"{OPEN_FILES}/{file.fileno()}"
    named = tempfile.NamedTemporaryFile(prefix="anymic-")  # noqa: SIM115
    return named, named.name

"""Files that are written completely or not at all, and hashes that show changes."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

BLOCK_BYTES = 1 << 20
KEY_DIGITS = 32  # hexadecimal digits of a key; 128 bits do not collide by chance


@contextmanager
def atomic_path(path: str | Path, *, make_folder: bool = True) -> Iterator[Path]:
    """Give a temporary path in the same folder, which is renamed to `path` when the block ends.

    If the block raises, the temporary file is deleted and an existing `path` is unchanged. Several
    threads and processes may write the same file: the last one stays. A missing folder is made,
    unless `make_folder` is False.
    """
    path = Path(path)
    if make_folder:
        path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a binary file that appears at `path` when the block ends, as `atomic_path` does."""
    with atomic_path(path) as unfinished, unfinished.open("wb") as file:
        yield file


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file as `atomic_path` does."""
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    r"""Write UTF-8 text, with lines that end in \n, as `atomic_path` does."""
    write_bytes(path, text.encode("utf-8"))


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
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder, prefix=".unfinished."))
    try:
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
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def file_digest(path: str | Path, algorithm: str = "sha256") -> str:
    """Return the hash of a file's content in hexadecimal."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with Path(path).open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def key_of(settings: Any, *content: str | bytes) -> str:
    """Return the key of a cached result: a hash, in 32 hexadecimal digits, of what determines it.

    `settings` are values that JSON can hold; the order of a mapping's keys does not matter. Other
    content is text or bytes, such as those of an array.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for part in content:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()[:KEY_DIGITS]


def file_state(path: Path) -> tuple[int, ...]:
    """Return a file's size in bytes and time of change in ns; nothing if there is no such file."""
    try:
        state = path.stat()
    except OSError:
        return ()
    return (state.st_size, state.st_mtime_ns)

"""One run at a time in a folder.

The lock is the one that the operating system has for an open folder. It ends with the process,
however that ends, and writes nothing. Where there is no such lock (Windows, some network drives)
none is taken, and two runs in one folder at a time are not noticed.
"""

from __future__ import annotations

import errno
import functools
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from anymic._internal.files import remove_unfinished
from anymic.errors import ConfigError

if sys.platform != "win32":
    import fcntl

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

PATIENCE_S = 3.0  # the workers of a killed run end within that time
POLL_S = 0.1
HELD = (errno.EAGAIN, errno.EACCES)
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK")  # of the processes that share one training


@contextmanager
def folder_lock(folder: str | Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a folder while the block runs; it is made where it is missing, and removed if empty.

    Parameters
    ----------
    folder : path
    wait : bool
        Wait for another run that holds the folder; otherwise it is refused.

    Raises
    ------
    ConfigError
        If another run holds the folder.
    """
    folder = Path(folder)
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    held = _hold(folder, wait=wait)
    remove_unfinished(folder, below=True)
    try:
        yield
    finally:
        for each in made:
            try:
                each.rmdir()
            except OSError:  # it is not empty
                break
        if held is not None:
            os.close(held)


def one_at_a_time(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let a function hold the folder of its argument `out`; it waits if an argument `wait` is true.

    The processes of one training share its folder: only the first one holds it.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def alone(*args: Arguments.args, **settings: Arguments.kwargs) -> Result:
        given = signature.bind(*args, **settings).arguments
        if any(os.environ.get(name, "0") not in ("", "0") for name in RANKS):
            return function(*args, **settings)
        with folder_lock(given["out"], wait=given.get("wait", False)):
            return function(*args, **settings)

    return alone


def _hold(folder: Path, *, wait: bool) -> int | None:
    """Return the descriptor that holds the folder; None where there are no locks."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:  # a file, or another run has just removed the folder
            if folder.exists():
                raise
            continue
        if sys.platform == "win32":
            return None
        place = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.exists() and os.path.samestat(os.fstat(place), folder.stat()):
                return place
        except OSError as error:
            if error.errno not in HELD:
                os.close(place)
                return None
        os.close(place)
        if time.monotonic() > end and not wait:
            raise ConfigError(
                f"another run is writing into {folder}",
                expected="a folder that no other run is using",
                fix="wait until it has ended, or choose another folder",
            )
        time.sleep(POLL_S)

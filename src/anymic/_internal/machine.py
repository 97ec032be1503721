"""How libraries use this machine: their threads, and the memory allocator."""

from __future__ import annotations

import ctypes
import functools
import os
import platform

MMAP_MAXIMUM, TRIM_THRESHOLD, TOP_PAD = -4, -1, -2  # options of glibc's mallopt(3)
LARGE_BYTES = 2**31 - 1
PAD_BYTES = 256 * 2**20

_share = 0  # threads of a library in this process


def thread_share() -> int:
    """Return in how many threads a library is to compute; 0 for its own choice."""
    return _share


def set_thread_share(threads: int) -> None:
    """Let libraries compute in so many threads in this process, which shares the processors."""
    global _share
    _share = threads


@functools.cache
def keep_memory() -> bool:
    """Let this process keep freed memory, in large pages; return whether that was possible.

    Each training step on a processor allocates the same hundreds of megabytes. By default glibc
    returns them to the system after each use, and the next step has a page fault for every 4 KiB.
    If they are kept, a step is about a third faster. Call it once, before the first large tensor.
    It does nothing if the C library is not glibc.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    options = ((MMAP_MAXIMUM, 0), (TRIM_THRESHOLD, LARGE_BYTES), (TOP_PAD, PAD_BYTES))
    return all(library.mallopt(option, value) == 1 for option, value in options)

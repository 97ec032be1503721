"""What this machine has and does best: processors, number format, allocator."""

from __future__ import annotations

import ctypes
import functools
import os
import platform

import torch

MMAP_MAXIMUM, TRIM_THRESHOLD, TOP_PAD = -4, -1, -2  # options of glibc's mallopt(3)
LARGE_BYTES = 2**31 - 1
PAD_BYTES = 256 * 2**20


def processors() -> int:
    """Return how many processors this process may use, which can be fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def has_fast_bfloat16() -> bool:
    """Say whether this processor multiplies bfloat16 in hardware (AVX512-BF16 or AMX)."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


@functools.cache
def keep_memory() -> bool:
    """Let this process keep the memory it has freed, in large pages, for the next step.

    A training step on a processor asks for the same hundreds of megabytes each time. The C
    library's default gives them back to the system after each use and pays a page fault for
    every 4 KiB of them at the next; kept, a step is about a third faster. Call it once, before
    the first large tensor. It does nothing where the C library is not glibc, and says so by
    returning False.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    options = ((MMAP_MAXIMUM, 0), (TRIM_THRESHOLD, LARGE_BYTES), (TOP_PAD, PAD_BYTES))
    return all(library.mallopt(option, value) == 1 for option, value in options)


def lightning_precision(precision: str, device_type: str) -> str:
    """Translate `precision` (auto, float32, bfloat16) to PyTorch Lightning's name for it.

    `auto` is bfloat16 autocast where the hardware multiplies it natively, float32 elsewhere.
    """
    if precision == "auto":
        native = has_fast_bfloat16() if device_type == "cpu" else torch.cuda.is_bf16_supported()
        precision = "bfloat16" if native else "float32"
    return {"bfloat16": "bf16-mixed", "float32": "32-true"}[precision]

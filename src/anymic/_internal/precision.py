"""The number format in which this processor computes networks faster."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from anymic._internal.files import atomic_path
from anymic._internal.places import cache_folder
from anymic._internal.process_state import default_torch

Work = Literal["prediction", "training"]
FILE = "precision.json"
CLIPS, CHANNELS, SIZE = 2, 32, (64, 108)  # of the maps of the measurement
ROUNDS = 4
GAIN = 0.9  # bfloat16 is chosen where it takes less than this share of the time of float32


class Choice(NamedTuple):
    """A number format, float32 or bfloat16, and in words why it was chosen."""

    format: str
    reason: str


def lightning_precision(precision: str, device_type: str, work: Work) -> str:
    """Return PyTorch Lightning's name of a precision: auto, float32 or bfloat16."""
    return {"bfloat16": "bf16-mixed", "float32": "32-true"}[
        choose(precision, device_type, work).format
    ]


def choose(precision: str, device_type: str, work: Work) -> Choice:
    """Return the number format of a precision: auto, float32 or bfloat16.

    `auto` is bfloat16 autocast where that is faster: see `faster_precision` for a CPU.
    """
    if precision != "auto":
        return Choice(precision, "as set")
    if device_type == "cpu":
        return _on_processor(work)
    if torch.cuda.is_bf16_supported():
        return Choice("bfloat16", "the GPU has instructions for it")
    return Choice("float32", "the GPU has no instructions for bfloat16")


@functools.cache
def has_fast_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 in hardware (AVX512-BF16 or AMX)."""
    found = _capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def faster_precision(work: Work) -> str:
    """Return the format, float32 or bfloat16, in which this processor does the work faster.

    It is bfloat16 with AMX, and float32 without instructions for bfloat16. With AVX512-BF16 alone
    some processors are faster in bfloat16 and some in float32. There both are measured once, in
    tenths of a second, and the times are kept in the user's cache folder for this processor and
    version of PyTorch.
    """
    return _on_processor(work).format


def _on_processor(work: Work) -> Choice:
    capabilities = _capabilities()
    if capabilities.get("amx_bf16"):
        return Choice("bfloat16", "the processor has AMX")
    if not capabilities.get("avx512_bf16"):
        return Choice("float32", "the processor has no instructions for bfloat16")
    times = kept_times(work)
    told = (
        f"two convolutions, timed once on this processor, take {times['bfloat16']:.1f} ms in"
        f" bfloat16 and {times['float32']:.1f} ms in float32"
    )
    return Choice(faster(times), told)


def faster(times_ms: Mapping[str, float]) -> str:
    """Return bfloat16 where it saves at least a tenth of the time of float32, else float32."""
    return "bfloat16" if times_ms["bfloat16"] < GAIN * times_ms["float32"] else "float32"


@functools.cache
def kept_times(work: Work) -> dict[str, float]:
    """Return the times of `measure` that are kept for this processor; measure if there are none."""
    text = json.dumps([work, torch.__version__, _capabilities()], sort_keys=True, default=str)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    file = cache_folder() / FILE
    known = _known(file)
    if not _are_times(known.get(key)):
        known[key] = measure(work)
        with suppress(OSError), atomic_path(file) as path:  # a cache need not be writable
            path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    found: dict[str, float] = known[key]
    return found


def _are_times(kept: object) -> bool:
    """Return whether an entry of the file has both times; earlier versions kept the answer."""
    return isinstance(kept, dict) and all(
        isinstance(kept.get(name), float) for name in ("float32", "bfloat16")
    )


def measure(work: Work) -> dict[str, float]:
    """Return the processor time in ms of two convolutions in both formats, timed by turns."""
    seconds: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    steps = {name: _step(work, bfloat16=name == "bfloat16") for name in seconds}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            start = time.process_time()
            step()
            seconds[name].append(time.process_time() - start)
    return {name: 1e3 * min(times) for name, times in seconds.items()}


@default_torch()
def _step(work: Work, *, bfloat16: bool) -> Callable[[], None]:
    """Return a forward pass, for training also a backward pass, in channels-last memory."""
    generator = torch.Generator().manual_seed(0)  # a user's generator stays as it is
    weights, maps = (
        torch.randn(shape, generator=generator).contiguous(memory_format=torch.channels_last)
        for shape in ((CHANNELS, CHANNELS, 3, 3), (CLIPS, CHANNELS, *SIZE))
    )
    weights.requires_grad_(work == "training")

    @default_torch()
    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            found = torch.conv2d(torch.conv2d(maps, weights, padding=1), weights, padding=1)
        if work == "training":
            found.float().square().mean().backward()  # type: ignore[no-untyped-call]

    return step


def _capabilities() -> dict[str, Any]:
    found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return found


def _known(file: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(file.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}

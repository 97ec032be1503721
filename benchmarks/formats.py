"""A training step and a prediction in each number format and memory layout.

    python benchmarks/formats.py

times, by turns, a training step of `basic1` on 64 clips of 256 x 431 in float32 and bfloat16, with
the channels last and first in memory, the network of a prediction for one clip of 256 x 862
(its layout is that of the features), and the two convolutions whose times decide what `auto` is.
Freed memory is kept. Processor time is beside the time on the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from anymic import models
from anymic._internal import machine, precision
from anymic.models.fusion import fuse
from anymic.training.loop.losses import SoftTargetLoss

CLASSES = 10
FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
LAYOUTS = {"channels last": torch.channels_last, "channels first": torch.contiguous_format}
Size = tuple[int, int, int]  # clips, bands, frames
STEP: Size = (64, 256, 431)
CLIP: Size = (1, 256, 862)


def features(size: Size) -> torch.Tensor:
    """Return made-up features (clip, 1, band, frame)."""
    clips, bands, frames = size
    return torch.randn(clips, 1, bands, frames, generator=torch.Generator().manual_seed(0))


def step(number_format: str, layout: str, size: Size) -> Callable[[], object]:
    """One training step."""
    torch.manual_seed(0)
    network, loss = models.build("basic1", classes=CLASSES), SoftTargetLoss()
    network.to(memory_format=LAYOUTS[layout])  # type: ignore[call-overload]
    inputs = features(size).contiguous(memory_format=LAYOUTS[layout])
    targets = nn.functional.one_hot(torch.arange(size[0]) % CLASSES, CLASSES).float()
    optimizer = torch.optim.Adadelta(network.parameters(), lr=0.5)

    def work() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=number_format == "bfloat16"):
            value = loss(network(inputs), targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return work


def prediction(number_format: str, size: Size) -> Callable[[], object]:
    """Log-mel features of clips to logits, as a prediction computes them."""
    torch.manual_seed(0)
    network, bands = models.build("basic1", classes=CLASSES).eval(), size[1]
    dtype = FORMATS[number_format]
    fused = fuse(network, dtype=dtype, mean=torch.zeros(bands), scale=torch.ones(bands))
    inputs = features(size)

    @torch.inference_mode()
    def work() -> torch.Tensor:
        found: torch.Tensor = fused(inputs)
        return found

    return work


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return seconds on the clock and of processor time, after a rest of other threads."""
    time.sleep(0.01)
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def by_turns(works: Sequence[Callable[[], object]], rounds: int) -> list[tuple[float, float]]:
    """Return the medians of each on the clock and of the processor, after a warming round."""
    found: list[list[tuple[float, float]]] = [[] for _ in works]
    for turn in range(rounds + 1):
        for work, times in zip(works, found, strict=True):
            one = timed(work)
            if turn:
                times.append(one)
    return [
        (statistics.median(clock), statistics.median(processor))
        for clock, processor in (zip(*times, strict=True) for times in found)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="of each; default 5")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--quick", action="store_true", help="small sizes, for a test")
    parser.add_argument("--json", type=Path, help="also write the times to this file")
    options = parser.parse_args(arguments)
    many, one = ((2, 32, 64), (1, 32, 64)) if options.quick else (STEP, CLIP)
    before = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    machine.keep_memory()
    trained, predicted = (" x ".join(map(str, size)) for size in (many, one))
    rows = []
    try:
        cases = [(kind, layout) for layout in LAYOUTS for kind in FORMATS]
        titles = [(f"training step, {trained}, {layout}", kind) for kind, layout in cases]
        found = by_turns([step(*case, many) for case in cases], options.rounds)
        titles += [(f"prediction, {predicted}", kind) for kind in FORMATS]
        found += by_turns([prediction(kind, one) for kind in FORMATS], 5 * options.rounds)
    finally:
        torch.set_num_threads(before)
    for (name, kind), (clock, processor) in zip(titles, found, strict=True):
        times = {"clock_s": clock, "processor_s": processor}
        rows.append({"name": name, "format": kind, "threads": options.threads, **times})
    for work in ("training", "prediction"):
        for kind, each in precision.measure(work).items():
            times = {"processor_s": each / 1e3}
            name = f"two convolutions, which decide for a {work}"
            rows.append({"name": name, "format": kind, "threads": before, **times})
    print(f"{options.threads} threads, load {os.getloadavg()[0]:.1f}, medians")
    for row in rows:
        shown = f"processor {1e3 * row['processor_s']:9.1f} ms"
        if "clock_s" in row:
            shown += f", clock {1e3 * row['clock_s']:9.1f} ms"
        print(f"  {row['name']:50} {row['format']:9}{shown}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

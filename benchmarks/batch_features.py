"""Features of batches of clips in one thread and in two.

    python benchmarks/batch_features.py

computes the log-mel features (256 x 862) of batches of 16 clips of 10 s at 44.1 kHz, as a training
does before it begins: in one thread; in two, each of which computes another batch; and, for
comparison, one batch after the other with each operation divided among two threads.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from anymic._internal import machine
from anymic._internal.torch_threads import in_threads, spread
from anymic.features import Frontend, FrontendConfig
from anymic.features.feature_batches import BATCH, BatchComputer, Clips, Length

RATE_HZ, CLIP_S, BATCHES = 44_100, 10.0, 4
WAYS: dict[str, tuple[int, Callable[..., object]]] = {
    "1 thread": (1, map),
    "2 threads, a batch each": (2, spread),
    "2 threads, each operation divided": (2, map),
}


def batches_of(clip_s: float) -> list[Clips]:
    """Return batches of noise."""
    size = (BATCH, round(RATE_HZ * clip_s))
    noise = np.random.default_rng(0).normal(scale=0.1, size=size).astype(np.float32)
    return [list(enumerate(noise))] * BATCHES


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure by turns, and print a line for each way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="of each; default 5")
    parser.add_argument("--clip-s", type=float, default=CLIP_S, help="default 10")
    parser.add_argument("--json", type=Path, help="also write the times to this file")
    options = parser.parse_args(arguments)
    machine.keep_memory()
    index = torch.zeros(BATCH, dtype=torch.long)
    length = Length(options.clip_s)
    computer = BatchComputer(Frontend(FrontendConfig()), index, length, "float16")
    batches, clips = batches_of(options.clip_s), BATCH * BATCHES
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for turn in range(options.rounds + 1):
        for name, (threads, applied) in WAYS.items():
            with in_threads(threads):
                time.sleep(0.01)  # threads of the way before rest
                clock, processor = time.perf_counter(), time.process_time()
                list(applied(computer.compute, batches))  # type: ignore[call-overload]
                times = time.perf_counter() - clock, time.process_time() - processor
            if turn:
                found[name].append(times)
    rows = []
    print(f"features of {clips} clips, load {os.getloadavg()[0]:.1f}, medians, for each clip")
    for name, kept in found.items():
        clock, processor = (statistics.median(one) / clips for one in zip(*kept, strict=True))
        title = f"features of a batch, {name}"
        rows.append({"name": title, "clock_s": clock, "processor_s": processor})
        print(f"  {name:36} {1e3 * clock:7.2f} ms, processor {1e3 * processor:7.2f} ms")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

"""How time grows: with the length of a clip, members, files and threads.

    python benchmarks/scaling.py

classifies noise with a small `basic1` (64 bands at 16 kHz, windows of 5 s, random weights): one
clip of 1 s to 1 h, 8 files with 1 to 36 members, a folder of 10 to 10,000 files of 1 s, and 64
files of 5 s with 1 and 2 threads. Each line has the median time on the clock and of the processor,
and the processor time by unit, which stays the same where time grows in proportion. Threads share
the work: theirs is the time on the clock relative to one thread. The files of a folder are hard
links to 16 sounds: they are found, opened and read one by one, from 0.5 MB of the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from random_models import bundle, ensemble  # type: ignore[import-not-found]

from anymic.data.files import find_files
from anymic.features import FrontendConfig
from anymic.inference.predictor import Predictor

RATE_HZ, CLIP_S = 16_000, 5.0
CONFIG = FrontendConfig(rate_hz=RATE_HZ, hop_samples=1024, bands=64, high_hz=8000.0)
SIZES: dict[str, tuple[int, ...]] = {
    "seconds": (1, 10, 60, 600, 3600),
    "members": (1, 4, 12, 36),
    "files": (10, 100, 1_000, 10_000),
    "threads": (1, 2),
}
QUICK: dict[str, tuple[int, ...]] = {
    "seconds": (1, 10),
    "members": (1, 2),
    "files": (2, 4),
    "threads": (1, 2),
}


SOUNDS = 16  # different files of a folder


def write(path: Path, seconds: float, *, seed: int = 0) -> Path:
    """Write noise, as 16-bit WAV."""
    noise = np.random.default_rng(seed).normal(scale=0.1, size=round(RATE_HZ * seconds))
    soundfile.write(path, noise, RATE_HZ, subtype="PCM_16")
    return path


def filled(folder: Path, files: int) -> Path:
    """Write so many files of 1 s into a folder of their own, and return it."""
    folder.mkdir()
    for number in range(files):
        path = folder / f"{number:05}.wav"
        if number < SOUNDS:
            write(path, 1, seed=number)
        else:
            os.link(folder / f"{number % SOUNDS:05}.wav", path)
    return folder


def predict_all(predictor: Predictor, paths: Sequence[Path]) -> None:
    """Predict every file."""
    for _ in predictor.predict_many(paths):
        pass


def predict_folder(predictor: Predictor, folder: Path) -> None:
    """Find the files of a folder, and predict each."""
    predict_all(predictor, [file for file in find_files([folder]) if isinstance(file, Path)])


def works(
    what: str, sizes: Sequence[int], folder: Path
) -> Iterator[tuple[int, Callable[[], object]]]:
    """Give each size with the work of that size."""
    single = Predictor(bundle("basic1", CONFIG, CLIP_S), accelerator="cpu")
    windows = [write(folder / f"window-{number}.wav", CLIP_S) for number in range(64)]
    for size in sizes:
        if what == "seconds":
            yield size, partial(single.predict, write(folder / "long.wav", size))
        elif what == "members":
            several = ensemble("basic1", CONFIG, CLIP_S, members=size)
            many = Predictor(several if size > 1 else several.members[0], accelerator="cpu")
            yield size, partial(predict_all, many, windows[:8])
        elif what == "files":
            yield size, partial(predict_folder, single, filled(folder / f"files-{size}", size))
        else:
            torch.set_num_threads(size)
            yield size, partial(predict_all, single, windows)


def timed(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median seconds on the clock and of processor time, after one that warms up."""
    found = []
    for turn in range(rounds + 1):
        clock, processor = time.perf_counter(), time.process_time()
        work()
        if turn:
            found.append((time.perf_counter() - clock, time.process_time() - processor))
    clocks, processors = zip(*found, strict=True)
    return statistics.median(clocks), statistics.median(processors)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of each size; default 3")
    parser.add_argument("--quick", action="store_true", help="small sizes, for a test")
    parser.add_argument("--json", type=Path, help="also write the times to this file")
    options = parser.parse_args(arguments)
    threads = torch.get_num_threads()
    rows: list[dict[str, Any]] = []
    print(f"{os.cpu_count()} processors, {threads} threads but where stated")
    try:
        for what, sizes in (QUICK if options.quick else SIZES).items():
            with tempfile.TemporaryDirectory() as folder:
                for size, work in works(what, sizes, Path(folder)):
                    clock, processor = timed(work, options.rounds)
                    row = {"name": what, "size": size, "clock_s": clock, "processor_s": processor}
                    rows.append(row)
                    each = f"{1e3 * processor / size:9.2f} ms each"
                    if what == "threads":
                        one = next(row["clock_s"] for row in rows if row["name"] == what)
                        each = f"{clock / one:9.2f} of the clock of {sizes[0]}"
                    print(
                        f"  {size:6} {what:8} {clock:9.3f} s, processor {processor:9.3f} s, {each}",
                        flush=True,
                    )
    finally:
        torch.set_num_threads(threads)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

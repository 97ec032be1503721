"""What `anymic predict --out` takes: hours of sound, many short files, and many without sound.

    python benchmarks/long_recordings.py

classifies noise with a `basic1` of random weights as the demo trains it (64 bands at 22.05 kHz,
windows of 3 s). Each line is the fastest of `--rounds` runs of the command: seconds on the clock
with the start of the program, seconds of processors, and the peak of memory. The first lines are
those of the start alone: Python with PyTorch imported, and one clip of 3 s.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from random_models import bundle  # type: ignore[import-not-found]

from anymic.features import FrontendConfig

RECORDED_HZ = 44_100
DEMO = FrontendConfig(rate_hz=22_050, fft_size=1024, hop_samples=512, bands=64)
PROGRAM = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
"""
"""A small process that starts the command: a child's peak begins with that of its parent."""


def record(folder: Path, *, files: int, seconds: float) -> Path:
    """Write noise, and give it many names."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    with soundfile.SoundFile(folder / "0.wav", "w", RECORDED_HZ, 1, "PCM_16") as file:
        for begin in range(0, max(int(seconds), 1), 60):
            count = round(min(60, seconds - begin) * RECORDED_HZ)
            file.write(generator.normal(scale=0.1, size=count))
    for number in range(1, files):
        os.link(folder / "0.wav", folder / f"{number}.wav")
    return folder


def no_sound(folder: Path, *, files: int) -> Path:
    """Write files of text whose names are those of recordings."""
    folder.mkdir()
    for number in range(files):
        (folder / f"{number}.wav").write_text("no sound")
    return folder


def timed(command: Sequence[str], *, rounds: int, expected: int = 0) -> dict[str, float]:
    """Run a command so often; return the figures of its fastest run."""
    found: list[dict[str, float]] = []
    for _ in range(rounds):
        begun = time.perf_counter()
        small = [sys.executable, "-c", PROGRAM, *command]
        said = subprocess.run(small, capture_output=True, text=True, check=True).stdout.split()
        clock_s = time.perf_counter() - begun
        if int(said[0]) != expected:
            sys.exit(f"{' '.join(command)} ended with status {said[0]}")
        found.append({"clock_s": clock_s, "processor_s": float(said[1]), "bytes": float(said[2])})
    return min(found, key=lambda one: one["clock_s"])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a minute, and a few files, once each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures into this file too")
    given = parser.parse_args(arguments)
    scale = 100 if given.quick else 1
    rows: list[dict[str, float | str]] = []

    def show(what: str, command: Sequence[str], *, rounds: int, expected: int = 0) -> None:
        found = timed(command, rounds=rounds, expected=expected)
        rows.append({"what": what, **found})
        print(
            f"{what:>28} {found['clock_s']:>6.1f} s {found['processor_s']:>6.1f} s of processors"
            f" {found['bytes'] / 1e6:>5.0f} MB",
            flush=True,
        )

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle("basic1", DEMO, 3.0).save(folder / "model")

        def predict(recordings: Path) -> list[str]:
            out = folder / f"{recordings.name}.csv"
            command = [sys.executable, "-m", "anymic", "predict", str(recordings)]
            return [*command, "--model", str(folder / "model"), "--out", str(out)]

        rounds = 1 if given.quick else given.rounds
        show("PyTorch imported", [sys.executable, "-c", "import torch"], rounds=rounds)
        show("3 s", predict(record(folder / "clip", files=1, seconds=3)), rounds=rounds)
        few = 1 if given.quick else 2  # sizes of each kind
        for minutes in (60, 240)[:few]:
            recordings = record(folder / f"{minutes}", files=1, seconds=60 * minutes / scale)
            show(f"{minutes // scale or 1} min", predict(recordings), rounds=rounds)
        for count in (2000 // scale, 8000 // scale)[:few]:
            recordings = record(folder / f"short-{count}", files=count, seconds=1)
            show(f"{count} files of 1 s", predict(recordings), rounds=min(rounds, 2))
        for count in (10_000 // scale, 100_000 // scale)[:few]:
            text = no_sound(folder / f"text-{count}", files=count)
            show(f"{count} files without sound", predict(text), rounds=1, expected=1)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

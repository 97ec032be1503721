"""What several processes are worth: time, processors and bytes with one worker and with two.

    python benchmarks/workers.py
    python benchmarks/workers.py --hours 10000

classifies noise with a small `basic1` (64 bands at 16 kHz, windows of 5 s, random weights), as
`anymic predict --out` does: 2,000 files of a second, and 8 files of 15 minutes. Each line has the
seconds on the clock and of processors (the least of `--rounds`, by turns), the processors that were
busy on average, and the share of the time with one worker. The outputs must have the same bytes. It
then says what `--hours` of recordings take at these rates.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch

from anymic import models
from anymic.bundle import Bundle, InputContract
from anymic.features import Frontend, FrontendConfig

RATE_HZ = 16_000
KINDS = {"short": (2000, 1.0), "long": (8, 900.0)}  # how many files, of so many seconds
QUICK = {"short": (6, 1.0), "long": (2, 20.0)}


@dataclass(frozen=True)
class Timing:
    """Seconds of a run, on the clock and of processors."""

    clock_s: float
    processors_s: float

    @property
    def busy(self) -> float:
        """The processors that worked, on average."""
        return self.processors_s / self.clock_s


def model() -> Bundle:
    """Return a model of random weights."""
    torch.manual_seed(0)
    network = models.build("basic1", classes=10)
    config = FrontendConfig(rate_hz=RATE_HZ, hop_samples=1024, bands=64, high_hz=8000.0)
    labels = tuple(f"class {number}" for number in range(10))
    contract = InputContract(rate_hz=RATE_HZ, clip_s=5.0)
    return Bundle(network, Frontend(config), labels, contract, network_name="basic1")


def timed(folder: Path, recordings: Path, workers: int, *, threads: int | None) -> Timing:
    """Run the command once; its output is in `folder`."""
    out = folder / f"workers-{workers}.csv"
    command = [sys.executable, "-m", "anymic", "predict", str(recordings), "--out", str(out)]
    options = ["--model", str(folder / "model"), "--threshold", "0.5", "--workers", str(workers)]
    environment = dict(os.environ)
    environment.pop("OMP_NUM_THREADS", None)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*command, *options], check=True, capture_output=True, env=environment)
    clock_s = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Timing(clock_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def least(found: Sequence[Timing]) -> Timing:
    """Return the least of each time."""
    return Timing(min(one.clock_s for one in found), min(one.processors_s for one in found))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few small files")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, help="OMP_NUM_THREADS of the program")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hours", type=float, default=10_000)
    parser.add_argument("--json", type=Path, help="write the figures into this file too")
    given = parser.parse_args(arguments)
    rows: list[dict[str, float | str]] = []
    print(f"{'files':>20} {'workers':>7} {'clock':>8} {'processor':>9} {'busy':>5} {'speed':>6}")
    for kind, (count, seconds) in (QUICK if given.quick else KINDS).items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            model().save(folder / "model")
            (folder / "in").mkdir()
            noise = np.random.default_rng(0).normal(scale=0.1, size=round(RATE_HZ * seconds))
            for number in range(count):
                soundfile.write(folder / "in" / f"{number}.wav", noise, RATE_HZ, subtype="PCM_16")
            found: dict[int, list[Timing]] = {one: [] for one in given.workers}
            for _ in range(1 if given.quick else given.rounds):
                for workers, own in found.items():
                    own.append(timed(folder, folder / "in", workers, threads=given.threads))
            bytes_of = {(folder / f"workers-{one}.csv").read_bytes() for one in found}
            if len(bytes_of) != 1:
                sys.exit("the outputs differ")
        base = least(found[given.workers[0]]).clock_s
        for workers, own in found.items():
            best = least(own)
            hours = count * seconds / 3600
            rate = hours * 3600 / best.processors_s
            print(
                f"{f'{count} of {seconds:g} s':>20} {workers:>7} {best.clock_s:>6.1f} s"
                f" {best.processors_s:>7.1f} s {best.busy:>5.2f} {base / best.clock_s:>5.2f}x"
                f"   {given.hours:g} h: {given.hours / rate:.0f} h of a processor"
            )
            rows.append(
                {
                    "kind": kind,
                    "workers": workers,
                    "clock_s": best.clock_s,
                    "processors_s": best.processors_s,
                    "hours": hours,
                }
            )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

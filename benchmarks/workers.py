"""What several processes are worth: time, processors and bytes with one worker and with two.

    python benchmarks/workers.py
    python benchmarks/workers.py --hours 10000

classifies noise with a small `basic1` (64 bands at 16 kHz, windows of 5 s, random weights), as
`anymic predict --out` does: 2,000 and 20,000 files of a second, and 8 and 32 files of an hour. Each
line has the seconds on the clock (the least of `--rounds`, by turns), the processors that were busy
on average (of everything on the machine), and how many times as fast it is as the first line: one
worker on one processor. One worker on all processors reads and computes in threads. The outputs
must have the same bytes. It then says what `--hours` of recordings take at these rates, on
the clock of this machine.
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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from random_models import bundle  # type: ignore[import-not-found]

from anymic.features import FrontendConfig

RATE_HZ = 16_000
CONFIG = FrontendConfig(rate_hz=RATE_HZ, hop_samples=1024, bands=64, high_hz=8000.0)
KINDS = [(2000, 1.0), (20_000, 1.0), (8, 3600.0), (32, 3600.0)]  # so many files of so many seconds
QUICK = [(4, 12.0)]  # several files, and several windows of each


@dataclass(frozen=True)
class Timing:
    """Seconds of a run on the clock, and of the machine's processors meanwhile."""

    clock_s: float
    processors_s: float

    @property
    def busy(self) -> float:
        """The processors that worked, on average."""
        return self.processors_s / self.clock_s


def busy_s() -> float:
    """Return the seconds that the processors of this machine have worked since it started."""
    user, nice, system = (int(one) for one in Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def timed(
    folder: Path, recordings: Path, workers: int, *, processors: int, threads: int | None
) -> Timing:
    """Run the command once, on so many processors; its output is in `folder`."""
    out = folder / f"workers-{workers}.csv"
    command = [sys.executable, "-m", "anymic", "predict", str(recordings), "--out", str(out)]
    options = ["--model", str(folder / "model"), "--threshold", "0.5", "--workers", str(workers)]
    environment = dict(os.environ)
    environment.pop("OMP_NUM_THREADS", None)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    before, begun = busy_s(), time.perf_counter()
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(every)[:processors]))  # the command inherits it
    try:
        subprocess.run([*command, *options], check=True, capture_output=True, env=environment)
    finally:
        os.sched_setaffinity(0, every)
    clock_s = time.perf_counter() - begun
    return Timing(clock_s, busy_s() - before)


def least(found: Sequence[Timing]) -> Timing:
    """Return the fastest run."""
    return min(found, key=lambda one: one.clock_s)


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
    print(f"{'files':>20} {'workers':>7} {'processors':>10} {'clock':>8} {'busy':>5} {'speed':>6}")
    for count, seconds in QUICK if given.quick else KINDS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            bundle("basic1", CONFIG, 5.0).save(folder / "model")
            (folder / "in").mkdir()
            noise = np.random.default_rng(0).normal(scale=0.1, size=round(RATE_HZ * seconds))
            soundfile.write(folder / "in" / "0.wav", noise, RATE_HZ, subtype="PCM_16")
            for number in range(1, count):  # the same bytes by other names
                os.link(folder / "in" / "0.wav", folder / "in" / f"{number}.wav")
            every = len(os.sched_getaffinity(0))
            places = [(1, 1), *((one, every) for one in given.workers)]
            found: dict[tuple[int, int], list[Timing]] = {one: [] for one in places}
            for _ in range(1 if given.quick else given.rounds):
                for (workers, processors), own in found.items():
                    own.append(
                        timed(
                            *(folder, folder / "in", workers),
                            processors=processors,
                            threads=given.threads,
                        )
                    )
            bytes_of = {(folder / f"workers-{one}.csv").read_bytes() for one, _ in found}
            if len(bytes_of) != 1:
                sys.exit("the outputs differ")
        base = least(found[1, 1]).clock_s
        for (workers, processors), own in found.items():
            best = least(own)
            hours = count * seconds / 3600
            rate = hours / best.clock_s * 3600  # hours of recordings an hour
            whole = f"{given.hours:g} h: {given.hours / rate:.1f} h"
            print(
                f"{f'{count} of {seconds:g} s':>20} {workers:>7} {processors:>10}"
                f" {best.clock_s:>6.1f} s"
                f" {best.busy:>5.2f} {base / best.clock_s:>5.2f}x   {whole}",
                flush=True,
            )
            rows.append(
                {
                    "files": count,
                    "workers": workers,
                    "processors": processors,
                    "clock_s": best.clock_s,
                    "busy": best.busy,
                    "hours": hours,
                }
            )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What an ensemble costs beside one of its members: files to predictions, in one run.

    python benchmarks/ensemble.py

prints, at the sizes of the preset `small` (5 s, 128 bands) and of the papers (10 s, 256 bands), the
time of one `basic1` member and of an ensemble of 36, and their ratio. Every member has its own
weights and standardization; in the second of each pair of lines its own device gains as well, for
files whose device is stated, as members have that `anymic train --members` trains with spectrum
correction. The two take turns, so that a busy moment hits both; processor time, which other work
on the machine disturbs less, is beside the time on the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch

from anymic import models
from anymic._internal.precision import lightning_precision
from anymic.bundle import Bundle, Ensemble, InputContract
from anymic.features import Frontend, FrontendConfig
from anymic.inference.predictor import Predictor

LABELS = tuple(f"class {number}" for number in range(10))


@dataclass(frozen=True)
class Size:
    """Clips of one length and front-end."""

    name: str
    clip_s: float
    config: FrontendConfig


SIZES = (
    Size("small: 5 s, 128 bands", 5.0, FrontendConfig(hop_samples=1024, bands=128)),
    Size("papers: 10 s, 256 bands", 10.0, FrontendConfig()),
)

# Of each side: seconds on the clock, and of processor time.
Times = dict[str, list[tuple[float, float]]]


def member(size: Size, seed: int, *, corrected: bool) -> Bundle:
    """Return a model with weights, standardization and gains of its own."""
    generator = np.random.default_rng(seed)
    bins, bands = size.config.bins, size.config.bands
    gains = {name: generator.uniform(0.5, 2.0, bins) for name in ("A", "B", "C")}
    frontend = Frontend(size.config, device_gains=gains if corrected else None)
    frontend.mean.copy_(torch.from_numpy(generator.normal(-5.0, 0.1, bands)))
    frontend.scale.copy_(torch.from_numpy(generator.uniform(1.9, 2.1, bands)))
    torch.manual_seed(seed)
    network = models.build("basic1", classes=len(LABELS))
    contract = InputContract(rate_hz=size.config.rate_hz, clip_s=size.clip_s)
    return Bundle(network, frontend, LABELS, contract, network_name="basic1")


def write_files(folder: Path, size: Size, count: int) -> list[Path]:
    """Write noise, as 16-bit WAV."""
    paths = [folder / f"{size.clip_s:g}s-{number}.wav" for number in range(count)]
    for number, path in enumerate(paths):
        samples = round(size.config.rate_hz * size.clip_s)
        noise = np.random.default_rng(number).normal(scale=0.1, size=samples)
        soundfile.write(path, noise, size.config.rate_hz, subtype="PCM_16")
    return paths


def predict_all(predictor: Predictor, *, paths: list[Path], device: str | None) -> None:
    """Predict every file."""
    for _ in predictor.predict_many(paths, devices=device):
        pass


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return seconds on the clock and of processor time."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def compare(one: Callable[[], object], many: Callable[[], object], rounds: int) -> Times:
    """Time both by turns, after a warming round of each."""
    times: Times = {"one": [], "many": []}
    for turn in range(rounds + 1):
        for name, work in (("one", one), ("many", many)):
            found = timed(work)
            if turn:
                times[name].append(found)
    return times


def main() -> None:
    """Run all comparisons and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--members", type=int, default=36, help="default 36")
    parser.add_argument("--files", type=int, default=16, help="in each round; default 16")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each; default 7")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: all cores")
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16")
    parser.add_argument("--json", type=Path, help="also write all times to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    kind = lightning_precision(options.precision, "cpu", "prediction")
    print(f"{options.members} basic1 members, {options.threads} cores, {kind}, ", end="")
    print(f"{options.files} files to predictions, medians of {options.rounds} rounds\n")
    results = []
    with tempfile.TemporaryDirectory() as name:
        for size in SIZES:
            paths = write_files(Path(name), size, options.files)
            for corrected in (False, True):
                members = tuple(
                    member(size, seed, corrected=corrected) for seed in range(options.members)
                )
                sides = [
                    Predictor(model, precision=options.precision, accelerator="cpu")
                    for model in (members[0], Ensemble(members))
                ]
                predict = partial(predict_all, paths=paths, device="B" if corrected else None)
                one, many = (partial(predict, side) for side in sides)
                times = compare(one, many, options.rounds)
                title = f"{size.name}, {'own gains' if corrected else 'no correction'}"
                print(title)
                ratios = {}
                for column, what in enumerate(("clock", "processor")):
                    each = {
                        side: statistics.median(row[column] for row in rows)
                        for side, rows in times.items()
                    }
                    ratios[what] = each["many"] / each["one"]
                    print(
                        f"  {what:9} one {1e3 * each['one']:7.0f} ms   ensemble "
                        f"{1e3 * each['many']:7.0f} ms   ratio {ratios[what]:5.2f}",
                        flush=True,
                    )
                results.append({"name": title, "ratio": ratios, "times_s": times})
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()

"""How well takes that were not recorded at the same moment are told from aligned ones.

    python benchmarks/alignment.py ../shared/data

takes the folder with ESC-50-16k, micirp and drums-9-microphones; rows whose data are absent say so.

- drums: clips of aligned takes of nine real microphones, far and close (every second take), that
  are refused;
- pairs: a clip of ESC-50 and its recording through a measured microphone with noise 25 to 65 dB
  below its peak; 1, 2 or 5 s long. The recording is of the same sound, of another sound, or half a
  second late. Silent clips are left out.

It needs about ten seconds of one processor.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic.devices.correction.alignment import lags
from anymic.devices.correction.frames import SampleFrames

FFT_SIZE, HOP_SAMPLES = 2048, 1024
RATE_HZ = 16_000
NEAR_SAMPLES = 50  # of the true lag
QUIETEST = 1e-3  # a clip with a smaller peak is silent
Samples = NDArray[np.float32]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args()
    drums = arguments.data / "drums-9-microphones"
    clips, responses = arguments.data / "ESC-50-16k", arguments.data / "micirp"
    if has(drums / "manifest.csv"):
        refused, count = aligned_drums(drums)
        print(f"aligned drum clips refused: {refused} of {count}")
    if has(clips / "meta" / "esc50.csv") and has(responses):
        generator = np.random.default_rng(arguments.seed)
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for kind, result in pairs(clips, responses, arguments.pairs, generator):
            found[kind][result] += 1
        for kind, results in found.items():
            listed = ", ".join(f"{result} {n}" for result, n in results.most_common())
            print(f"{kind} (n = {results.total()}): {listed}")


def has(place: Path) -> bool:
    """Return whether data exist; say so if not."""
    if not place.exists():
        print(f"left out: there is no {place}")
    return place.exists()


def aligned_drums(folder: Path) -> tuple[int, int]:
    """Return how many clips of aligned takes are refused, and of how many."""
    takes: dict[str, list[Path]] = defaultdict(list)
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            takes[row["take"]].append(folder / row["path"])
    refused = count = 0
    for take in sorted(takes)[::2]:
        found = lags([frames(audio.read(path).samples) for path in takes[take]], tolerance=FFT_SIZE)
        count += len(takes[take])
        refused += sum(lag != 0 for lag in found[1])
    return refused, count


def pairs(
    folder: Path, responses: Path, count: int, generator: np.random.Generator
) -> Iterator[tuple[str, str]]:
    """Yield for each pair of clips its kind and what was found."""
    with (folder / "meta" / "esc50.csv").open(encoding="utf-8", newline="") as file:
        names = [row["filename"] for row in csv.DictReader(file)]
    microphones = sorted(responses.rglob("*.wav"))
    while count:
        length = int(generator.choice([1, 2, 5])) * RATE_HZ
        one, other = (
            audio.read(folder / "audio" / names[row], rate_hz=RATE_HZ).samples[:length]
            for row in generator.integers(len(names), size=2)
        )
        if min(np.abs(one).max(), np.abs(other).max()) < QUIETEST:
            continue
        count -= 1
        path = microphones[generator.integers(len(microphones))]
        response = audio.read(path, rate_hz=RATE_HZ).samples
        same, another = (recorded(clip, response, generator) for clip in (one, other))
        late = np.concatenate([np.zeros(RATE_HZ // 2, np.float32), same])[:length]
        yield "the same sound", compared(one, same)
        yield "another sound", compared(one, another)
        yield "half a second late", compared(one, late, lag=RATE_HZ // 2)


def recorded(clip: Samples, response: Samples, generator: np.random.Generator) -> Samples:
    """Return a clip with a microphone's response, at a peak of 0.3, with noise."""
    from scipy.signal import fftconvolve

    peak = int(np.abs(response).argmax())
    found: Any = fftconvolve(clip, response)[peak : peak + len(clip)]
    noise = 0.3 * 10 ** (-45 / 20) * generator.choice([0.1, 1, 3, 10])
    found = 0.3 * found / np.abs(found).max() + noise * generator.standard_normal(len(clip))
    return np.asarray(found, np.float32)


def compared(one: Samples, other: Samples, *, lag: int | None = None) -> str:
    """Return what is found for a pair of clips."""
    found = lags([frames(one), frames(other)], tolerance=FFT_SIZE)[1][1]
    if found == 0:
        return "aligned"
    if np.isnan(found):
        return "different"
    return "right lag" if lag is not None and abs(found - lag) < NEAR_SAMPLES else "wrong lag"


def frames(samples: Samples) -> SampleFrames:
    """Return the samples as they are compared."""
    return SampleFrames(samples, fft_size=FFT_SIZE, hop_samples=HOP_SAMPLES)


if __name__ == "__main__":
    main()

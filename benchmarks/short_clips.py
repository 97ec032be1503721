"""Make a corpus of short clips at a low rate: the loudest second of the clips of ESC-10, at 8 kHz.

    python benchmarks/short_clips.py --data ../shared/data/ESC-50-16k --out short
    anymic train --data short/clips.csv --out run --folds 4

The table has the recordings and the folds of ESC-50, so that the second command measures what
`anymic train` does without any setting, beside the MFCC baseline.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic.data import corpora

RATE_HZ = 8000


def short_clips(data: Path, out: Path, *, clips: int | None = None) -> Path:
    """Write the corpus; return its table. `clips` limits those of each label in each fold."""
    manifest = corpora.load("esc10", data)
    manifest = manifest.rows([path.is_file() for path in manifest.paths()])
    if clips is not None:
        kept = manifest.table.groupby(["label", "fold"]).head(clips).index
        manifest = manifest.rows(kept.to_numpy())
    folder = out.resolve() / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    places = [folder / path.with_suffix(".wav").name for path in manifest.paths()]
    for path, place in zip(manifest.paths(), places, strict=True):
        clip = audio.read(path, rate_hz=RATE_HZ)
        start = loudest(clip.samples)
        audio.write(place, replace(clip, samples=clip.samples[start : start + RATE_HZ]))
    return manifest.with_columns(path=[str(place) for place in places]).write(out / "clips.csv")


def loudest(samples: NDArray[np.float32]) -> int:
    """Return the first sample of the second with the most energy."""
    energy = np.cumsum(np.insert(samples.astype(np.float64) ** 2, 0, 0.0))
    return int(np.argmax(energy[RATE_HZ:] - energy[:-RATE_HZ]))


def main() -> None:
    """Write the corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of ESC-50")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    print(short_clips(arguments.data, arguments.out))


if __name__ == "__main__":
    main()

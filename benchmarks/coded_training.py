"""How much slower a training through codecs is, and how long a corpus takes through ten codecs.

    python benchmarks/coded_training.py

makes 320 clips of 5 s at 44.1 kHz (noise that swells), and prints

- the time of `anymic.codecs.coded_corpus.encode` through ten codecs with two workers, on the clock
  and of the processor, and that of a second run, which finds everything;
- the processor time of an epoch of the preset `small` without codecs and with codecs of the whole
  table, once the clips are encoded: the difference of two trainings, of one and of several epochs,
  the least of some rounds that take turns. With --consistency also that of an epoch of
  `codecs: any`, which computes each batch in two versions.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from anymic.codecs import CodecSet
from anymic.codecs.coded_corpus import encode
from anymic.data.corpora.folder import folder as read_folder
from anymic.data.manifest import Manifest
from anymic.training import fit, load_config

TEN = "mp3 32, aac 32, opus 16, opus-voice 16, vorbis 64, sbc 64, lc3 64, g722, amr-nb 12.2, gsm"
SLOWER, MINUTES = 1.2, 4.0  # what is wanted
RATE_HZ = 44100


def make_clips(place: Path, *, clips: int, seconds: float) -> Manifest:
    """Write noise of two kinds, one folder a label."""
    generator = np.random.default_rng(0)
    count = round(seconds * RATE_HZ)
    for number in range(clips):
        label = ("low", "high")[number % 2]
        noise = generator.standard_normal(count + 1)
        sound = noise[1:] + (0.9 if label == "low" else -0.9) * noise[:-1]
        sound *= 0.1 * (1.1 + np.sin(np.arange(count) * 8.0 / RATE_HZ))
        file = place / label / f"{number}.flac"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, sound.clip(-1, 1), RATE_HZ)
    return read_folder(place)


def timed(work: Any) -> tuple[float, float]:
    """Return the seconds on the clock and of the processor that work takes."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def epoch_s(clips: Manifest, codecs: Any, place: Path, *, epochs: int) -> float:
    """Return the processor time of an epoch: a longer training less one of a single epoch."""
    found = []
    for number in (1, 1 + epochs):  # the features are there at the second one
        config = load_config("small", changes={"epochs": number, "codecs": codecs})
        cache = place / "cache"
        found.append(
            timed(lambda: fit(clips, config, place / "run", progress=False, cache=cache))[1]  # noqa: B023
        )
    return (found[1] - found[0]) / epochs


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=320)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--consistency", action="store_true")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        clips = make_clips(place / "sounds", clips=given.clips, seconds=given.seconds)
        codecs = CodecSet.read(TEN)

        def run() -> None:
            encode(clips, codecs, place / "coded", workers=2, progress=False)

        for name in ("encode", "again"):
            figures[f"{name}_s"], figures[f"{name}_processor_s"] = timed(run)
            print(
                f"{given.clips} clips through {len(codecs)} codecs ({name}):"
                f" {figures[f'{name}_s']:.1f} s on the clock,"
                f" {figures[f'{name}_processor_s']:.1f} s of the processor",
                flush=True,
            )
        settings: dict[str, Any] = {"plain": None, "coded": {"consistency": 0.0}}
        if given.consistency:
            settings["any"] = "any"
        epochs: dict[str, list[float]] = {name: [] for name in settings}
        for name, own in settings.items():  # encodes, and computes the features
            epoch_s(clips, own, place / name, epochs=1)
        for _ in range(given.rounds):
            for name, own in settings.items():
                epochs[name].append(epoch_s(clips, own, place / name, epochs=given.epochs))
        figures |= {f"epoch_{name}_s": min(own) for name, own in epochs.items()}
        for name in list(settings)[1:]:
            ratio = figures[f"epoch_{name}_s"] / figures["epoch_plain_s"]
            print(
                f"an epoch: {figures['epoch_plain_s']:.2f} s of the processor, with codecs"
                f" ({name}) {figures[f'epoch_{name}_s']:.2f} s, {ratio:.2f} times as long"
            )
    slower = figures["epoch_coded_s"] / figures["epoch_plain_s"]
    print(
        f"wanted: at most {SLOWER:g} times as long: {'yes' if slower <= SLOWER else 'no'};", end=" "
    )
    print(f"at most {MINUTES:g} minutes: {'yes' if figures['encode_s'] <= 60 * MINUTES else 'no'}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

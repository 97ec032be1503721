"""What a clip through a codec costs beside the ffmpeg program called twice, in one run.

    python benchmarks/codecs.py

prints, for a clip of 10 s at 44.1 kHz and each codec of Peters 2022 that the ffmpeg program here
encodes, the time of `Codec.apply` (an array in, an array out, aligned) and of a script that does
the same with files: write a WAV, ffmpeg to the codec, ffmpeg back to WAV, read it. The two take
turns, so that a busy moment hits both; processor time, of the children too, is beside the time on
the clock. The script's result is not aligned. HE-AAC is not compared: ffmpeg has no encoder for it
in distributions.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from anymic.audio import Clip
from anymic.codecs import Codec, CodecSet

ENCODERS = {"aac": "aac", "mp3": "libmp3lame", "opus": "libopus", "sbc": "sbc"}
SUFFIXES = {"aac": "aac", "mp3": "mp3", "opus": "opus", "sbc": "sbc"}
WANTED = 3.0


def clip_of(seconds: float, rate_hz: int = 44100) -> Clip:
    """Return noise that falls by 3 dB an octave and swells: work for every part of a coder."""
    generator = np.random.default_rng(0)
    count = round(seconds * rate_hz)
    spectrum = np.fft.rfft(generator.standard_normal(count))
    spectrum /= np.sqrt(np.maximum(1.0, np.arange(len(spectrum))))
    noise = np.fft.irfft(spectrum, count) * (1.1 + np.sin(np.arange(count) * 8.0 / rate_hz))
    return Clip((0.5 * noise / np.abs(noise).max()).astype(np.float32), rate_hz)


def by_files(clip: Clip, codec: Codec, folder: Path) -> None:
    """Do what a script would: two programs and three files."""
    source, coded, decoded = (folder / name for name in ("in.wav", "coded", "decoded.wav"))
    coded = coded.with_suffix("." + SUFFIXES[codec.name])
    soundfile.write(source, clip.samples, clip.rate_hz, subtype="PCM_16")
    quiet = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y"]
    encoder = ["-c:a", ENCODERS[codec.name], "-b:a", f"{codec.kbps:g}k"]
    subprocess.run([*quiet, "-i", str(source), *encoder, str(coded)], check=True)
    back = ["-ar", str(clip.rate_hz), str(decoded)]
    subprocess.run([*quiet, "-i", str(coded), *back], check=True)
    soundfile.read(decoded, dtype="float32")


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds on the clock and of the processor, children included."""
    before, begin = processor_s(), time.perf_counter()
    work()
    return time.perf_counter() - begin, processor_s() - before


def processor_s() -> float:
    """Return the processor time of this process and its finished children."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def main() -> None:
    """Compare, and print one line a codec and their geometric mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    arguments = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        print("codecs: the ffmpeg program is not installed: there is nothing to compare with")
        return
    clip = clip_of(10.0)
    codecs = [codec for codec in CodecSet.read("codecs") if codec.name in ENCODERS]
    rows: list[dict[str, str | float]] = []
    ratios: list[float] = []
    processor_ratios: list[float] = []
    print(f"a clip of {clip.duration_s:g} s through a codec and back")
    with tempfile.TemporaryDirectory() as folder:
        for codec in codecs:
            codec.apply(clip)  # measures the delay, once
            own, other = [], []
            for _ in range(arguments.rounds):
                own.append(timed(lambda: codec.apply(clip)))  # noqa: B023
                other.append(timed(lambda: by_files(clip, codec, Path(folder))))  # noqa: B023
            figures = [
                statistics.median(one[kind] for one in side)
                for side in (own, other)
                for kind in (0, 1)
            ]
            row: dict[str, str | float] = {
                "codec": str(codec),
                "anymic_s": figures[0],
                "ffmpeg_s": figures[2],
                "ratio": figures[2] / figures[0],
                "processor_ratio": figures[3] / figures[1],
            }
            rows.append(row)
            ratios.append(figures[2] / figures[0])
            processor_ratios.append(figures[3] / figures[1])
            print(
                f"  {row['codec']:<10} anymic {1e3 * figures[0]:7.1f} ms   ffmpeg twice "
                f"{1e3 * figures[2]:7.1f} ms   ratio {row['ratio']:5.2f} x   "
                f"(processor time: {row['processor_ratio']:.2f} x)",
                flush=True,
            )
    ratio = statistics.geometric_mean(ratios)
    processor = statistics.geometric_mean(processor_ratios)
    verdict = "" if ratio >= WANTED else f"   below the {WANTED:g} x that are wanted"
    print(
        f"  geometric mean {ratio:.2f} x, of processor time {processor:.2f} x"
        f"   (medians of {arguments.rounds} rounds){verdict}"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

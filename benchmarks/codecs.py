"""What a clip through a codec costs beside the ffmpeg program called twice, in one run.

    python benchmarks/codecs.py

prints, for a clip of 10 s at 44.1 kHz and each codec that the ffmpeg program here encodes, the time
of `Codec.apply` (an array in, an array out, aligned) and of a script that does the same with files:
write a WAV, ffmpeg to the codec, ffmpeg back to WAV, read it. The two take turns, so that a busy
moment hits both; processor time, of the children too, is beside the time on the clock. The script's
result is not aligned. First come the codecs of Peters 2022 at each of their bitrates, then one
bitrate of the others; each group has its geometric mean. Not compared are HE-AAC, LC3 and AMR,
which ffmpeg does not encode in distributions.
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
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from anymic.audio import Clip
from anymic.codecs import Codec, CodecSet

OPUS = "-c:a libopus"
# By codec: the suffix of the file, and what tells ffmpeg how to encode.
ENCODERS = {
    "aac": ("aac", "-c:a aac"),
    "mp3": ("mp3", "-c:a libmp3lame"),
    "opus": ("opus", OPUS),
    "sbc": ("sbc", "-c:a sbc"),
    "vorbis": ("ogg", "-c:a libvorbis"),
    "opus-voice": ("opus", f"{OPUS} -application voip"),
    "opus-low-delay": ("opus", f"{OPUS} -application lowdelay"),
    "msbc": ("msbc", "-c:a sbc -msbc 1 -ar 16000 -f sbc"),
    "aptx": ("aptx", "-c:a aptx -ac 2 -ar 48000"),
    "aptx-hd": ("aptxhd", "-c:a aptx_hd -ac 2 -ar 48000"),
    "g722": ("g722", "-c:a g722 -ar 16000"),
    "gsm": ("gsm", "-c:a libgsm -ar 8000"),
    "mu-law": ("wav", "-c:a pcm_mulaw -ar 8000"),
    "a-law": ("wav", "-c:a pcm_alaw -ar 8000"),
    "g726": ("wav", "-c:a g726 -ar 8000"),
    "ima-adpcm": ("wav", "-c:a adpcm_ima_wav -ar 8000"),
    "ms-adpcm": ("wav", "-c:a adpcm_ms -ar 8000"),
}
# How a stream without a header is read again.
READING = {"msbc": "-f sbc", "aptx": "-f aptx", "aptx-hd": "-f aptx_hd", "g722": "-f g722"}
OTHERS = (
    "vorbis 64, opus-voice 16, opus-low-delay 64, msbc, aptx, aptx-hd, g722, gsm, mu-law, a-law, "
    "g726 32, ima-adpcm 32, ms-adpcm 32"
)
ONE_BITRATE = {"msbc", "g722", "gsm", "mu-law", "a-law", "aptx", "aptx-hd", "ima-adpcm", "ms-adpcm"}
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
    suffix, encoder = ENCODERS[codec.name]
    source, coded, decoded = folder / "in.wav", folder / f"coded.{suffix}", folder / "decoded.wav"
    soundfile.write(source, clip.samples, clip.rate_hz, subtype="PCM_16")
    quiet = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y"]
    rate = [] if codec.name in ONE_BITRATE else ["-b:a", f"{codec.kbps:g}k"]
    subprocess.run([*quiet, "-i", str(source), *encoder.split(), *rate, str(coded)], check=True)
    form = READING.get(codec.name, "").split()
    back = ["-ac", "1", "-ar", str(clip.rate_hz), str(decoded)]
    subprocess.run([*quiet, *form, "-i", str(coded), *back], check=True)
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


def compare(codecs: Sequence[Codec], clip: Clip, rounds: int) -> list[dict[str, str | float]]:
    """Print a line for each codec, and the geometric mean; return the lines' figures."""
    rows: list[dict[str, str | float]] = []
    ratios, processor_ratios = [], []
    with tempfile.TemporaryDirectory() as folder:
        for codec in codecs:
            codec.apply(clip)  # measures the delay, once
            own, other = [], []
            for _ in range(rounds):
                own.append(timed(lambda: codec.apply(clip)))  # noqa: B023
                other.append(timed(lambda: by_files(clip, codec, Path(folder))))  # noqa: B023
            figures = [
                statistics.median(one[kind] for one in side)
                for side in (own, other)
                for kind in (0, 1)
            ]
            ratios.append(figures[2] / figures[0])
            processor_ratios.append(figures[3] / figures[1])
            rows.append(
                {
                    "name": f"codec {codec}",
                    "peer": "ffmpeg",
                    "anymic_s": figures[0],
                    "ffmpeg_s": figures[2],
                    "ratio": ratios[-1],
                    "processor_ratio": processor_ratios[-1],
                }
            )
            print(
                f"  {codec!s:<17} anymic {1e3 * figures[0]:7.1f} ms   ffmpeg twice "
                f"{1e3 * figures[2]:7.1f} ms   ratio {ratios[-1]:5.2f} x   "
                f"(processor time: {processor_ratios[-1]:.2f} x)",
                flush=True,
            )
    ratio = statistics.geometric_mean(ratios)
    processor = statistics.geometric_mean(processor_ratios)
    verdict = "" if ratio >= WANTED else f"   below the {WANTED:g} x that are wanted"
    print(
        f"  geometric mean {ratio:.2f} x, of processor time {processor:.2f} x"
        f"   (medians of {rounds} rounds){verdict}"
    )
    return rows


def main() -> None:
    """Compare, and print one line a codec and the geometric mean of each group."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    arguments = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        print("codecs: the ffmpeg program is not installed: there is nothing to compare with")
        return
    clip = clip_of(10.0)
    print(f"a clip of {clip.duration_s:g} s through a codec and back")
    published = [codec for codec in CodecSet.read("codecs") if codec.name in ENCODERS]
    rows = compare(published, clip, arguments.rounds)
    print("other codecs")
    rows += compare([*CodecSet.read(OTHERS)], clip, arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""How well band limits, up-sampling, clipping, dead channels, hum and silence are found.

    python benchmarks/condition.py esc10.csv --responses micirp

takes a manifest of clean clips of 44.1 kHz with folds. Each clip is changed in a known way, and its
condition is measured (`anymic.audio.condition_meter`). Printed: the share of clips in which the
change is found, and how often it is found where it is not. The thresholds were chosen on folds 1
and 2, with mu-law, AAC and soxr, by a script of the same design; the folds and encoders used by
default were not used for it.

Codecs: the true limit is where the spectrum of white noise, passed through the codec, is 20 dB
below that of its input. Clips that hold no sound above it are left out. A limit is found if the
spectrum ends in a step within 10 % of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soxr
from scipy.signal import resample_poly, welch

from anymic import audio
from anymic.audio import Clip
from anymic.audio.condition import Condition
from anymic.audio.condition_meter import ConditionMeter, condition_of
from anymic.audio.hum import HumMeter
from anymic.codecs import Codec
from anymic.data.manifest import Manifest
from anymic.devices.simulation.chain import Device, convert, record
from anymic.devices.simulation.response import ResponseSpec

CODECS = (
    *("amr-nb 7.95", "amr-nb 12.2", "g722 64", "opus 8", "mp3 16", "mp3 32", "mp3 64"),
    *("he-aac 24", "vorbis 48", "sbc 64"),
)
MICROPHONES = ("GEC_bigdynamic", "IR_Shure510C", "IR_AKGD12", "IR_STC4033_Ribbon", "IR_Lomo52A5M")
NOT_MAINS_HZ = (44.0, 47.0, 53.5, 56.5, 64.0, 68.0)  # tones that no mains makes
Change = Callable[[Clip], Clip]


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--responses", type=Path, required=True)
    parser.add_argument("--folds", default="3,4")
    parser.add_argument("--codecs", default=",".join(CODECS))
    parser.add_argument("--clips", type=int, default=80)
    arguments = parser.parse_args()
    manifest = Manifest.read(arguments.manifest)
    table = manifest.table["fold"].astype(str).isin(arguments.folds.split(","))
    paths = [path for path, used in zip(manifest.paths(), table, strict=True) if used]
    clips = [audio.read(path) for path in paths[:: max(len(paths) // arguments.clips, 1)]]
    clips = clips[: arguments.clips]
    print(f"{len(clips)} clips of folds {arguments.folds}")
    own = [condition_of(clip) for clip in clips]
    codecs(clips, own, [Codec.parse(one) for one in arguments.codecs.split(",")])
    lower_rates(clips, own)
    full_bands(clips, own, arguments.responses)
    clipping(clips)
    channels(clips)
    hum(clips)
    silence(clips)
    seconds(clips[0])


def share(name: str, found: Sequence[bool]) -> None:
    """Print how many of the clips something is found in."""
    part = f"{100 * np.mean(found):3.0f} %" if len(found) else "  no clip"
    print(f"{name:52s} {part} of {len(found)}")
    sys.stdout.flush()


def codecs(clips: Sequence[Clip], own: Sequence[Condition], every: Sequence[Codec]) -> None:
    """Band limits of codecs."""
    print("\nband limit of a codec: found")
    generator = np.random.default_rng(1)
    noise = Clip((0.1 * generator.standard_normal(4 * 44100)).astype(np.float32), 44100)
    for codec in every:
        if not codec.available:
            print(f"{codec!s:52s} not available")
            continue
        limit_hz = transfer_limit_hz(noise, codec.apply(noise).clip)
        rows = [row for row, one in enumerate(own) if one.bandwidth_hz > 1.1 * limit_hz]
        found = [condition_of(codec.apply(clips[row]).clip) for row in rows]
        near = [one.limited and abs(one.bandwidth_hz / limit_hz - 1) < 0.1 for one in found]
        share(f"{codec!s}, limit {limit_hz / 1000:.1f} kHz", near)
        share("   a lower rate is named", [one.lower_rate_hz is not None for one in found])


def transfer_limit_hz(before: Clip, after: Clip) -> float:
    """Return the highest frequency at which noise is less than 20 dB below that of the input."""
    hz, into = welch(before.samples, before.rate_hz, nperseg=2048)
    _, out = welch(after.samples, after.rate_hz, nperseg=2048)
    (kept,) = np.nonzero(out > 0.01 * into)
    return float(hz[kept[-1]])


def lower_rates(clips: Sequence[Clip], own: Sequence[Condition]) -> None:
    """Print how often the rate is named that a clip was resampled from."""
    print("\nlower rate: named")
    for rate_hz in (8000, 16000, 22050):
        rows = [row for row, one in enumerate(own) if one.bandwidth_hz > 0.55 * rate_hz]
        ways: dict[str, Change] = {
            "soxr VHQ": lambda clip: soxr_there_and_back(clip, rate_hz, "VHQ"),  # noqa: B023
            "polyphase": lambda clip: polyphase(clip, rate_hz),  # noqa: B023
            "linear interpolation": lambda clip: linear(clip, rate_hz),  # noqa: B023
            "a device with noise at -70 dBFS": lambda clip: (
                record(
                    clip,
                    Device(noise_db=-70, rate_hz=rate_hz),  # noqa: B023
                    seed=0,
                ).clip
            ),
        }
        for name, change in ways.items():
            found = [condition_of(change(clips[row])).lower_rate_hz == rate_hz for row in rows]
            share(f"{rate_hz} Hz, {name}", found)


def soxr_there_and_back(clip: Clip, rate_hz: int, quality: str) -> Clip:
    """Resample to a rate and back, and round to 16 bits."""
    low = soxr.resample(clip.samples, clip.rate_hz, rate_hz, quality=quality)
    again = soxr.resample(low, rate_hz, clip.rate_hz, quality=quality)
    return Clip(convert(again, 16)[0], clip.rate_hz)


def polyphase(clip: Clip, rate_hz: int) -> Clip:
    """As scipy resamples, with its Kaiser window."""
    up, down = rate_hz // 50, clip.rate_hz // 50
    low = resample_poly(clip.samples, up, down)
    return Clip(convert(resample_poly(low, down, up), 16)[0], clip.rate_hz)


def linear(clip: Clip, rate_hz: int) -> Clip:
    """Resample down well, and up by linear interpolation."""
    low = audio.resample(clip, rate_hz).samples
    at = np.arange(len(clip.samples)) * rate_hz / clip.rate_hz
    again = np.interp(at, np.arange(len(low)), low).astype(np.float32)
    return Clip(convert(again, 16)[0], clip.rate_hz)


def full_bands(clips: Sequence[Clip], own: Sequence[Condition], responses: Path) -> None:
    """Clips at 22.05 kHz that fill their band, and the same through microphones."""
    print("\na band limit is noted, of clips at 22.05 kHz that hold sound above 10.5 kHz")
    full = [
        audio.resample(clip, 22050)
        for clip, one in zip(clips, own, strict=True)
        if one.bandwidth_hz > 11600
    ]
    share("as they are", [noted(clip) for clip in full])
    for name in MICROPHONES:
        file = next(responses.rglob(f"{name}*.wav"))
        device = Device(response=ResponseSpec(file=str(file.relative_to(responses))), noise_db=-80)
        share(
            f"through {name}",
            [
                noted(
                    audio.resample(
                        record(clip, device, seed=0, responses=str(responses)).clip, 22050
                    )
                )
                for clip, one in zip(clips, own, strict=True)
                if one.bandwidth_hz > 11600
            ],
        )


def noted(clip: Clip) -> bool:
    """Return whether a band limit is noted."""
    return any(note.startswith("effective") for note in condition_of(clip).notes())


def clipping(clips: Sequence[Clip]) -> None:
    """Clips of which a share is over full scale."""
    print("\nclipping: noted")
    for part in (0.002, 0.01, 0.05):
        loud = [clipped(clip, part) for clip in clips]
        share(
            f"{100 * part:g} % over full scale",
            [bool(condition_of(one).clipping()) for one in loud],
        )
        quiet = [Clip(one.samples * np.float32(0.5), one.rate_hz) for one in loud]
        share("   then 6 dB lower", [bool(condition_of(one).clipping()) for one in quiet])
    mp3 = Codec("mp3", kbps=128)
    share(
        "1 % over full scale, then MP3 at 128 kbps",
        [bool(condition_of(mp3.apply(clipped(clip, 0.01)).clip).clipping()) for clip in clips[::4]],
    )
    peak = [Clip(clip.samples / np.abs(clip.samples).max(), clip.rate_hz) for clip in clips]
    share("none, with the peak at full scale", [bool(condition_of(one).clipping()) for one in peak])


def clipped(clip: Clip, part: float) -> Clip:
    """Raise the level until a share of the samples that are not 0 is over full scale."""
    level = np.quantile(np.abs(clip.samples), 1 - part)
    return Clip(convert(clip.samples / max(level, 1e-4), 16)[0], clip.rate_hz)


def channels(clips: Sequence[Clip]) -> None:
    """Stereo with a second channel that has no signal, or a weak one."""
    print("\na channel without a signal: noted")
    generator = np.random.default_rng(2)
    for name, gain_db, noise_db in (
        ("zeros", -999.0, -999.0),
        ("noise at -95 dBFS", -999.0, -95.0),
        ("noise at -70 dBFS", -999.0, -70.0),
        ("a copy 40 dB lower (it has a signal)", -40.0, -95.0),
        ("a copy 20 dB lower (it has a signal)", -20.0, -95.0),
    ):
        found = []
        for clip in clips:
            noise = generator.standard_normal(len(clip.samples)) * 10 ** (noise_db / 20)
            second = (clip.samples * 10 ** (gain_db / 20) + noise).astype(np.float32)
            meter = ConditionMeter()
            both = np.stack([clip.samples, convert(second, 16)[0]], axis=1)
            meter.add(both, both.mean(axis=1), rate_hz=clip.rate_hz)
            result = meter.result()
            found.append(result is not None and result.dead_channels == (1,))
        share(name, found)


def hum(clips: Sequence[Clip]) -> None:
    """Clips with hum at some levels, and tones that are no mains."""
    print("\nmains hum: found")
    for level_db in (0, -10, -20, -30):
        for mains_hz in (50.0, 60.0):
            found = [
                condition_of(with_hum(clip, mains_hz, level_db, row)).hum_hz == mains_hz
                for row, clip in enumerate(clips)
            ]
            share(f"{mains_hz:g} Hz, {level_db} dB relative to the clip", found)
    share(
        "as they are (some may have hum)", [condition_of(one).hum_hz is not None for one in clips]
    )
    other = []
    for clip in clips:
        meter = HumMeter(clip.rate_hz)
        meter.add(clip.samples)
        other += [meter.hz([hz]) is not None for hz in NOT_MAINS_HZ]
    share("at frequencies that no mains has", other)


def with_hum(clip: Clip, mains_hz: float, level_db: float, seed: int) -> Clip:
    """Add ten harmonics, whose amplitudes fall as 1 / number, with random phases and drift."""
    generator = np.random.default_rng([seed, int(mains_hz)])
    hz = mains_hz * generator.uniform(0.997, 1.003)
    time_s = np.arange(len(clip.samples)) / clip.rate_hz
    tones = [
        generator.uniform(0.3, 1) / k * np.sin(2 * np.pi * (k * hz * time_s + generator.uniform()))
        for k in range(1, 11)
    ]
    tone = np.sum(tones, axis=0)
    scale = np.sqrt(np.mean(clip.samples**2) / np.mean(tone**2)) * 10 ** (level_db / 20)
    return Clip((clip.samples + scale * tone).astype(np.float32), clip.rate_hz)


def silence(clips: Sequence[Clip]) -> None:
    """Clips with zeros in them."""
    print("\ndigital silence of 1 s or more: found")
    for length_s in (0.5, 1.5, 3.0):
        for codec in (None, Codec("vorbis", kbps=96)):
            found = []
            for clip in (one for one in clips if condition_of(one).silence_s < 0.2):
                begin, end = clip.rate_hz, round((1 + length_s) * clip.rate_hz)
                samples = clip.samples.copy()
                samples[begin:end] = 0
                one = Clip(samples, clip.rate_hz)
                one = one if codec is None else codec.apply(one).clip
                found.append(condition_of(one).silence_s >= 1)
            share(f"{length_s} s of zeros{f', then {codec}' if codec else ''}", found)


def seconds(clip: Clip) -> None:
    """Print the processor time for an hour of audio."""
    block = np.tile(clip.samples, 6)
    begin = time.process_time()
    meter, parts = ConditionMeter(), round(600 / (len(block) / clip.rate_hz))
    for _ in range(parts):
        meter.add(block, rate_hz=clip.rate_hz)
    meter.result()
    print(f"\n{6 * (time.process_time() - begin):.2f} s of a processor for an hour of 44.1 kHz")


if __name__ == "__main__":
    main()

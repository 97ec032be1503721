"""Recordings in which the device and the codec change: borders, devices, and what a model loses.

    python benchmarks/device_changes.py esc10.csv --responses micirp

takes a manifest of clean clips with folds, and an installed YAMNet. A records all clips of the
training folds, two other devices twelve takes each: these give gains towards A and an identifier.
Recordings of ten minutes are joined from clips of the test folds, in stretches of 30 to 120 s of a
random device and codec (none, or one of two). Each is embedded four times: not corrected, with the
device of the first half minute (as without stretches), by stretch, and with the true device and
borders. Logistic regression on the embeddings of A classifies each clip of 5 s.

Printed: the borders found (within 15 s), their error, borders where there is none, the share of
time with the right device, and the accuracy; then seconds of a processor for an hour. The
thresholds were chosen with `--devices A,B,C --codecs "mu-law 64,opus 24" --test 1,2 --seed 7`.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic._internal.settings import preset_file
from anymic.audio import Clip
from anymic.audio.condition_meter import condition_of
from anymic.bundle import Bundle, load
from anymic.bundle.device_changes import add_devices, with_device_policy
from anymic.bundle.installed import resolve
from anymic.codecs import Codec
from anymic.data.manifest import Manifest
from anymic.devices.correction.spectrum_correction import SpectrumCorrection
from anymic.devices.identification.descriptions import Analysis, Descriptions, describe
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic.devices.simulation.chain import noise_seed, record
from anymic.devices.simulation.device_set import DeviceSet
from anymic.inference.embedder import Embedder
from anymic.inference.requests import ClipRequest
from anymic.training.logistic import fit_logistic

TAKES, CLIP_S, CLIPS, NEAR_S = 12, 5.0, 120, 15.0
LEAST = 79_000  # samples of a take: clips differ by a few in length
NEVER = 10**9  # blocks: the shortest stretch of a model that judges by the first half minute


@dataclass(frozen=True)
class Part:
    """A stretch of a recording, in seconds."""

    start_s: float
    end_s: float
    device: str | None
    codec: str = ""


def main() -> None:
    """Print the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--responses", type=Path, required=True)
    parser.add_argument("--devices", default="A,D,E", help="of the preset identification; A first")
    parser.add_argument("--codecs", default="amr-nb 12.2,mp3 24")
    parser.add_argument("--test", default="3,4", help="folds")
    parser.add_argument("--recordings", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    sounds = Sounds(arguments)
    bundle = sounds.model()
    whole, stretched = Embedder(bundle), Embedder(bundle)
    whole.pipeline.gain_selector._stretches.least = NEVER
    train = [audio.resample(sounds.recorded(row, "A"), 16000) for row in sounds.train]
    found = whole.embed(train, device="A")
    vectors = np.stack(
        [found.features[found.rows == row].mean(axis=0) for row in range(len(train))]
    )
    names = sorted(set(sounds.labels))
    targets = np.array([names.index(sounds.labels[row]) for row in sounds.train])
    head = fit_logistic(vectors, targets, [sounds.groups[row] for row in sounds.train])
    right: dict[str, list[bool]] = {}
    tables: dict[str, list[float]] = {"device": [], "band": [], "extra": []}
    same: dict[str, list[bool]] = {"first half minute": [], "by stretch": []}
    for number in range(arguments.recordings):
        clip, parts, rows = sounds.joined(number)
        wanted = np.array([names.index(sounds.labels[row]) for row in rows])
        ways = {"not corrected": embedded(whole, clip, [Part(0, CLIPS * CLIP_S, "A")])}
        first, devices = judged(whole, clip)
        ways["first half minute"], one = first, devices
        same["first half minute"] += right_device(one, parts)
        ways["by stretch"], several = judged(stretched, clip)
        same["by stretch"] += right_device(several, parts)
        ways["true devices"] = embedded(whole, clip, parts)
        for name, values in ways.items():
            guessed = head.logits(values).argmax(axis=1)
            right.setdefault(name, []).extend((guessed == wanted).tolist())
        borders(tables, parts, [part.start_s for part in several[1:]], clip)
        print(f"recording {number}: {[(p.device, p.codec, p.start_s) for p in parts]}")
        print(f"   found {[(part.device, round(part.start_s, 1)) for part in several]}", flush=True)
    report(right, tables, same)
    seconds(stretched, whole, sounds)


class Sounds:
    """The clips, and what devices and codecs make of them."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        manifest = Manifest.read(arguments.manifest)
        self.paths, self.labels = manifest.paths(), manifest.table["label"].tolist()
        self.groups = manifest.recordings()
        test = manifest.table["fold"].astype(str).isin(arguments.test.split(",")).to_numpy()
        self.train, self.test = np.flatnonzero(~test).tolist(), np.flatnonzero(test).tolist()
        preset = DeviceSet.read(preset_file("identification", example="microphones"))
        self.devices = {name: preset.devices[name] for name in arguments.devices.split(",")}
        self.codecs, self.seed = ["", *arguments.codecs.split(",")], arguments.seed
        self.responses = str(arguments.responses)

    def recorded(self, row: int, name: str) -> Clip:
        """Return a clip as a device records it."""
        clip, seed = audio.read(self.paths[row]), noise_seed(self.seed, name, str(row))
        return record(clip, self.devices[name], seed=seed, responses=self.responses).clip

    def model(self) -> Bundle:
        """Return YAMNet with gains of the devices, and their identifier."""
        yamnet = load(resolve(Path("yamnet")))
        assert isinstance(yamnet, Bundle)
        order = np.random.default_rng(self.seed).permutation(self.train)
        takes = sorted(order[:TAKES].tolist())
        rows = [(row, "A") for row in self.train]
        rows += [(row, name) for name in list(self.devices)[1:] for row in takes]
        clips = {key: audio.resample(self.recorded(*key), 16000) for key in rows}
        aligned = [(row, name) for name in self.devices for row in takes]
        config = yamnet.frontend.config
        correction = SpectrumCorrection(
            reference="A", fft_size=config.fft_size, hop_samples=config.hop_samples
        ).fit(
            np.stack([clips[key].samples[:LEAST] for key in aligned]),
            device=[name for _, name in aligned],
            take=[row for row, _ in aligned],
            rate_hz=16000,
        )
        analysis = Analysis.of(16000)
        described = Descriptions(
            analysis=analysis,
            values=np.array([describe(clips[key], analysis) for key in rows]),
            devices=tuple(name for _, name in rows),
            clip_ids=tuple(f"{name} {row}" for row, name in rows),
            groups=tuple(self.groups[row] for row, _ in rows),
        )
        identifier = DeviceIdentifier().fit_descriptions(described, seed=self.seed)
        bundle = add_devices(yamnet, correction.profile_)
        found = with_device_policy(bundle, unknown="identity", identifier=identifier)
        assert isinstance(found, Bundle)
        return found

    def joined(self, number: int) -> tuple[Clip, list[Part], list[int]]:
        """Return a recording of ten minutes, its stretches and its clips."""
        generator = np.random.default_rng([self.seed, number])
        order = generator.permutation(self.test)[:CLIPS].tolist()
        counts: list[int] = []
        while sum(counts) < CLIPS:
            counts.append(int(generator.integers(6, 25)))
        counts[-1] -= sum(counts) - CLIPS
        if counts[-1] < 6:
            counts[-2] += counts.pop()
        parts: list[Part] = []
        sound, at = [], 0
        for count in counts:
            choices = [(one, codec) for one in self.devices for codec in self.codecs]
            if parts:
                choices.remove((str(parts[-1].device), parts[-1].codec))
            name, codec = choices[generator.integers(len(choices))]
            made = [self.recorded(row, name).samples for row in order[at : at + count]]
            part = Clip(np.concatenate(made), 44100)
            part = Codec.parse(codec).apply(part).clip if codec else part
            sound.append(part.samples)
            parts.append(Part(at * CLIP_S, (at + count) * CLIP_S, name, codec))
            at += count
        return Clip(np.concatenate(sound), 44100), parts, order


def by_clip(starts_s: NDArray[np.float64], values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean of the windows whose middle is in each clip."""
    clip = ((starts_s + 0.48) // CLIP_S).astype(int)
    return np.stack([values[clip == one].mean(axis=0) for one in range(CLIPS)])


def judged(embedder: Embedder, clip: Clip) -> tuple[NDArray[np.float64], list[Part]]:
    """Embed a recording whose device is not stated; also return its stretches."""
    (request,) = embedder.pipeline.run([ClipRequest(clip)])
    assert request.failed is None, request.failed
    ends = [one.starts_s[0] for one in request.stretches[1:]] + [clip.duration_s]
    parts = [
        Part(one.starts_s[0], end_s, one.device)
        for one, end_s in zip(request.stretches, ends, strict=True)
    ]
    return by_clip(np.array(request.starts_s), np.stack(request.windows)), parts


def embedded(embedder: Embedder, clip: Clip, parts: list[Part]) -> NDArray[np.float64]:
    """Embed the parts of a recording with stated devices."""
    starts, values = [], []
    for part in parts:
        begin, end = (round(one * clip.rate_hz) for one in (part.start_s, part.end_s))
        own = replace(clip, samples=clip.samples[begin:end])
        found = embedder.embed([own], device=part.device)
        starts.append(found.starts_s + part.start_s)
        values.append(found.features)
    return by_clip(np.concatenate(starts), np.concatenate(values))


def right_device(found: list[Part], parts: list[Part]) -> list[bool]:
    """Return for each second whether its device is right."""

    def at(every: list[Part], second: float) -> str | None:
        return next((one.device for one in every if one.start_s <= second < one.end_s), None)

    return [at(found, s + 0.5) == at(parts, s + 0.5) for s in range(int(parts[-1].end_s))]


def borders(
    tables: dict[str, list[float]], parts: list[Part], found: list[float], clip: Clip
) -> None:
    """Add the error of each true border (inf: not found), and the borders where there is none."""
    pairs = list(pairwise(parts))
    bands = [one.start_s for one in condition_of(clip).bands[1:]]
    for before, after in pairs:
        if before.device != after.device:
            tables["device"].append(nearest(found, after.start_s))
        if (before.codec in LIMITED) != (after.codec in LIMITED):
            tables["band"].append(nearest(bands, after.start_s))
    true = [after.start_s for _, after in pairs]
    tables["extra"] += [at for at in (*found, *bands) if np.isinf(nearest(true, at))]


LIMITED = ("amr-nb 12.2", "mp3 24", "mu-law 64")  # below 0.8 of the band of the model


def nearest(places: list[float], at_s: float) -> float:
    """Return the distance to the nearest place within 15 s, else infinity."""
    distance = min((abs(one - at_s) for one in places), default=np.inf)
    return float(distance) if distance <= NEAR_S else float("inf")


def report(
    right: dict[str, list[bool]], tables: dict[str, list[float]], same: dict[str, list[bool]]
) -> None:
    """Print what was found."""
    for name in ("device", "band"):
        errors = np.array(tables[name])
        near = errors[np.isfinite(errors)]
        line = f"{name} borders: {len(near)} of {len(errors)} found"
        if len(near):
            line += f", error {np.median(near):.1f} s (median), {near.max():.1f} s (largest)"
        print(line)
    print(f"borders where there is none: {len(tables['extra'])}")
    for name, found in same.items():
        print(f"{name}: right device in {100 * np.mean(found):.1f} % of the time")
    for name, clips in right.items():
        print(f"{name}: accuracy {100 * np.mean(clips):.1f} % (n = {len(clips)})")


def seconds(stretched: Embedder, whole: Embedder, sounds: Sounds) -> None:
    """Print seconds of a processor for an hour, with and without."""
    made = np.concatenate([sounds.recorded(row, "A").samples for row in sounds.test[:12]])
    clip = audio.resample(Clip(np.tile(made, 10), 44100), 16000)  # ten minutes
    for name, one in (("first half minute", whole), ("by stretch", stretched)):
        begin = time.process_time()
        for _ in one.pipeline.gain_selector.windows(ClipRequest(clip)):
            pass
        took = 6 * (time.process_time() - begin)
        print(f"{name}: {took:.1f} s of a processor to read and judge an hour of 16 kHz")


if __name__ == "__main__":
    main()

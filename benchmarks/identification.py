"""How well an identifier tells known devices apart, and unknown ones from them.

    python benchmarks/identification.py esc10.csv --responses micirp
    python benchmarks/identification.py esc10.csv --responses micirp --set 2
    python benchmarks/identification.py esc10.csv --responses micirp --clips 40 --anchor-clips 40

takes a manifest of clean clips with folds. A, B and C of the preset `identification` are known, and
eight microphones are unknown and used for nothing else: those of the preset that are in the test
set only, which were looked at when the method was chosen; with `--set 2` or `--set 3`, eight that
the table of `random_responses` was made of, which is then made without them. Each fold in turn is
the test set; of the other folds A records all clips (or `--anchor-clips`) and B and C record
`--clips`. Printed, with 95 % intervals over recordings:

- the share of clips of each known device that is accepted, and the share with the right name; the
  share of the clips of unknown devices that is accepted, the area under the ROC curve, and seconds
  of a processor;
- how far another threshold could help: the share of unknown devices' clips that is accepted where
  the threshold of each fold accepts a share of the test clips of each known device;
- the error of the gains of accepted clips in dB, from 125 Hz to 7.5 kHz over log frequency: of the
  named device alone, and weighted by the probabilities of known and unknown devices.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from microphone_statistics import (  # type: ignore[import-not-found]
    FFT_SIZE,
    RATE_HZ,
    files_of,
    levels_db,
    other_files,
    statistics_of,
)
from numpy.typing import NDArray

from anymic import audio
from anymic._internal.settings import preset_file
from anymic.data.manifest import Manifest
from anymic.devices.identification.descriptions import Analysis, Descriptions, describe
from anymic.devices.identification.identifier import DeviceIdentifier, Identification
from anymic.devices.identification.identifier_network import area
from anymic.devices.simulation.chain import Device, noise_seed, record
from anymic.devices.simulation.device_set import DeviceSet
from anymic.devices.simulation.random_responses import ResponseStatistics
from anymic.devices.simulation.response import ResponseSpec
from anymic.metrics import intervals

KNOWN = ("A", "B", "C")
UNKNOWN = 8
SHARES = (0.8, 0.85, 0.9, 0.95, 0.98)
LOWEST_HZ, HIGHEST_HZ = 125.0, 7500.0
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tried:
    """What was found for a test clip."""

    group: str
    accepted: bool
    right: bool
    errors_db: tuple[float, float]  # of the gains of the named device, and of weighted ones


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--responses", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=10, help="training clips of B and C each")
    parser.add_argument("--anchor-clips", type=int, default=0, help="those of A; 0 is all")
    parser.add_argument("--set", type=int, choices=(1, 2, 3), default=1, help="unknown devices")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    manifest = Manifest.read(arguments.manifest)
    devices, statistics = chosen_devices(arguments.responses, number=arguments.set)
    gains = {name: gains_db(device, arguments.responses) for name, device in devices.items()}
    values = {
        name: described(manifest, name, device, arguments.responses)
        for name, device in devices.items()
    }
    folds = manifest.table["fold"].astype(str).to_numpy()
    groups = manifest.table["group"].astype(str).to_numpy()
    ids = np.array(manifest.clip_ids())
    found: dict[str, list[Tried]] = {name: [] for name in devices}
    areas, seconds, curves = [], [], []
    for fold in sorted(set(folds)):
        generator = np.random.default_rng([arguments.seed, int(fold)])
        training, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        rows = {name: drawn(training, arguments.clips, generator) for name in KNOWN[1:]}
        rows["A"] = drawn(training, arguments.anchor_clips or len(training), generator)
        clips = Descriptions(
            analysis=Analysis.of(44100),
            values=np.concatenate([values[name][rows[name]] for name in KNOWN]),
            devices=tuple(name for name in KNOWN for _ in rows[name]),
            clip_ids=tuple(f"{name} {ids[row]}" for name in KNOWN for row in rows[name]),
            groups=tuple(groups[row] for name in KNOWN for row in rows[name]),
        )
        start = time.process_time()
        identifier = DeviceIdentifier(responses=statistics)
        identifier.fit_descriptions(clips, seed=arguments.seed)
        seconds.append(time.process_time() - start)
        scores: dict[str, list[float]] = {name: [] for name in devices}
        for name in devices:
            for row in test:
                one = identifier.identify_features(values[name][row][None])
                scores[name].append(one.score)
                tried = Tried(
                    groups[row], one.device is not None, one.nearest == name,
                    errors_of(one, gains, name),
                )  # fmt: skip
                found[name].append(tried)
        unknown = np.concatenate([scores[name] for name in devices if name not in KNOWN])
        areas.append(float(np.mean([area(np.array(scores[name]), unknown) for name in KNOWN])))
        curves.append([accepted_at(share, scores, unknown) for share in SHARES])
    print(f"{len(ids)} clips a device, {len(areas)} folds, seed {arguments.seed}")
    print_shares(found)
    print(f"area under the ROC curve {np.mean(areas):.3f} (folds {min(areas):.3f} to", end=" ")
    print(f"{max(areas):.3f}); {np.mean(seconds):.1f} s of a processor a fit")
    means = zip(SHARES, np.mean(curves, axis=0), strict=True)
    curve = ", ".join(f"{100 * share:.0f} % of each: {100 * false:.0f} %" for share, false in means)
    print(f"unknown devices accepted at the highest threshold that accepts {curve}")
    print_errors(found, gains)


def print_shares(found: dict[str, list[Tried]]) -> None:
    """Print the shares of clips that are accepted, and that have the right name."""
    for name, tried in found.items():
        where = [one.group for one in tried]
        share = intervals.accuracy([one.accepted for one in tried], where)
        line = f"{name:28s} accepted {100 * share.value:3.0f} % [{percent(share)}]"
        if name in KNOWN:
            right = intervals.accuracy([one.right for one in tried], where)
            line += f"  right name {100 * right.value:3.0f} % [{percent(right)}]"
        print(line)
    others = [one for name in found if name not in KNOWN for one in found[name]]
    mean = intervals.accuracy([one.accepted for one in others], [one.group for one in others])
    print(f"{'all unknown devices':28s} accepted {100 * mean.value:3.0f} % [{percent(mean)}]")


def print_errors(found: dict[str, list[Tried]], gains: dict[str, Array]) -> None:
    """Print the errors of the gains of accepted clips."""
    for name, tried in found.items():
        errors = np.array([one.errors_db for one in tried if one.accepted])
        if len(errors):
            alone, weighted = np.sqrt(np.square(errors).mean(axis=0))
            line = f"gains of {len(errors)} accepted clips: alone {alone:.2f} dB, weighted"
            print(f"{name:28s} {line} {weighted:.2f} dB, none {rms(gains[name]):.2f} dB")


def errors_of(one: Identification, gains: dict[str, Array], name: str) -> tuple[float, float]:
    """Return the errors of gains: of the named device, and weighted by probabilities."""
    flat = np.zeros_like(gains[name])  # the gains of an unknown device
    each = [share * gains.get(known or "", flat) for known, share in one.shares.items()]
    weighted = np.sum(each, axis=0)
    return rms(gains[one.nearest] - gains[name]), rms(weighted - gains[name])


def chosen_devices(
    responses: Path, *, number: int
) -> tuple[dict[str, Device], ResponseStatistics | None]:
    """Return the devices by name, known ones first, and the statistics for the identifier."""
    preset = DeviceSet.read(preset_file("identification", example="microphones"))
    known = {name: preset.devices[name] for name in KNOWN}
    if number == 1:
        taught = set(preset.recorded["train"])
        unknown = {name: one for name, one in preset.devices.items() if name not in taught}
        return {**known, **unknown}, None
    files = other_files(responses, files_of("identification"))
    order = np.random.default_rng(0).permutation(len(files))
    chosen = order[UNKNOWN * (number - 2) : UNKNOWN * (number - 1)]
    left_out = [files[index] for index in sorted(chosen)]
    unknown = {
        file: Device(response=ResponseSpec(file=file), noise_db=-80, gain_db=-6)
        for file in left_out
    }
    used = [file for file in files if file not in left_out]
    return {**known, **unknown}, statistics_of(used, responses)


def described(manifest: Manifest, name: str, device: Device, responses: Path) -> Array:
    """Return the descriptions (clip, number) of all clips as a device records them."""
    analysis = Analysis.of(44100)
    found = []
    for clip_id, path in zip(manifest.clip_ids(), manifest.paths(), strict=True):
        seed = noise_seed(2019, name, clip_id)
        clip = record(audio.read(path), device, seed=seed, responses=str(responses)).clip
        found.append(describe(clip, analysis))
    return np.array(found)


def accepted_at(share: float, scores: dict[str, list[float]], unknown: Array) -> float:
    """Return the share of unknown clips at the highest threshold that accepts `share` of each."""
    threshold = min(np.quantile(scores[name], 1 - share) for name in KNOWN)
    return float((unknown >= threshold).mean())


def gains_db(device: Device, responses: Path) -> Array:
    """Return the gains (bin,) that correct a device, in dB."""
    if device.response is None or device.response.file is None:
        return np.zeros(FFT_SIZE // 2 + 1)
    return -np.asarray(levels_db(device.response.file, responses), np.float64)


def rms(error_db: Array) -> float:
    """Return the root mean square over log frequency, without the level."""
    hz = np.arange(len(error_db)) * RATE_HZ / FFT_SIZE
    weights = np.where((hz >= LOWEST_HZ) & (hz <= HIGHEST_HZ), 1 / np.maximum(hz, 1.0), 0.0)
    weights /= weights.sum()
    return float(np.sqrt(weights @ np.square(error_db - weights @ error_db)))


def drawn(rows: NDArray[np.intp], count: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Return some of the rows, in order."""
    return np.sort(generator.permutation(rows)[:count])


def percent(interval: intervals.Interval) -> str:
    """Return the bounds in per cent."""
    return f"{100 * interval.low:.0f}, {100 * interval.high:.0f}"


if __name__ == "__main__":
    main()

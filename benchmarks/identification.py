"""How well an identifier tells known devices apart, and unknown ones from them.

    python benchmarks/identification.py esc10.csv --responses micirp
    python benchmarks/identification.py esc10.csv --responses micirp --other
    python benchmarks/identification.py esc10.csv --responses micirp --clips 40 --anchor-clips 40

takes a manifest of clean clips with folds. A, B and C of the preset `identification` are known, and
eight microphones are unknown and used for nothing else: those of the preset that are in the test
test set only; with `--other`, eight that the table of `random_responses` was made of, which is then
made without them. Each fold in turn is the test set; of the other folds A records all clips (or
`--anchor-clips`) and B and C record `--clips`. Printed, with 95 % intervals over recordings: the
share of clips of each known device that is accepted, and the share with the right name; the share
of the clips of unknown devices that is accepted, the area under the ROC curve, and seconds of a
processor.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from microphone_statistics import (  # type: ignore[import-not-found]
    files_of,
    other_files,
    statistics_of,
)
from numpy.typing import NDArray

from anymic import audio
from anymic._internal.settings import preset_file
from anymic.data.manifest import Manifest
from anymic.devices.identification.descriptions import Analysis, Descriptions, describe
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic.devices.identification.identifier_network import area
from anymic.devices.simulation.chain import Device, noise_seed, record
from anymic.devices.simulation.device_set import DeviceSet
from anymic.devices.simulation.random_responses import ResponseStatistics
from anymic.devices.simulation.response import ResponseSpec
from anymic.metrics import intervals

KNOWN = ("A", "B", "C")
UNKNOWN = 8
Array = NDArray[np.float64]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--responses", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=10, help="training clips of B and C each")
    parser.add_argument("--anchor-clips", type=int, default=0, help="those of A; 0 is all")
    parser.add_argument("--other", action="store_true", help="other unknown devices")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    manifest = Manifest.read(arguments.manifest)
    devices, statistics = chosen_devices(arguments.responses, other=arguments.other)
    values = {
        name: described(manifest, name, device, arguments.responses)
        for name, device in devices.items()
    }
    folds = manifest.table["fold"].astype(str).to_numpy()
    groups = manifest.table["group"].astype(str).to_numpy()
    ids = np.array(manifest.clip_ids())
    found: dict[str, list[tuple[str, bool, bool, float]]] = {name: [] for name in devices}
    areas, seconds = [], []
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
                accepted = one.device is not None
                found[name].append((groups[row], accepted, one.nearest == name, one.score))
        unknown = np.concatenate([scores[name] for name in devices if name not in KNOWN])
        areas.append(np.mean([area(np.array(scores[name]), unknown) for name in KNOWN]))
    print(f"{len(ids)} clips a device, {len(areas)} folds, seed {arguments.seed}")
    for name, tried in found.items():
        where = [group for group, *_ in tried]
        share = intervals.accuracy([one for _, one, _, _ in tried], where)
        line = f"{name:28s} accepted {100 * share.value:3.0f} % [{percent(share)}]"
        if name in KNOWN:
            right = intervals.accuracy([one for _, _, one, _ in tried], where)
            line += f"  right name {100 * right.value:3.0f} % [{percent(right)}]"
        print(line)
    others = [one for name in devices if name not in KNOWN for one in found[name]]
    mean = intervals.accuracy([one[1] for one in others], [one[0] for one in others])
    print(f"{'all unknown devices':28s} accepted {100 * mean.value:3.0f} % [{percent(mean)}]")
    print(f"area under the ROC curve {np.mean(areas):.3f} (folds {min(areas):.3f} to", end=" ")
    print(f"{max(areas):.3f}); {np.mean(seconds):.1f} s of a processor a fit")


def chosen_devices(
    responses: Path, *, other: bool
) -> tuple[dict[str, Device], ResponseStatistics | None]:
    """Return the devices by name, known ones first, and the statistics for the identifier."""
    preset = DeviceSet.read(preset_file("identification", example="microphones"))
    known = {name: preset.devices[name] for name in KNOWN}
    if not other:
        taught = set(preset.recorded["train"])
        unknown = {name: one for name, one in preset.devices.items() if name not in taught}
        return {**known, **unknown}, None
    files = other_files(responses, files_of("identification"))
    chosen = np.random.default_rng(0).permutation(len(files))[:UNKNOWN]
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


def drawn(rows: NDArray[np.intp], count: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Return some of the rows, in order."""
    return np.sort(generator.permutation(rows)[:count])


def percent(interval: intervals.Interval) -> str:
    """Return the bounds in per cent."""
    return f"{100 * interval.low:.0f}, {100 * interval.high:.0f}"


if __name__ == "__main__":
    main()

"""Augmentations against differences between devices, on inner splits: how the defaults were chosen.

    python benchmarks/device_augmentation.py esc10.csv --responses micirp --out choice

takes a manifest of clean clips with folds 1 to 4. Two folds train and a third one tests: 2 and 3,
then 4; 3 and 4, then 1. A records all training clips, B and C ten each, as in the page
`unknown_devices`. The microphones H to K of the preset `identification` record the test clips too:
they are in no table of the package and no column of that page. Printed are the accuracies of A, of
B and C, of H to K, and of H to K with blind gains from each recording alone; and the change of H to
K without them against the plain training with its 95 % interval over recordings. Each training is
kept in `--out`, and not repeated.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from anymic._internal.settings import preset_file
from anymic.bundle import Bundle
from anymic.bundle.device_changes import with_device_policy
from anymic.data.manifest import Manifest
from anymic.devices.simulation.device_set import DeviceSet
from anymic.devices.simulation.simulate import simulate
from anymic.inference.predictor import Predictor
from anymic.metrics import intervals
from anymic.training import fit, load_config

TRAINING, UNKNOWN = ("A", "B", "C"), ("H", "I", "J", "K")
SPLITS = ((("2", "3"), "4"), (("3", "4"), "1"))
REFERENCE = {"correction.reference": ["A"]}
# What is tried, by name: changes of the preset `small`.
RELAXED = {"frontend.relaxed_normalization": 0.5}
RESPONSE = {"level_db": 0, "cutoffs": 0, "noise_db": [-120, -120]}  # and nothing else
CANDIDATES: dict[str, dict[str, Any]] = {
    "plain": {},
    "devices": {"random_devices": {"level_db": 3, "cutoffs": 0.1, "noise_db": [-90, -60]}},
    "response": {"random_devices": RESPONSE},
    "half the response": {"random_devices": RESPONSE | {"scale": 0.5}},
    "style": {"freq_mixstyle": {}},
    "response, style": {"random_devices": RESPONSE, "freq_mixstyle": {}},
    "relaxed": RELAXED,
    "response, share 1": {"random_devices": RESPONSE | {"share": 1.0}},
    "correction": REFERENCE,
    "correction, response": REFERENCE | {"random_devices": RESPONSE},
    "correction, half the response": REFERENCE | {"random_devices": RESPONSE | {"scale": 0.5}},
    "correction, style": REFERENCE | {"freq_mixstyle": {}},
    "half the response, relaxed": RELAXED | {"random_devices": RESPONSE | {"scale": 0.5}},
    "correction, relaxed": REFERENCE | RELAXED,
    "correction, half the response, relaxed": REFERENCE
    | RELAXED
    | {"random_devices": RESPONSE | {"scale": 0.5}},
    "correction, response, relaxed": REFERENCE | RELAXED | {"random_devices": RESPONSE},
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--responses", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=list(CANDIDATES), help="candidates")
    arguments = parser.parse_args()
    manifests = [
        recorded(arguments.manifest, training, test, arguments.responses, arguments.out)
        for training, test in SPLITS
    ]
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in range(arguments.seeds):
        for name in arguments.only:
            for number, manifest in enumerate(manifests):
                key = f"{name} {number} {seed}".replace(" ", "_").replace(",", "")
                found.setdefault(name, []).append(
                    measured(manifest, CANDIDATES[name], seed, arguments.out / f"{key}.json")
                )
            print(line(name, found), flush=True)


def recorded(file: Path, training: tuple[str, ...], test: str, responses: Path, out: Path) -> Path:
    """Pass an inner split through the microphones and return its manifest."""
    clean = Manifest.read(file)
    folds = clean.table["fold"].astype(str)
    clean = clean.rows(folds.isin([*training, test]).to_numpy())
    folds = clean.table["fold"].astype(str)
    split = np.where(folds == test, "test", "train")
    every = DeviceSet.read(
        preset_file("identification", example="microphones"), responses=responses
    )
    devices = {name: every.devices[name] for name in (*TRAINING, *UNKNOWN)}
    wanted = DeviceSet(
        devices=devices,
        recorded={
            "train": {"A": "all", "B": 10, "C": 10},
            "test": dict.fromkeys(devices, "all"),
        },
        seed=every.seed,
        responses=responses,
    )
    place = out / f"test{test}"
    simulate(clean.with_columns(split=split), wanted, place)
    return place / "manifest.csv"


def measured(manifest: Path, changes: dict[str, Any], seed: int, file: Path) -> dict[str, Any]:
    """Train and test, unless it is done: what is right of each clip."""
    if not file.is_file():
        clips = Manifest.read(manifest)
        start = time.process_time()
        config = load_config("small", changes={**changes, "seed": seed})
        bundle = fit(
            clips, config, file.with_suffix(""), progress=False, cache=manifest.parent / "features"
        )
        seconds = time.process_time() - start
        test = clips.where(split="test")
        answers = Predictor(bundle).predict_manifest(test)
        right = answers.probabilities.argmax(axis=1) == test.targets(bundle.labels)
        kept = {
            "right": right.tolist(),
            "device": test.table["device"].tolist(),
            "recording": [str(one) for one in test.recordings()],
            "seconds": seconds,
        }
        file.write_text(json.dumps(kept), encoding="utf-8")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if "blind" not in found:
        test = Manifest.read(manifest).where(split="test", device=UNKNOWN)
        model = with_device_policy(Bundle.load(file.with_suffix("")), unknown="blind")
        answers = Predictor(model).predict_manifest(test.with_columns(device=""))
        right = answers.probabilities.argmax(axis=1) == test.targets(model.labels)
        found["blind"] = right.tolist()
        file.write_text(json.dumps(found), encoding="utf-8")
    return found


def line(name: str, found: dict[str, list[dict[str, Any]]]) -> str:
    """Return the row of a candidate."""
    own = joined(found[name])
    parts = [
        f"{100 * own['right'][np.isin(own['device'], devices)].mean():5.1f}"
        for devices in (("A",), ("B", "C"), UNKNOWN)
    ]
    blind = np.concatenate([one["blind"] for one in found[name]]).mean()
    parts.append(f"{100 * blind:5.1f}")
    change = ""
    if name != "plain" and "plain" in found and len(found["plain"]) == len(found[name]):
        plain = joined(found["plain"])
        unknown = np.isin(own["device"], UNKNOWN)
        found_change = intervals.paired_difference(
            own["right"][unknown], plain["right"][unknown], groups=own["recording"][unknown]
        )
        ends = found_change.value, found_change.low, found_change.high
        change = "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * end for end in ends))
    seconds = np.mean([one["seconds"] for one in found[name]])
    return f"{name:50} {' '.join(parts)}  {change}  {seconds:.0f} s"


def joined(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return all runs of a candidate together."""
    return {
        key: np.concatenate([np.array(one[key]) for one in found])
        for key in ("right", "device", "recording")
    }


if __name__ == "__main__":
    main()

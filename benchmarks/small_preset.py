"""The preset `small`: accuracy against processor time of its bands, hop, width and epochs.

    python benchmarks/small_preset.py ESC-50 [--out small_preset.json] [--rotations 3] [--only NAME]
        [--reference NAME]

trains candidates on two folds of ESC-10 and classifies the clips of a third, in up to three
rotations of the folds 1 to 3, so that each clip is classified once for each seed. Fold 4 is left
out. Each training is a process of its own on one thread; its seconds are those of the processor
from reading the clips to the written model, without imports. The results are kept in a JSON file,
and a training that is in it is not run again. The table shows:

- the seconds of a training on these 160 clips, and their share of those of the reference;
- the accuracy with its 95 % interval over recordings;
- the difference from the reference on the same clips and seeds, in pairs, with its interval.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

import anymic
from anymic._internal.files import write_text
from anymic.data import corpora
from anymic.metrics.intervals import accuracy, paired_difference
from anymic.training import load_config

ROTATIONS = (((1, 2), 3), ((2, 3), 1), ((1, 3), 2))  # folds that train, and the one classified
REFERENCE = "128 bands, hop 1024"
# What every candidate has in common, stated, so that the table does not depend on the preset.
COMMON: dict[str, Any] = {
    "width": 1.0,
    "epochs": 30,
    "batch_size": 32,
    "learning_rate": 0.5,
    "rho": 0.9,
    "frontend.fft_size": 2048,
    "frontend.hop_samples": 1024,
    "frontend.bands": 128,
    "precision": "float32",
}
CANDIDATES: dict[str, dict[str, Any]] = {
    REFERENCE: {},
    "64 bands, hop 1024": {"frontend.bands": 64},
    "64 bands, hop 1536": {"frontend.bands": 64, "frontend.hop_samples": 1536},
    "64 bands, hop 2048": {"frontend.bands": 64, "frontend.hop_samples": 2048},
    "96 bands, hop 1536": {"frontend.bands": 96, "frontend.hop_samples": 1536},
    "96 bands, hop 2048": {"frontend.bands": 96, "frontend.hop_samples": 2048},
    "128 bands, hop 2048": {"frontend.hop_samples": 2048},
    "128 bands, hop 1024, 15 epochs": {"epochs": 15},
    "128 bands, hop 1024, half width": {"width": 0.5},
    "128 bands, hop 1024, crops of 2.5 s": {"crop_frames": 108},
    "128 bands, hop 2048, batches of 16": {"frontend.hop_samples": 2048, "batch_size": 16},
    "64 bands, hop 1024, batches of 16": {"frontend.bands": 64, "batch_size": 16},
    "64 bands, hop 1536, batches of 16": {
        "frontend.bands": 64,
        "frontend.hop_samples": 1536,
        "batch_size": 16,
    },
    "64 bands, hop 1024, crops of 2.5 s": {"frontend.bands": 64, "crop_frames": 108},
    "64 bands, hop 2048, crops of 2.5 s": {
        "frontend.bands": 64,
        "frontend.hop_samples": 2048,
        "crop_frames": 54,
    },
    "64 bands, hop 1024, 22 epochs": {"frontend.bands": 64, "epochs": 22},
    "64 bands, hop 1024, 22 epochs, rate 1": {
        "frontend.bands": 64,
        "epochs": 22,
        "learning_rate": 1.0,
    },
    "64 bands, hop 1024, 22 epochs, batches of 16": {
        "frontend.bands": 64,
        "epochs": 22,
        "batch_size": 16,
    },
    "64 bands, hop 1024, 20 epochs, rate 1": {
        "frontend.bands": 64,
        "epochs": 20,
        "learning_rate": 1.0,
    },
    "48 bands, hop 1024": {"frontend.bands": 48},
}


def run(root: Path, name: str, rotation: int, seed: int, pipe: Any) -> None:
    """Train one candidate, classify the held-out fold, and send what was found."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    import pytorch_lightning  # noqa: F401  # an import is not a part of the training

    training, held_out = ROTATIONS[rotation]
    clips = corpora.load("esc10", root)
    folds = clips.table["fold"].astype(int)
    config = load_config("small", changes={**COMMON, **CANDIDATES[name], "seed": seed})
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        bundle = anymic.train(
            clips.rows(folds.isin(training).to_numpy()), config, folder, progress=False
        )
        seconds = time.process_time() - start
        chosen = clips.rows((folds == held_out).to_numpy())
        answers = anymic.Predictor(bundle).predict_many(chosen.paths())
        said = [getattr(answer, "label", None) for answer in answers]
    pipe.send(
        {
            "candidate": name,
            "rotation": rotation,
            "seed": seed,
            "processor_s": seconds,
            "clips": [Path(path).name for path in chosen.table["path"]],
            "recordings": [str(group) for group in chosen.table["group"]],
            "correct": [bool(a == b) for a, b in zip(said, chosen.table["label"], strict=True)],
        }
    )


def results(
    root: Path, out: Path, *, names: list[str], rotations: int, seeds: int
) -> list[dict[str, Any]]:
    """Return the result of each training; those in the file are read, the others are added."""
    found: list[dict[str, Any]] = json.loads(out.read_text()) if out.exists() else []
    fresh = multiprocessing.get_context("spawn")
    for seed in range(seeds):
        for rotation in range(rotations):
            for name in names:
                key = (name, rotation, seed)
                if any((one["candidate"], one["rotation"], one["seed"]) == key for one in found):
                    continue
                ours, theirs = fresh.Pipe()
                process = fresh.Process(target=run, args=(root, *key, theirs))
                process.start()
                theirs.close()
                found.append(ours.recv())
                process.join()
                write_text(out, json.dumps(found, indent=1) + "\n")
                row = found[-1]
                share = np.mean(row["correct"])
                print(f"{key}: {row['processor_s']:.1f} s, {100 * share:.1f} %", flush=True)
    return found


def table(found: list[dict[str, Any]], against: str) -> list[str]:
    """Return the lines of the table, in Markdown: candidates against one of them."""
    lines = [
        "| candidate | trainings | processor time | of the reference | accuracy | difference |",
        "|---|---|---|---|---|---|",
    ]
    known = {(one["candidate"], one["rotation"], one["seed"]): one for one in found}
    for name in dict.fromkeys(one["candidate"] for one in found):
        keys = [key for key in known if key[0] == name and (against, *key[1:]) in known]
        if not keys:
            continue
        own = [known[key] for key in keys]
        reference = [known[against, key[1], key[2]] for key in keys]
        correct, before = (
            np.concatenate([one["correct"] for one in rows]).astype(float)
            for rows in (own, reference)
        )
        recordings = np.concatenate([one["recordings"] for one in own])
        seconds, their = (
            statistics.median(one["processor_s"] for one in rows) for rows in (own, reference)
        )
        share = accuracy(correct, recordings)
        change = paired_difference(correct, before, recordings)
        lines.append(
            f"| {name} | {len(own)} | {seconds:.0f} s | {seconds / their:.2f} |"
            f" {100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}] |"
            + (
                f" {100 * change.value:+.1f} [{100 * change.low:+.1f}, {100 * change.high:+.1f}] |"
                if name != against
                else " |"
            )
        )
    return lines


def main() -> None:
    """Run the trainings that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("root", type=Path, help="the folder of ESC-50")
    parser.add_argument("--out", type=Path, default=Path("small_preset.json"))
    parser.add_argument("--rotations", type=int, default=3, choices=(1, 2, 3))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--only", nargs="*", default=[], choices=list(CANDIDATES), help="beside the reference"
    )
    parser.add_argument("--reference", default=REFERENCE, choices=list(CANDIDATES))
    options = parser.parse_args()
    names = [
        name
        for name in CANDIDATES
        if not options.only or name in (options.reference, *options.only)
    ]
    found = results(
        options.root, options.out, names=names, rotations=options.rotations, seeds=options.seeds
    )
    print("\n".join(table(found, options.reference)))


if __name__ == "__main__":
    main()

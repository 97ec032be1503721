"""What a model loses where half of its band is missing, and what band limits in training change.

    python benchmarks/band_limits.py esc10.csv --out limits --folds 1,2
    python benchmarks/band_limits.py esc10.csv --out limits --folds 1,2 --extractor yamnet

takes a manifest of clean clips with folds. Each fold is tested once by a model that the others
train: the preset `small`, or logistic regression on an extractor's embeddings. The test clips have
the band of the model, half of it, and that of a call (4 kHz at a rate of 8 kHz, and 3.4 kHz): they
are resampled to twice the limit and back. Training is done without and with band
limits, `random_devices.cutoffs`; the share of clips was stated before the first run, and not tuned.

Printed: accuracy with its 95 % interval over recordings; the change against the full band, and the
change that band limits in training make on the same clips, in points. What each training found is
kept in `--out`, and not repeated.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from anymic import audio
from anymic.audio import Clip
from anymic.bundle import Bundle, load
from anymic.bundle.installed import resolve
from anymic.data.manifest import Manifest
from anymic.evaluation.report.cells import points
from anymic.inference.predictor import Predictor
from anymic.metrics import intervals
from anymic.training import fit, load_config
from anymic.training.head_settings import LINEAR, head_config
from anymic.training.heads import fit_head

PLAIN, CALLS_HZ = "without", (4000.0, 3400.0)
NETWORKS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "with": {"random_devices.cutoffs": 0.5},  # of the half of the clips that go through a device
}
HEADS: dict[str, dict[str, Any]] = {
    PLAIN: {"random_devices": {"copies": 2, "cutoffs": 0}},
    "with": {"random_devices": {"copies": 2, "cutoffs": 0.5}},
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", default="1,2")
    parser.add_argument("--extractor", help="an installed model; by default none")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    manifest = Manifest.read(arguments.manifest)
    found: dict[str, list[dict[str, Any]]] = {}
    for fold in arguments.folds.split(","):
        for name in NETWORKS:
            found.setdefault(name, []).append(
                measured(manifest, fold, name, arguments.out, arguments.extractor)
            )
    table(found)


def measured(
    manifest: Manifest, fold: str, name: str, out: Path, extractor: str | None
) -> dict[str, Any]:
    """Train and test, unless it is done: what is right of each clip, for each limit."""
    file = out / f"{extractor or 'small'}_{fold}_{name}.json"
    if not file.is_file():
        folds = manifest.table["fold"].astype(str) == fold
        training, test = manifest.rows(~folds.to_numpy()), manifest.rows(folds.to_numpy())
        start = time.process_time()
        model = trained(training, name, file.with_suffix(""), extractor)
        seconds = time.process_time() - start
        clips = [audio.read(path) for path in test.paths()]
        band_hz = model.contract.rate_hz / 2
        targets, predictor = test.targets(model.labels).tolist(), Predictor(model)
        right = {}
        for limit_hz in sorted({band_hz, band_hz / 2, *CALLS_HZ}, reverse=True):
            answers = [predictor.predict(limited(clip, limit_hz)) for clip in clips]
            guessed = [model.labels.index(one.label) for one in answers]
            right[f"{limit_hz:.0f} Hz"] = [
                guess == target for guess, target in zip(guessed, targets, strict=True)
            ]
        kept = {"right": right, "recording": [str(one) for one in test.recordings()]}
        file.write_text(json.dumps(kept | {"seconds": seconds}), encoding="utf-8")
        print(f"{file.stem}: {seconds:.0f} s of processor time", flush=True)
    read: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return read


def trained(training: Manifest, name: str, out: Path, extractor: str | None) -> Bundle:
    """Return a model of the training clips."""
    out.parent.mkdir(parents=True, exist_ok=True)
    cache = out.parent / "cache"
    if extractor is None:
        config = load_config("small", changes=NETWORKS[name])
        return fit(training, config, out, progress=False, cache=cache)
    embedder = load(resolve(Path(extractor)))
    assert isinstance(embedder, Bundle)
    config = head_config(LINEAR, changes=HEADS[name])
    return fit_head(training, embedder, config, out, cache=cache)


def limited(clip: Clip, limit_hz: float) -> Clip:
    """Return a clip without what is above the limit, at its rate and with its length."""
    if 2 * limit_hz >= clip.rate_hz:
        return clip
    low = audio.resample(clip, round(2 * limit_hz))
    back = audio.resample(low, clip.rate_hz).samples[: len(clip.samples)]
    return Clip(np.pad(back, (0, len(clip.samples) - len(back))), clip.rate_hz)


def table(found: dict[str, list[dict[str, Any]]]) -> None:
    """Print a row for each limit and training."""
    groups = np.concatenate([one["recording"] for one in found[PLAIN]])
    print(
        f"n = {len(groups)}\n{'':14} {'training':8} accuracy   against full band; against without"
    )
    every = list(found[PLAIN][0]["right"])
    for limit in every:
        for name in found:
            own, full, plain = (
                np.concatenate([one["right"][band] for one in found[training]]).astype(float)
                for training, band in ((name, limit), (name, every[0]), (PLAIN, limit))
            )
            share = intervals.accuracy(own, groups)
            print(
                f"{limit:14} {name:8} {100 * share.value:.1f} "
                f"[{100 * share.low:.1f}, {100 * share.high:.1f}]  "
                f"{points(intervals.paired_difference(own, full, groups))};  "
                f"{points(intervals.paired_difference(own, plain, groups))}"
            )


if __name__ == "__main__":
    main()

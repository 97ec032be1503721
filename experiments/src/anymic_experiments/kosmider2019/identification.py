"""How well devices are recognized, one unseen clip at a time, and unknown ones told from them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anymic._internal.threads import in_order
from anymic.data.manifest import Manifest
from anymic.devices.identification.descriptions import Descriptions, describe_manifest
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic.evaluation.report.rows import Row, read_json, row, write_json
from anymic.metrics import intervals
from anymic.metrics.intervals import Interval
from anymic_experiments.drawing import dot, panels
from anymic_experiments.findings import Findings
from anymic_experiments.kosmider2019.settings import Settings
from anymic_experiments.page import Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VERSION = 2  # raise it when the same clips begin to teach otherwise
# Of a clip, or a batch of one device's: whether the nearest device is the right one, whether it is
# a known one, the score (the larger, the more like a known device), whether that is accepted.
TRIED = ["named", "known", "score", "accepted", "device", "group"]
Floats = NDArray[np.float64]


def condition(clips: int, **where: str) -> dict[str, str]:
    """Return a whole condition: what is not stated is "all", or one recording.

    Conditions name clips (training clips of each device), teachers ("all" or "none": whether
    further devices showed where to stop), together (recordings judged together), device (one of the
    clips' devices, or "all") and known (the known device that an unknown one is compared with, or
    "all").
    """
    usual = {"device": "all", "known": "all", "teachers": "all", "together": "1"}
    return {"clips": str(clips), **usual, **where}


def run(folds: Sequence[Path], out: Path, grid: Settings, *, seeds: Sequence[int]) -> Findings:
    """Fit and try an identifier for every size, fold and seed; what was found is kept in `out`."""
    own, known = grid.identification, grid.device_policy.known
    digest = hashlib.sha256(repr((VERSION, own.sizes, list(seeds))).encode())
    for fold in folds:
        digest.update(Manifest.read(fold).digest().encode())
    kept = out / f"identification-{digest.hexdigest()[:12]}.json"
    if kept.is_file():
        return Findings(read_json(kept)[0])
    parts = list(in_order(_describe, folds, workers=2))

    def tried(clips: int, recordings: int = 1, *, teachers: bool = True) -> pd.DataFrame:
        each = [
            attempt(test, fit(training, known, clips, seed, teachers=teachers), known, recordings)
            for training, test in parts
            for seed in seeds
        ]
        return joined(each)

    rows: list[Row] = []
    for clips in own.sizes:
        aimed = clips == own.aimed_clips
        for recordings in own.together if aimed else own.together[:1]:
            found = tried(clips, recordings)
            rows += measured(found, condition(clips, together=str(recordings)), known)
            if aimed and recordings == 1:
                rows += by_device(found, clips, known)
    alone = tried(own.aimed_clips, teachers=False)
    rows += measured(alone, condition(own.aimed_clips, teachers="none"), known)
    write_json(rows, kept)
    return Findings(rows)


def _describe(fold: Path) -> tuple[Descriptions, Descriptions]:
    manifest = Manifest.read(fold)
    training, test = (manifest.where(split=name) for name in ("train", "test"))
    return describe_manifest(training), describe_manifest(test)


def fit(
    training: Descriptions, known: Sequence[str], clips: int, seed: int, *, teachers: bool = True
) -> DeviceIdentifier:
    """Learn from the same random clips of every known device, and from as many of the others."""
    others = sorted(set(training.devices) - set(known)) if teachers else []
    rows: list[int] = []
    for device in (*known, *others):
        mine = np.flatnonzero(np.array(training.devices) == device)
        rows += mine[np.random.default_rng(seed).permutation(len(mine))[:clips]].tolist()
    return DeviceIdentifier().fit_descriptions(training.rows(rows), held_out=others, seed=seed)


def attempt(
    test: Descriptions, identifier: DeviceIdentifier, known: Sequence[str], recordings: int = 1
) -> pd.DataFrame:
    """Identify all test clips, so many random ones of a device together; the columns are `TRIED`.

    Every device's batches are of the same recordings, and a batch counts as one of them.
    """
    rows = []
    for device in sorted(set(test.devices)):
        order = np.flatnonzero(np.array(test.devices) == device)
        if recordings > 1:
            order = order[np.random.default_rng(0).permutation(len(order))]
        for start in range(0, len(order) - recordings + 1, recordings):
            batch = order[start : start + recordings]
            found = identifier.identify_features(test.values[batch])
            right, accepted = found.nearest == device, found.device is not None
            group = test.groups[batch[0]]
            rows.append((right, device in known, found.score, accepted, device, group))
    return pd.DataFrame(rows, columns=TRIED)


def joined(tried: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put folds and seeds behind each other; scores are compared within one `part` only."""
    numbered = [one.assign(part=number) for number, one in enumerate(tried)]
    return pd.concat(numbered, ignore_index=True)


def measured(tried: pd.DataFrame, where: dict[str, str], known: Sequence[str]) -> list[Row]:
    """Return all metrics of one condition, and the accuracy of each known device."""

    def share(hits: str, kept: pd.Series[bool]) -> Interval:
        return intervals.accuracy(tried[hits][kept], tried["group"][kept].to_numpy())

    ours = tried["known"].astype(bool)
    found = {
        "identification_accuracy": share("named", ours),
        "true_accepts": share("accepted", ours),
        "false_accepts": share("accepted", ~ours),
        "auroc": over_parts(area, tried, ours, ~ours),
        "false_accepts_at_95": over_parts(passing, tried, ours, ~ours),
    }
    rows = [row(metric, interval, **where) for metric, interval in found.items()]
    for device in known:
        right = share("named", tried["device"] == device)
        rows.append(row("identification_accuracy", right, **{**where, "device": device}))
    return rows


def by_device(tried: pd.DataFrame, clips: int, known: Sequence[str]) -> list[Row]:
    """Return the AUROC of each unknown device, against all known devices and against each."""
    rows, known_one = [], tried["known"].astype(bool)
    for device in sorted(set(tried["device"][~known_one])):
        for other in ("all", *known):
            ours = known_one if other == "all" else tried["device"] == other
            found = over_parts(area, tried, ours, tried["device"] == device)
            rows.append(row("auroc", found, **condition(clips, device=device, known=other)))
    return rows


def over_parts(
    measure: Callable[[Floats, Floats], float],
    tried: pd.DataFrame,
    known: pd.Series[bool],
    unknown: pd.Series[bool],
) -> Interval:
    """Return a measure of known devices' scores and unknown ones': the mean over parts."""
    kept = tried[known | unknown]
    ours = known[kept.index].to_numpy()
    scores, parts = kept["score"].to_numpy(), kept["part"].to_numpy()

    def statistic(chosen: NDArray[np.intp]) -> float:
        found = []
        for part in np.unique(parts):
            mine = chosen[parts[chosen] == part]
            few, many = scores[mine[ours[mine]]], scores[mine[~ours[mine]]]
            if len(few) and len(many):
                found.append(measure(few, many))
        return float(np.mean(found))

    return intervals.bootstrap(statistic, kept["group"].to_numpy(), resamples=300)


def area(known: Floats, unknown: Floats) -> float:
    """Return the area under the ROC curve."""
    from scipy.stats import mannwhitneyu

    won = mannwhitneyu(known, unknown, method="asymptotic").statistic
    return float(won / (len(known) * len(unknown)))


def passing(known: Floats, unknown: Floats) -> float:
    """Return the share of unknown devices' clips that pass where 95 % of known ones' do."""
    return float((unknown >= np.quantile(known, 0.05)).mean())


def section(found: Findings, grid: Settings, teachers: Sequence[str]) -> Section:
    """Return the tables of identification and their figure; `teachers` are further devices."""
    facts = {"condition": condition, "teachers": teachers}
    return Section("identification", found, facts, "identification", figure(found, grid))


def figure(found: Findings, grid: Settings) -> Figure:
    """Draw accuracy and area under the ROC curve over the number of training clips."""
    from anymic.evaluation.report.style import MUTED, SERIES

    own = grid.identification
    shown = {"identification_accuracy": own.aimed_accuracy, "auroc": own.aimed_area}
    titles = ("right on A, B and C", "area under the ROC curve")
    with panels(titles, 2.8, 7.2, grid="y") as (drawing, each):
        for axes, (metric, aim), colour in zip(each, shown.items(), SERIES, strict=False):
            for place, clips in enumerate(own.sizes):
                item = found.of(metric, **condition(clips))
                dot(axes, place, item, "o", color=colour)
            axes.axhline(100 * aim, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
            axes.set_xticks(range(len(own.sizes)), [str(clips) for clips in own.sizes])
            axes.set_xlim(-0.5, len(own.sizes) - 0.5)
            axes.set(xlabel="training clips a device", ylabel="%")
    return drawing

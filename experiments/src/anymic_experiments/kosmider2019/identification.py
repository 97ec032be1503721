"""How well devices are recognized, one unseen clip at a time, and strangers told from them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic._internal.threads import in_order
from anymic.data.manifest import Manifest
from anymic.devices.identification.descriptions import Descriptions, describe_manifest
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic.evaluation.report.rows import Row, read_json, row, write_json
from anymic.metrics import intervals
from anymic.metrics.intervals import Interval
from anymic_experiments.kosmider2019.hearing import KNOWN

VERSION = 2  # raise it when the same clips begin to teach otherwise
SIZES = (10, 20, 40, 80)  # training clips of each device
AIMED_CLIPS = 40
BATCHES = (1, 3, 10)  # recordings of one device that are judged together
METRICS = (
    "identification_accuracy",
    "auroc",
    "true_accepts",
    "false_accepts",
    "false_accepts_at_95",
)


@dataclass(frozen=True, eq=False)
class Tried:
    """What identifiers of one size said, folds and seeds behind each other.

    Attributes
    ----------
    named, known : array (clip,)
        Whether the nearest device is the right one; whether it is one of A, B, C.
    scores : array (clip,)
        The larger, the more like a known device.
    accepted : array (clip,)
    devices, groups : array (clip,) of str
    parts : array (clip,), int64
        Which fold and seed: scores are compared within one only.
    """

    named: NDArray[np.bool_]
    known: NDArray[np.bool_]
    scores: NDArray[np.float64]
    accepted: NDArray[np.bool_]
    devices: NDArray[np.str_]
    groups: NDArray[np.str_]
    parts: NDArray[np.int64]


@dataclass(frozen=True)
class Curve:
    """`METRICS` by condition: what was learned from, and which clips are meant.

    Attributes
    ----------
    rows : list of Row
        Their conditions: clips (training clips of each device), teachers ("all" or "none": whether
        further devices showed where to stop), together (recordings judged together), device (one
        of the clips' devices, or "all") and known (the device that a stranger is compared with, or
        "all").
    """

    rows: list[Row]

    def of(self, metric: str, clips: int, device: str = "all", **where: str) -> Row:
        """Return one row."""
        wanted = _condition(clips, device=device, **where)
        (found,) = (r for r in self.rows if r.metric == metric and r.condition == wanted)
        return found

    @property
    def strangers(self) -> list[str]:
        """The devices that nobody had met."""
        names = {r.condition["device"] for r in self.rows if r.metric == "auroc"}
        return sorted(names - {"all"})


def _condition(clips: int, **where: str) -> dict[str, str]:
    usual = {"device": "all", "known": "all", "teachers": "all", "together": "1"}
    return {"clips": str(clips), **usual, **where}


def run(folds: Sequence[Path], out: str | Path, *, seeds: Sequence[int]) -> Curve:
    """Fit and try an identifier for every size, fold and seed; what was found is kept in `out`.

    Parameters
    ----------
    folds : sequence of Path
        A manifest a fold: A, B and C in train and test; in train further devices that show where
        to stop, in test others.
    out : path
    seeds : sequence of int
        Each also draws other training clips.
    """
    digest = hashlib.sha256(repr((VERSION, SIZES, list(seeds))).encode())
    for fold in folds:
        digest.update(Manifest.read(fold).digest().encode())
    kept = Path(out) / f"identification-{digest.hexdigest()[:12]}.json"
    if kept.is_file():
        return Curve(read_json(kept)[0])
    parts = list(in_order(_describe, folds, workers=2))
    rows: list[Row] = []
    for clips in SIZES:
        fitted = [
            (test, _fit(training, clips, seed), seed) for training, test in parts for seed in seeds
        ]
        for recordings in BATCHES if clips == AIMED_CLIPS else BATCHES[:1]:
            tried = _together([_try(test, one, recordings) for test, one, _ in fitted])
            rows += _rows(tried, _condition(clips, together=str(recordings)))
            if clips == AIMED_CLIPS and recordings == 1:
                rows += _by_device(tried, clips)
    alone = [
        _try(test, _fit(training, AIMED_CLIPS, seed, teachers=False))
        for training, test in parts
        for seed in seeds
    ]
    rows += _rows(_together(alone), _condition(AIMED_CLIPS, teachers="none"))
    write_json(rows, kept)
    return Curve(rows)


def _describe(fold: Path) -> tuple[Descriptions, Descriptions]:
    manifest = Manifest.read(fold)
    training, test = (manifest.where(split=name) for name in ("train", "test"))
    return describe_manifest(training), describe_manifest(test)


def _fit(
    training: Descriptions, clips: int, seed: int, *, teachers: bool = True
) -> DeviceIdentifier:
    """Learn from the same random clips of every known device, and from as many of the others."""
    others = sorted(set(training.devices) - set(KNOWN)) if teachers else []
    rows: list[int] = []
    for device in (*KNOWN, *others):
        mine = np.flatnonzero(np.array(training.devices) == device)
        rows += mine[np.random.default_rng(seed).permutation(len(mine))[:clips]].tolist()
    return DeviceIdentifier().fit_descriptions(training.rows(rows), held_out=others, seed=seed)


def _try(test: Descriptions, identifier: DeviceIdentifier, recordings: int = 1) -> Tried:
    """Hear all test clips, so many random ones of a device together.

    Every device's batches are of the same recordings, and a batch counts as one of them.
    """
    found, devices, groups = [], [], []
    every = np.array(test.devices)
    for device in sorted(set(test.devices)):
        mine = np.flatnonzero(every == device)
        order = mine[np.random.default_rng(0).permutation(len(mine))] if recordings > 1 else mine
        for start in range(0, len(order) - recordings + 1, recordings):
            batch = order[start : start + recordings]
            found.append(identifier.identify_features_together(test.values[batch]))
            devices.append(device)
            groups.append(test.groups[batch[0]])
    names = np.array(devices)
    return Tried(
        named=np.array([item.nearest for item in found]) == names,
        known=np.isin(names, KNOWN),
        scores=np.array([item.score for item in found]),
        accepted=np.array([item.device is not None for item in found]),
        devices=names,
        groups=np.array(groups),
        parts=np.zeros(len(names), dtype=np.int64),
    )


def _together(tried: Sequence[Tried]) -> Tried:
    def joined(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(one, name) for one in tried])

    parts = np.repeat(np.arange(len(tried)), [len(one.scores) for one in tried])
    fields = ("named", "known", "scores", "accepted", "devices", "groups")
    return Tried(**{name: joined(name) for name in fields}, parts=parts)  # type: ignore[arg-type]


def _rows(tried: Tried, where: dict[str, str]) -> list[Row]:
    known = tried.known
    rows = [
        row("identification_accuracy", _share(tried.named, known, tried), **where),
        row("true_accepts", _share(tried.accepted, known, tried), **where),
        row("false_accepts", _share(tried.accepted, ~known, tried), **where),
        row("auroc", _over_parts(_area, tried, known, ~known), **where),
        row("false_accepts_at_95", _over_parts(_passing, tried, known, ~known), **where),
    ]
    for device in KNOWN:
        found = _share(tried.named, tried.devices == device, tried)
        rows.append(row("identification_accuracy", found, **{**where, "device": device}))
    return rows


def _by_device(tried: Tried, clips: int) -> list[Row]:
    """Return the AUROC of each stranger, against all known devices and against each of them."""
    rows = []
    for device in sorted(set(tried.devices[~tried.known].tolist())):
        for known in ("all", *KNOWN):
            ours = tried.known if known == "all" else tried.devices == known
            found = _over_parts(_area, tried, ours, tried.devices == device)
            rows.append(row("auroc", found, **_condition(clips, device=device, known=known)))
    return rows


def _share(hits: NDArray[np.bool_], kept: NDArray[np.bool_], tried: Tried) -> Interval:
    return intervals.accuracy(hits[kept], tried.groups[kept])


def _over_parts(
    measure: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    tried: Tried,
    known: NDArray[np.bool_],
    strangers: NDArray[np.bool_],
) -> Interval:
    """Return what `measure` says of known devices' scores and strangers': the mean over parts."""
    kept = np.flatnonzero(known | strangers)
    ours, scores, parts = known[kept], tried.scores[kept], tried.parts[kept]

    def statistic(chosen: NDArray[np.intp]) -> float:
        found = []
        for part in np.unique(parts):
            mine = chosen[parts[chosen] == part]
            few, many = scores[mine[ours[mine]]], scores[mine[~ours[mine]]]
            if len(few) and len(many):
                found.append(measure(few, many))
        return float(np.mean(found))

    return intervals.bootstrap(statistic, tried.groups[kept], resamples=300)


def _area(known: NDArray[np.float64], strangers: NDArray[np.float64]) -> float:
    """Return the area under the ROC curve."""
    from scipy.stats import rankdata

    few, many = len(known), len(strangers)
    ranks = rankdata(np.concatenate([known, strangers]))
    return float((ranks[:few].sum() - few * (few + 1) / 2) / (few * many))


def _passing(known: NDArray[np.float64], strangers: NDArray[np.float64]) -> float:
    """Return the share of strangers that pass where 95 % of known clips do."""
    return float((strangers >= np.quantile(known, 0.05)).mean())

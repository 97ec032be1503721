"""How well devices are recognized, one unseen clip at a time, and strangers told from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic import intervals
from anymic.devices.descriptions import Descriptions, describe_manifest
from anymic.devices.identify import DeviceIdentifier
from anymic.intervals import Interval
from anymic.manifest import Manifest
from anymic.recipes.cells import percent, plain
from anymic.recipes.kosmider2019.hearing import KNOWN, STRANGERS
from anymic.report.rows import Row, read_json, row, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VERSION = 1  # raise it when the same clips begin to teach otherwise
SIZES = (10, 20, 40, 80)  # training clips of each device
AIMED_CLIPS, AIMED_ACCURACY, AIMED_AREA = 40, 0.97, 0.95
METRICS = ("identification_accuracy", "auroc", "true_accepts", "false_accepts")


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
    """The rows of every size: `METRICS` by condition clips, and the AUROC by device, too."""

    rows: list[Row]

    def of(self, metric: str, clips: int, device: str = "all") -> Row:
        """Return one row."""
        wanted = {"clips": str(clips), "device": device}
        (found,) = (r for r in self.rows if r.metric == metric and r.condition == wanted)
        return found


def run(folds: Sequence[Path], out: str | Path, *, seeds: Sequence[int]) -> Curve:
    """Fit and try an identifier for every size, fold and seed; what was found is kept in `out`.

    Parameters
    ----------
    folds : sequence of Path
        A manifest a fold: A, B and C in train and test, further devices in one of them.
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
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(_describe, folds))
    rows: list[Row] = []
    for clips in SIZES:
        tried = [_try(training, test, clips, seed) for training, test in parts for seed in seeds]
        rows += _rows(_together(tried), clips)
    write_json(rows, kept)
    return Curve(rows)


def _describe(fold: Path) -> tuple[Descriptions, Descriptions]:
    manifest = Manifest.read(fold)
    training = manifest.where(split="train", device=list(KNOWN))
    return describe_manifest(training), describe_manifest(manifest.where(split="test"))


def _try(training: Descriptions, test: Descriptions, clips: int, seed: int) -> Tried:
    """Learn from the same random clips of every known device; hear all test clips."""
    rows: list[int] = []
    for device in KNOWN:
        mine = np.flatnonzero(np.array(training.devices) == device)
        rows += mine[np.random.default_rng(seed).permutation(len(mine))[:clips]].tolist()
    identifier = DeviceIdentifier().fit_descriptions(training.rows(rows), seed=seed)
    answers = identifier.identify_features(test.values)
    devices = np.array(test.devices)
    return Tried(
        named=np.array([item.nearest for item in answers]) == devices,
        known=np.isin(devices, KNOWN),
        scores=np.array([item.score for item in answers]),
        accepted=np.array([item.device is not None for item in answers]),
        devices=devices,
        groups=np.array(test.groups),
        parts=np.zeros(len(devices), dtype=np.int64),
    )


def _together(tried: Sequence[Tried]) -> Tried:
    def joined(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(one, name) for one in tried])

    parts = np.repeat(np.arange(len(tried)), [len(one.scores) for one in tried])
    fields = ("named", "known", "scores", "accepted", "devices", "groups")
    return Tried(**{name: joined(name) for name in fields}, parts=parts)  # type: ignore[arg-type]


def _rows(tried: Tried, clips: int) -> list[Row]:
    known = tried.known
    where = {"clips": str(clips), "device": "all"}
    rows = [
        row("identification_accuracy", _share(tried.named, known, tried), **where),
        row("true_accepts", _share(tried.accepted, known, tried), **where),
        row("false_accepts", _share(tried.accepted, ~known, tried), **where),
        row("auroc", _area(tried, ~known), **where),
    ]
    for device in KNOWN:
        mine = tried.devices == device
        found = _share(tried.named, mine, tried)
        rows.append(row("identification_accuracy", found, **{**where, "device": device}))
    for device in sorted(set(tried.devices[~known].tolist())):
        found = _area(tried, tried.devices == device)
        rows.append(row("auroc", found, **{**where, "device": device}))
    return rows


def _share(hits: NDArray[np.bool_], kept: NDArray[np.bool_], tried: Tried) -> Interval:
    return intervals.accuracy(hits[kept], tried.groups[kept])


def _area(tried: Tried, strangers: NDArray[np.bool_]) -> Interval:
    """Return the area under the ROC curve: the mean over folds and seeds."""
    from scipy.stats import rankdata

    kept = np.flatnonzero(tried.known | strangers)
    known, scores, parts = tried.known[kept], tried.scores[kept], tried.parts[kept]

    def statistic(chosen: NDArray[np.intp]) -> float:
        areas = []
        for part in np.unique(parts):
            mine = chosen[parts[chosen] == part]
            ours = known[mine]
            few, many = int(ours.sum()), int((~ours).sum())
            if few and many:
                ranks = rankdata(scores[mine])
                areas.append((ranks[ours].sum() - few * (few + 1) / 2) / (few * many))
        return float(np.mean(areas))

    return intervals.bootstrap(statistic, tried.groups[kept], resamples=300)


def markdown(curve: Curve) -> str:
    """Return a line a size, and a line a stranger."""
    lines = [
        "| clips a device | right on A, B and C | A | B | C | AUROC, strangers "
        "| true accepts | false accepts |",
        "|---" * 8 + "|",
    ]
    for clips in SIZES:
        right = percent(curve.of("identification_accuracy", clips))
        each = [
            f"{100 * curve.of('identification_accuracy', clips, device).value:.1f}"
            for device in KNOWN
        ]
        accepts = [percent(curve.of(name, clips)) for name in METRICS[2:]]
        cells = [str(clips), right, *each, plain(curve.of("auroc", clips)), *accepts]
        lines.append("| " + " | ".join(cells) + " |")
    names = [r.condition["device"] for r in curve.rows if r.metric == "auroc"]
    strangers = sorted({name for name in names if name != "all"})
    lines += ["", f"AUROC of each stranger with {SIZES[-2]} clips a device: "]
    each = [f"{name} {curve.of('auroc', SIZES[-2], name).value:.2f}" for name in strangers]
    lines[-1] += ", ".join(each) + "."
    return "\n".join(lines) + "\n"


def reading(curve: Curve) -> str:
    """Say what was aimed at and what was reached with 40 clips a device."""
    right = curve.of("identification_accuracy", AIMED_CLIPS)
    area = curve.of("auroc", AIMED_CLIPS)
    passed = curve.of("false_accepts", AIMED_CLIPS)
    reached = "reached" if right.value >= AIMED_ACCURACY else "missed"
    told = "reached" if area.value >= AIMED_AREA else "missed"
    return (
        f"With {AIMED_CLIPS} clips a device {percent(right)} % are named rightly: the aim of "
        f"{100 * AIMED_ACCURACY:.0f} % is {reached}. Strangers are told from A, B and C with an "
        f"area under the ROC curve of {plain(area)}: the aim of {AIMED_AREA} is {told}, and at the "
        f"threshold {percent(passed)} % of their clips pass for a known device's."
    )


def figure(curve: Curve) -> Figure:
    """Draw accuracy and area under the ROC curve over the number of training clips."""
    from anymic.report.style import MUTED, SERIES, bare, canvas, quiet_style

    with quiet_style():
        drawing, panels = canvas(2.8, 7.2, ncols=2)
        shown = (
            ("identification_accuracy", "right on A, B and C", AIMED_ACCURACY),
            ("auroc", f"area under the ROC curve, {STRANGERS}", AIMED_AREA),
        )
        for axes, (metric, title, bar), colour in zip(panels, shown, SERIES, strict=False):
            for place, clips in enumerate(SIZES):
                item = curve.of(metric, clips)
                if item.low is not None and item.high is not None:
                    axes.vlines(place, 100 * item.low, 100 * item.high, color=colour, linewidth=1.8)
                axes.plot(place, 100 * item.value, "o", color=colour, ms=6.5)
            axes.axhline(100 * bar, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
            axes.set_xticks(range(len(SIZES)), [str(clips) for clips in SIZES])
            axes.set_xlim(-0.5, len(SIZES) - 0.5)
            axes.set_title(title)
            axes.set_xlabel("training clips a device")
            axes.set_ylabel("%")
            bare(axes, grid="y")
    return drawing

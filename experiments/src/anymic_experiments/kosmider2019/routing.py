"""Clips of unstated and unknown devices: classified in every way, and how often they are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anymic.bundle import Bundle
from anymic.data.manifest import Manifest, concatenate
from anymic.devices.correction.blind import MeanSpectrum
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic.evaluation.report.rows import Row, row
from anymic.metrics import intervals
from anymic.metrics.intervals import Interval
from anymic.metrics.recovery import recovered_share
from anymic_experiments.experiment import Experiment
from anymic_experiments.findings import Findings
from anymic_experiments.kosmider2019.settings import Settings
from anymic_experiments.page import Section
from anymic_experiments.runner import Arrays, Stored
from anymic_experiments.runs import Run, classify

VERSION = 1  # raise it when the same networks begin to classify otherwise
ROUTING_VERSION = 2  # raise it when identifiers begin to name otherwise
STATED, IDENTIFIED, WRONG = "device stated", "device identified", "taken for another device"
AS_IS, ROUTED = "not corrected", "identified or blind, clip by clip"
OF_KNOWN = (STATED, IDENTIFIED, WRONG)
EARLIER = {"heard as it is": AS_IS}  # what earlier files call it


def blind(recordings: int) -> str:
    """Return the name of classifying with gains from so many recordings of the device."""
    return f"blind, {recordings} recording" + ("s" if recordings > 1 else "")


@dataclass(frozen=True)
class Plain(Stored):
    """A run's test clips in the ways that need no identifier.

    `fold` is the run's fold recorded by more devices.
    """

    run: Run
    fold: Path
    known: tuple[str, ...]
    batches: tuple[int, ...]
    clips: int

    def file(self, out: Path) -> Path:
        """Return the file that says whether each clip was right."""
        return self._file(out, f"heard-{VERSION}")

    def _file(self, out: Path, name: str) -> Path:
        digest = Manifest.read(self.fold).digest()[:8]
        return self.run.folder(out) / f"{name}-{digest}.npz"

    def tested(self) -> tuple[Manifest, Manifest]:
        """Return the test clips of known devices, and those of unknown ones."""
        test = Manifest.read(self.fold).where(split="test")
        unknown = [name for name in test.devices if name not in self.known]
        return test.where(device=list(self.known)), test.where(device=unknown)

    def arrays(self, out: Path) -> Arrays:
        """Return, by way, whether each clip was right."""
        known, unknown = self.tested()
        plain, blindly = self._bundles(out)
        return {
            STATED: _right(plain, known),
            WRONG: _wrong(plain, known, self.known),
            AS_IS: _right(plain, unknown),
            **{blind(count): _right(blindly, in_batches(unknown, count)) for count in self.batches},
        }

    def _bundles(self, out: Path) -> tuple[Bundle, Bundle]:
        """Return the run's bundle, and the same with blind gains for what is unknown."""
        plain = Bundle.load(self.run.folder(out))
        corpus = Manifest.read(self.run.manifest)
        trained = set(plain.fitted_on["weights"])
        rows = [row for row, clip in enumerate(corpus.clip_ids()) if clip in trained]
        spectrum = MeanSpectrum.measure(corpus.rows(rows), plain.profile)
        contract = replace(plain.contract, unknown_device="blind")
        return plain, replace(plain, spectrum=spectrum, contract=contract)


@dataclass(frozen=True)
class Routed(Plain):
    """A run's test clips, their devices unstated, with an identifier."""

    def file(self, out: Path) -> Path:
        """Return the file that says whether each clip was right."""
        return self._file(out, f"routed-{ROUTING_VERSION}")

    def arrays(self, out: Path) -> Arrays:
        """Return, by way, whether each clip was right."""
        known, unknown = self.tested()
        found = identifier(self.fold, self.known, self.clips)
        routed = replace(self._bundles(out)[1], identifier=found)
        return {
            IDENTIFIED: _right(routed, _unstated(known)),
            ROUTED: _right(routed, _unstated(unknown)),
        }


@lru_cache
def identifier(fold: Path, known: tuple[str, ...], clips: int) -> DeviceIdentifier:
    """Fit on so many training clips of each known device; others show where to stop."""
    training = Manifest.read(fold).where(split="train")
    held_out = [name for name in training.devices if name not in known]
    own = [
        training.where(device=name).rows(np.arange(clips) * (count // clips))
        for name in (*known, *held_out)
        if (count := len(training.where(device=name)))
    ]
    return DeviceIdentifier().fit(concatenate(own), held_out=held_out)


def answers(
    experiment: Experiment[Settings], runs: Sequence[Run], folds: Mapping[Path, Path]
) -> pd.DataFrame:
    """Let trained networks classify every test clip in every way.

    `runs` are of the grid `references`, `folds` lead from each run's manifest to that of the same
    fold recorded by more devices. Returned are the reference, the way, the device and the
    recording of each clip, and how often it was right; folds and seeds are behind each other.
    """
    own = experiment.grid.routing
    conditions = experiment.grid.conditions("references", scale=experiment.scale)
    names = {one.name: own.references[one.levels["correction"]] for one in conditions}
    tasks = [
        kind(run, folds[run.manifest], own.known, own.batches, own.clips)
        for run in runs
        for kind in (Plain, Routed)
    ]
    experiment.finish(tasks, doing="classifying")
    found = []
    for task in tasks:
        known, unknown = task.tested()
        for stored, right in task.read(experiment.places).items():
            way = EARLIER.get(stored, stored)
            table = (known if way in OF_KNOWN else unknown).table[["device", "group"]]
            reference = names[task.run.condition]
            found.append(table.assign(reference=reference, way=way, right=right))
    return pd.concat(found, ignore_index=True)


def _unstated(manifest: Manifest) -> Manifest:
    return manifest.with_columns(device=np.full(len(manifest), ""))


def _right(bundle: Bundle, manifest: Manifest) -> NDArray[np.float64]:
    targets = manifest.targets(bundle.labels)
    right: NDArray[np.bool_] = classify(bundle, manifest).argmax(axis=1) == targets
    return right.astype(float)


def _wrong(bundle: Bundle, manifest: Manifest, known: Sequence[str]) -> NDArray[np.float64]:
    """Return the mean over the other known devices that each clip is taken for."""
    devices = manifest.table["device"]
    each = []
    for turn in range(1, len(known)):
        others = dict(zip(known, [*known[turn:], *known[:turn]], strict=True))
        each.append(_right(bundle, manifest.with_columns(device=devices.map(others))))
    mean: NDArray[np.float64] = np.mean(each, axis=0)
    return mean


def in_batches(manifest: Manifest, recordings: int) -> Manifest:
    """Call so many random recordings of a device by one unknown name, the next by another."""
    names = manifest.table["device"].to_numpy(dtype=object).copy()
    for device in manifest.devices:
        rows = np.flatnonzero(manifest.table["device"] == device)
        order = np.random.default_rng(0).permutation(len(rows))
        names[rows[order]] = [f"{device} {place // recordings}" for place in range(len(rows))]
    return manifest.with_columns(device=names)


KNOWN, UNKNOWN = "known devices", "unknown devices"


def compare(answers: pd.DataFrame, flat: str = "A") -> Findings:
    """Return accuracies by reference, way and device, and what each way gains or recovers.

    Recovered is (unknown devices this way - uncorrected) / (`flat` - unknown devices uncorrected),
    over folds and seeds together; recordings are resampled with all their devices. `answers` are
    those of `routing.answers`.
    """
    rows: list[Row] = []
    ways = dict(iter(answers.groupby(["reference", "way"], sort=False)))
    for (reference, way), own in ways.items():
        right, groups = own["right"].to_numpy(), own["group"].to_numpy()
        together, base = (KNOWN, STATED) if way in OF_KNOWN else (UNKNOWN, AS_IS)
        for name in (together, *sorted(set(own["device"]))):
            kept = (own["device"] == name).to_numpy() | (name == together)
            where = {"reference": reference, "condition": way, "device": name}
            rows.append(row("accuracy", _mean(right[kept], groups[kept]), **where))
        if way == base:
            continue
        where = {"reference": reference, "condition": way, "device": together}
        before = ways[reference, base]["right"].to_numpy()
        change = intervals.paired_difference(right, before, groups)
        rows.append(row("accuracy_difference", change, **where, against_condition=base))
        if together == UNKNOWN:
            stated = ways[reference, STATED]
            stated = stated[stated["device"] == flat]
            share = recovered_share(
                np.concatenate([stated["right"], right]),
                np.concatenate([stated["right"], before]) > 0,
                np.repeat([flat, UNKNOWN], [len(stated), len(right)]),
                np.concatenate([stated["group"], groups]),
                reference=flat,
                others=(UNKNOWN,),
            )
            rows.append(row("recovered_share", share, **where))
    return Findings(rows)


def _mean(right: NDArray[np.float64], groups: NDArray[np.str_]) -> Interval:
    """Return the mean; a clip that is taken for two wrong devices can be half right."""
    if np.isin(right, (0, 1)).all():
        return intervals.accuracy(right, groups)
    return intervals.paired_difference(right, np.zeros_like(right), groups)


def section(found: Findings, grid: Settings) -> Section:
    """Return the tables of known and of unknown devices."""
    virtual, real = grid.routing.references.values()
    facts = {
        "found": found,
        "references": (virtual, real),
        "known_ways": (STATED, IDENTIFIED, WRONG),
        "unknown_ways": (AS_IS, *map(blind, grid.routing.batches), ROUTED),
        "known": KNOWN,
        "unknown": UNKNOWN,
    }
    return Section("devices", facts, found.rows)

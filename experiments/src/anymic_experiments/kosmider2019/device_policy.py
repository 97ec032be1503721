"""Clips of unstated and unknown devices: how often each device policy classifies them correctly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anymic.bundle import Bundle, Ensemble
from anymic.bundle.device_changes import with_device_policy
from anymic.data.manifest import Manifest, concatenate
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic.errors import counted
from anymic.evaluation.report.rows import Row, row
from anymic.metrics import intervals
from anymic.metrics.recovery import recovered_share
from anymic_experiments.experiment import Experiment
from anymic_experiments.findings import Findings
from anymic_experiments.kosmider2019.settings import DevicePolicy, Settings
from anymic_experiments.page import Section
from anymic_experiments.runner import Arrays, ArrayTask
from anymic_experiments.runs import Run, classify

# What stored files are called, without an identifier and with one. Raise the number when the same
# networks begin to classify, or identifiers to name, otherwise.
FILES = ("heard-1", "routed-2")
STATED, IDENTIFIED, WRONG = "device stated", "device identified", "taken for another device"
AS_IS, BY_CLIP = "not corrected", "identified or blind, clip by clip"
OF_KNOWN = (STATED, IDENTIFIED, WRONG)
EARLIER = {"heard as it is": AS_IS}  # what earlier files call it
KNOWN, UNKNOWN = "known devices", "unknown devices"


def blind(recordings: int) -> str:
    """Return the name of classifying with gains from so many recordings of the device."""
    return f"blind, {counted(recordings, 'recording')}"


@dataclass(frozen=True)
class Classified(ArrayTask):
    """A run's test clips under the policies that need an identifier, or under those that do not.

    `fold` is the run's fold recorded by more devices.
    """

    run: Run
    fold: Path
    identified: bool
    policy: DevicePolicy = field(compare=False)

    def file(self, out: Path) -> Path:
        """Return the file that says whether each clip was right."""
        digest = Manifest.read(self.fold).digest()[:8]
        return self.run.folder(out) / f"{FILES[self.identified]}-{digest}.npz"

    def tested(self) -> tuple[Manifest, Manifest]:
        """Return the test clips of known devices, and those of unknown ones."""
        test = Manifest.read(self.fold).where(split="test")
        unknown = [name for name in test.devices if name not in self.policy.known]
        return test.where(device=list(self.policy.known)), test.where(device=unknown)

    def arrays(self, out: Path) -> Arrays:
        """Return, by policy, whether each clip was right."""
        known, unknown = self.tested()
        plain, training = Bundle.load(self.run.folder(out)), Manifest.read(self.run.manifest)
        own = None
        if self.identified:
            own = identifier(self.fold, self.policy.known, self.policy.clips)
        blindly = with_device_policy(plain, unknown="blind", identifier=own, training=training)
        if self.identified:
            return {
                IDENTIFIED: _right(blindly, _unstated(known)),
                BY_CLIP: _right(blindly, _unstated(unknown)),
            }
        batches = self.policy.batches
        return {
            STATED: _right(plain, known),
            WRONG: _wrong(plain, known, self.policy.known),
            AS_IS: _right(plain, unknown),
            **{blind(count): _right(blindly, in_batches(unknown, count)) for count in batches},
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


def answers(experiment: Experiment[Settings]) -> pd.DataFrame:
    """Let the networks of the grid `references` classify every test clip under every policy.

    `experiment.made` are its folds recorded by more devices. Returned are the reference, the
    policy, the device and the recording of each clip, and how often it was right; folds and seeds
    are behind each other.
    """
    policy, folds = experiment.grid.device_policy, experiment.made
    more = dict(zip(experiment.data, folds, strict=True))
    conditions = experiment.grid.conditions("references", scale=experiment.scale)
    names = {one.name: policy.references[one.levels["correction"]] for one in conditions}
    tasks = [
        Classified(outcome.run, more[outcome.run.manifest], identified, policy)
        for outcome in experiment.train("references")
        for identified in (False, True)
    ]
    experiment.finish(tasks, doing="classifying")
    found = []
    for task in tasks:
        known, unknown = task.tested()
        for stored, right in task.read(experiment.places).items():
            name = EARLIER.get(stored, stored)
            table = (known if name in OF_KNOWN else unknown).table[["device", "group"]]
            reference = names[task.run.condition]
            found.append(table.assign(reference=reference, policy=name, right=right))
    return pd.concat(found, ignore_index=True)


def _unstated(manifest: Manifest) -> Manifest:
    return manifest.with_columns(device=np.full(len(manifest), ""))


def _right(bundle: Bundle | Ensemble, manifest: Manifest) -> NDArray[np.float64]:
    targets = manifest.targets(bundle.labels)
    right: NDArray[np.bool_] = classify(bundle, manifest).argmax(axis=1) == targets
    return right.astype(float)


def _wrong(
    bundle: Bundle | Ensemble, manifest: Manifest, known: Sequence[str]
) -> NDArray[np.float64]:
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


def section(answers: pd.DataFrame, grid: Settings, teachers: Sequence[str]) -> Section:
    """Return accuracies by reference, policy and device, and what each policy gains or recovers.

    Recovered is (unknown devices under this policy - uncorrected) / (the flat device - unknown
    devices uncorrected), over folds and seeds together; recordings are resampled with all their
    devices. `answers` are those of the function `answers`, `teachers` the devices that showed the
    identifier where to stop.
    """
    rows: list[Row] = []
    flat = grid.device_policy.known[0]
    found = dict(iter(answers.groupby(["reference", "policy"], sort=False)))
    for (reference, policy), own in found.items():
        right, groups = own["right"].to_numpy(), own["group"].to_numpy()
        together, base = (KNOWN, STATED) if policy in OF_KNOWN else (UNKNOWN, AS_IS)
        for name in (together, *sorted(set(own["device"]))):
            kept = (own["device"] == name).to_numpy() | (name == together)
            where = {"reference": reference, "condition": policy, "device": name}
            # a clip that is taken for two wrong devices can be half right
            whole = np.isin(right[kept], (0, 1)).all()
            mean = intervals.accuracy if whole else intervals.resampled_mean
            rows.append(row("accuracy", mean(right[kept], groups[kept]), **where))
        if policy == base:
            continue
        where = {"reference": reference, "condition": policy, "device": together}
        before = found[reference, base]["right"].to_numpy()
        change = intervals.paired_difference(right, before, groups)
        rows.append(row("accuracy_difference", change, **where, against_condition=base))
        if together == UNKNOWN:
            stated = found[reference, STATED].query("device == @flat")
            share = recovered_share(
                np.concatenate([stated["right"], right]),
                np.concatenate([stated["right"], before]) > 0,
                np.repeat([flat, UNKNOWN], [len(stated), len(right)]),
                np.concatenate([stated["group"], groups]),
                reference=flat,
                others=(UNKNOWN,),
            )
            rows.append(row("recovered_share", share, **where))
    ways = (AS_IS, *map(blind, grid.device_policy.batches), BY_CLIP)
    unknown = sorted(set(answers["device"]) - set(grid.device_policy.known))
    facts = {"known_ways": OF_KNOWN, "unknown_ways": ways, "unknown_devices": unknown}
    return Section("devices", Findings(rows), {**facts, "teachers": teachers})

"""The submissions: four kinds of ensemble, and what calibrating their members changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic import metrics
from anymic.bundle.voting import vote
from anymic.calibration import IsotonicCalibrator
from anymic.errors import AnymicError
from anymic.evaluation.report.rows import Row, row
from anymic.evaluation.report.scored import ScoredClips
from anymic.metrics import intervals
from anymic_experiments.findings import Findings
from anymic_experiments.kosmider2019.settings import Ensemble, Settings
from anymic_experiments.page import Section
from anymic_experiments.runs import Member

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AVERAGE = "average member"
ALL = "all"
SCORES = ("log_loss", "expected_calibration_error", "brier_score")
Folds = list[list[Member]]


@dataclass(frozen=True, eq=False)
class Ensembles(Findings):
    """How the ensembles classify."""

    sizes: dict[str, tuple[int, int]]  # the fewest and the most members of a kind in a fold
    votes: dict[str, NDArray[np.float64]]  # (clip, class)
    targets: NDArray[np.int64]  # (clip,)
    groups: NDArray[np.str_]


def chosen(found: Sequence[Member], kind: Ensemble, grid: Settings) -> Folds:
    """Return the members of an ensemble, a list a fold.

    The report's two calibrated ensembles differ in their members, it does not say how: here one
    takes every selected member and the other those with augmentation.
    """
    folds: dict[Path, list[Member]] = {}
    for member in found:
        folds.setdefault(member.outcome.run.manifest, []).append(member)

    def belongs(member: Member, to: str) -> bool:
        if to == "whole":
            return not len(member.targets)
        enough = len(member.targets) > 0 and float(member.right.mean()) >= grid.selected
        return enough and (to == "selected" or member.outcome.run.config.spec_augment is not None)

    return [
        [member for part in kind.members for member in fold if belongs(member, part)]
        for fold in folds.values()
    ]


def voted(folds: Folds, kind: Ensemble, grid: Settings) -> NDArray[np.float64]:
    """Return the votes (clip, class) on the test clips of all folds."""
    if not all(folds):
        raise AnymicError(
            f"no member reached {100 * grid.selected:.0f} % on its validation clips",
            expected="at least one in each fold",
            fix="train longer, or train more members",
        )
    votes = []
    for fold in folds:
        calibrators = [
            IsotonicCalibrator().fit(member.validation, member.targets)
            for member in (fold if kind.voting == "calibrated" else ())
        ]
        each = [member.outcome.probabilities for member in fold]
        votes.append(vote(each, kind.voting, calibrators))
    return np.concatenate(votes)


def score(found: Sequence[Member], grid: Settings) -> Ensembles:
    """Score every kind of ensemble on the test clips of all devices of the grid."""
    members = {kind.name: chosen(found, kind, grid) for kind in grid.ensembles}
    everything = {kind.name: voted(members[kind.name], kind, grid) for kind in grid.ensembles}
    firsts = [fold[0].outcome for fold in members[grid.ensembles[0].name]]
    targets, devices, groups = (
        np.concatenate([getattr(first, name) for first in firsts])
        for name in ("targets", "devices", "groups")
    )
    tested = {name: np.isin(devices, recorders) for name, recorders in grid.devices.items()}
    every = tested[ALL] = np.any(list(tested.values()), axis=0)
    rows: list[Row] = []
    for name, votes in everything.items():
        right = votes.argmax(axis=1) == targets
        average = np.concatenate([_right_on_average(fold) for fold in members[name]])
        for device, kept in tested.items():
            where = {"condition": name, "device": device}
            rows.append(row("accuracy", intervals.accuracy(right[kept], groups[kept]), **where))
            one, other = right[kept].astype(float), average[kept]
            change = intervals.paired_difference(one, other, groups[kept])
            rows.append(row("accuracy_difference", change, **where, against_condition=AVERAGE))
        scores = metrics.probability_scores(votes[every], targets[every], groups[every])
        rows += [row(metric, scores[metric], **where) for metric in SCORES]
    losses = [
        metrics.log_losses(everything[name][every], targets[every])
        for name in (grid.calibrated, grid.soft)
    ]
    change = intervals.paired_difference(losses[0], losses[1], groups[every])
    where = {"condition": grid.calibrated, "device": ALL, "against_condition": grid.soft}
    rows.append(row("log_loss_difference", change, **where))
    counts = {name: [len(fold) for fold in folds] for name, folds in members.items()}
    return Ensembles(
        rows,
        {name: (min(count), max(count)) for name, count in counts.items()},
        {name: votes[every] for name, votes in everything.items()},
        targets[every],
        groups[every],
    )


def _right_on_average(fold: Sequence[Member]) -> NDArray[np.float64]:
    """Return how often the members are right about each test clip (clip,)."""
    outcomes = [member.outcome for member in fold]
    mean: NDArray[np.float64] = np.mean(
        [item.probabilities.argmax(axis=1) == item.targets for item in outcomes], axis=0
    )
    return mean


def section(found: Ensembles, grid: Settings) -> Section:
    """Return the table of ensembles and the reliability diagrams."""
    facts = {"found": found, "grid": grid, "devices": tuple(grid.devices)}
    return Section("ensembles", facts, found.rows, "ensembles", figure(found, grid))


def figure(found: Ensembles, grid: Settings) -> Figure:
    """Draw reliability diagrams of soft and calibrated voting of the same members."""
    from anymic.evaluation.report.figures import reliability

    names = (grid.soft, grid.calibrated)
    clips = ScoredClips.of(
        np.concatenate([found.votes[name] for name in names]),
        np.tile(found.targets, 2),
        devices=np.repeat(names, len(found.targets)),
        groups=np.tile(found.groups, 2),
    )
    return reliability(clips, title="Soft and calibrated voting of the same members")

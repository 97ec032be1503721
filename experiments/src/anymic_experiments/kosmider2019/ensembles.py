"""The submissions: four kinds of ensemble, and what calibrating their members changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from anymic import metrics
from anymic.bundle.voting import vote
from anymic.calibration import IsotonicCalibrator
from anymic.errors import AnymicError
from anymic.evaluation.report.rows import Row, row
from anymic.metrics import intervals
from anymic_experiments.drawing import reliability
from anymic_experiments.findings import Findings
from anymic_experiments.kosmider2019.settings import Ensemble, Settings
from anymic_experiments.page import Section
from anymic_experiments.pooling import pool
from anymic_experiments.runs import Member, Outcome

AVERAGE = "average member"
ALL = "all"
SCORES = ("log_loss", "expected_calibration_error", "brier_score")
Folds = list[list[Member]]


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
        [member for to in kind.members for member in fold if belongs(member, to)][: grid.members]
        for fold in folds.values()
    ]


def voted(folds: Folds, kind: Ensemble, grid: Settings) -> list[Outcome]:
    """Return what the members vote for on the test clips of each fold."""
    if not all(folds):
        raise AnymicError(
            f"no member reached {100 * grid.selected:.0f} % on its validation clips",
            expected="at least one in each fold",
            fix="train longer, train more members, or lower the setting selected",
        )
    votes = []
    for fold in folds:
        calibrators = [
            IsotonicCalibrator(smoothing=kind.smoothing).fit(member.validation, member.targets)
            for member in (fold if kind.voting == "calibrated" else ())
        ]
        together = vote([each.outcome.probabilities for each in fold], kind.voting, calibrators)
        votes.append(replace(fold[0].outcome.named(kind.name), probabilities=together))
    return votes


def section(found: Sequence[Member], grid: Settings) -> Section:
    """Return the scores of every kind of ensemble on the test clips of the grid's devices."""
    members = {kind.name: chosen(found, kind, grid) for kind in grid.ensembles}
    pooled = pool(vote for kind in grid.ensembles for vote in voted(members[kind.name], kind, grid))
    every = tuple(name for recorders in grid.devices.values() for name in recorders)
    votes = pooled.on(*every)
    rows: list[Row] = []
    for name, folds in members.items():
        each = [[member.outcome.right for member in fold] for fold in folds]
        average = np.concatenate([np.mean(right, axis=0) for right in each])
        for device, recorders in {**grid.devices, ALL: every}.items():
            kept = np.isin(pooled.devices, recorders)
            rows += pooled.compared(name, {device: recorders}, {}, condition=name)
            change = intervals.paired_difference(
                pooled.hits(name)[kept], average[kept], pooled.groups[kept]
            )
            where = {"condition": name, "device": device}
            rows.append(row("accuracy_difference", change, **where, against_condition=AVERAGE))
        scores = votes.scores(name)
        rows += [row(metric, scores[metric], condition=name, device=ALL) for metric in SCORES]
    calibrated, soft = (
        metrics.log_losses(votes.probabilities[name], votes.targets)
        for name in (grid.calibrated, grid.soft)
    )
    change = intervals.paired_difference(calibrated, soft, votes.groups)
    where = {"condition": grid.calibrated, "device": ALL, "against_condition": grid.soft}
    rows.append(row("log_loss_difference", change, **where))
    counts = {name: [len(fold) for fold in folds] for name, folds in members.items()}
    facts = {"sizes": {name: (min(count), max(count)) for name, count in counts.items()}}
    pair = {name: (votes, name) for name in (grid.soft, grid.calibrated)}
    drawn = reliability(pair, title="Soft and calibrated voting of the same members")
    return Section("ensembles", Findings(rows), facts, "ensembles", drawn)

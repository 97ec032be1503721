"""The report's four submissions: networks of two random splits, of all clips, and all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from anymic.data.manifest import Manifest
from anymic.data.splits import part_of_groups
from anymic.evaluation.report.rows import row
from anymic_experiments.experiment import Experiment
from anymic_experiments.findings import Findings
from anymic_experiments.kosmider2019.ensembles import ALL, SCORES, Folds, voted
from anymic_experiments.kosmider2019.settings import Ensemble, Settings
from anymic_experiments.page import Section
from anymic_experiments.pooling import pool
from anymic_experiments.runs import Outcome, Run

WHOLE = "all clips"
GRIDS = {True: "whole", False: "voters"}  # by whether a network is trained on all clips


def with_split(fold: Path, number: int, share: float, out: Path) -> Path:
    """Write a fold's manifest with one random split of its training clips, the same for all."""
    manifest = Manifest.read(fold)
    splits = manifest.table["split"].to_numpy(dtype=object)
    training = np.flatnonzero(np.isin(splits, ["train", "validation"]))
    part = part_of_groups(manifest.rows(training), share=share, seed=number)
    splits[training] = np.where(part, "validation", "train")
    place = out / f"{fold.stem}-split{number}.csv"
    return manifest.with_columns(split=splits).write(place)


def trained(experiment: Experiment[Settings]) -> dict[str, Folds]:
    """Train the networks of each set, "split #1" and so on; return them by set, a list a fold.

    Of a set there are as many as the grid file says, or `members`, of every line of the table with
    correction in turn, with weights and order of their own. Those of a split that do not reach the
    accuracy on its validation clips are left out.
    """
    grid, first = experiment.grid, 0
    found: dict[str, Folds] = {}
    for number, (name, sizes) in enumerate(grid.sets.items(), start=1):
        count = min(sizes[experiment.scale], grid.members or sizes[experiment.scale])
        lines = len(grid.conditions(GRIDS[name == WHOLE], scale=experiment.scale))
        seeds = range(first, first + -(-count // lines))
        runs: list[list[Run]] = []
        for fold in experiment.data:
            share = experiment.base.validation_share
            own = fold if name == WHOLE else with_split(fold, number, share, experiment.out)
            every = grid.runs(
                GRIDS[name == WHOLE], folds=[own], seeds=seeds, scale=experiment.scale
            )
            runs.append(every[:count])
        first = seeds.stop
        experiment.finish([run for own in runs for run in own])
        outcomes = [[run.outcome(experiment.places) for run in own] for own in runs]
        members = [experiment.members(own) for own in outcomes]
        found[name] = [
            [one for one in own if name == WHOLE or float(one.right.mean()) >= grid.selected]
            for own in members
        ]
    return found


def section(found: Mapping[str, Folds], grid: Settings) -> Section:
    """Return the scores of every submission on the test clips of the grid's devices."""
    votes: list[Outcome] = []
    sizes: dict[str, tuple[int, int]] = {}
    for kind in grid.submissions:
        folds = together(found, kind)
        votes += [
            # the manifests of the splits differ in nothing that is tested
            replace(each, run=replace(each.run, manifest=Path(str(number))))
            for number, each in enumerate(voted(folds, kind, grid))
        ]
        counts = [len(fold) for fold in folds]
        sizes[kind.name] = min(counts), max(counts)
    pooled = pool(votes)
    every = tuple(name for recorders in grid.devices.values() for name in recorders)
    rows = []
    for name in pooled.conditions:
        rows += pooled.compared(name, {**grid.devices, ALL: every}, {}, condition=name)
        scores = pooled.on(*every).scores(name)
        rows += [row(metric, scores[metric], condition=name, device=ALL) for metric in SCORES]
    return Section("submissions", Findings(rows), {"sizes": sizes})


def together(found: Mapping[str, Folds], kind: Ensemble) -> Folds:
    """Return the members of a submission, a list a fold."""
    sets = [found[name] for name in kind.members]
    return [[one for fold in folds for one in fold] for folds in zip(*sets, strict=True)]

"""The settings of a network, chosen for each fold on a part of its training clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from anymic.data.folds import cross_validation
from anymic.data.manifest import Manifest
from anymic.evaluation.report.rows import Row, row
from anymic.metrics import intervals
from anymic_experiments.experiment import Experiment
from anymic_experiments.microphone_pairs.settings import Settings
from anymic_experiments.runs import Run


@dataclass(frozen=True)
class Choice:
    """The candidate of each fold."""

    names: Mapping[Path, str]  # by the manifest of a fold
    rows: list[Row]  # accuracies by candidate and fold


def with_candidate(grid: Settings, name: str) -> Settings:
    """Return a grid whose trainings have the settings of a candidate; stated settings stay."""
    return replace(grid, changes={**grid.candidates[name], **grid.changes})


def choose(experiment: Experiment[Settings]) -> Choice:
    """Return for each fold the candidate that is right most often on its inner test clips.

    Those are a part of the fold's training clips of the reference device. Of equals the first is
    chosen. The first seed decides.
    """
    grid, plain = experiment.grid, next(iter(experiment.grid.factors["reference"]))
    runs: dict[tuple[Path, str], Run] = {}
    for fold in experiment.data:
        inner = inner_split(experiment, fold)
        for name in grid.candidates:
            first, *_ = with_candidate(grid, name).runs(
                "pairs", folds=[inner], seeds=[0], scale=experiment.scale
            )
            runs[fold, name] = replace(first, condition=f"{plain}: {name}")
    experiment.finish(runs.values(), doing="choosing settings")
    found = {key: run.outcome(experiment.places) for key, run in runs.items()}
    rows = [
        row(
            "accuracy",
            intervals.accuracy(outcome.right, outcome.groups),
            candidate=name,
            fold=fold.stem,
        )
        for (fold, name), outcome in found.items()
    ]
    names = {
        fold: max(grid.candidates, key=lambda name: found[fold, name].right.mean())
        for fold in experiment.data
    }
    return Choice(names, rows)


def inner_split(experiment: Experiment[Settings], fold: Path) -> Path:
    """Write the training clips of the reference device, a part of whose recordings test."""
    grid, clips = experiment.grid, Manifest.read(fold)
    (reference,) = grid.devices["reference"]
    training = clips.where(split="train", device=reference)
    inner = next(iter(cross_validation(training, grid.inner_folds, seed=0)))
    path = experiment.out / "inner" / f"{fold.stem}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    inner.write(path)
    return path

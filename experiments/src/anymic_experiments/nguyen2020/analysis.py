"""Heated-up softmax and spectrum correction: the sections of the page."""

from __future__ import annotations

from collections.abc import Iterator

from anymic_experiments.experiment import Experiment
from anymic_experiments.nguyen2020 import calibration, features, tables
from anymic_experiments.nguyen2020.settings import Settings
from anymic_experiments.page import Section

__all__ = ["SECTIONS", "Settings"]


def _curve(experiment: Experiment[Settings]) -> Iterator[Section]:
    members = experiment.members(experiment.train("curve"))
    ends = [tables.reached(member.outcome.run.folder(experiment.places)) for member in members]
    grid = experiment.grid
    found = tables.compare(members, ends, grid=grid, scale=experiment.scale)
    yield tables.section(found, grid, scale=experiment.scale)


def _losses(experiment: Experiment[Settings]) -> Iterator[Section]:
    seeds = experiment.seeds[: experiment.options.get("ablation_seeds") or None]
    found = tables.compare_losses(
        experiment.train("losses", "domains", seeds=seeds), experiment.grid, experiment.scale
    )
    yield tables.losses_section(found, experiment.grid, seeds=len(seeds))


def _features(experiment: Experiment[Settings]) -> Iterator[Section]:
    outcomes = experiment.train("features")
    found = features.pooled(experiment, [outcome.run for outcome in outcomes])
    yield features.section(found)


def _calibration(experiment: Experiment[Settings]) -> Iterator[Section]:
    members = experiment.members(experiment.train("calibration"))
    yield calibration.section(
        calibration.compare(members, experiment.grid.calibrated), experiment.grid
    )


SECTIONS = {"curve": _curve, "losses": _losses, "features": _features, "calibration": _calibration}

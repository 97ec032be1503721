"""Calibrating networks for secondary recording devices: the sections of the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from anymic.errors import ConfigError
from anymic_experiments.corpora import simulated
from anymic_experiments.experiment import Experiment, on_simulated_devices
from anymic_experiments.kosmider2019 import ensembles, identification, routing, table
from anymic_experiments.kosmider2019.settings import Settings
from anymic_experiments.page import Section

__all__ = ["SECTIONS", "Settings", "prepare"]

Ours = Experiment[Settings]


def prepare(experiment: Ours) -> Ours:
    """Make multi-microphone ESC-10, and where devices are asked about, with more of them.

    Raises ConfigError if devices are asked about without recordings of more of them.
    """
    esc50, responses = (experiment.options.get(name) for name in ("esc50", "responses"))
    if esc50 is None or responses is None:
        if "devices" in experiment.asked:
            raise ConfigError(
                "--devices is given with --data",
                expected="recordings of devices that are not in the training data",
                fix="use --esc50 and --responses, or anymic devices fit on your own recordings",
            )
        return experiment
    made: Ours = on_simulated_devices(experiment)
    if experiment.asked and "devices" not in experiment.asked:
        return made
    preset = experiment.grid.simulations["identification"]
    more = simulated(esc50, responses, experiment.out / "identification", preset=preset)
    return replace(made, made=more)


def _table(experiment: Ours) -> Iterator[Section]:
    found = table.compare(experiment.train("table"), experiment.grid)
    yield table.section(found, experiment.grid)


def _ensembles(experiment: Ours) -> Iterator[Section]:
    outcomes = experiment.train("table")
    corrected = [item for item in outcomes if item.run.config.correction is not None]
    whole = experiment.train("whole", seeds=(0,))
    found = ensembles.score(experiment.members([*corrected, *whole]), experiment.grid)
    yield ensembles.section(found, experiment.grid)


def _devices(experiment: Ours) -> Iterator[Section]:
    if not experiment.made:
        return
    grid = experiment.grid
    runs = [outcome.run for outcome in experiment.train("references")]
    curve = identification.run(experiment.made, experiment.places, grid, seeds=experiment.seeds)
    yield identification.section(curve, grid)
    more = dict(zip(experiment.data, experiment.made, strict=True))
    yield routing.section(routing.compare(routing.answers(experiment, runs, more)), grid)


SECTIONS = {"table": _table, "devices": _devices, "ensembles": _ensembles}

"""Tables 2 and 3 and figure 3, accuracy over temperature and loss, and the other sections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anymic.errors import AnymicError, ConfigError
from anymic.evaluation.report.rows import Row
from anymic_experiments.commands import ROOT, Scale
from anymic_experiments.drawing import dot, panels
from anymic_experiments.experiment import Experiment, on_simulated_devices
from anymic_experiments.findings import Findings, Published
from anymic_experiments.nguyen2020 import calibration, epochs, features
from anymic_experiments.nguyen2020.settings import Settings
from anymic_experiments.page import Section
from anymic_experiments.pooling import pool
from anymic_experiments.runs import Member, Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SECTIONS", "Settings", "prepare"]

LAST = 3  # epochs; one alone is noisy
PLAIN = "T = 1"


def reached(run: Path, metric: str = "training_accuracy") -> float:
    """Return the mean of a metric over the last three epochs of a run.

    Raises AnymicError if the log is not there, or does not hold the metric.
    """
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    log = EventAccumulator(str(run / "logs"))
    log.Reload()
    if metric not in log.Tags().get("scalars", ()):
        raise AnymicError(
            f"{run} has no log of {metric}",
            expected="the logs of its training",
            fix="delete the folder and run again",
        )
    return float(np.mean([event.value for event in log.Scalars(metric)[-LAST:]]))


@dataclass(frozen=True)
class Curve(Findings):
    """Accuracy over temperature."""

    temperatures: tuple[float, ...]  # of training, rising, the first is 1
    # the training accuracy at the end, by correction and temperature, averaged over folds and seeds
    reached: Mapping[tuple[str, float], float]
    # by correction, the temperature that its validation clips choose
    chosen: Mapping[str, float]
    behind: float  # see `Settings`

    def converged(self, correction: str, temperature: float) -> bool:
        """Whether training came about as far as at T = 1, so that accuracies may be compared."""
        ends = self.reached[correction, temperature], self.reached[correction, 1]
        return ends[0] >= ends[1] - self.behind


def compare(
    members: Sequence[Member], ends: Sequence[float], *, grid: Settings, scale: Scale
) -> Curve:
    """Return accuracy by correction, temperature and device, and what heating changes.

    `ends` are the training accuracies that the members reached.
    """
    pooled = pool(member.outcome for member in members)
    conditions = grid.conditions("curve", scale=scale)
    keys = {c.name: (c.levels["correction"], float(c.levels["temperature"])) for c in conditions}
    names = {key: name for name, key in keys.items()}
    rows: list[Row] = []
    for (correction, temperature), name in names.items():
        against = {} if temperature == 1 else {PLAIN: names[correction, 1]}
        if correction != grid.uncorrected:
            against[grid.uncorrected] = names[grid.uncorrected, temperature]
        where = {"correction": correction, "temperature": f"{temperature:g}"}
        rows += pooled.compared(name, grid.devices, against, **where)
    reached: dict[tuple[str, float], list[float]] = {key: [] for key in names}
    right = dict.fromkeys(names, 0)
    for member, end in zip(members, ends, strict=True):
        key = keys[member.outcome.run.condition]
        reached[key].append(end)
        right[key] += int(member.right.sum())
    corrections, temperatures = trained_at(grid, scale)
    return Curve(
        rows,
        temperatures=temperatures,
        reached={key: float(np.mean(found)) for key, found in reached.items()},
        chosen={
            correction: max(temperatures, key=lambda t: right[correction, t])
            for correction in corrections
        },
        behind=grid.behind,
    )


def trained_at(grid: Settings, scale: Scale) -> tuple[list[str], tuple[float, ...]]:
    """Return the corrections and the temperatures of table 3.

    Raises ConfigError unless each correction is trained at each temperature, `uncorrected` is one
    of them, and 1 is the first temperature.
    """
    levels = [one.levels for one in grid.conditions("curve", scale=scale)]
    keys = [(own["correction"], float(own["temperature"])) for own in levels]
    corrections = [*dict.fromkeys(correction for correction, _ in keys)]
    temperatures = tuple(t for correction, t in keys if correction == grid.uncorrected)
    whole = {(correction, t) for correction in corrections for t in temperatures}
    if not temperatures or temperatures[0] != 1 or whole != set(keys):
        raise ConfigError(
            "grids.curve has not every correction at every temperature",
            expected=f"{grid.uncorrected} among the corrections, and 1 as the first temperature",
            fix="change grids.curve",
        )
    return corrections, temperatures


def section(found: Curve, grid: Settings) -> Section:
    """Return table 3, figure 3 and what they say."""
    printed: dict[str, dict[float, float]] = {name: {} for name in grid.factors["correction"]}
    figures = Published.read(ROOT / "nguyen2020")
    for name in figures.rows("3"):
        correction, _, temperature = name.partition(" ")
        if temperature:
            printed[correction][float(temperature)] = figures.of("3", name, grid.pair)
    heated = {}
    for correction in found.chosen:
        own = printed[correction]
        hottest = max((t for t in own if t != 1), key=own.__getitem__)
        nearest = min(found.temperatures, key=lambda t: abs(np.log(t / hottest)))
        if nearest != 1 and found.converged(correction, nearest):
            heated[correction] = nearest, own[hottest] - own[1]
    corrected = [
        item
        for item in found.rows
        if item.condition.get("against_condition") == grid.uncorrected
        if item.condition["device"] == grid.pair
        for t in (float(item.condition["temperature"]),)
        if found.converged(item.condition["correction"], t)
        if found.converged(grid.uncorrected, t)
    ]
    facts = {"printed": printed, "heated": heated, "corrected": corrected}
    return Section("curve", found, facts, "figure3", figure(found, grid))


def figure(curve: Curve, grid: Settings) -> Figure:
    """Draw figure 3: accuracy over temperature, on A, and on B and C; hollow: not converged."""
    from anymic.evaluation.report.style import PAPER, series

    with panels(grid.shown, 3.4, 9.0, grid="y", sharex=True, sharey=True) as (drawing, each):
        for axes, device in zip(each, grid.shown, strict=True):
            for number, correction in enumerate(curve.chosen):
                colour, marker = series(number)
                where = {"correction": correction, "device": device}
                found = [curve.of("accuracy", **where, temperature=t) for t in curve.temperatures]
                # Beside each other, so that no interval hides another.
                places = [t * 1.05 ** (number - 1) for t in curve.temperatures]
                axes.plot(places, [100 * item.value for item in found], color=colour, lw=1.4)
                for place, t, item in zip(places, curve.temperatures, found, strict=True):
                    full = curve.converged(correction, t)
                    label = correction if t == curve.temperatures[0] else None
                    style: Any = {"mfc": colour if full else PAPER, "mec": colour, "label": label}
                    dot(axes, place, item, marker, color=colour, width=1.0, **style)
            axes.set_xscale("log")
            axes.set_xticks(curve.temperatures, [f"{t:g}" for t in curve.temperatures])
            axes.minorticks_off()
            axes.set_xlabel("temperature of training")
        each[0].set_ylabel("accuracy (%) with 95 % interval")
        each[0].legend(loc="lower left")
    return drawing


def losses(outcomes: Iterable[Outcome], grid: Settings, *, scale: Scale, seeds: int) -> Section:
    """Return accuracies of the grids `losses` and `domains`, and differences clip by clip."""
    pooled = pool(outcomes)
    devices = {name: grid.devices[name] for name in grid.shown}
    plain: dict[str, str] = {}  # the first of each correction: focal loss, gains on magnitudes
    rows: list[Row] = []
    for condition in grid.conditions("losses", "domains", scale=scale):
        where = {key: condition.levels[key] for key in ("correction", "loss", "domain")}
        first = plain.setdefault(where["correction"], condition.name)
        against = {} if first == condition.name else {first: first}
        rows += pooled.compared(condition.name, devices, against, **where)
    return Section("losses", Findings(rows), {"seeds": seeds})


def prepare(experiment: Experiment[Settings]) -> Experiment[Settings]:
    """Make multi-microphone ESC-10 where it is asked for, and validate on test clips if it is.

    Raises ConfigError if calibration, or a comparison of choices of the epoch, is asked for with
    test clips that validate, or if the grid of table 3 has gaps.
    """
    if not experiment.asked or "curve" in experiment.asked:
        trained_at(experiment.grid, experiment.scale)
    made: Experiment[Settings] = on_simulated_devices(experiment)
    if experiment.grid.validation == "training clips":
        return made
    if "epochs" in experiment.asked:
        raise ConfigError(
            "the test clips validate, and the part on epochs compares that with other ways",
            expected="validation on training clips, the setting of the recipe",
            fix="leave out the setting validation",
        )
    if "calibration" in experiment.asked:
        raise ConfigError(
            "the test clips validate, and would calibrate too",
            expected="validation on training clips",
            fix="leave out the setting validation, or the part on calibration",
        )
    return replace(made, data=tuple(epochs.validated(fold, experiment.out) for fold in made.data))


def _curve(experiment: Experiment[Settings]) -> Iterator[Section]:
    members = experiment.members(experiment.train("curve"))
    ends = [reached(member.outcome.run.folder(experiment.places)) for member in members]
    grid = experiment.grid
    found = compare(members, ends, grid=grid, scale=experiment.scale)
    yield section(found, grid)


def _losses(experiment: Experiment[Settings]) -> Iterator[Section]:
    seeds = experiment.seeds[: experiment.grid.ablation_seeds]
    outcomes = experiment.train("losses", "domains", seeds=seeds)
    yield losses(outcomes, experiment.grid, scale=experiment.scale, seeds=len(seeds))


def _features(experiment: Experiment[Settings]) -> Iterator[Section]:
    runs = [outcome.run for outcome in experiment.train("features")]
    yield features.section(features.pooled(experiment, runs))


def _calibration(experiment: Experiment[Settings]) -> Iterator[Section]:
    if experiment.grid.validation == "test clips":
        return
    members = experiment.members(experiment.train("calibration"))
    yield calibration.section(members, experiment.grid)


def _epochs(experiment: Experiment[Settings]) -> Iterator[Section]:
    if experiment.grid.validation == "test clips":
        return
    seeds = experiment.seeds[: experiment.grid.ablation_seeds]
    runs = epochs.runs(experiment, seeds=seeds)
    experiment.finish(runs)
    outcomes = [run.outcome(experiment.places) for run in runs]
    yield epochs.section(outcomes, experiment.grid, scale=experiment.scale, seeds=len(seeds))


SECTIONS = {
    "curve": _curve,
    "losses": _losses,
    "features": _features,
    "calibration": _calibration,
    "epochs": _epochs,
}

"""Tables 2 and 3, figure 3: accuracy over temperature, correction, loss and domain of the gains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anymic.errors import AnymicError
from anymic.evaluation.report.rows import Row, row
from anymic_experiments.commands import ROOT, Scale
from anymic_experiments.drawing import upright
from anymic_experiments.findings import Findings, Published, clear
from anymic_experiments.nguyen2020.settings import Settings
from anymic_experiments.page import Section
from anymic_experiments.pooling import pool
from anymic_experiments.runs import Member, Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    chosen: Mapping[str, float]  # the temperature that each correction's validation clips choose
    behind: float  # see `Settings`

    def converged(self, correction: str, temperature: float) -> bool:
        """Whether training came about as far as at T = 1, so that accuracies may be compared."""
        ends = self.reached[correction, temperature], self.reached[correction, 1]
        return ends[0] >= ends[1] - self.behind


def compare(
    members: Sequence[Member], ends: Sequence[float], *, grid: Settings, scale: Scale
) -> Curve:
    """Return accuracy by correction, temperature and device, and what heating changes."""
    pooled = pool(member.outcome for member in members)
    conditions = grid.conditions("curve", scale=scale)
    names = {(c.levels["correction"], float(c.levels["temperature"])): c.name for c in conditions}
    rows: list[Row] = []
    for (correction, temperature), name in names.items():
        for device, recorders in grid.devices.items():
            place = {"correction": correction, "temperature": f"{temperature:g}", "device": device}
            rows.append(row("accuracy", pooled.accuracy(name, *recorders), **place))
            against = {}
            if temperature != 1:
                against[PLAIN] = names[correction, 1]
            if correction != grid.uncorrected:
                against[grid.uncorrected] = names[grid.uncorrected, temperature]
            for over, other in against.items():
                change = pooled.gain(name, other, *recorders)
                rows.append(row("accuracy_difference", change, **place, against_condition=over))
    own = {
        key: [each for each in zip(members, ends, strict=True) if _named(each[0], name)]
        for key, name in names.items()
    }
    right = {key: sum(int(member.right.sum()) for member, _ in found) for key, found in own.items()}
    temperatures = tuple(t for correction, t in names if correction == grid.uncorrected)
    return Curve(
        rows,
        temperatures=temperatures,
        reached={key: float(np.mean([end for _, end in found])) for key, found in own.items()},
        chosen={
            correction: max(temperatures, key=lambda t: right[correction, t])
            for correction in grid.corrections
        },
        behind=grid.behind,
    )


def _named(member: Member, name: str) -> bool:
    return member.outcome.run.condition == name


def section(found: Curve, grid: Settings, *, scale: Scale) -> Section:
    """Return table 3, figure 3 and what they say."""
    printed: dict[str, dict[float, float]] = {name: {} for name in grid.corrections}
    figures = Published.read(ROOT / "nguyen2020")
    for name in figures.rows("3"):
        correction, _, temperature = name.partition(" ")
        if temperature:
            printed[correction][float(temperature)] = figures.of("3", name, grid.pair)
    heated = {}
    for correction, own in printed.items():
        hottest = max((t for t in own if t != 1), key=own.__getitem__)
        nearest = min(found.temperatures, key=lambda t: abs(np.log(t / hottest)))
        if found.converged(correction, nearest):
            heated[correction] = nearest, own[hottest] - own[1]
    corrected = [
        found.of(
            "accuracy_difference",
            correction=correction,
            temperature=t,
            device=grid.pair,
            against_condition=grid.uncorrected,
        )
        for correction, t in found.reached
        if correction != grid.uncorrected
        if found.converged(correction, t) and found.converged(grid.uncorrected, t)
    ]
    conditions = grid.conditions("curve", scale=scale)
    facts = {
        "found": found,
        "grid": grid,
        "plain": PLAIN,
        "configs": {one.config.temperature: one.config for one in conditions},
        "printed": printed,
        "heated": heated,
        "corrected": corrected,
        "above": len(clear(corrected)),
    }
    return Section("curve", facts, found.rows, "figure3", figure(found, grid))


def figure(curve: Curve, grid: Settings) -> Figure:
    """Draw figure 3: accuracy over temperature, on A, and on B and C; hollow: not converged."""
    from anymic.evaluation.report.style import PAPER, bare, canvas, quiet_style, series

    with quiet_style():
        drawing, panels = canvas(3.4, 9.0, ncols=2, sharey=True, sharex=True)
        for axes, device in zip(panels, (next(iter(grid.devices)), grid.pair), strict=True):
            for number, correction in enumerate(grid.corrections):
                colour, marker = series(number)
                where = {"correction": correction, "device": device}
                found = [curve.of("accuracy", **where, temperature=t) for t in curve.temperatures]
                # Beside each other, so that no interval hides another.
                places = [t * 1.05 ** (number - 1) for t in curve.temperatures]
                axes.plot(places, [100 * item.value for item in found], color=colour, lw=1.4)
                for place, t, item in zip(places, curve.temperatures, found, strict=True):
                    full = curve.converged(correction, t)
                    label = correction if t == curve.temperatures[0] else None
                    fill = {"mfc": colour if full else PAPER, "mec": colour, "label": label}
                    upright(axes, place, item, marker, color=colour, width=1.0, **fill)
            axes.set_xscale("log")
            axes.set_xticks(curve.temperatures, [f"{t:g}" for t in curve.temperatures])
            axes.minorticks_off()
            axes.set_title(device)
            axes.set_xlabel("temperature of training")
            bare(axes, grid="y")
        panels[0].set_ylabel("accuracy (%) with 95 % interval")
        panels[0].legend(loc="lower left")
    return drawing


def shown(grid: Settings) -> tuple[str, str]:
    """Return the devices of table 2."""
    return next(iter(grid.devices)), grid.pair


def compare_losses(outcomes: Iterable[Outcome], grid: Settings, scale: Scale) -> Findings:
    """Return accuracies of the grids `losses` and `domains`, and differences clip by clip."""
    pooled = pool(outcomes)
    conditions = grid.conditions("losses", "domains", scale=scale)
    plain: dict[str, str] = {}  # the first of each correction: focal loss, gains on magnitudes
    rows: list[Row] = []
    for condition in conditions:
        correction = condition.levels["correction"]
        plain.setdefault(correction, condition.name)
        where = {key: condition.levels[key] for key in ("correction", "loss", "domain")}
        for device in shown(grid):
            recorders = grid.devices[device]
            place = {**where, "device": device}
            rows.append(row("accuracy", pooled.accuracy(condition.name, *recorders), **place))
            if condition.name != plain[correction]:
                change = pooled.gain(condition.name, plain[correction], *recorders)
                rows.append(row("accuracy_difference", change, **place))
    return Findings(rows)


def losses_section(found: Findings, grid: Settings, *, seeds: int) -> Section:
    """Return table 2 and the ablation."""
    facts = {
        "found": found,
        "seeds": seeds,
        "corrections": grid.corrections,
        "losses": tuple(grid.factors["loss"]),
        "corrected": [name for name in grid.corrections if name != grid.uncorrected],
        "shown": shown(grid),
        "pair": grid.pair,
    }
    return Section("losses", facts, found.rows)

"""Table 3 and figure 1, every setting with and without correction, and the other sections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from anymic.data.manifest import Manifest
from anymic.errors import ConfigError
from anymic.evaluation.report.rows import Row, row
from anymic_experiments.commands import ROOT
from anymic_experiments.conditions import Condition
from anymic_experiments.drawing import dot, panels
from anymic_experiments.experiment import Experiment, on_simulated_devices, simulated
from anymic_experiments.findings import Findings, Published
from anymic_experiments.kosmider2019 import (
    device_policy,
    ensembles,
    identification,
    submissions,
)
from anymic_experiments.kosmider2019.settings import Settings
from anymic_experiments.page import Section
from anymic_experiments.pooling import pool
from anymic_experiments.runs import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SECTIONS", "Settings", "prepare"]

EVERY = "mean of all eight"
Ours = Experiment[Settings]


def prepare(experiment: Ours) -> Ours:
    """Make multi-microphone ESC-10, and where devices are asked about, with more of them.

    Raises ConfigError if devices are asked about without recordings of more of them.
    """
    if "devices" in experiment.asked and experiment.options.get("esc50") is None:
        raise ConfigError(
            "--devices is given with --data",
            expected="recordings of devices that are not in the training data",
            fix="use --esc50 and --responses, or anymic devices fit on your own recordings",
        )
    made: Ours = on_simulated_devices(experiment)
    if not made.simulated or (made.asked and "devices" not in made.asked):
        return made
    return replace(made, made=simulated(made, "identification"))


def pairs(grid: Settings) -> list[tuple[Condition, Condition]]:
    """Return the settings of the table with correction, each with its counterpart without."""
    conditions = grid.conditions("table", scale="small")
    return list(zip(conditions[::2], conditions[1::2], strict=True))


def table(outcomes: Iterable[Outcome], grid: Settings) -> Section:
    """Return accuracy by setting and device, and what correction changes, alone and on average."""
    pooled = pool(outcomes)
    names = [(corrected.name, plain.name) for corrected, plain in pairs(grid)]
    rows: list[Row] = []
    for corrected, plain in names:
        rows += pooled.compared(corrected, grid.devices, {plain: plain}, condition=corrected)
        rows += pooled.compared(plain, grid.devices, {}, condition=plain)
    for device, recorders in grid.devices.items():
        with_it, without = zip(*names, strict=True)
        change = pooled.on(*recorders).gain(with_it, without)
        where = {"condition": f"{EVERY}, correction", "device": device}
        rows.append(row("accuracy_difference", change, **where, against_condition=EVERY))
    found = Findings(rows)
    facts = {"pairs": pairs(grid), "every": EVERY}
    return Section("table", found, facts, "figure1", figure(found, grid))


def figure(found: Findings, grid: Settings) -> Figure:
    """Draw figure 1: accuracy on B and C of every setting, with and without correction."""
    from anymic.evaluation.report.style import SERIES

    published = Published.read(ROOT / "kosmider2019")
    pair = tuple(grid.devices)[-1]
    networks = tuple(grid.factors["network"])
    caption = (
        "accuracy on B and C (%) with 95 % interval: circles with correction, squares\n"
        "without; hollow: the report's, on other clips and classes"
    )
    with panels(networks, 3.2, 9.0, grid="x", caption=caption, sharey=True) as (drawing, each):
        for network, axes in zip(networks, each, strict=True):
            lines = [own for own in pairs(grid) if own[0].levels["network"] == network]
            for place, own in enumerate(lines):
                for setting, shift, colour, marker in zip(
                    own, (-0.12, 0.12), SERIES, "os", strict=False
                ):
                    item = found.of("accuracy", condition=setting.name, device=pair)
                    dot(axes, place + shift, item, marker, color=colour, along="x")
                    printed = published.of("3", setting.name, pair)
                    hollow = {"mfc": "none", "mec": colour, "alpha": 0.7}
                    axes.plot(printed, place + shift, marker, ms=6.5, **hollow)
            axes.set_yticks(range(len(lines)), [_label(corrected) for corrected, _ in lines])
        each[0].invert_yaxis()
    return drawing


def _label(setting: Condition) -> str:
    factors = ("augmentation", "normalization")
    return "\n".join(f for f in factors if setting.levels[f] == "with") or "neither"


def _table(experiment: Ours) -> Iterator[Section]:
    yield table(experiment.train("table"), experiment.grid)


def _ensembles(experiment: Ours) -> Iterator[Section]:
    outcomes = experiment.train("table")
    corrected = [item for item in outcomes if item.run.config.correction is not None]
    whole = experiment.train("whole", seeds=(0,))
    yield ensembles.section(experiment.members([*corrected, *whole]), experiment.grid)


def _submissions(experiment: Ours) -> Iterator[Section]:
    yield submissions.section(submissions.trained(experiment), experiment.grid)


def teachers(experiment: Ours) -> list[str]:
    """Return the devices that show an identifier where to stop: they train, and are not known."""
    known = experiment.grid.device_policy.known
    training = Manifest.read(experiment.made[0]).where(split="train").devices
    return [name for name in training if name not in known]


def _identification(experiment: Ours) -> Iterator[Section]:
    if experiment.made:
        grid, seeds = experiment.grid, experiment.seeds
        found = identification.run(experiment.made, experiment.places, grid, seeds=seeds)
        yield identification.section(found, grid, teachers(experiment))


def _devices(experiment: Ours) -> Iterator[Section]:
    if experiment.made:
        found = device_policy.answers(experiment)
        yield device_policy.section(found, experiment.grid, teachers(experiment))


SECTIONS = {
    "table": _table,
    "identification": _identification,
    "devices": _devices,
    "ensembles": _ensembles,
    "submissions": _submissions,
}

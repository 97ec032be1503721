"""What is compared: every combination of the levels of some factors, as a grid file names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from anymic.errors import ConfigError
from anymic.training import TrainingConfig, load_config
from anymic_experiments.commands import GRID, Command, Scale, read_settings
from anymic_experiments.runs import Run

Found = TypeVar("Found", bound="Grid")


@dataclass(frozen=True)
class Level:
    """One level of a factor: what it is called, and which settings it changes."""

    # its part of a condition's name; None is its key, an empty one is left out
    name: str | None = None
    # settings of training at both scales, or at one; a dot reaches inside
    settings: dict[str, Any] = field(default_factory=dict)
    paper: dict[str, Any] = field(default_factory=dict)
    small: dict[str, Any] = field(default_factory=dict)
    scales: tuple[Scale, ...] = ("paper", "small")  # where it exists


@dataclass(frozen=True)
class Condition:
    """What one line of a table is trained with."""

    name: str
    levels: Mapping[str, str]  # by factor
    config: TrainingConfig  # of seed 0
    # seeds are this far apart, so that lines with weights of their own have seeds between them
    lines: int = 1

    def seeded(self, seed: int) -> TrainingConfig:
        """Return the settings of its training with this seed."""
        return replace(self.config, seed=seed * self.lines + self.config.seed)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The grid file of a paper, as far as papers have it in common."""

    title: str
    command: Command
    presets: dict[Scale, str]  # the training preset of each scale
    factors: dict[str, dict[str, Level]] = field(default_factory=dict)
    # by name: blocks, each of which is every combination of the levels that it names
    grids: dict[str, tuple[dict[str, tuple[str, ...]], ...]] = field(default_factory=dict)
    # every combination of their levels has a seed of its own: its weights, splits and orders
    seed_factors: tuple[str, ...] = ()
    # the devices that tables have columns for, alone or several together
    devices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # the presets of simulated devices that clips are passed through: `corpus`, and others
    simulations: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls: type[Found], folder: Path) -> Found:
        """Read a paper's grid file.

        Raises ConfigError in one line, with the file and the key or the line that is wrong.
        """
        grid = read_settings(cls, folder)
        blocks = ((name, block) for name, own in grid.grids.items() for block in own)
        for name, block in blocks:
            for factor, levels in block.items():
                if wrong := set(levels) - set(grid.factors.get(factor, ())):
                    raise ConfigError(
                        f"{folder / GRID}: grids.{name}: no {factor} {', '.join(sorted(wrong))}",
                        expected=f"levels of factors.{factor}",
                        fix="correct the grid",
                    )
        return grid

    def conditions(
        self, *names: str, scale: Scale, changes: Mapping[str, Any] | None = None
    ) -> list[Condition]:
        """Return the conditions of grids, none twice.

        Raises ConfigError if a level changes a setting that training does not have.
        """
        found: dict[str, Condition] = {}
        for block in (block for name in names for block in self.grids[name]):
            own = [factor for factor in self.factors if factor in block]
            for keys in product(*(block[factor] for factor in own)):
                levels = {f: (key, self.factors[f][key]) for f, key in zip(own, keys, strict=True)}
                if all(scale in level.scales for _, level in levels.values()):
                    condition = self._condition(levels, scale, changes or {})
                    found.setdefault(condition.name, condition)
        return list(found.values())

    def runs(
        self,
        *names: str,
        folds: Iterable[Path],
        seeds: Sequence[int],
        scale: Scale,
        changes: Mapping[str, Any] | None = None,
    ) -> list[Run]:
        """Return every condition, fold (a manifest) and seed, whole seeds first.

        So an unfinished grid is a finished one of fewer seeds.
        """
        conditions = self.conditions(*names, scale=scale, changes=changes)
        folds = tuple(folds)
        return [
            Run(condition.name, condition.seeded(seed), fold)
            for seed in seeds
            for fold in folds
            for condition in conditions
        ]

    def _condition(
        self, levels: dict[str, tuple[str, Level]], scale: Scale, changes: Mapping[str, Any]
    ) -> Condition:
        parts = [key if level.name is None else level.name for key, level in levels.values()]
        name = ", ".join(part for part in parts if part)
        settings = dict(changes)
        for _, level in levels.values():
            settings |= {**level.settings, **(level.paper if scale == "paper" else level.small)}
        line, lines = 0, 1
        for factor in self.seed_factors:
            places = list(self.factors[factor])
            line = line * len(places) + places.index(levels[factor][0])
            lines *= len(places)
        try:
            config = load_config(self.presets[scale], changes={**settings, "seed": line})
        except ConfigError as error:
            raise ConfigError(
                f"{GRID} of {self.title}, {name}: {error.problem}",
                expected=error.expected,
                fix=error.fix,
            ) from error
        return Condition(name, {f: key for f, (key, _) in levels.items()}, config, lines)

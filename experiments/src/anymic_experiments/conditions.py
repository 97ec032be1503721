"""What is compared: every combination of the levels of some factors, as a grid file names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from anymic._internal.settings import to_mapping
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
    seeds: int = 2  # how many: 0, 1, ...
    folds: int | None = None  # how many of the corpus's folds test, the first ones; null is all
    # what one name means where the recipe has several settings, {scale} being the scale
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # settings of all trainings, in place of what the presets and the pace of a level say
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ConfigError for a number below 1."""
        for name in ("seeds", "folds", "members"):
            if (number := getattr(self, name, None)) is not None and number < 1:
                raise ConfigError(
                    f"{name} is {number}", expected="1 or more", fix="choose another number"
                )

    @classmethod
    def read(
        cls: type[Found],
        folder: Path,
        *,
        scale: Scale = "small",
        changes: Mapping[str, Any] | None = None,
    ) -> Found:
        """Read a paper's grid file, with some settings changed: its own, or those of trainings.

        Raises ConfigError in one line, with the file and the key or the line that is wrong; if a
        change is of what the recipe compares.
        """
        grid = read_settings(cls, folder)
        if changes:
            named = {
                place.format(scale=scale): value
                for key, value in changes.items()
                for place in grid.aliases.get(key, (key,))
            }
            names = {one.name for one in fields(cls)}
            own = {key: value for key, value in named.items() if key.split(".")[0] in names}
            trained = {key: value for key, value in named.items() if key not in own}
            grid = replace(read_settings(cls, folder, changes=own), changes=trained)
            grid.check_changes(scale)
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

    def check_changes(self, scale: Scale) -> None:
        """Raise ConfigError if a training has no such setting, or the recipe compares it."""
        known = {one.name for one in fields(TrainingConfig)}
        own = {one.name for one in fields(self)} - {one.name for one in fields(Grid)}
        for key in self.changes:
            root = key.split(".")[0]
            if root not in known:
                raise ConfigError(
                    f"the recipe has no setting {key}",
                    expected=f"one of {', '.join(['seeds', 'folds', *sorted(own)])}, or one of a "
                    "training, such as epochs",
                    fix="correct the name",
                )
            compared = any(
                all(any(overlap(key, name) for name in level.settings) for level in levels.values())
                for levels in self.factors.values()
            )
            if key == "seed" or compared:
                raise ConfigError(
                    f"the recipe itself sets {key}",
                    expected="a setting that is the same in all of its trainings",
                    fix="leave it out; seeds is the number of seeds",
                )
        load_config(self.presets[scale], changes=self.changes)

    def differences(self, recipe: Grid, scale: Scale) -> dict[str, tuple[Any, list[Any]]]:
        """Return what differs from a recipe's grid: by setting the value, and those of the recipe.

        A setting of trainings may have several in the recipe.
        """
        ours, theirs = (flat(to_mapping(replace(grid, changes={}))) for grid in (self, recipe))
        names = [key for key in {**theirs, **ours} if ours.get(key) != theirs.get(key)]
        found = {key: (ours.get(key), [theirs.get(key)]) for key in names}
        configs = [
            {one.name: one.config for one in grid.conditions(*grid.grids, scale=scale)}
            or {"": load_config(self.presets[scale], changes=grid.changes)}
            for grid in (self, recipe)
        ]
        for key, value in self.changes.items():
            now, was = (
                {name: flat(to_mapping(config), key).get(key) for name, config in each.items()}
                for each in configs
            )
            own = {str(one): one for name, one in was.items() if now.get(name) != one}
            found |= {key: (value, list(own.values()))} if own else {}
        return found

    def conditions(self, *names: str, scale: Scale) -> list[Condition]:
        """Return the conditions of grids, none twice.

        Raises ConfigError if a level changes a setting that training does not have.
        """
        found: dict[str, Condition] = {}
        for block in (block for name in names for block in self.grids[name]):
            own = [factor for factor in self.factors if factor in block]
            for keys in product(*(block[factor] for factor in own)):
                levels = {f: (key, self.factors[f][key]) for f, key in zip(own, keys, strict=True)}
                if all(scale in level.scales for _, level in levels.values()):
                    condition = self._condition(levels, scale)
                    found.setdefault(condition.name, condition)
        return list(found.values())

    def runs(
        self,
        *names: str,
        folds: Iterable[Path],
        seeds: Sequence[int],
        scale: Scale,
    ) -> list[Run]:
        """Return every condition, fold (a manifest) and seed, whole seeds first.

        So an unfinished grid is a finished one of fewer seeds.
        """
        conditions = self.conditions(*names, scale=scale)
        folds = tuple(folds)
        return [
            Run(condition.name, condition.seeded(seed), fold)
            for seed in seeds
            for fold in folds
            for condition in conditions
        ]

    def _condition(self, levels: dict[str, tuple[str, Level]], scale: Scale) -> Condition:
        parts = [key if level.name is None else level.name for key, level in levels.values()]
        name = ", ".join(part for part in parts if part)
        settings: dict[str, Any] = {}
        for _, level in levels.values():
            settings |= level.paper if scale == "paper" else level.small
        settings |= self.changes
        for _, level in levels.values():  # last, for this is what is compared
            settings |= level.settings
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


def overlap(one: str, other: str) -> bool:
    """Say whether two dotted names are of the same setting, or one is a part of the other."""
    short, long = sorted((f"{one}.", f"{other}."), key=len)
    return long.startswith(short)


def flat(values: Mapping[str, Any], until: str = "", *, place: str = "") -> dict[str, Any]:
    """Return nested values by their dotted names; what is below the name `until` stays nested."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{place}{key}"
        if isinstance(value, Mapping) and name != until:
            found |= flat(value, until, place=f"{name}.")
        else:
            found[name] = value
    return found

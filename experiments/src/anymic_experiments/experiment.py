"""An experiment of a paper: its grid file, its clips, and where its results are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from anymic.data.corpora.esc50 import esc50
from anymic.data.manifest import Manifest
from anymic.data.splits import check_splits
from anymic.devices.simulation.simulate import simulate
from anymic.errors import AnymicError, ManifestError
from anymic.training import TrainingConfig, load_config
from anymic_experiments.clips import Clips
from anymic_experiments.commands import ROOT, Scale
from anymic_experiments.conditions import Grid
from anymic_experiments.page import Page, Section
from anymic_experiments.runner import Task, finish_all
from anymic_experiments.runs import Member, Outcome, Validation

Settings = TypeVar("Settings", bound=Grid)


@dataclass(frozen=True)
class Experiment(Generic[Settings]):
    """What to do, and where."""

    grid: Settings  # the paper's grid file
    # folder of all that is made; what is found finished is not made again, and runs that another
    # experiment left there with the same settings and clips are used
    out: Path
    data: tuple[Path, ...]  # manifests: of a corpus of devices one a fold
    scale: Scale = "small"
    workers: int = 2  # processes at a time
    progress: bool = True
    asked: tuple[str, ...] = ()  # the parts that are asked for; none is all that the data allow
    simulated: bool = False  # whether the folds are multi-microphone ESC-10
    made: Any = None  # what a paper's `prepare` has made of the data
    # what the command line says, by name: of what only this paper asks for, too
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds."""
        return tuple(range(self.grid.seeds))

    @property
    def places(self) -> Path:
        """The folder of the runs."""
        return self.out / "runs"

    @property
    def base(self) -> TrainingConfig:
        """The preset of the scale, with what the recipe's settings change."""
        return load_config(self.grid.presets[self.scale], changes=self.grid.changes)

    def of_folds(self) -> Experiment[Settings]:
        """Return it with as many of its folds as the settings ask for."""
        made, first = self.made, slice(self.grid.folds)
        if isinstance(made, Mapping):
            made = dict([*made.items()][first])
        elif made:
            made = made[first]
        return replace(self, data=self.data[first], made=made)

    def manifests(self) -> list[Manifest]:
        """Return the clips of every fold."""
        if isinstance(self.made, Mapping):
            return list(self.made.values())
        return [Manifest.read(path) for path in self.data]

    def train(self, *names: str, seeds: Sequence[int] | None = None) -> list[Outcome]:
        """Train and test what is missing of grids, every fold and seed."""
        runs = self.grid.runs(
            *names,
            folds=self.data,
            seeds=self.seeds if seeds is None else seeds,
            scale=self.scale,
        )
        self.finish(runs)
        return [run.outcome(self.places) for run in runs]

    def finish(self, tasks: Iterable[Task], *, doing: str = "training") -> None:
        """Do what is missing of these tasks."""
        finish_all(tasks, self.places, workers=self.workers, progress=self.progress, doing=doing)

    def members(self, outcomes: Sequence[Outcome]) -> list[Member]:
        """Let each of these runs classify its own validation clips, once."""
        tasks = [Validation(outcome.run) for outcome in outcomes]
        self.finish(tasks, doing="validating")
        found = [task.read(self.places) for task in tasks]
        return [
            Member(outcome, each["probabilities"], each["targets"])
            for outcome, each in zip(outcomes, found, strict=True)
        ]


def simulated(experiment: Experiment[Any], name: str) -> tuple[Path, ...]:
    """Pass ESC-10 through one of the grid's simulations and return one manifest a fold."""
    made = simulate(
        esc50(experiment.options["esc50"], subset="esc10"),
        experiment.grid.simulations[name],
        experiment.out / name,
        responses=experiment.options["responses"],
    )
    return tuple(made.folds.values())


def on_simulated_devices(experiment: Experiment[Any]) -> Experiment[Any]:
    """Make multi-microphone ESC-10 where it is asked for, else leave the data as they are."""
    if experiment.options.get("esc50") is None:
        return experiment
    return replace(experiment, data=simulated(experiment, "corpus"), simulated=True)


def by_fold(manifest: Manifest) -> dict[str, Manifest]:
    """Return the corpus once for each fold, with a column `split`: that fold tests, others train.

    Clips of no fold train always.

    Raises ManifestError if there is no column `fold`.
    """
    manifest.require("fold", purpose="a test set")
    folds = manifest.table["fold"].to_numpy()
    return {
        f"fold{number}": manifest.with_columns(split=np.where(folds == number, "test", "train"))
        for number in sorted(set(folds.tolist()) - {-1})
    }


def without_test_recordings(manifest: Manifest) -> Manifest:
    """Return a fold without the training clips of recordings that are also tested.

    ESC-50 has two recordings with clips in two of its folds.
    """
    test = (manifest.table["split"] == "test").to_numpy(dtype=bool)
    tested = manifest.table["group"].isin(manifest.table["group"][test]).to_numpy(dtype=bool)
    return manifest.rows(test | ~tested)


def has_split(manifest: Manifest) -> bool:
    """Say whether a manifest names training and test clips itself.

    Raises ManifestError if it does, and there are none of one of them, or a recording is in both.
    """
    if "split" not in manifest.table.columns:
        return False
    check_splits(manifest)
    for part in ("train", "test"):
        if not len(manifest.where(split=part)):
            raise ManifestError(
                f"no clip has the split {part!r}",
                expected="clips to train on and clips to test",
                fix="correct the column split, or use folds",
            )
    return True


@dataclass(frozen=True)
class Paper:
    """A paper: what its folder holds."""

    folder: Path
    grid: Grid
    # what makes the sections of each part, in the order of the page; parts run in that of the grid
    sections: Mapping[str, Callable[[Any], Iterable[Section]]]
    prepare: Callable[[Any], Any]  # returns an experiment with its clips made

    @classmethod
    def read(cls, name: str) -> Paper:
        """Read the grid file of a folder and load its `analysis.py`.

        That has `SECTIONS`, by part, and where it needs them a `Settings`, which extends `Grid`, a
        `prepare` of an experiment.
        """
        module = import_module(f"anymic_experiments.{name}.analysis")
        folder = ROOT / name
        return cls(
            folder,
            getattr(module, "Settings", Grid).read(folder),
            module.SECTIONS,
            getattr(module, "prepare", on_simulated_devices),
        )

    def changed(self, scale: Scale, changes: Mapping[str, Any]) -> Grid:
        """Return the grid with some settings changed; see `Grid.read`."""
        return type(self.grid).read(self.folder, scale=scale, changes=changes)

    def run(
        self, experiment: Experiment[Any], *, page_folder: Path | None = None, command: str
    ) -> tuple[list[Path], str]:
        """Make what is missing, compare, and write report and page: the files, and the page's text.

        Both are written after each part, so that nothing is lost that is done. Without
        `page_folder` the page is in the folder of the report.

        Raises AnymicError if a part of the experiment cannot be made, with where the page is.
        """
        scale, seeds = experiment.scale, experiment.seeds
        experiment = self.prepare(experiment).of_folds()
        page = Page(
            self.folder,
            name=self.folder.name + ("_pretrained" if scale == "pretrained" else ""),
            grid=experiment.grid,
            command=command,
            scale=scale,
            seeds=len(seeds),
            base=experiment.base,
            differences=experiment.grid.differences(self.grid, scale),
            clips=Clips.of(experiment.manifests()),
            options=experiment.options,
            simulated=experiment.simulated,
        )
        write = partial(
            page.write,
            out=experiment.out,
            folder=page_folder,
            title=self.grid.title,
            introduction={"folds": len(experiment.made or experiment.data)},
            command=command,
            seeds=list(seeds),
        )
        asked, every = experiment.asked, self.grid.command.parts
        parts = [one.name for one in every if one.always or not asked or one.name in asked]
        done: dict[str, list[Section]] = {}
        written: tuple[list[Path], str] = [], ""
        for place, part in enumerate(parts, start=1):
            try:
                done[part] = list(self.sections[part](experiment))
            except AnymicError as error:
                if any(done.values()):
                    raise _with_page(
                        error, part, page.place(experiment.out, page_folder)
                    ) from error
                raise
            sections = [one for own in self.sections for one in done.get(own, [])]
            if (done[part] or place == len(parts)) and any(one.found.rows for one in sections):
                written = write(sections, missing=parts[place:])
        return written


def _with_page(error: AnymicError, part: str, page: Path) -> AnymicError:
    """Return the error of a part, with the page that has what was done before."""
    return type(error)(
        f"{part}: {error.problem}",
        expected=error.expected,
        fix=f"{error.fix}; what is done is in {page}".removeprefix("; "),
    )

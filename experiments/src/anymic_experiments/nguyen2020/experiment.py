"""The whole experiment: corpus, runs, what they show, and the page that says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from anymic.evaluation.report.cells import counted
from anymic.training import TrainingConfig, load_config
from anymic_experiments import page
from anymic_experiments.learning import reached
from anymic_experiments.members import Member, members
from anymic_experiments.nguyen2020 import curve, features, grid, losses, texts, trust
from anymic_experiments.nguyen2020.grid import PRESETS, TEMPERATURES, Scale, Setting
from anymic_experiments.page import Section
from anymic_experiments.runs import Outcome, train_all

Part = Literal["table 2", "table 3", "figure 2", "figure 3", "trust"]
PARTS: tuple[Part, ...] = ("table 3", "figure 3", "table 2", "figure 2", "trust")


@dataclass(frozen=True)
class Experiment:
    """What to train on, and how.

    Attributes
    ----------
    folds : tuple of Path
        A manifest a fold, with devices A, B, C and the splits train and test.
    out : Path
        Folder of runs and report. Runs that another experiment left there under the same settings
        and clips are used, not repeated.
    scale : {"paper", "small"}
    seeds : tuple of int
        Of the temperature curve; table 2 has the first of them that `ablation_seeds` allows.
    ablation_seeds : int
        The lines of cross-entropy and log-mel gains are trained with so many seeds at most.
    workers : int
        Trainings at a time.
    made : bool
        Whether the folds are multi-microphone ESC-10.
    progress : bool
    """

    folds: tuple[Path, ...]
    out: Path
    scale: Scale
    seeds: tuple[int, ...]
    ablation_seeds: int = grid.ABLATION_SEEDS
    workers: int = 2
    made: bool = False
    progress: bool = True

    @property
    def base(self) -> TrainingConfig:
        """The settings that all runs share."""
        return load_config(PRESETS[self.scale])

    @property
    def places(self) -> Path:
        """The folder of the runs."""
        return self.out / "runs"

    @property
    def short(self) -> tuple[int, ...]:
        """The seeds of table 2 and the ablation."""
        return self.seeds[: self.ablation_seeds]

    def train(self, settings: Iterable[Setting], seeds: Sequence[int]) -> list[Outcome]:
        """Train and test what is missing of these settings, every fold and seed."""
        distinct = list({setting.name: setting for setting in settings}.values())
        runs = grid.runs(distinct, self.folds, self.base, self.scale, seeds=seeds)
        return train_all(runs, self.places, workers=self.workers, progress=self.progress)

    def run(
        self, parts: set[Part], *, page_folder: Path | None, command: str
    ) -> tuple[list[Path], str]:
        """Train what is missing, compare, and write the report.

        Parameters
        ----------
        parts : set
            Of `PARTS`; empty is all of them.
        page_folder : path, optional
            Also write the documentation's page there.
        command : str
            The command that made it, as the page shows it.

        Returns
        -------
        tuple
            The files written, and the page's text.
        """
        asked = parts or set(PARTS)
        sections = []
        if asked & {"table 3", "figure 3"}:
            sections.append(self._curve())
        if "table 2" in asked:
            sections.append(self._losses())
        if "figure 2" in asked:
            sections.append(self._features())
        if "trust" in asked:
            sections.append(self._trust())
        sections.append(Section("What the paper leaves open", texts.decisions(self.scale)))
        return page.write(
            sections,
            page.introduction(
                texts.INTRODUCTION,
                self.base,
                command=command,
                folds=len(self.folds),
                seeds=len(self.seeds),
                corpus=texts.CORPUS if self.made else "",
            ),
            self.out,
            title="Nguyen, Pernkopf and Kosmider 2020",
            name="nguyen2020",
            folder=page_folder,
            command=command,
            seeds=list(self.seeds),
        )

    def _members(self, settings: Iterable[Setting]) -> list[Member]:
        return members(self.train(settings, self.seeds), self.places)

    def _curve(self) -> Section:
        voters = self._members(grid.curve(self.scale))
        ends = [reached(self.places / member.outcome.run.key) for member in voters]
        found = curve.compare(voters, ends, temperatures=TEMPERATURES[self.scale])
        configs = {
            s.temperature: s.config(self.base, self.scale, seed=0) for s in grid.curve(self.scale)
        }
        lengths = {t: (config.epochs, config.learning_rate) for t, config in configs.items()}
        text = texts.CURVE.format(
            n=found.accuracy("NoCorrection", 1, "A").n,
            behind=round(100 * curve.BEHIND),
            table=curve.markdown(found, lengths),
            gains=curve.gains_markdown(found),
            reading=curve.reading(found),
            baseline=" / ".join(f"{figure:.1f}" for figure in curve.BASELINE),
        )
        return Section("Table 3 and figure 3", text, found.rows, "figure3", curve.figure(found))

    def _losses(self) -> Section:
        found = losses.compare(self.train([*grid.losses(), *grid.domains()], self.short))
        text = texts.LOSSES.format(
            seeds=counted(len(self.short), "seed"),
            table=losses.markdown(found),
            domains=losses.domains_markdown(found),
        )
        return Section("Table 2, and where gains are applied", text, found.rows)

    def _features(self) -> Section:
        heard: dict[float, list[features.Pooled]] = {}
        for temperature in features.PANELS:
            outcomes = self.train([Setting(features.CORRECTION, temperature)], self.seeds)
            runs = [item.run for item in outcomes]
            heard[temperature] = features.hear(runs, self.places, progress=self.progress)
        found = features.compare(heard)
        text = texts.FEATURES.format(
            runs=len(heard[1]), table=features.markdown(found, features.PANELS)
        )
        drawing = features.figure({t: runs[0] for t, runs in heard.items()})
        return Section("Figure 2", text, found.rows, "figure2", drawing)

    def _trust(self) -> Section:
        found = trust.compare(self._members(trust.SETTINGS))
        text = texts.TRUST.format(
            errors=trust.markdown(found, "expected_calibration_error"),
            log_losses=trust.markdown(found, "log_loss"),
            reading=trust.reading(found),
        )
        return Section("How sure is it?", text, found.rows, "reliability", trust.figure(found))

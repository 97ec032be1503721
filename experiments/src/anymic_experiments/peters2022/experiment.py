"""The whole experiment: what is trained and fine-tuned, compared, and written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from anymic import models
from anymic.bundle import Bundle
from anymic.codecs.conditions import CLEAN
from anymic.errors import ConfigError
from anymic.training import TrainingConfig, load_config
from anymic_experiments import old_page as page
from anymic_experiments.old_page import Section
from anymic_experiments.peters2022 import corpus, grid, scalings, segments, table, texts
from anymic_experiments.peters2022.corpus import Fold
from anymic_experiments.peters2022.grid import Scale
from anymic_experiments.peters2022.tuning import Tuned, Tuning, tune_all
from anymic_experiments.runs import Outcome, Run, train_all

Part = Literal["table 2", "figure 2", "scalings"]
PARTS: tuple[Part, ...] = ("table 2", "figure 2", "scalings")


@dataclass(frozen=True)
class Experiment:
    """What to do, and where.

    Attributes
    ----------
    data : Path
        A manifest of clean clips with a column `split` (train and test), or `fold`: then each fold
        is the test set once.
    out : Path
        Folder of all that is made; what is found finished is not made again.
    scale : {"paper", "small"}
    seeds : tuple of int
    model : Path or None
        The model to fine-tune, as at the paper's scale the published one; None: networks are
        trained on the clean clips first.
    workers : int
        Trainings at a time.
    progress : bool
    """

    data: Path
    out: Path
    scale: Scale = "small"
    seeds: tuple[int, ...] = (0, 1)
    model: Path | None = None
    workers: int = 2
    progress: bool = True

    def __post_init__(self) -> None:
        """Refuse the paper's scale without the checkpoint that it fine-tunes."""
        if self.scale == "paper" and self.model is None:
            raise ConfigError(
                "the scale of the paper needs a model to fine-tune",
                expected="--model with the published checkpoint",
                fix="import it with `anymic import keras`, or use --scale small",
            )

    @property
    def base(self) -> TrainingConfig:
        """The settings of the networks trained on clean clips."""
        return load_config(grid.PRESETS[self.scale])

    def run(
        self, parts: set[Part], *, page_folder: Path | None, command: str
    ) -> tuple[list[Path], str]:
        """Train what is missing, compare, and write the report.

        Parameters
        ----------
        parts : set
            Of `PARTS`; empty is all of them, but for the scalings where a model is given: that was
            trained with one.
        page_folder : path, optional
            Also write the documentation's page there.
        command : str
            The command that made it, as the page shows it.

        Returns
        -------
        tuple
            The files written, and the page's text.
        """
        folds = corpus.folds(self.data, self.out / "coded", progress=self.progress)
        asked = parts or {part for part in PARTS if part != "scalings" or self.model is None}
        sections = []
        if "table 2" in asked:
            sections.append(self._table(folds))
        if "figure 2" in asked:
            sections.append(self._segments(folds))
        if "scalings" in asked:
            sections.append(self._scalings(folds))
        sections.append(Section("What the paper leaves open", texts.decisions(self.scale)))
        return page.write(
            sections,
            page.introduction(
                texts.INTRODUCTION,
                self.base,
                command=command,
                folds=len(folds),
                seeds=len(self.seeds),
                corpus=texts.START[self.scale],
            ),
            self.out,
            title="Peters 2022",
            name="peters2022",
            folder=page_folder,
            command=command,
            seeds=list(self.seeds),
        )

    def _train(self, runs: list[Run]) -> list[Outcome]:
        return train_all(runs, self._runs, workers=self.workers, progress=self.progress)

    @property
    def _runs(self) -> Path:
        return self.out / "runs"

    def _starts(self, folds: list[Fold]) -> list[tuple[int, Fold, Path]]:
        """Return the model that each seed and fold is fine-tuned from, trained where it has to."""
        if self.model is not None:
            return [(seed, fold, self.model) for seed in self.seeds for fold in folds]
        runs = grid.starts(folds, self.base, seeds=self.seeds)
        self._train(runs)
        places = iter(runs)
        return [
            (seed, fold, self._runs / next(places).key) for seed in self.seeds for fold in folds
        ]

    def _tune(self, tunings: list[Tuning]) -> list[Tuned]:
        return tune_all(tunings, self._runs, workers=self.workers, progress=self.progress)

    def _table(self, folds: list[Fold]) -> Section:
        starts = self._starts(folds)
        tuned = self._tune([grid.whole(start, fold, seed=seed) for seed, fold, start in starts])
        found = table.compare(tuned)
        text = texts.TABLE.format(
            n=found.accuracy(CLEAN, 0).n,
            table=table.markdown(found),
            changes=table.changes_markdown(found),
            reading=table.reading(found),
        )
        return Section("Table 2: all of the network", text, found.rows)

    def _segments(self, folds: list[Fold]) -> Section:
        starts = self._starts(folds)
        network = cast(models.Network, Bundle.load(starts[0][2]).network)
        count = len(network.segments())
        tunings = [grid.alone(start, fold, count, seed=seed) for seed, fold, start in starts]
        found = segments.compare(self._tune([each for some in tunings for each in some]))
        text = texts.SEGMENTS.format(
            epochs=grid.SEGMENT_EPOCHS,
            table=segments.markdown(found),
            reading=segments.reading(found),
        )
        return Section(
            "Figure 2: one segment alone", text, found.rows, "figure2", segments.figure(found)
        )

    def _scalings(self, folds: list[Fold]) -> Section:
        if self.model is not None:
            raise ConfigError(
                "the comparison of scalings does not use a model",
                expected="networks that are trained here",
                fix="leave out --model",
            )
        first = self.seeds[:1]
        runs = [
            *grid.starts(folds, self.base, seeds=first),
            *grid.standardized(folds, self.base, seeds=first),
        ]
        found = scalings.compare(self._train(runs))
        text = texts.SCALINGS.format(
            table=scalings.markdown(found), reading=scalings.reading(found)
        )
        return Section("Two ways to scale features", text, found.rows)

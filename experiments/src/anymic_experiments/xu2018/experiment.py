"""The whole experiment: what is to be trained, who trains it, and the page of what it shows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from anymic._internal.files import file_digest, write_text
from anymic._internal.processes import do_all, visible_gpus
from anymic._internal.settings import to_mapping
from anymic.bundle.voting import vote
from anymic.data.manifest import Manifest
from anymic.data.splits import check_splits
from anymic.errors import ConfigError, ManifestError
from anymic.evaluation.report.rows import Row, row
from anymic.importers.vggish import import_vggish
from anymic.metrics.scores import mean_average_precision_at
from anymic_experiments import old_page as page
from anymic_experiments.folding import by_fold
from anymic_experiments.old_page import Section
from anymic_experiments.xu2018 import grid, texts
from anymic_experiments.xu2018.contrasts import contrasts
from anymic_experiments.xu2018.grid import Line, Scale, Size
from anymic_experiments.xu2018.work import Answers, Clips, Job, Workshop, jobs

METRIC = "mean_average_precision_at_3"
STATE = "experiment.json"


@dataclass(frozen=True)
class Experiment:
    """What to train on, and how.

    Attributes
    ----------
    data : Path
        A manifest with a column `split` (train and test), or `fold`: then each fold is the test
        set once, and the others train.
    out : Path
        Folder of all that is made; what is found finished is not made again.
    scale : {"paper", "small"}
    seeds : tuple of int
    weights : Path or None
        VGGish's, which "paper" fine-tunes.
    size : Size or None
        In place of the scale's.
    workers : int
        Trainings at a time, and processes that shift clips.
    progress : bool
    """

    data: Path
    out: Path
    scale: Scale = "small"
    seeds: tuple[int, ...] = (0, 1)
    weights: Path | None = None
    size: Size | None = None
    workers: int = 2
    progress: bool = True

    def __post_init__(self) -> None:
        """Refuse the paper's scale without the weights that it fine-tunes."""
        if self.scale == "paper" and self.weights is None:
            raise ConfigError(
                "the scale of the paper needs the weights of VGGish",
                expected="--weights vggish-10086976.pth",
                fix="download them with `anymic import vggish --download`, or use --scale small",
            )

    @property
    def sizes(self) -> Size:
        """The settings of the scale."""
        return self.size or grid.SIZES[self.scale]

    @property
    def workshop(self) -> Workshop:
        """Who makes everything."""
        return Workshop(self.out, self.sizes, self.weights)

    @cached_property
    def folds(self) -> dict[str, Manifest]:
        """The corpus with train and test clips, a manifest a fold."""
        manifest = Manifest.read(self.data)
        if len(manifest.labels) < 3:
            raise ManifestError(
                f"there are {len(manifest.labels)} labels for MAP@3",
                expected="3 or more",
                fix="choose a corpus with more labels",
            )
        if "split" in manifest.table.columns:
            check_splits(manifest)
            for part in ("train", "test"):
                if not len(manifest.where(split=part)):
                    raise ManifestError(
                        f"no clip has the split {part!r}",
                        expected="clips to train on and clips to test",
                        fix="correct the column split, or use folds",
                    )
            return {"all": manifest.where(split=["train", "test"])}
        return by_fold(manifest)

    def run(
        self, tables: Iterable[int], *, page_folder: Path | None, command: str
    ) -> tuple[list[Path], str]:
        """Train what is missing, compare, and write the report; returns files and the page."""
        wanted = sorted(set(tables) or {2, 3, 4})
        lines = {table: grid.lines(table, self.sizes) for table in wanted}
        self.train([line for own in lines.values() for line in own])
        sections = []
        for table, own in lines.items():
            rows = {line.name: self._row(line).under(table=str(table)) for line in own if line.head}
            sections.append(
                Section(texts.TITLES[table], texts.table(own, rows), list(rows.values()))
            )
        found = [
            change for table, own in lines.items() for change in contrasts(table, self._scored(own))
        ]
        sections.append(Section("What agrees with the paper", *texts.agreement(found)))
        sections.append(Section("What the paper leaves open", texts.decisions(self.sizes)))
        return page.write(
            sections,
            texts.introduction(
                self.scale, command=command, folds=len(self.folds), seeds=len(self.seeds)
            ),
            self.out,
            title="Xu, Smit and Kurimo 2018",
            name="xu2018",
            folder=page_folder,
            command=command,
            seeds=list(self.seeds),
        )

    def train(self, lines: Iterable[Line]) -> None:
        """Make what lines need and is not there, in `workers` processes."""
        if self.weights is not None:  # refused now, and not when the clips are ready
            import_vggish(self.weights, width=self.sizes.width)
        self._remember()
        work = self.workshop
        wanted = jobs(list(self.folds), grid.needed(lines), seeds=self.seeds)
        missing = []
        for job in wanted:
            heads = tuple(head for head in job.heads if not work.answered(job, head).is_file())
            if heads:
                missing.append(Job(job.fold, job.extractor, job.seed, heads))
        self._prepare(missing)
        gpus = visible_gpus()
        do_all(work.do, missing, workers=self.workers, gpus=gpus, progress=self.progress)

    def _prepare(self, missing: list[Job]) -> None:
        """Make the clips that jobs need: many folds side by side, one fold clip by clip."""
        needed = {(job.fold, False) for job in missing}
        needed |= {(job.fold, head.shifted) for job in missing for head in job.heads}
        clips = [Clips(fold, self.folds[fold], shifted) for fold, shifted in sorted(needed)]
        clips = [one for one in clips if not self.workshop.prepared(one)]
        if len(clips) < 2 * self.workers:
            for one in clips:
                self.workshop.prepare(one, workers=self.workers)
            return
        do_all(
            self.workshop.prepare,
            clips,
            workers=self.workers,
            progress=self.progress,
            doing="preparing",
        )

    def _remember(self) -> None:
        """Write down what this folder holds; refuse a folder that holds something else."""
        here = {
            "scale": self.scale,
            "size": to_mapping(self.sizes),
            "manifest": Manifest.read(self.data).digest(),
            "weights": None if self.weights is None else file_digest(self.weights),
        }
        path = self.out / STATE
        if path.is_file():
            there = json.loads(path.read_text(encoding="utf-8"))
            different = [name for name in here if there.get(name) != here[name]]
            if different:
                raise ConfigError(
                    f"the experiment in {self.out} has another {' and '.join(different)}",
                    expected="the same, to resume it",
                    fix="choose another --out",
                )
        write_text(path, json.dumps(here, indent=1) + "\n")

    def answers(self, line: Line) -> Answers:
        """Return the geometric mean of a line's extractors, over all seeds and folds."""
        assert line.head is not None
        found = []
        for seed in self.seeds:
            for fold in self.folds:
                own = [Job(fold, extractor, seed, ()) for extractor in line.extractors]
                each = [self.workshop.answers(job, line.head) for job in own]
                together = vote(np.stack([one.probabilities for one in each]), "geometric", ())
                found.append(Answers(together, each[0].targets, each[0].groups))
        return Answers(
            np.concatenate([one.probabilities for one in found]),
            np.concatenate([one.targets for one in found]),
            np.concatenate([one.groups for one in found]),
        )

    def _scored(self, lines: Iterable[Line]) -> dict[str, tuple[Line, Answers]]:
        return {line.name: (line, self.answers(line)) for line in lines if line.head}

    def _row(self, line: Line) -> Row:
        """Return MAP@3 of a line; recordings are drawn with all seeds that heard them."""
        found = self.answers(line)
        interval = mean_average_precision_at(found.probabilities, found.targets, found.groups)
        return row(METRIC, interval, line=line.name)

"""The whole experiment: corpora, runs, what they show, and the page that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from anymic.data.corpora.esc50 import esc50
from anymic.devices.simulation.simulate import simulate
from anymic.errors import ConfigError
from anymic.training import TrainingConfig, load_config
from anymic_experiments import members
from anymic_experiments import old_page as page
from anymic_experiments.kosmider2019 import (
    devices,
    ensembles,
    grid,
    hearing,
    identification,
    identification_page,
    table,
    texts,
)
from anymic_experiments.kosmider2019.grid import PRESETS, Scale
from anymic_experiments.old_page import Section
from anymic_experiments.pooling import pool
from anymic_experiments.runs import Outcome, Run, train_all

Part = Literal["table", "ensembles", "devices"]


@dataclass(frozen=True)
class Corpora:
    """What to learn from.

    Attributes
    ----------
    folds : tuple of Path
        A manifest a fold: devices A, B, C, splits train and test.
    identification : tuple of Path
        The same folds heard by more microphones, for devices that nobody stated or met; empty
        where there are none.
    made : bool
        Whether they are multi-microphone ESC-10.
    """

    folds: tuple[Path, ...]
    identification: tuple[Path, ...] = ()
    made: bool = False


def given(manifests: Sequence[Path]) -> Corpora:
    """Take the user's own folds."""
    return Corpora(tuple(manifests))


def make(esc50_root: Path, responses: Path, out: Path, *, devices: bool) -> Corpora:
    """Make multi-microphone ESC-10, and where `devices` are asked about, with more of them.

    What is in `out` already is not made again.
    """
    clean = esc50(esc50_root, subset="esc10")
    heard = simulate(clean, "microphones", out / "corpus", responses=responses)
    if not devices:
        return Corpora(tuple(heard.folds.values()), made=True)
    more = simulate(clean, "identification", out / "identification", responses=responses)
    folds = tuple(heard.folds.values())
    return Corpora(folds, tuple(more.folds.values()), made=True)


def run(
    corpora: Corpora,
    out: str | Path,
    *,
    scale: Scale,
    parts: set[Part],
    seeds: Sequence[int],
    workers: int,
    page_folder: Path | None,
    command: str,
    progress: bool = True,
) -> tuple[list[Path], str]:
    """Train what is missing, compare, and write the report.

    Parameters
    ----------
    corpora : Corpora
    out : path
        Folder of runs and report.
    scale : {"paper", "small"}
    parts : set
        Of "table", "ensembles", "devices"; empty: all that the data allow.
    seeds : sequence of int
    workers : int
        Trainings at a time.
    page_folder : path, optional
        Also write the documentation's page there.
    command : str
        The command that made it, as the page shows it.

    Returns
    -------
    tuple
        The files written, and the page's text.

    Raises
    ------
    ConfigError
        If devices are asked about without recordings of more of them.
    """
    if "devices" in parts and not corpora.identification:
        raise ConfigError(
            "--devices is given with --data",
            expected="recordings of devices that are not in the training data",
            fix="use --esc50 and --responses, or anymic devices fit on your own recordings",
        )
    base = load_config(PRESETS[scale])
    asked = parts or {"table", "ensembles", *(("devices",) if corpora.identification else ())}
    work = _Work(corpora, base, Path(out) / "runs", tuple(seeds), workers, progress)
    outcomes = work.train(grid.grid(corpora.folds, base, seeds=seeds))
    sections: list[Section] = []
    if "table" in asked:
        sections.append(_table(outcomes))
    if "devices" in asked:
        sections += _devices(work, Path(out))
    if "ensembles" in asked:
        sections.append(_ensembles(work, outcomes))
    introduction = page.introduction(
        texts.INTRODUCTION,
        base,
        command=command,
        folds=len(corpora.folds),
        seeds=len(seeds),
        corpus=texts.CORPUS if corpora.made else "",
    )
    sections.append(Section("What the report leaves open", texts.DECISIONS))
    return page.write(
        sections,
        introduction,
        out,
        title="Kosmider 2019",
        name="kosmider2019",
        folder=page_folder,
        command=command,
        seeds=list(seeds),
    )


@dataclass(frozen=True)
class _Work:
    """What every part of the experiment needs."""

    corpora: Corpora
    base: TrainingConfig
    places: Path
    seeds: tuple[int, ...]
    workers: int
    progress: bool

    def train(self, runs: Sequence[Run]) -> list[Outcome]:
        return train_all(runs, self.places, workers=self.workers, progress=self.progress)


def _table(outcomes: Sequence[Outcome]) -> Section:
    found = table.table3(pool(outcomes))
    text = texts.TABLE.format(
        n=found.of("accuracy", grid.SUBMITTED.name, "A").n,
        table=table.markdown(found),
        gains=table.gains_markdown(found),
        reading=table.reading(found),
    )
    return Section("Table 3 and figure 1", text, found.rows, "figure1", table.figure(found))


def _ensembles(work: _Work, outcomes: Sequence[Outcome]) -> Section:
    whole = work.train(grid.whole(work.corpora.folds, work.base))
    corrected = [item for item in outcomes if item.run.config.correction is not None]
    voters = members.members([*corrected, *whole], work.places)
    found = ensembles.score(ensembles.kinds(voters))
    text = texts.ENSEMBLES.format(table=ensembles.markdown(found), reading=ensembles.reading(found))
    return Section("Ensembles", text, found.rows, "ensembles", ensembles.figure(found))


def _devices(work: _Work, out: Path) -> list[Section]:
    runs = grid.real_reference(work.corpora.folds, work.base, seeds=work.seeds)
    work.train(runs)
    submitted = [
        run
        for run in grid.grid(work.corpora.folds, work.base, seeds=work.seeds)
        if run.condition == grid.SUBMITTED.name
    ]
    more = dict(zip(work.corpora.folds, work.corpora.identification, strict=True))
    answers = hearing.hear([*submitted, *runs], work.places, more, progress=work.progress)
    found = devices.compare(answers)
    text = texts.DEVICES.format(table=devices.markdown(found), reading=devices.reading(found))
    curve = identification.run(work.corpora.identification, work.places, seeds=work.seeds)
    recognized = texts.IDENTIFICATION.format(
        n=curve.of("identification_accuracy", identification.SIZES[0]).n,
        table=identification_page.markdown(curve),
        reading=identification_page.reading(curve),
    )
    return [
        Section(
            "Which device is this?",
            recognized,
            curve.rows,
            "identification",
            identification_page.figure(curve),
        ),
        Section("Devices that nobody stated or met", text, found.rows),
    ]

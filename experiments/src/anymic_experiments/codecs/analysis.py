"""Accuracy by training and codec, and the share of the loss that each training recovers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anymic.bundle.installed import resolve
from anymic.codecs.conditions import CLEAN
from anymic.codecs.random_codec import Codecs
from anymic.data.corpora.esc50 import esc50
from anymic.devices.simulation.random_devices import RandomDevices
from anymic.evaluation.report.rows import Row as ReportRow
from anymic.evaluation.report.rows import row
from anymic.training import TrainingConfig, load_config
from anymic.training.finetuning import lasting
from anymic_experiments.codecs.settings import Settings
from anymic_experiments.codecs.tasks import TunedAnswers
from anymic_experiments.experiment import Experiment, by_fold, without_test_recordings
from anymic_experiments.findings import Findings
from anymic_experiments.page import Section
from anymic_experiments.peters2022 import corpus
from anymic_experiments.peters2022.analysis import over_clean, recovered
from anymic_experiments.pooling import Pooled, pool
from anymic_experiments.pretrained.tasks import Answers, Head, Row
from anymic_experiments.runs import Outcome, Run
from anymic_experiments.unknown_devices.analysis import left_out as omitted_rows

__all__ = ["SECTIONS", "Settings", "prepare"]

PLAIN, ANY = "none", "codecs: any"  # the row that others are compared with, and the preset
ALONE = "codecs: any, no consistency"
PAPER, TUNED, RETRAINED = "as in the paper", "fine-tuned with codecs: any", "retrained"
LOSING = "losing"  # how rows call all codecs together that take more accuracy than `loses`
Ours = Experiment[Settings]


@dataclass(frozen=True)
class OnlyTested:
    """The codecs of test clips alone."""

    coded: tuple[str, ...]
    trained: tuple[str, ...] = ()


def prepare(experiment: Ours) -> Ours:
    """Pass the corpus through all codecs, and divide it into folds.

    What later parts need is refused before that.
    """
    if experiment.options["esc50_16k"] is not None:
        resolve(experiment.options["extractor"])
    (data,) = experiment.data
    own = corpus.folds(
        data, experiment.out / "coded", experiment.grid, progress=experiment.progress
    )
    return replace(experiment, data=tuple(fold.clean for fold in own), made=tuple(own))


def losing(pooled: Pooled, codecs: Iterable[str], loses: float) -> tuple[str, ...]:
    """Return the codecs through which the row *none* loses more than this, against clean clips."""
    clean = pooled.on(CLEAN).hits(PLAIN).mean()
    return tuple(one for one in codecs if clean - pooled.on(one).hits(PLAIN).mean() > loses)


def compared(pooled: Pooled, name: str, groups: Mapping[str, Sequence[str]]) -> list[ReportRow]:
    """Return what tables state of a row, on clean clips and on groups of codecs.

    That is the accuracy, its change against the row *none*, the difference to clean clips, and the
    share of the loss of *none* that is recovered, where the interval of that loss does not reach 0.
    """
    rows = []
    for codec, members in {CLEAN: (CLEAN,), **groups}.items():
        part, place = pooled.on(*members), {"condition": name, "codec": codec}
        rows.append(row("accuracy", part.accuracy(name), **place))
        if codec != CLEAN:
            lost = over_clean(pooled, pooled.hits(name), members)
            rows.append(row("accuracy_difference", lost, **place, against_codec=CLEAN))
        if name == PLAIN:
            continue
        change = part.gain(name, PLAIN)
        rows.append(row("accuracy_difference", change, **place, against_condition=PLAIN))
        share = recovered(pooled, name, members, before=PLAIN) if codec != CLEAN else None
        if share is not None:
            rows.append(row("recovered_share", share, **place))
    return rows


def section(
    macro: str, experiment: Ours, outcomes: Iterable[Outcome], *, omitted: Sequence[str], folds: int
) -> Section:
    """Return the section of a part whose rows are measured on all tested codecs."""
    grid, pooled = experiment.grid, pool(outcomes)
    lost = losing(pooled, grid.tested, grid.loses)
    groups: dict[str, tuple[str, ...]] = {name: (name,) for name in grid.tested}
    if lost:
        groups[LOSING] = lost
    rows = [one for name in pooled.conditions for one in compared(pooled, name, groups)]
    if {ANY, ALONE} <= set(pooled.conditions):
        for codec, members in {CLEAN: (CLEAN,), LOSING: lost}.items():
            if members:
                change = pooled.on(*members).gain(ANY, ALONE)
                place = {"condition": ANY, "codec": codec, "against_condition": ALONE}
                rows.append(row("accuracy_difference", change, **place))
    facts: dict[str, Any] = {"rows": list(pooled.conditions), "losing": list(lost), "folds": folds}
    return Section(macro, Findings(rows), {**facts, "omitted": list(omitted)})


def configs_of(experiment: Ours, name: str, preset: str | None = None) -> dict[str, TrainingConfig]:
    """Return the settings of the trainings of a grid, by name; with another preset where given."""
    conditions = experiment.grid.conditions(name, scale=experiment.scale)
    if preset is None:
        return {one.name: one.config for one in conditions}
    config = load_config(preset, changes=experiment.grid.changes)
    config = lasting(config, experiment.grid.fcnn_epochs)
    return {one.name: replace(config, codecs=one.config.codecs) for one in conditions}


def runs_of(experiment: Ours, configs: Mapping[str, TrainingConfig]) -> list[Run]:
    """Return a training for every seed, fold and setting, whole seeds first."""
    return [
        Run(name, replace(config, seed=seed), fold.clean)
        for seed in experiment.seeds
        for fold in experiment.made
        for name, config in configs.items()
    ]


def trained(
    experiment: Ours, part: str, configs: Mapping[str, TrainingConfig]
) -> tuple[list[Outcome], list[str]]:
    """Return the outcomes of trainings, fine-tunings and retrainings, and the rows left out."""
    grid, places = experiment.grid, experiment.places
    names = [*(name for name in configs if name != PLAIN), PAPER, TUNED, RETRAINED]
    omitted = omitted_rows(experiment, part, names)
    runs = runs_of(experiment, {n: own for n, own in configs.items() if n not in omitted})
    experiment.finish(runs)
    preset = load_config(grid.finetuning, changes=grid.changes)
    tunings = {
        PAPER: lasting(preset, grid.tuned_epochs),
        TUNED: lasting(replace(preset, codecs=Codecs()), grid.tuned_any_epochs),
    }
    folds = {fold.clean: fold for fold in experiment.made}
    tuned: dict[str, list[TunedAnswers]] = {PAPER: [], TUNED: []}
    retrained = []
    for run in (one for one in runs if one.condition == PLAIN):
        coded = folds[run.manifest].coded
        for name, clips in {PAPER: coded, TUNED: run.manifest}.items():
            config = replace(tunings[name], seed=run.config.seed)
            tuned[name].append(TunedAnswers(run, clips, config))
        longer = replace(run.config, epochs=grid.retrained_epochs)
        retrained.append(Run(RETRAINED, _rescheduled(longer), coded))
    tuned = {name: tasks for name, tasks in tuned.items() if name not in omitted}
    experiment.finish((task for own in tuned.values() for task in own), doing="fine-tuning")
    retrained = [] if RETRAINED in omitted else retrained
    experiment.finish(retrained)
    outcomes = [run.outcome(places) for run in runs]
    outcomes += [task.outcome(name, places) for name, own in tuned.items() for task in own]
    return outcomes + [run.outcome(places) for run in retrained], omitted


def _rescheduled(config: TrainingConfig) -> TrainingConfig:
    """Return settings whose restarts, if any, end with the last epoch."""
    return lasting(config, config.epochs) if config.schedule == "restarts" else config


def networks(experiment: Ours) -> list[Section]:
    """Compare the trainings of basic1."""
    outcomes, omitted = trained(experiment, "networks", configs_of(experiment, "networks"))
    folds = len(experiment.made)
    return [section("networks", experiment, outcomes, omitted=omitted, folds=folds)]


def fcnn(experiment: Ours) -> list[Section]:
    """Compare the trainings of an FCNN, unless all of them are left out."""
    grid = experiment.grid
    if omitted_rows(experiment, "fcnn", [PLAIN]):
        return []
    experiment = replace(experiment, made=experiment.made[: grid.fcnn_folds])
    configs = configs_of(experiment, "fcnn", grid.fcnn)
    outcomes, omitted = trained(experiment, "fcnn", configs)
    folds = len(experiment.made)
    return [section("fcnn", experiment, outcomes, omitted=omitted, folds=folds)]


def left_out(experiment: Ours) -> list[Section]:
    """Train without one family of codecs, and without the bitrates of the test."""
    grid, levels = experiment.grid, experiment.grid.factors["left_out"]
    experiment = replace(experiment, made=experiment.made[: grid.left_out_folds])
    both = configs_of(experiment, "networks")
    names = {name: level.name or name for name, level in levels.items()}
    omitted = omitted_rows(experiment, "left_out", names.values())
    configs = {name: both[name] for name in (PLAIN, ALONE)}
    configs |= {
        name: config
        for name, config in configs_of(experiment, "left_out").items()
        if name not in omitted
    }
    if len(configs) == 2:
        return []
    runs = runs_of(experiment, configs)
    experiment.finish(runs)
    pooled = pool(run.outcome(experiment.places) for run in runs)
    lost = losing(pooled, grid.tested, grid.loses)
    met = {
        name: [one for one in lost if one in _left_out_of(grid, family)]
        for family, name in names.items()
        if name in configs
    }
    rows: list[ReportRow] = []
    for name, members in met.items():
        groups = {one: (one,) for one in members} | ({name: tuple(members)} if members else {})
        for condition in (PLAIN, ALONE, name):
            found = compared(pooled, condition, groups)
            rows += [one for one in found if condition == name or one.condition["codec"] == name]
    facts = {"met": met, "omitted": omitted, "folds": len(experiment.made)}
    return [Section("left_out", Findings(rows), facts)]


def _left_out_of(grid: Settings, level: str) -> tuple[str, ...]:
    """Return the tested codecs that a training leaves out: a family, or those with its bitrates."""
    return grid.several if level == "bitrates" else grid.of_family(level)


def pretrained(experiment: Ours) -> list[Section]:
    """Compare heads on pretrained embeddings; nothing where their clips are not given."""
    grid, source = experiment.grid, experiment.options["esc50_16k"]
    if source is None:
        return []
    settings = {PLAIN: None, PAPER: Codecs(set=grid.trained), ANY: Codecs()}
    omitted = omitted_rows(experiment, "pretrained", [PAPER, ANY])
    folds = list(by_fold(esc50(source)).items())[: grid.pretrained_folds or grid.folds]
    paths: list[Path] = []
    for name, fold in folds:
        data = experiment.out / "pretrained" / f"{name}.csv"
        data.parent.mkdir(parents=True, exist_ok=True)
        without_test_recordings(fold).write(data)
        (coded,) = corpus.folds(
            data,
            experiment.out / "pretrained" / name,
            OnlyTested(grid.tested),
            progress=experiment.progress,
        )
        paths.append(coded.clean)
    devices = RandomDevices(copies=grid.copies) if grid.copies else None
    tasks = {
        name: [
            Answers(Head(path, None, experiment.options["extractor"], seed, devices, codecs), Row())
            for seed in experiment.seeds
            for path in paths
        ]
        for name, codecs in settings.items()
        if name not in omitted
    }
    for own in tasks.values():
        experiment.finish(task.head for task in own)
        experiment.finish(own, doing="classifying")
    outcomes = [
        task.outcome(name, experiment.places) for name, own in tasks.items() for task in own
    ]
    return [section("pretrained", experiment, outcomes, omitted=omitted, folds=len(paths))]


SECTIONS = {
    "networks": networks,
    "left_out": left_out,
    "pretrained": pretrained,
    "fcnn": fcnn,
}

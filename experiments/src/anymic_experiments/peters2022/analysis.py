"""Table 2, accuracy by codec while a network is fine-tuned, and the page's other sections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from anymic import models
from anymic.bundle import Bundle
from anymic.codecs.conditions import CLEAN
from anymic.errors import ConfigError
from anymic.evaluation.report.rows import Row, row
from anymic.metrics.intervals import Interval
from anymic.training import load_config
from anymic.training.finetuning import lasting
from anymic_experiments.experiment import Experiment
from anymic_experiments.findings import Findings
from anymic_experiments.page import Section
from anymic_experiments.peters2022 import corpus, segments
from anymic_experiments.peters2022.segments import SEGMENT, WHOLE
from anymic_experiments.peters2022.settings import ALL, Settings
from anymic_experiments.peters2022.tuning import Tuned, Tuning
from anymic_experiments.pooling import Pooled, pool
from anymic_experiments.runs import Outcome

__all__ = ["SECTIONS", "Settings", "prepare"]

Ours = Experiment[Settings]


def prepare(experiment: Ours) -> Ours:
    """Pass the corpus through all codecs, and divide it into folds.

    Raises ConfigError at the paper's scale without the checkpoint that it fine-tunes.
    """
    needs = experiment.scale == "paper" and experiment.asked != ("scalings",)
    if needs and experiment.options.get("model") is None:
        raise ConfigError(
            "the scale of the paper needs a model to fine-tune",
            expected="--model with the published checkpoint",
            fix="import it with `anymic import keras`, or use --scale small",
        )
    (data,) = experiment.data
    coded = experiment.out / "coded"
    own = corpus.folds(data, coded, experiment.grid, progress=experiment.progress)
    return replace(experiment, data=tuple(fold.clean for fold in own), made=own)


def starts(experiment: Ours) -> list[tuple[int, corpus.Fold, Path]]:
    """Return the model that each seed and fold is fine-tuned from, trained where it has to."""
    model = experiment.options.get("model")
    places = [(seed, fold) for seed in experiment.seeds for fold in experiment.made]
    if model is not None:
        return [(seed, fold, model) for seed, fold in places]
    found = [one.run.folder(experiment.places) for one in experiment.train("starts")]
    return [(*place, start) for place, start in zip(places, found, strict=True)]


def tunings(experiment: Ours, epochs: int, *segments: str) -> list[Tuning]:
    """Return fine-tunings of each of these segments alone, or of all of a network, for so long."""
    grid = experiment.grid
    changes = {**grid.finetuning_settings.get(experiment.scale, {}), **grid.changes}
    config = lasting(load_config(grid.finetuning, changes=changes), epochs)
    names = {each: WHOLE if each == models.ALL else f"{SEGMENT}{each}" for each in segments}
    return [
        Tuning(name, start, fold.coded, each, replace(config, seed=seed))
        for seed, fold, start in starts(experiment)
        for each, name in names.items()
    ]


def table(tuned: Sequence[Tuned], grid: Settings) -> Section:
    """Return accuracies by codec and epoch, changes in pairs, and recovered shares.

    `tuned` is the whole network, every fold and seed. A share is stated of a loss whose interval
    does not reach 0.
    """
    pooled = pool(each[epoch].named(str(epoch)) for epoch in tuned[0] for each in tuned)
    rows: list[Row] = []
    for codec, members in grid.conditions_tested.items():
        for epoch in pooled.conditions:
            where = {"codec": codec, "epoch": epoch}
            rows += _through(pooled, epoch, members, **where)
            if epoch != "0":
                change = pooled.on(*members).gain(epoch, "0")
                rows.append(row("accuracy_difference", change, **where, against_epoch="0"))
                share = recovered(pooled, epoch, members) if codec != CLEAN else None
                if share is not None:
                    rows.append(row("recovered_share", share, **where))
    return Section("table", Findings(rows))


def _through(pooled: Pooled, name: str, codecs: Sequence[str], **where: str) -> list[Row]:
    """Return the accuracy through codecs, and by how much it is above that on clean clips."""
    rows = [row("accuracy", pooled.on(*codecs).accuracy(name), **where)]
    if where["codec"] != CLEAN:
        lost = over_clean(pooled, pooled.hits(name), codecs)
        rows.append(row("accuracy_difference", lost, **where, against_codec=CLEAN))
    return rows


def over_clean(pooled: Pooled, right: NDArray[np.generic], codecs: Sequence[str]) -> Interval:
    """Return what is added (clip,) through codecs, on average, minus that on clean clips."""
    coded, clean = np.isin(pooled.devices, codecs), (pooled.devices == CLEAN).astype(float)
    found = pooled.ratio(right * (coded / len(codecs) - clean), clean, n=int(coded.sum()))
    assert found is not None  # there always are clean clips
    return found


def recovered(
    pooled: Pooled, name: str, codecs: Sequence[str], *, before: str = "0"
) -> Interval | None:
    """Return (accuracy after - before) / (accuracy on clean clips before - through codecs before).

    `name` is the condition after. None where the interval of the loss reaches 0.

    A recording has as many clips through each codec as clean ones, so sums stand for means.
    """
    coded, clean = np.isin(pooled.devices, codecs), pooled.devices == CLEAN
    first, after = pooled.hits(before), pooled.hits(name)
    lost = len(codecs) * first * clean - first * coded
    return pooled.ratio((after - first) * coded, lost, n=int(coded.sum()))


def scalings(outcomes: Iterable[Outcome], grid: Settings) -> Section:
    """Return accuracies and losses by scaling and codec, and the difference in pairs.

    `outcomes` are of the grid `scalings`, trained on clean audio alone.
    """
    pooled = pool(outcomes)
    clip, bands = pooled.conditions
    changes = pooled.hits(bands) - pooled.hits(clip)
    rows: list[Row] = []
    for codec in (CLEAN, *grid.coded, ALL):
        members = grid.conditions_tested[codec]
        for name in (clip, bands):
            rows += _through(pooled, name, members, scaling=name, codec=codec)
        against = {"scaling": bands, "codec": codec, "against_scaling": clip}
        change = pooled.on(*members).gain(bands, clip)
        rows.append(row("accuracy_difference", change, **against))
        if codec in (grid.hardest, ALL):
            rows.append(row("loss_difference", over_clean(pooled, changes, members), **against))
    return Section("scalings", Findings(rows))


def _tuned(experiment: Ours, epochs: int, *segments: str) -> list[Tuned]:
    tasks = tunings(experiment, epochs, *segments)
    experiment.finish(tasks, doing="fine-tuning")
    return [task.outcomes(experiment.places) for task in tasks]


def _table(experiment: Ours) -> Iterator[Section]:
    grid = experiment.grid
    yield table(_tuned(experiment, grid.table_epochs, models.ALL), grid)


def _segments(experiment: Ours) -> Iterator[Section]:
    grid, (*_, model) = experiment.grid, starts(experiment)[0]
    count = len(cast(models.Network, Bundle.load(model).network).segments())
    own = (models.ALL, *map(str, range(1, count + 1)))
    yield segments.section(_tuned(experiment, grid.segment_epochs, *own), grid)


def _scalings(experiment: Ours) -> Iterator[Section]:
    outcomes = experiment.train("scalings", seeds=experiment.seeds[:1])
    yield scalings(outcomes, experiment.grid)


SECTIONS = {"table": _table, "segments": _segments, "scalings": _scalings}

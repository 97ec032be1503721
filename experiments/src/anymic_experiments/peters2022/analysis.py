"""Fine-tuning for audio codecs: what is trained and fine-tuned, and the sections of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from anymic import models
from anymic.bundle import Bundle
from anymic.errors import ConfigError
from anymic.training import TrainingConfig, load_config
from anymic.training.finetuning import lasting
from anymic_experiments.experiment import Experiment
from anymic_experiments.page import Section
from anymic_experiments.peters2022 import corpus, segments, table
from anymic_experiments.peters2022.segments import SEGMENT, WHOLE
from anymic_experiments.peters2022.settings import Settings
from anymic_experiments.peters2022.tuning import Tuned, Tuning

__all__ = ["SECTIONS", "Settings", "prepare"]

Ours = Experiment[Settings]


def prepare(experiment: Ours) -> Ours:
    """Pass the corpus through all codecs, and divide it into folds.

    Raises ConfigError at the paper's scale without the checkpoint that it fine-tunes.
    """
    if experiment.scale == "paper" and experiment.options.get("model") is None:
        raise ConfigError(
            "the scale of the paper needs a model to fine-tune",
            expected="--model with the published checkpoint",
            fix="import it with `anymic import keras`, or use --scale small",
        )
    (data,) = experiment.data
    coded = experiment.out / "coded"
    own = corpus.folds(data, coded, experiment.grid, progress=experiment.progress)
    return replace(experiment, data=tuple(fold.clean for fold in own), made=own)


def whole(start: Path, fold: corpus.Fold, config: TrainingConfig) -> Tuning:
    """Return the fine-tuning of all of a network."""
    return Tuning(WHOLE, start, fold.coded, models.ALL, config)


def alone(start: Path, fold: corpus.Fold, count: int, config: TrainingConfig) -> list[Tuning]:
    """Return experiment B: the whole network, and each of its segments alone for as long."""
    each = [
        Tuning(f"{SEGMENT}{number}", start, fold.coded, str(number), config)
        for number in range(1, count + 1)
    ]
    return [whole(start, fold, config), *each]


def finetuning(grid: Settings, epochs: int, *, seed: int) -> TrainingConfig:
    """Return the settings of a fine-tuning of so many epochs."""
    return replace(lasting(load_config(grid.finetuning), epochs), seed=seed)


def _starts(experiment: Ours) -> list[tuple[int, corpus.Fold, Path]]:
    """Return the model that each seed and fold is fine-tuned from, trained where it has to."""
    model = experiment.options.get("model")
    places = [(seed, fold) for seed in experiment.seeds for fold in experiment.made]
    if model is not None:
        return [(seed, fold, model) for seed, fold in places]
    found = [one.run.folder(experiment.places) for one in experiment.train("starts")]
    return [(*place, start) for place, start in zip(places, found, strict=True)]


def _tune(experiment: Ours, tunings: Sequence[Tuning]) -> list[Tuned]:
    experiment.finish(tunings, doing="fine-tuning")
    return [tuning.outcomes(experiment.places) for tuning in tunings]


def _table(experiment: Ours) -> Iterator[Section]:
    grid = experiment.grid
    tunings = [
        whole(start, fold, finetuning(grid, grid.table_epochs, seed=seed))
        for seed, fold, start in _starts(experiment)
    ]
    yield table.section(table.compare(_tune(experiment, tunings), grid), grid)


def _segments(experiment: Ours) -> Iterator[Section]:
    grid, starts = experiment.grid, _starts(experiment)
    network = cast(models.Network, Bundle.load(starts[0][2]).network)
    count = len(network.segments())
    tunings = [
        tuning
        for seed, fold, start in starts
        for tuning in alone(start, fold, count, finetuning(grid, grid.segment_epochs, seed=seed))
    ]
    yield segments.section(segments.compare(_tune(experiment, tunings), grid), grid)


def _scalings(experiment: Ours) -> Iterator[Section]:
    if experiment.options.get("model") is not None:
        if "scalings" not in experiment.asked:  # the model was trained with one of them
            return
        raise ConfigError(
            "the comparison of scalings does not use a model",
            expected="networks that are trained here",
            fix="leave out --model",
        )
    outcomes = experiment.train("scalings", seeds=experiment.seeds[:1])
    found = table.compare_scalings(outcomes, experiment.grid)
    yield table.scalings_section(found, experiment.grid)


SECTIONS = {"table": _table, "segments": _segments, "scalings": _scalings}

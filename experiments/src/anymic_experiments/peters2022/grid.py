"""What is trained and fine-tuned: two scalings of the features, the whole network, each segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from anymic import models
from anymic.training import TrainingConfig, load_config
from anymic.training.finetuning import REPORT_EPOCHS, lasting
from anymic_experiments.peters2022.corpus import Fold
from anymic_experiments.peters2022.tuning import Tuning
from anymic_experiments.runs import Run

Scale = Literal["paper", "small"]
PRESETS: dict[Scale, str] = {"paper": "peters2022", "small": "peters2022-small"}
CLIP, STANDARDIZED = "clip by clip", "standardized bands"
WHOLE = "whole network"
EPOCHS = REPORT_EPOCHS  # 0, 1, 10, 20 and 40: the columns of table 2
SEGMENT_EPOCHS = 10  # of experiment B


def starts(folds: Sequence[Fold], base: TrainingConfig, *, seeds: Sequence[int]) -> list[Run]:
    """Return the trainings on clean audio that fine-tuning starts from."""
    return [Run(CLIP, replace(base, seed=seed), fold.clean) for seed in seeds for fold in folds]


def standardized(folds: Sequence[Fold], base: TrainingConfig, *, seeds: Sequence[int]) -> list[Run]:
    """Return the same, with each band scaled over the corpus in place of the clip's extremes."""
    config = replace(base, frontend=replace(base.frontend, scaling="none"), standardize=True)
    return [
        Run(STANDARDIZED, replace(config, seed=seed), fold.clean)
        for seed in seeds
        for fold in folds
    ]


def whole(start: Path, fold: Fold, *, seed: int) -> Tuning:
    """Return experiment A: all of the network, for as long as table 2 reports."""
    return Tuning(WHOLE, start, fold.coded, models.ALL, _settings(EPOCHS[-1], seed))


def alone(start: Path, fold: Fold, segments: int, *, seed: int) -> list[Tuning]:
    """Return experiment B: each segment alone, and the whole network for as long."""
    settings = _settings(SEGMENT_EPOCHS, seed)
    numbers = [str(number) for number in range(1, segments + 1)]
    return [
        Tuning(name, start, fold.coded, wanted, settings)
        for name, wanted in ((WHOLE, models.ALL), *((segment(n), n) for n in numbers))
    ]


def segment(number: str) -> str:
    """Return what the fine-tuning of a segment is called."""
    return f"segment {number}"


def _settings(epochs: int, seed: int) -> TrainingConfig:
    return replace(lasting(load_config("finetuning"), epochs), seed=seed)

"""Kosmider 2019, section 5: what augmentation, normalization and correction each are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal

from anymic.training import CorrectionConfig, TrainingConfig
from anymic_experiments.runs import Run

Scale = Literal["paper", "small"]
PRESETS: dict[Scale, str] = {"paper": "kosmider2019", "small": "kosmider2019-small"}
NETWORKS = ("basic1", "basic2")


@dataclass(frozen=True)
class Setting:
    """One line of table 3 for one network.

    Attributes
    ----------
    network : str
    augmentation : bool
        Mixup and SpecAugment.
    normalization : bool
        Zero mean and unit variance in each band.
    correction : bool
        Spectrum correction towards the mean of B and C.
    """

    network: str
    augmentation: bool
    normalization: bool
    correction: bool

    @property
    def name(self) -> str:
        """What a run of it is called."""
        parts = [self.network]
        for part in ("augmentation", "normalization", "correction"):
            parts += [part] if getattr(self, part) else []
        return ", ".join(parts)

    def config(self, base: TrainingConfig, *, seed: int) -> TrainingConfig:
        """Return the settings of its training.

        Every line has weights, split and order of its own, so that all of them can vote together;
        a line and its counterpart without correction share them.
        """
        line = LINES.index((self.network, self.augmentation, self.normalization))
        return replace(
            base,
            network=self.network,
            mixup=base.mixup if self.augmentation else None,
            spec_augment=base.spec_augment if self.augmentation else None,
            standardize=self.normalization,
            correction=base.correction if self.correction else None,
            seed=seed * len(LINES) + line,
        )


LINES = tuple(product(NETWORKS, (True, False), (True, False)))
TABLE = tuple(Setting(*line, correction) for line, correction in product(LINES, (True, False)))
SUBMITTED = Setting("basic1", augmentation=True, normalization=True, correction=True)
REAL_REFERENCE = f"{SUBMITTED.name} to A"  # and not to the virtual device B+C
WHOLE = "all clips"


def grid(folds: Sequence[Path], base: TrainingConfig, *, seeds: Sequence[int]) -> list[Run]:
    """Return the runs of table 3: every setting, fold and seed.

    Parameters
    ----------
    folds : sequence of Path
        A manifest a fold, with devices A, B, C and the splits train and test.
    base : TrainingConfig
        With everything on: the preset of the scale.
    seeds : sequence of int
    """
    return [
        Run(setting.name, setting.config(base, seed=seed), fold)
        for seed in seeds
        for fold in folds
        for setting in TABLE
    ]


def real_reference(
    folds: Sequence[Path], base: TrainingConfig, *, seeds: Sequence[int]
) -> list[Run]:
    """Return runs of the submitted network that correct towards the real device A.

    Beside those of the table they show what a virtual reference is worth to a clip that is taken
    for another device's.
    """
    assert base.correction is not None
    towards_a = CorrectionConfig(reference=("A",), estimator=base.correction.estimator)
    return [
        Run(
            REAL_REFERENCE,
            replace(SUBMITTED.config(base, seed=seed), correction=towards_a),
            fold,
        )
        for seed in seeds
        for fold in folds
    ]


def whole(folds: Sequence[Path], base: TrainingConfig) -> list[Run]:
    """Return the corrected settings trained on all training clips, none set aside, of seed 0.

    The first of the four submissions votes with such members.
    """
    everything = replace(base, validation_share=0.0)
    return [
        Run(f"{WHOLE}, {setting.name}", setting.config(everything, seed=0), fold)
        for fold in folds
        for setting in TABLE
        if setting.correction
    ]

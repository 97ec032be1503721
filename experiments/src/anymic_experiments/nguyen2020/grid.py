"""What is trained: corrections, temperatures and losses, and how long each temperature takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal

from anymic.training import CorrectionConfig, TrainingConfig
from anymic.training.loop.losses import LossName
from anymic_experiments.runs import Run

Scale = Literal["paper", "small"]
Domain = Literal["magnitude", "log_mel"]
PRESETS: dict[Scale, str] = {"paper": "nguyen2020", "small": "nguyen2020-small"}
TEMPERATURES: dict[Scale, tuple[float, ...]] = {
    "paper": (1, 2, 5, 10, 15, 20, 25, 30, 35),
    "small": (1, 2, 5, 10, 20, 35),
}
CORRECTIONS: dict[str, tuple[str, ...] | None] = {
    "Ref.ABC": ("A", "B", "C"),
    "Ref.BC": ("B", "C"),
    "NoCorrection": None,
}
LOSSES: tuple[LossName, ...] = ("focal", "cross_entropy")
DOMAINS: tuple[Domain, ...] = ("magnitude", "log_mel")
ABLATION_SEEDS = 2  # of the cross-entropy and the log-mel lines, at most


@dataclass(frozen=True)
class Length:
    """How long a temperature is trained, and how fast.

    Attributes
    ----------
    epochs : int
    learning_rate : float
        Of Adadelta, at the start.
    """

    epochs: int
    learning_rate: float


# A temperature T divides the gradient by T, and the logits have to grow T times as large: with the
# learning rate and the epochs of T = 1 a training at T = 10 stops half-way. So the learning rate
# grows with T as far as training bears it, and so do the epochs. Settled by the training accuracy
# and loss that are reached, on training clips of folds 1 and 2.
LENGTHS: dict[float, Length] = {
    1: Length(30, 0.5),
    2: Length(30, 1.0),
    5: Length(45, 2.5),
    10: Length(60, 5.0),
    20: Length(60, 10.0),
    35: Length(60, 10.0),
}


@dataclass(frozen=True)
class Setting:
    """One training condition.

    Attributes
    ----------
    correction : {"Ref.ABC", "Ref.BC", "NoCorrection"}
        The paper's names of the reference spectrum.
    temperature : float
        Divisor of the logits in training.
    loss : {"focal", "cross_entropy"}
    domain : {"magnitude", "log_mel"}
        Where the gains are applied.
    """

    correction: str
    temperature: float = 1
    loss: LossName = "focal"
    domain: Domain = "magnitude"

    @property
    def name(self) -> str:
        """What a run of it is called."""
        parts = [self.correction, f"T = {self.temperature:g}"]
        parts += ["cross-entropy"] if self.loss == "cross_entropy" else []
        parts += ["log-mel gains"] if self.domain == "log_mel" else []
        return ", ".join(parts)

    def config(self, base: TrainingConfig, scale: Scale, *, seed: int) -> TrainingConfig:
        """Return the settings of its training."""
        reference = CORRECTIONS[self.correction]
        correction = None
        if reference is not None:
            correction = CorrectionConfig(reference, "ratio_of_means", domain=self.domain)
        config = replace(
            base,
            correction=correction,
            temperature=float(self.temperature),
            loss=self.loss,
            seed=seed,
        )
        if scale == "paper":  # 150 epochs from 0.5 at every temperature
            return config
        return replace(config, **vars(LENGTHS[self.temperature]))


def curve(scale: Scale) -> list[Setting]:
    """Return the settings of figure 3 and table 3: every correction at every temperature."""
    return [Setting(name, t) for name, t in product(CORRECTIONS, TEMPERATURES[scale])]


def losses() -> list[Setting]:
    """Return the settings of table 2: every correction with both losses, at T = 1."""
    return [Setting(name, loss=loss) for name, loss in product(CORRECTIONS, LOSSES)]


def domains() -> list[Setting]:
    """Return the ablation: gains on magnitudes and in the log-mel domain, at T = 1."""
    corrected = [name for name, reference in CORRECTIONS.items() if reference]
    return [Setting(name, domain=domain) for name, domain in product(corrected, DOMAINS)]


def runs(
    settings: Sequence[Setting],
    folds: Sequence[Path],
    base: TrainingConfig,
    scale: Scale,
    *,
    seeds: Sequence[int],
) -> list[Run]:
    """Return every setting, fold and seed; whole seeds first, so that what is done is usable.

    Parameters
    ----------
    settings : sequence of Setting
    folds : sequence of Path
        A manifest a fold, with devices A, B, C and the splits train and test.
    base : TrainingConfig
        The preset of the scale.
    scale : {"paper", "small"}
    seeds : sequence of int
    """
    return [
        Run(setting.name, setting.config(base, scale, seed=seed), fold)
        for seed in seeds
        for fold in folds
        for setting in settings
    ]

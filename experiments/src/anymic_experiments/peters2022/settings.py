"""The grid file of Peters 2022."""

from __future__ import annotations

from dataclasses import dataclass

from anymic.codecs.conditions import CLEAN
from anymic_experiments.conditions import Grid

ALL = "all coded"


@dataclass(frozen=True, kw_only=True)
class Settings(Grid):
    """The grid file."""

    # by category; the first is what networks are fine-tuned on beside clean clips
    codecs: dict[str, tuple[str, ...]]
    hardest: str  # the codec that most accuracy is lost to in the paper
    finetuning: str  # the preset of fine-tuning
    table_epochs: int  # how long experiments A and B fine-tune
    segment_epochs: int

    @property
    def trained(self) -> tuple[str, ...]:
        """The codecs that networks are fine-tuned on."""
        return next(iter(self.codecs.values()))

    @property
    def coded(self) -> tuple[str, ...]:
        """All codecs."""
        return tuple(codec for category in self.codecs.values() for codec in category)

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """The codecs of each category, and of all together."""
        return {**self.codecs, ALL: self.coded}

    @property
    def conditions_tested(self) -> dict[str, tuple[str, ...]]:
        """Clean audio, every codec and every category, with the codecs that each is made of."""
        return {name: (name,) for name in (CLEAN, *self.coded)} | self.categories

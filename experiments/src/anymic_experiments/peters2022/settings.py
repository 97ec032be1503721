"""The grid file of Peters 2022."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anymic.codecs.conditions import CLEAN
from anymic_experiments.commands import Scale
from anymic_experiments.conditions import Grid

ALL = "all coded"
APART = "trained, HE-AAC"


@dataclass(frozen=True, kw_only=True)
class Settings(Grid):
    """The grid file."""

    # by category; the first is what networks are fine-tuned on beside clean clips
    codecs: dict[str, tuple[str, ...]]
    apart: tuple[str, ...]  # of these, what the paper does not test: in no category and no mean
    finetuning_settings: dict[Scale, dict[str, Any]]  # what a scale changes of that preset
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
        """All codecs that are measured."""
        return tuple(codec for category in self.codecs.values() for codec in category)

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """The codecs of each category, those apart, and all that the paper tests together."""
        own = {name: self._tested(codecs) for name, codecs in self.codecs.items()}
        return {**own, APART: self.apart, ALL: self.tested}

    @property
    def tested(self) -> tuple[str, ...]:
        """The codecs that the paper tests."""
        return self._tested(self.coded)

    def _tested(self, codecs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(codec for codec in codecs if codec not in self.apart)

    @property
    def conditions_tested(self) -> dict[str, tuple[str, ...]]:
        """Clean audio, every codec and every category, with the codecs that each is made of."""
        return {name: (name,) for name in (CLEAN, *self.coded)} | self.categories

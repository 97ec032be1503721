"""The grid file of the page on codecs."""

from __future__ import annotations

from dataclasses import dataclass

from anymic.codecs import Codec
from anymic_experiments.conditions import Grid


@dataclass(frozen=True, kw_only=True)
class Settings(Grid):
    """The grid file."""

    several: tuple[str, ...]  # the tested codecs that have several bitrates
    single: tuple[str, ...]  # and those that have one
    paper: tuple[str, ...]  # what Peters 2022 fine-tunes on
    finetuning: str  # the preset of fine-tuning
    tuned_epochs: int  # of fine-tuning as in the paper
    tuned_any_epochs: int  # and with codecs: any
    retrained_epochs: int
    fcnn: str  # the preset of the second network
    fcnn_epochs: int
    loses: float  # a codec that takes more accuracy than this is one to recover from
    aims: dict[str, float]
    left_out_folds: int | None = None
    pretrained_folds: int | None = None
    fcnn_folds: int | None = None
    copies: int

    @property
    def tested(self) -> tuple[str, ...]:
        """The codecs of the tables that this machine encodes."""
        return available(*self.several, *self.single)

    @property
    def absent(self) -> tuple[str, ...]:
        """The other codecs of the tables and of the paper."""
        every = dict.fromkeys([*self.several, *self.single, *self.paper])
        return tuple(name for name in every if name not in available(*every))

    @property
    def trained(self) -> tuple[str, ...]:
        """Those of the paper that this machine encodes."""
        return available(*self.paper)

    @property
    def coded(self) -> tuple[str, ...]:
        """All codecs that the corpus is passed through."""
        return tuple(dict.fromkeys([*self.tested, *self.trained]))

    def of_family(self, family: str) -> tuple[str, ...]:
        """Return the tested codecs of a family."""
        return tuple(name for name in self.tested if Codec.parse(name).spec.family == family)


def available(*names: str) -> tuple[str, ...]:
    """Return those of these codecs that this machine encodes."""
    return tuple(name for name in names if Codec.parse(name).available)

"""The grid file of Xu 2018: extractors, the heads on them, and the lines of the tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from anymic._internal.settings import from_mapping
from anymic.training import TrainingConfig
from anymic_experiments.commands import Scale
from anymic_experiments.conditions import Grid


@dataclass(frozen=True)
class Size:
    """What the scales differ in."""

    width: float  # of VGGish; other extractors have their own
    extractor_epochs: int
    head_epochs: int
    hidden: int
    segments: int  # of the LSTM and the attention
    lengths: tuple[int, ...]  # segments of table 4
    whole: int  # segments of the longest clip
    shifted: int | None  # clips a label with pitch shift; None makes as many of every label


@dataclass(frozen=True)
class Extractor:
    """One extractor: how it is trained (None: not at all), on which clips; the others validate."""

    sampling: Literal["balanced", "files"] | None = None
    part: Literal["first", "last"] = "first"


@dataclass(frozen=True)
class Head:
    """One head: what it is, of how many segments, and on what it is trained."""

    network: str
    segments: int | Literal["own", "each", "whole"] = 1
    shifted: bool = False
    mixup: float = 0.0

    @property
    def name(self) -> str:
        """Its folder's name."""
        parts = [self.network, str(self.segments), *(["shifted"] if self.shifted else [])]
        return "-".join([*parts, *([f"mixup{self.mixup:g}"] if self.mixup else [])])


@dataclass(frozen=True)
class Line:
    """One line of a table: a head on the geometric mean of some extractors, by default all trained.

    `head` is None for a system that only the paper has; `pattern` is the name before the number of
    segments is filled in.
    """

    name: str
    head: Head | None = None
    extractors: tuple[str, ...] = ()
    pattern: str = ""


@dataclass(frozen=True, kw_only=True)
class Settings(Grid):
    """The grid file."""

    sizes: dict[Scale, Size]
    tuned: str  # segments of another pretrained extractor that are fine-tuned; of VGGish, all
    validation: tuple[int, ...]  # clips that validate, of how many: the last or the first ones
    head: dict[str, Any]  # settings of the training of heads
    extractors: dict[str, Extractor]
    tables: dict[str, tuple[Line, ...]]
    contrasts: dict[str, tuple[tuple[str, ...], ...]]
    members: int | None = None  # of the extractors of a line, how many, the first ones

    def lines(self, table: str, scale: Scale) -> list[Line]:
        """Return the lines of a table with their numbers of segments and extractors."""
        size, found = self.sizes[scale], []
        trained = tuple(name for name, one in self.extractors.items() if one.sampling)
        known = {"own": (size.segments,), "each": size.lengths, "whole": (size.whole,)}
        for pattern in self.tables[table]:
            extractors = (pattern.extractors or trained)[: self.members]
            name = pattern.name.replace(
                "VGGish", "extractor" if scale == "pretrained" else "VGGish"
            )
            line = replace(pattern, name=name, extractors=extractors, pattern=pattern.name)
            if line.head is None:
                found.append(line)
                continue
            wanted = line.head.segments
            for number in (wanted,) if isinstance(wanted, int) else known[wanted]:
                name = line.name.replace("{n}", str(number))
                found.append(replace(line, name=name, head=replace(line.head, segments=number)))
        return found

    def head_config(self, head: Head, scale: Scale, *, seed: int) -> TrainingConfig:
        """Return the settings of a head's training."""
        mixup = {"mixup": {"share": 1.0, "alpha": head.mixup}} if head.mixup else {}
        own = {"network": head.network, "epochs": self.sizes[scale].head_epochs, "seed": seed}
        return from_mapping(TrainingConfig, {**self.head, **own, **mixup})

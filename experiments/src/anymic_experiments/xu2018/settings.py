"""The grid file of Xu 2018: extractors, the heads on them, and the lines of the tables."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from anymic._internal.settings import from_mapping
from anymic.errors import counted
from anymic.models.heads import Nonlinearity
from anymic.training import TrainingConfig
from anymic_experiments.commands import Scale
from anymic_experiments.conditions import Grid

LSTM = "lstm_head"


@dataclass(frozen=True)
class Size:
    """What the scales differ in."""

    width: float  # of VGGish; other extractors have their own
    extractor_epochs: int
    head_epochs: int
    batch_size: int  # of heads
    hidden: int
    segments: int  # of the attention
    lengths: tuple[int, ...]  # segments of table 4
    # how many times the clips of the largest label each label has with pitch shift
    shifted: int
    # which clips come first: those of the manifest, or of an order drawn from the seed
    order: Literal["listed", "drawn"]
    # settings of the scale's own trainings: of extractors, of heads, and of the LSTM alone
    extractor: dict[str, Any] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    lstm: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Extractor:
    """One extractor: how it is trained (None: not at all), on which clips; the others validate."""

    sampling: Literal["balanced", "files"] | None = None
    part: Literal["first", "last"] = "first"


@dataclass(frozen=True)
class Head:
    """One head: what it is, of how many segments, and on what it is trained.

    Of `segments`, "whole" is a clip's own sequence; in the grid file "own" is the number of the
    scale, "each" makes a line for each of the scale's lengths, and "every" one of all of them.
    """

    network: str
    segments: int | Literal["own", "each", "every", "whole"] = 1
    shifted: bool = False
    mixup: float = 0.0

    @property
    def name(self) -> str:
        """Its folder's name."""
        parts = [self.network, str(self.segments), *(["shifted"] if self.shifted else [])]
        return "-".join([*parts, *([f"mixup{self.mixup:g}"] if self.mixup else [])])


@dataclass(frozen=True)
class Line:
    """One line of a table: a head on some extractors, by default on all that are trained.

    Its answer is the geometric mean of the answers of all `models`, which are the extractors' own
    heads. `head` is None for a system that only the paper has; `pattern` is the name before the
    number of segments is filled in.
    """

    name: str
    head: Head | None = None
    extractors: tuple[str, ...] = ()
    pattern: str = ""
    heads: tuple[Head, ...] = ()  # the head with its number, or numbers, of segments

    @property
    def models(self) -> list[tuple[str, Head]]:
        """Every extractor with each of the heads."""
        return [(extractor, head) for extractor in self.extractors for head in self.heads]


@dataclass(frozen=True, kw_only=True)
class Settings(Grid):
    """The grid file."""

    sizes: dict[Scale, Size]
    tuned: str  # segments of another pretrained extractor that are fine-tuned; of VGGish, all
    validation: tuple[int, ...]  # clips that validate, of how many: the last or the first ones
    head: dict[str, Any]  # settings of the training of heads
    nonlinearity: Nonlinearity  # of the classifiers of each level of a head
    extractors: dict[str, Extractor]
    tables: dict[str, tuple[Line, ...]]
    contrasts: dict[str, tuple[tuple[str, ...], ...]]
    members: int | None = None  # of the extractors of a line, how many, the first ones

    @property
    def trained(self) -> tuple[str, ...]:
        """The extractors that are trained."""
        return tuple(name for name, one in self.extractors.items() if one.sampling)

    @property
    def used(self) -> tuple[str, ...]:
        """Those of `trained` that a line without extractors of its own has."""
        return self.trained[: self.members]

    def cut(self, line: Line) -> str:
        """Say how many of a line's extractors it has, where `members` leaves some out."""
        every, own = len(self.extractors_of(line.pattern)), len(line.extractors)
        return (
            "" if own == every or line.head is None else f"{own} of {counted(every, 'extractor')}"
        )

    def extractors_of(self, pattern: str) -> tuple[str, ...]:
        """Return all extractors of the line of this name, as the grid file has them."""
        lines = (line for own in self.tables.values() for line in own)
        return next(line.extractors for line in lines if line.name == pattern) or self.trained

    def lines(self, table: str, scale: Scale) -> list[Line]:
        """Return the lines of a table with their numbers of segments and extractors."""
        size, found = self.sizes[scale], []
        for pattern in self.tables[table]:
            extractors = (pattern.extractors or self.trained)[: self.members]
            name = pattern.name.replace(
                "VGGish", "extractor" if scale == "pretrained" else "VGGish"
            )
            line = replace(pattern, name=name, extractors=extractors, pattern=pattern.name)
            for heads in _heads(line.head, size):
                name = line.name.replace("{n}", str(heads[0].segments if heads else ""))
                found.append(replace(line, name=name, heads=heads))
        return found

    def head_config(self, head: Head, scale: Scale, *, seed: int) -> TrainingConfig:
        """Return the settings of a head's training."""
        mixup = {"mixup": {"share": 1.0, "alpha": head.mixup}} if head.mixup else {}
        size = self.sizes[scale]
        own = {"network": head.network, "epochs": size.head_epochs, "seed": seed}
        own |= {"batch_size": size.batch_size, **size.head}
        own |= size.lstm if head.network == LSTM else {}
        return from_mapping(TrainingConfig, {**self.head, **own, **mixup})


def _heads(head: Head | None, size: Size) -> list[tuple[Head, ...]]:
    """Return the heads of each line that a head of the grid file makes."""
    if head is None:
        return [()]
    if head.segments in ("each", "every"):
        found = tuple(replace(head, segments=number) for number in size.lengths)
        return [found] if head.segments == "every" else [(one,) for one in found]
    return [(replace(head, segments=size.segments) if head.segments == "own" else head,)]

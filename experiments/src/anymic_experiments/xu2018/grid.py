"""What is trained: the extractors, the heads on them, and the paper's numbers beside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from anymic.training import TrainingConfig, load_config
from anymic.training.loop.augmentation import Mixup

Scale = Literal["paper", "small"]
VALIDATION_SHARE = 1473 / 9473  # of the clips: the last ones, or the first ones


@dataclass(frozen=True)
class Size:
    """What the two scales differ in; the report gives no epochs, these are our own.

    Attributes
    ----------
    width : float
        Of VGGish; narrower ones are trained from random weights, as there are none to fine-tune.
    extractor_epochs, head_epochs, hidden : int
    segments : int
        Of the LSTM and the attention.
    lengths : tuple of int
        Segments of table 4.
    whole : int
        Segments of the longest clip: table 4's last line hears all of a clip at once.
    shifted : int or None
        Clips a label with pitch shift; None evens the classes out.
    """

    width: float
    extractor_epochs: int
    head_epochs: int
    hidden: int
    segments: int
    lengths: tuple[int, ...]
    whole: int
    shifted: int | None


SIZES: dict[Scale, Size] = {
    "paper": Size(1.0, 20, 100, 600, 6, (1, 2, 4, 6, 8, 10), 31, None),  # clips of up to 30 s
    # ESC-10's clips of 5 s have five segments, and its classes are even: pitch shift multiplies
    # its 24 training clips a class.
    "small": Size(0.125, 40, 60, 200, 5, (1, 2, 3, 4), 5, 64),
}


@dataclass(frozen=True)
class Extractor:
    """One VGGish.

    Attributes
    ----------
    sampling : {"balanced", "files"} or None
        None: as it was before fine-tuning.
    part : {"first", "last"}
        Which clips train it; the others validate.
    """

    sampling: Literal["balanced", "files"] | None
    part: Literal["first", "last"] = "first"

    @property
    def name(self) -> str:
        """Its folder's name."""
        return f"{self.sampling}-{self.part}" if self.sampling else "original"


ORIGINAL = Extractor(None)
FOUR = tuple(
    Extractor(sampling, part) for sampling in ("balanced", "files") for part in ("first", "last")
)


@dataclass(frozen=True)
class Head:
    """One head: what it is, how many segments it hears, and on what it is trained."""

    network: str
    segments: int
    shifted: bool = False
    mixup: float = 0.0

    @property
    def name(self) -> str:
        """Its folder's name."""
        return "-".join(
            [
                self.network,
                str(self.segments),
                *(["shifted"] if self.shifted else []),
                *([f"mixup{self.mixup:g}"] if self.mixup else []),
            ]
        )

    def config(self, size: Size, *, seed: int) -> TrainingConfig:
        """Return the settings of its training."""
        return TrainingConfig(
            network=self.network,
            loss="cross_entropy",
            epochs=size.head_epochs,
            batch_size=64,
            mixup=Mixup(share=1.0, alpha=self.mixup) if self.mixup else None,
            monitor="loss",
            seed=seed,
            precision="float32",
        )


@dataclass(frozen=True)
class Line:
    """One line of a table: a head on the geometric mean of some extractors, and the paper's MAP@3.

    Attributes
    ----------
    name : str
    head : Head or None
        None for a system that only the paper has.
    extractors : tuple of Extractor
    paper : float or None
    """

    name: str
    head: Head | None
    extractors: tuple[Extractor, ...]
    paper: float | None


def extractor_config(
    extractor: Extractor, size: Size, *, classes: int, seed: int
) -> TrainingConfig:
    """Return the settings of an extractor's training; a batch has as many clips as classes."""
    return load_config(
        "xu2018",
        changes={
            "width": size.width,
            "epochs": size.extractor_epochs,
            "sampling": extractor.sampling,
            "batch_size": classes,
            "seed": seed,
        },
    )


def lines(table: int, size: Size) -> list[Line]:
    """Return the lines of table 2, 3 or 4."""
    if table == 2:
        head = Head("dense_head", 1)
        return [
            Line("the challenge's baseline", None, (), 0.704),
            Line("original VGGish", head, (ORIGINAL,), 0.606),
            Line("balanced, first", head, FOUR[:1], 0.870),
            Line("balanced, last", head, FOUR[1:2], 0.864),
            Line("balanced, both", head, FOUR[:2], 0.891),
            Line("unbalanced, first", head, FOUR[2:3], 0.858),
            Line("unbalanced, last", head, FOUR[3:], 0.872),
            Line("unbalanced, both", head, FOUR[2:], 0.892),
            Line("all four", head, FOUR, 0.903),
        ]
    attention, own = "attention_head", size.segments
    if table == 3:
        found = [
            Line("1 segment, multi-level", Head(attention, 1), FOUR, 0.903),
            Line("LSTM", Head("lstm_head", own), FOUR, 0.914),
            Line(f"{own} segments, attention", Head(attention, own), FOUR, 0.925),
            Line("with pitch shift", Head(attention, own, shifted=True), FOUR, 0.930),
        ]
        papers = {0.1: 0.930, 0.2: 0.936, 0.4: 0.931, 1.0: 0.930}
        for alpha, paper in papers.items():
            head = Head(attention, own, shifted=True, mixup=alpha)
            found.append(Line(f"with mixup {alpha:g}", head, FOUR, paper))
        return found
    papers = {1: 0.917, 2: 0.919, 4: 0.931, 6: 0.936, 8: 0.929, 10: 0.931}
    lengths = {str(n): (n, papers.get(n)) for n in size.lengths}
    lengths[f"all: {size.whole}"] = size.whole, 0.931
    return [
        Line(name, Head(attention, n, shifted=True, mixup=0.2), FOUR, paper)
        for name, (n, paper) in lengths.items()
    ]


def needed(lines: Iterable[Line]) -> dict[Extractor, tuple[Head, ...]]:
    """Return the heads that lines need on each extractor, none twice."""
    heads: dict[Extractor, dict[Head, None]] = {}
    for line in lines:
        for extractor in line.extractors:
            if line.head is not None:
                heads.setdefault(extractor, {})[line.head] = None
    return {extractor: tuple(own) for extractor, own in heads.items()}

"""The clips that an experiment is run on, as its page states them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from anymic.codecs.conditions import CLEAN, codec_names
from anymic.data.corpora.published import FACTS
from anymic.data.manifest import Manifest

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Clips:
    """The clips of every fold."""

    # of the published corpus whose labels they are, such as esc10, where it is clear
    name: str = ""
    labels: int = 0
    # by split and device (or "" without devices), how many of a fold; a coded clip is no other
    counts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, folds: Sequence[Manifest]) -> Clips:
        """Return the clips of folds, each with a column `split`."""
        labels = {label for fold in folds for label in fold.labels}
        known = [name for name, facts in FACTS.items() if set(facts.labels) == labels]
        originals = [fold.rows(codec_names(fold) == CLEAN) for fold in folds]
        counts: dict[str, dict[str, list[int]]] = {split: {} for split in SPLITS}
        for fold in originals:
            for split, own in counts.items():
                part = fold.where(split=split)
                if split == "test" and not len(part):  # where the test clips validate
                    part = fold.where(split="validation")
                for device in part.devices or ("",):
                    clips = part.where(device=device) if device else part
                    own.setdefault(device, []).append(len(clips))
        return cls(
            known[0] if len(known) == 1 else "",
            len(labels),
            {
                split: {device: span(numbers) for device, numbers in own.items()}
                for split, own in counts.items()
            },
        )


def span(numbers: Iterable[int]) -> str:
    """Return "60", or "58 to 62"."""
    every = sorted(numbers)
    return str(every[0]) if every[0] == every[-1] else f"{every[0]} to {every[-1]}"

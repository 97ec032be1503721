"""Which clips train and which validate, and their features and classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from anymic.data.manifest import Manifest, concatenate
from anymic.data.splits import check_splits, split_groups, warn_of_unused
from anymic.errors import Failure, ManifestError
from anymic.training.config import TrainingConfig


@dataclass(frozen=True)
class Parts:
    """The clips of one training run: those that train and those that validate."""

    training: Manifest
    validation: Manifest | None

    @cached_property
    def together(self) -> Manifest:
        """The clips that train and those that validate, in an order that no split changes."""
        return in_one_order(concatenate(list(self)))

    def ordered(self) -> Parts:
        """Return the parts with their clips in the order of `together`."""
        validation = None if self.validation is None else in_one_order(self.validation)
        return Parts(in_one_order(self.training), validation)

    def __iter__(self) -> Iterator[Manifest]:
        return iter([part for part in (self.training, self.validation) if part is not None])


def in_one_order(manifest: Manifest) -> Manifest:
    """Return the clips ordered by their ids, so that every split of them shares its features."""
    return manifest.rows(np.argsort(manifest.clip_ids()))


def split(manifest: Manifest, config: TrainingConfig) -> Parts:
    """Return the parts that the manifest names, or set validation clips aside by whole groups.

    Raises
    ------
    ManifestError
        If there are no training clips, one label only, or a group on both sides of the split.
    """
    if "split" in manifest.table:
        check_splits(manifest)
        warn_of_unused(manifest)
        training, validation = manifest.where(split="train"), manifest.where(split="validation")
        if not len(training):
            raise ManifestError(
                "no clip has the split 'train'",
                expected="training clips",
                fix="correct the column `split`",
            )
    else:
        training, validation = manifest, manifest.rows([])
    if len(training.labels) < 2:
        raise ManifestError(
            f"all training clips have the label {training.labels[0]}",
            expected="at least two labels",
            fix="add clips of other labels, or correct the column label",
        )
    if len(validation):
        return Parts(training, validation)
    if config.validation_share == 0:
        return Parts(training, None)
    return Parts(*split_groups(training, share=config.validation_share, seed=config.seed))


@dataclass(frozen=True)
class Examples:
    """Features and classes of the usable clips; rows are indices of `features`."""

    # (example, band, frame), or (example, feature, segment): sequences of embeddings.
    features: NDArray[np.float16]
    labels: tuple[str, ...]  # in the order of the classes
    training: NDArray[np.int64]  # (row,)
    training_targets: NDArray[np.int64]  # the class of each row
    validation: NDArray[np.int64]
    validation_targets: NDArray[np.int64]
    coded: tuple[NDArray[np.float16], ...] = ()  # `features` through each codec of the settings
    training_files: tuple[str, ...] = ()  # the file of each row, which may be a part of it

    @classmethod
    def of(
        cls,
        parts: Parts,
        features: NDArray[np.float16],
        rows: NDArray[np.int64],
        *,
        labels: Sequence[str] | None = None,
        failures: Sequence[Failure] = (),
    ) -> Examples:
        """Divide examples as the parts divide their clips, in the order of the parts' rows.

        Each example belongs to a row of `parts.together`; a clip may have several examples, or
        none, for which `failures` are the reasons. `labels` is the order of the classes; by default
        the training labels, sorted.

        Raises
        ------
        ManifestError
            If a label has no usable training clip, or only validation clips.
        """
        labels = tuple(parts.training.labels if labels is None else labels)
        ids = parts.together.clip_ids()
        examples: dict[str, list[int]] = {}
        for example, row in enumerate(rows.tolist()):
            examples.setdefault(ids[row], []).append(example)
        found: list[list[tuple[int, int, str]]] = [[], []]
        for part, own in zip(parts, found, strict=False):
            targets = part.targets(labels).tolist()
            clips = zip(part.clip_ids(), targets, part.table["path"], strict=True)
            for clip, target, path in clips:
                own += [(example, target, path) for example in examples.get(clip, ())]
        training, validation = found
        used = {target for _, target, _ in training}
        if lost := [label for number, label in enumerate(labels) if number not in used]:
            reasons = "; ".join(failure.reason for failure in failures[:3])
            why = f" ({reasons})" if reasons else ""
            raise ManifestError(
                f"no training clip can be used of {', '.join(lost)}{why}",
                expected="at least one of each label",
                fix="correct the files",
            )
        return cls(
            features,
            labels,
            np.array([example for example, _, _ in training], dtype=np.int64),
            np.array([target for _, target, _ in training], dtype=np.int64),
            np.array([example for example, _, _ in validation], dtype=np.int64),
            np.array([target for _, target, _ in validation], dtype=np.int64),
            training_files=tuple(path for _, _, path in training),
        )

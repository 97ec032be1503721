"""Which clips train and which validate, and their features and classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from anymic.data.label_sets import refuse_several
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
    _require_labels(training, config)
    if len(validation):
        return Parts(training, validation)
    if config.validation_share == 0:
        return Parts(training, None)
    return Parts(*split_groups(training, share=config.validation_share, seed=config.seed))


def _require_labels(training: Manifest, config: TrainingConfig) -> None:
    """Refuse clips whose labels do not fit `config.targets`, or have too few different ones."""
    cells = training.table["label"].tolist()
    if not config.several:
        refuse_several(cells, training.table["path"].tolist())
    if len(set(cells)) < 2:  # one label, or one set of labels
        raise ManifestError(
            f"all training clips have the label {cells[0]}" if cells[0] else "no clip has a label",
            expected="at least two labels",
            fix="add clips of other labels, or correct the column label",
        )


@dataclass(frozen=True)
class Examples:
    """Features and classes of the usable clips; rows are indices of `features`."""

    # (example, band, frame), or (example, feature, segment): sequences of embeddings.
    features: NDArray[np.float16]
    labels: tuple[str, ...]  # in the order of the classes
    training: NDArray[np.int64]  # (row,)
    # the class of each row, or with several labels a clip, 1 for each of its classes: (row, class)
    training_targets: NDArray[np.int64]
    validation: NDArray[np.int64]
    validation_targets: NDArray[np.int64]
    coded: tuple[NDArray[np.float16], ...] = ()  # `features` through each codec of the settings
    training_files: tuple[str, ...] = ()  # the file of each row, which may be a part of it
    validation_clips: tuple[str, ...] = ()  # the id of each row's clip

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
        found: list[list[tuple[int, str, str]]] = [[], []]
        targets: list[NDArray[np.int64]] = []
        for part, own in zip(parts, found, strict=False):
            counts = []
            for clip, path in zip(part.clip_ids(), part.table["path"], strict=True):
                own += [(example, path, clip) for example in examples.get(clip, ())]
                counts.append(len(examples.get(clip, ())))
            targets.append(np.repeat(part.targets(labels), counts, axis=0))
        targets += [targets[0][:0]] * (2 - len(targets))
        training, validation = found
        used = as_indicators(targets[0], len(labels)).sum(axis=0)
        if lost := [label for label, clips in zip(labels, used, strict=True) if not clips]:
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
            targets[0],
            np.array([example for example, _, _ in validation], dtype=np.int64),
            targets[1],
            training_files=tuple(path for _, path, _ in training),
            validation_clips=tuple(clip for _, _, clip in validation),
        )

    @property
    def several(self) -> bool:
        """Whether a clip may have several labels, or none."""
        return self.training_targets.ndim == 2

    def indicators(self, targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return `training_targets` or `validation_targets` as 0 and 1: (row, class)."""
        return as_indicators(targets, len(self.labels))


def as_indicators(targets: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return classes (row,) as 0 and 1 (row, class); those of several labels a clip are these."""
    return targets if targets.ndim == 2 else np.eye(classes, dtype=np.int64)[targets]

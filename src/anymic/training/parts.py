"""Which clips train and which validate, and their features and classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic.data.manifest import Manifest, concatenate
from anymic.data.splits import check_splits, split_groups
from anymic.errors import ConfigError, ManifestError
from anymic.features.feature_store import FeatureStore
from anymic.training.config import TrainingConfig


@dataclass(frozen=True)
class Parts:
    """The clips of one training run: those that train and those that validate."""

    training: Manifest
    validation: Manifest | None

    @property
    def together(self) -> Manifest:
        """The clips that train and those that validate, in an order that no split changes."""
        return in_one_order(concatenate(list(self)))

    def __iter__(self) -> Iterator[Manifest]:
        return iter([part for part in (self.training, self.validation) if part is not None])


def in_one_order(manifest: Manifest) -> Manifest:
    """Return the clips ordered by their ids, so that every split of them shares its features."""
    return manifest.rows(np.argsort(manifest.clip_ids()))


def split(manifest: Manifest, config: TrainingConfig) -> Parts:
    """Take the parts that the manifest names, or set validation clips aside by whole groups.

    Raises
    ------
    ManifestError
        If there are no training clips, one label only, or a group on both sides of the split.
    """
    if "split" in manifest.table:
        check_splits(manifest)
        training, validation = manifest.where(split="train"), manifest.where(split="validation")
        if not len(training):
            raise ManifestError(
                "no clip whose split is 'train'", expected="training clips", fix="mend `split`"
            )
        if len(validation):
            return Parts(training, validation)
    else:
        training = manifest
    if len(training.labels) < 2:
        raise ManifestError(
            f"training clips of {len(training.labels)} label", expected="two labels or more"
        )
    if config.validation_share == 0:
        return Parts(training, None)
    return Parts(*split_groups(training, share=config.validation_share, seed=config.seed))


def settle_length(config: TrainingConfig, training: Manifest) -> TrainingConfig:
    """Find the length that all clips share, where none was chosen.

    Raises
    ------
    ConfigError
        If clips differ in length.
    """
    if config.clip_s is not None:
        return config
    if "duration_s" in training.table:
        lengths = set(training.table["duration_s"].round(3))
    else:
        lengths = {round(audio.probe(path).duration_s or 0.0, 3) for path in training.paths()}
    if len(lengths) > 1:
        raise ConfigError(
            f"clips from {min(lengths)} to {max(lengths)} s",
            expected="one length",
            fix="cut them to one length, or choose one with clip_s",
        )
    return replace(config, clip_s=float(lengths.pop()))


@dataclass(frozen=True)
class Examples:
    """Features and classes of the usable clips; rows index the store.

    `coded` holds the same clips' features through each codec of the settings, where there are any;
    `training_files` names the file of each training clip, of which it may be a part.
    """

    features: NDArray[np.float16]
    labels: tuple[str, ...]
    training: NDArray[np.int64]
    training_targets: NDArray[np.int64]
    validation: NDArray[np.int64]
    validation_targets: NDArray[np.int64]
    coded: tuple[NDArray[np.float16], ...] = ()
    training_files: tuple[str, ...] = ()

    @classmethod
    def of(cls, parts: Parts, store: FeatureStore) -> Examples:
        """Take the usable clips of `parts.together` from the store.

        Raises
        ------
        ManifestError
            If a label has no usable training clip, or only validation clips.
        """
        labels = parts.training.labels
        ids = np.array(parts.together.clip_ids())[store.rows]
        place = {clip: row for row, clip in enumerate(ids.tolist())}
        rows, targets, files = [], [], []
        for part in parts:
            numbers, names = part.targets(labels), part.table["path"]
            usable = [
                (place[clip], target, path)
                for clip, target, path in zip(part.clip_ids(), numbers, names, strict=True)
                if clip in place
            ]
            rows.append(np.array([row for row, _, _ in usable], dtype=np.int64))
            targets.append(np.array([target for _, target, _ in usable], dtype=np.int64))
            files.append(tuple(path for _, _, path in usable))
        rows.append(np.empty(0, dtype=np.int64))  # where nothing validates
        targets.append(np.empty(0, dtype=np.int64))
        if len(set(targets[0])) < len(labels):
            lost = "; ".join(failure.reason for failure in store.failures[:3])
            raise ManifestError(
                f"no usable training clip for some label ({lost})",
                expected="at least one a label",
                fix="mend the files",
            )
        return cls(
            store.features,
            tuple(labels),
            rows[0],
            targets[0],
            rows[1],
            targets[1],
            training_files=files[0],
        )

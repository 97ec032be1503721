"""A fine-tuning and its measurements, as a task whose folder is named by all that decides it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.training import TrainingConfig, finetune
from anymic.training.finetuning import ANSWERS, REPORT_EPOCHS, weights_digest
from anymic_experiments.runner import Arrays, Stored
from anymic_experiments.runs import (
    FEATURES,
    TRAINING_VERSION,
    Outcome,
    Run,
    changed_settings,
    named_by,
)


@dataclass(frozen=True)
class Tuning(Stored):
    """One fine-tuning and its measurements.

    Attributes
    ----------
    condition : str
        What is compared: "segment 7", say.
    start : Path
        The model's folder.
    manifest : Path
        A CSV whose `split` names the clips to train on and to measure on.
    segments : str
        See `anymic.models.choose_segments`.
    config : TrainingConfig
    """

    condition: str
    start: Path
    manifest: Path
    segments: str
    config: TrainingConfig

    @property
    def key(self) -> str:
        """A name for its folder: it changes with the model's weights, the settings or the clips."""
        weights = weights_digest(Bundle.load(self.start))
        facts = [TRAINING_VERSION, weights, self.segments, changed_settings(self.config)]
        return named_by(facts, self.manifest)

    def file(self, out: Path) -> Path:
        """Return the file of the probabilities by epoch."""
        return out / self.key / ANSWERS

    def finish(self, out: Path) -> None:
        """Fine-tune and measure, which writes the file."""
        place = self.file(out).parent
        finetune(
            Bundle.load(self.start),
            Manifest.read(self.manifest),
            place,
            config=self.config,
            segments=self.segments,
            report_epochs=REPORT_EPOCHS,
            resume=place.is_dir(),
            progress=False,
            cache=out / FEATURES,
        )
        shutil.rmtree(place / "checkpoints", ignore_errors=True)

    def tuned(self, found: Arrays) -> Tuned:
        """Return what was measured, of the file's arrays."""
        epochs = found["epochs"].tolist()
        facts: dict[str, Any] = {name: found[name] for name in ("targets", "codecs", "groups")}
        probabilities = dict(zip(epochs, found["probabilities"], strict=True))
        return Tuned(self, probabilities, labels=tuple(found["labels"].tolist()), **facts)


@dataclass(frozen=True, eq=False)
class Tuned:
    """What a network predicted while it was fine-tuned.

    Attributes
    ----------
    tuning : Tuning
    probabilities : dict of int to array (clip, class)
        By epoch; 0 is the model as it was.
    targets : array (clip,)
    labels : tuple of str
    codecs, groups : array (clip,) of str
        What each clip was passed through, "clean" or such as "mp3 32", and its recording.
    """

    tuning: Tuning
    probabilities: dict[int, NDArray[np.float32]]
    targets: NDArray[np.int64]
    labels: tuple[str, ...]
    codecs: NDArray[np.str_]
    groups: NDArray[np.str_]

    def after(self, epoch: int, condition: str) -> Outcome:
        """Return its predictions after an epoch, by codec, under the name of what is compared."""
        return Outcome(
            Run(condition, self.tuning.config, self.tuning.manifest),
            self.probabilities[epoch].astype(np.float64),
            self.targets,
            self.labels,
            self.codecs,
            self.groups,
        )

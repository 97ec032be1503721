"""A fine-tuning and its measurements, as a task whose folder is named by all that decides it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anymic.bundle import Bundle
from anymic.training import TrainingConfig, finetune
from anymic.training.finetuning import ANSWERS, weights_digest
from anymic_experiments.runner import FileTask
from anymic_experiments.runs import (
    FEATURES,
    TRAINING_VERSION,
    Outcome,
    Run,
    changed_settings,
    named_by,
)


@dataclass(frozen=True)
class Tuning(FileTask):
    """One fine-tuning and its measurements."""

    condition: str  # what is compared: "segment 7", say
    start: Path  # the model's folder
    manifest: Path  # A CSV whose `split` names the clips to train on and to measure on
    segments: str  # see `anymic.models.choose_segments`
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
            self.start,
            self.manifest,
            place,
            config=self.config,
            segments=self.segments,
            resume=place.is_dir(),
            progress=False,
            cache=out / FEATURES,
        )
        shutil.rmtree(place / "checkpoints", ignore_errors=True)

    def outcomes(self, out: Path) -> Tuned:
        """Return what was measured."""
        found, run = self.read(out), Run(self.condition, self.config, self.manifest)
        facts = found["targets"], tuple(found["labels"].tolist()), found["codecs"], found["groups"]
        measured = zip(found["epochs"].tolist(), found["probabilities"], strict=True)
        return {epoch: Outcome(run, each.astype(np.float64), *facts) for epoch, each in measured}


Tuned = dict[int, Outcome]  # by epoch, 0 is the model as it was; devices are the codecs

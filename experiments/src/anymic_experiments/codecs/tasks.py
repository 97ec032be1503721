"""Fine-tuned networks, and their answers to the test clips of the network that they start from."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from anymic.codecs.conditions import CLEAN, codec_names
from anymic.data.manifest import Manifest
from anymic.training import TrainingConfig, finetune
from anymic_experiments.runner import Arrays
from anymic_experiments.runs import (
    FEATURES,
    TRAINING_VERSION,
    changed_settings,
    classify,
    named_by,
)
from anymic_experiments.unknown_devices.tasks import OtherAnswers


@dataclass(frozen=True)
class TunedAnswers(OtherAnswers):
    """The answers of a run's network after fine-tuning on the training clips of a manifest."""

    manifest: Path
    config: TrainingConfig

    def folder(self, out: Path) -> Path:
        """Return the folder of the fine-tuning, inside that of the run that it starts from."""
        facts = [TRAINING_VERSION, changed_settings(self.config)]
        return self.run.folder(out) / f"tuned-{named_by(facts, self.manifest)}"

    def file(self, out: Path) -> Path:
        """Return the file of the result."""
        return self.folder(out) / "test.npz"

    def arrays(self, out: Path) -> Arrays:
        """Fine-tune, and classify the test clips. The clean ones are measured meanwhile."""
        place = self.folder(out)
        clips = Manifest.read(self.manifest)
        test = clips.table["split"].to_numpy() == "test"
        clean = codec_names(clips) == CLEAN
        tuned = finetune(
            self.run.folder(out),
            clips.rows(~test | clean),
            place,
            config=self.config,
            report_epochs=(),
            resume=place.is_dir(),
            progress=False,
            cache=out / FEATURES,
        )
        shutil.rmtree(place / "checkpoints", ignore_errors=True)
        return {**self.run.read(out), "probabilities": classify(tuned, self._test())}

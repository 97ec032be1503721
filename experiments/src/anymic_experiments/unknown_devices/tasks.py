"""The answers of trained networks with blind gains, and those of copies fine-tuned by device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anymic.bundle import Bundle
from anymic.bundle.device_changes import with_device_policy
from anymic.data.manifest import Manifest
from anymic.training import load_config
from anymic.training.finetuning import PRESET, finetune
from anymic_experiments.runner import Arrays, ArrayTask
from anymic_experiments.runs import FEATURES, Outcome, Run, classify, renewed

# Raise it when the same models and clips begin to give other answers.
VERSION = 2


@dataclass(frozen=True)
class OtherAnswers(ArrayTask):
    """Other answers of a trained run to its test clips."""

    run: Run

    def outcome(self, condition: str, out: Path) -> Outcome:
        """Return what was kept, under the name of a row."""
        found = self.read(out)
        labels = tuple(found.pop("labels").tolist())
        return Outcome(self.run, labels=labels, **found).named(condition)

    def _test(self) -> Manifest:
        return Manifest.read(self.run.manifest).where(split="test")


@dataclass(frozen=True)
class BlindAnswers(OtherAnswers):
    """Those with gains from the clip itself, where its device is not in the model's profile."""

    def file(self, out: Path) -> Path:
        """Return the file of the result."""
        return self.run.folder(out) / f"blind-{VERSION}.npz"

    def arrays(self, out: Path) -> Arrays:
        """Classify the test clips. Clips of a stated device would share their gains."""
        own = renewed(Bundle.load(self.run.folder(out)))
        bundle = with_device_policy(own, unknown="blind")
        test, known = self._test(), set(bundle.devices)
        stated = [name if name in known else "" for name in test.table["device"]]
        found = classify(bundle, test.with_columns(device=stated))
        return {**self.run.read(out), "probabilities": found}


@dataclass(frozen=True)
class TunedAnswers(OtherAnswers):
    """Those of copies of the model, each fine-tuned on the takes of a device; else of the model."""

    devices: tuple[str, ...]

    def file(self, out: Path) -> Path:
        """Return the file of the result."""
        return self.run.folder(out) / f"tuned-{'-'.join(self.devices)}.npz"

    def arrays(self, out: Path) -> Arrays:
        """Fine-tune a copy for each device, and let it classify the clips of this device."""
        place, clips = self.run.folder(out), Manifest.read(self.run.manifest)
        found, test = self.run.read(out), self._test()
        probabilities = found["probabilities"].copy()
        for device in self.devices:
            own = clips.where(device=device)
            tuned = finetune(
                place,
                own,
                place / "tuned" / device,
                config=load_config(PRESET, changes={"seed": self.run.config.seed}),
                report_epochs=(),
                progress=False,
                cache=out / FEATURES,
            )
            rows = np.flatnonzero(test.table["device"].to_numpy(dtype=str) == device)
            probabilities[rows] = classify(tuned, test.rows(rows))
        return {**found, "probabilities": probabilities}

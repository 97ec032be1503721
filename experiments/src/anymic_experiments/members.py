"""What trained runs predict for their own validation clips: to select and to calibrate them by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.inference.predictor import Predictor
from anymic_experiments.runner import Arrays, Stored, finish_all
from anymic_experiments.runs import Outcome, Run


@dataclass(frozen=True)
class Validation(Stored):
    """The predictions of a trained run for its own validation clips."""

    run: Run

    def file(self, out: Path) -> Path:
        """Return the file of the result."""
        return self.run.folder(out) / "validation.npz"

    def arrays(self, out: Path) -> Arrays:
        """Classify the validation clips; there are none where the run set none aside."""
        bundle = Bundle.load(self.run.folder(out))
        manifest = Manifest.read(self.run.manifest)
        mine = set(bundle.fitted_on.get("validation", ()))
        rows = [row for row, clip in enumerate(manifest.clip_ids()) if clip in mine]
        if not rows:
            return {
                "probabilities": np.empty((0, len(bundle.labels))),
                "targets": np.empty(0, dtype=np.int64),
            }
        validation = manifest.rows(rows)
        found = Predictor(bundle).predict_manifest(validation)
        targets = validation.rows(found.rows).targets(bundle.labels)
        return {"probabilities": found.probabilities, "targets": targets}


@dataclass(frozen=True, eq=False)
class Member:
    """A trained run, its predictions for the test clips, and for its own validation clips."""

    outcome: Outcome
    validation: NDArray[np.float64]  # (clip, class): Empty where no clip was set aside
    targets: NDArray[np.int64]  # (clip,): Of the validation clips

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each of its own validation clips is classified correctly (clip,)."""
        right: NDArray[np.bool_] = self.validation.argmax(axis=1) == self.targets
        return right


def members(
    outcomes: Sequence[Outcome], runs: Path, *, workers: int = 2, progress: bool = True
) -> list[Member]:
    """Let every run classify its own validation clips, once."""
    tasks = [Validation(outcome.run) for outcome in outcomes]
    finish_all(tasks, runs, workers=workers, progress=progress, doing="validating")
    found = [task.read(runs) for task in tasks]
    return [
        Member(outcome, each["probabilities"], each["targets"])
        for outcome, each in zip(outcomes, found, strict=True)
    ]

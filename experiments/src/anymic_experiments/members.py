"""What trained runs answer for their own validation clips: to select and to calibrate them by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic._internal.files import write_arrays
from anymic._internal.threads import in_order
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.inference.predictor import Predictor
from anymic_experiments.runs import Outcome

SELECTED = 0.70  # validation accuracy; the report keeps members that reached 70 %


@dataclass(frozen=True, eq=False)
class Member:
    """A trained run, what it answered on the test clips, and on its own validation clips.

    Attributes
    ----------
    outcome : Outcome
    validation : array (clip, class)
        Empty where no clip was set aside.
    targets : array (clip,)
        Of the validation clips.
    """

    outcome: Outcome
    validation: NDArray[np.float64]
    targets: NDArray[np.int64]

    @property
    def validation_accuracy(self) -> float:
        """The share of its own validation clips that it gets right."""
        return float((self.validation.argmax(axis=1) == self.targets).mean())

    @property
    def selected(self) -> bool:
        """Whether it is good enough to vote."""
        return len(self.targets) > 0 and self.validation_accuracy >= SELECTED


def members(outcomes: Iterable[Outcome], runs: str | Path) -> list[Member]:
    """Let every run answer for its own validation clips, once.

    Parameters
    ----------
    outcomes : iterable of Outcome
    runs : path
        The folder of the runs, where their bundles are.
    """
    return list(in_order(lambda outcome: _member(outcome, Path(runs)), outcomes))


def _member(outcome: Outcome, runs: Path) -> Member:
    place = runs / outcome.run.key
    kept = place / "validation.npz"
    if not kept.is_file():
        bundle = Bundle.load(place)
        manifest = Manifest.read(outcome.run.manifest)
        mine = set(bundle.fitted_on.get("validation", ()))
        rows = [row for row, clip in enumerate(manifest.clip_ids()) if clip in mine]
        probabilities = np.empty((0, len(bundle.labels)))
        targets = np.empty(0, dtype=np.int64)
        if rows:
            validation = manifest.rows(rows)
            heard = Predictor(bundle).predict_manifest(validation)
            probabilities = heard.probabilities
            targets = validation.rows(heard.rows).targets(bundle.labels)
        write_arrays(kept, probabilities=probabilities, targets=targets)
    with np.load(kept) as found:
        return Member(outcome, found["probabilities"], found["targets"])

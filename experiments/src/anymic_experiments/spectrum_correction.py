"""How much of the gap between microphones spectrum correction closes, on real recordings.

ESC-10 (Piczak 2015) passed through measured microphones: A flat, heard by every training clip; B
and C strongly coloured, heard by ten aligned training clips each; every test clip heard by A, B, C
and by D and E, which no training clip knows. Folds in turn are the test set. The same small network
is trained without correction and with each estimator and reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from anymic.data.corpora.esc50 import esc50
from anymic.devices.simulation.simulate import simulate
from anymic.evaluation.report.rows import Row, row
from anymic.metrics.recovery import recovered_share
from anymic.training import CorrectionConfig, TrainingConfig, load_config
from anymic_experiments.pooling import pool
from anymic_experiments.runs import Outcome, Run, train_all

NONE = "no correction"
MEAN = "mean of all corrections"
REFERENCES = (("A",), ("B", "C"), ("A", "B", "C"))
ESTIMATORS = ("ratio_of_means", "mean_of_ratios", "geometric")
COLOURED = ("B", "C")


@dataclass(frozen=True)
class Findings:
    """What the grid found.

    Attributes
    ----------
    rows : list of Row
        accuracy by condition and device; accuracy_difference by condition and device, against no
        correction; recovered_share by condition: what B and C get back of what they lose to A.
    conditions : tuple of str
        Their names, in order.
    """

    rows: list[Row]
    conditions: tuple[str, ...]


def conditions() -> dict[str, CorrectionConfig | None]:
    """Return every condition by name: none, and each reference with each estimator."""
    grid: dict[str, CorrectionConfig | None] = {NONE: None}
    for reference in REFERENCES:
        for estimator in ESTIMATORS:
            name = f"{'+'.join(reference)}, {estimator.replace('_', ' ')}"
            grid[name] = CorrectionConfig(reference=reference, estimator=estimator)
    return grid


def make_corpus(esc50_root: str | Path, responses: str | Path, out: str | Path) -> list[Path]:
    """Make multi-microphone ESC-10 and return one manifest a fold.

    Parameters
    ----------
    esc50_root : path
        ESC-50 as published.
    responses : path
        The impulse responses of MicIRP.
    out : path
        Folder of the corpus; what is in it already is not made again.
    """
    result = simulate(esc50(esc50_root, subset="esc10"), "microphones", out, responses=responses)
    return list(result.folds.values())


def run(
    folds: Sequence[Path],
    out: str | Path,
    *,
    seeds: Sequence[int] = (0, 1),
    config: TrainingConfig | None = None,
    workers: int = 2,
    progress: bool = True,
) -> Findings:
    """Train and test every condition, fold and seed, and compare them.

    Parameters
    ----------
    folds : sequence of Path
        One manifest a fold, from `make_corpus`.
    out : path
        Folder of the runs; finished ones are not repeated.
    seeds : sequence of int
    config : TrainingConfig, optional
        By default the preset `small`.
    workers : int
        Trainings at a time.
    """
    config = config or load_config("small")
    runs = [
        Run(name, replace(config, correction=correction, seed=seed), fold)
        for seed in seeds
        for fold in folds
        for name, correction in conditions().items()
    ]
    return compare(train_all(runs, out, workers=workers, progress=progress))


def compare(outcomes: Iterable[Outcome]) -> Findings:
    """Pool folds and seeds by condition; every condition meets the same clips in the same order."""
    pooled = pool(outcomes)
    correct = {name: pooled.correct(name) for name in pooled.conditions}
    rows: list[Row] = []
    for name in pooled.conditions:
        for device in sorted(set(pooled.devices.tolist())):
            heard = pooled.accuracy(name, device)
            rows.append(row("accuracy", heard, condition=name, device=device))
            if name != NONE:
                change = pooled.gain(name, NONE, device)
                against = {"condition": name, "against_condition": NONE}
                rows.append(row("accuracy_difference", change, **against, device=device))
        if name != NONE:
            share = recovered_share(correct[name], correct[NONE], pooled.devices, pooled.groups)
            rows.append(row("recovered_share", share, condition=name))
    mean_hits = np.mean([hits for name, hits in correct.items() if name != NONE], axis=0)
    share = recovered_share(mean_hits, correct[NONE], pooled.devices, pooled.groups)
    rows.append(row("recovered_share", share, condition=MEAN))
    return Findings(rows, tuple(correct))

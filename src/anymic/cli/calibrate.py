"""``anymic calibrate``: calibrate a trained model's probabilities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic._internal.terminal import cell
from anymic.cli.inputs import place_of, require_choice
from anymic.cli.printing import Outcome, failures_as_json
from anymic.errors import counted

if TYPE_CHECKING:
    from anymic.training.calibrating import Calibrated, CalibrationScores, Change


def calibrate(
    model: Path,
    *,
    data: Path,
    method: str = "temperature",
    split: str | None = None,
    per_device: bool = False,
    out: Path | None = None,
    cache: Path | None = None,
) -> Outcome:
    """Calibrate a trained model's probabilities.

    The model classifies clips that it was not trained on. A calibrator is fitted to its
    probabilities, so that they agree with how often its answers are right, and is saved in the
    model: `anymic predict` and `anymic evaluate` then give calibrated probabilities. No weight
    changes. A calibrator that the model had before is replaced.

    Log loss, Brier score and calibration error are shown before and after: on the clips that the
    calibrator was fitted on ("on these clips", which is optimistic), and in five parts, each with a
    calibrator that was fitted on the recordings of the other parts ("held out"). Use `anymic
    evaluate` to measure the model on clips that had no part in it.

    For a model of several labels a clip, the threshold of each label is chosen again on these
    clips, by maximal F1.

    Clips that the model was trained on, clips of the same recordings, clips of the manifest's split
    test, and devices (--per-device) with too few clips are refused.

    The exit status is 1 if some files could not be used; they are listed.

    Example: anymic calibrate run --data manifest.csv --method temperature
    """
    from anymic.calibration import METHODS
    from anymic.training import calibrating

    require_choice("--method", method, METHODS)
    target = place_of(model, out)
    found = calibrating.calibrate(
        model,
        data,
        method=method,  # type: ignore[arg-type]
        split=split,
        per_device=per_device,
        cache=cache,
        progress=True,
    )
    place = found.model.save(target)
    calibration = found.model.calibration
    if calibration is None:
        return _thresholds(found, place)
    return Outcome(
        {
            "model": str(place),
            "calibration": calibration.summary(),
            "changes": [asdict(change) for change in found.changes],
            "failures": failures_as_json(found.failures),
        },
        [
            _table(found.changes),
            f"{place}: calibrated, {calibration.describe()}",
            *_of_error(found.changes[0]),
            f"next: anymic evaluate {place} --data {data} --split test",
        ],
        found.failures,
    )


def _of_error(change: Change) -> list[str]:
    """Return a note where the probabilities deviate more from the accuracy than before."""
    after = change.held_out or change.fitted
    before, now = (one.expected_calibration_error for one in (change.before, after))
    if now <= before:
        return []
    return [f"note: the ECE rises from {before:.3f} to {now:.3f}; that of few clips is uncertain"]


def _thresholds(found: Calibrated, place: Path) -> Outcome:
    """Return the thresholds that were chosen for several labels a clip."""
    chosen = found.model.training["thresholds"]
    values = dict(zip(found.model.labels, chosen["values"], strict=True))
    return Outcome(
        {
            "model": str(place),
            "thresholds": values,
            "clips": chosen["clips"],
            "usual": chosen["usual"],
            "failures": failures_as_json(found.failures),
        },
        [
            *(f"{label}\t{value:.3f}" for label, value in values.items()),
            f"{place}: thresholds of {counted(len(values), 'label')}, chosen on"
            f" {counted(chosen['clips'], 'clip')}",
        ],
        found.failures,
    )


def _table(changes: Iterable[Change]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("device")
    for head in ("clips", "", "log loss", "Brier score", "ECE"):
        table.add_column(head, justify="left" if not head else "right")
    for change in changes:
        name = change.device or "all clips"
        table.add_row(cell(name), str(change.before.clips), "before", *_cells(change.before))
        table.add_row("", "", "after, on these clips", *_cells(change.fitted))
        if change.held_out is not None:
            table.add_row("", "", "after, held out", *_cells(change.held_out))
    return table


def _cells(scores: CalibrationScores) -> list[str]:
    values = (scores.log_loss, scores.brier_score, scores.expected_calibration_error)
    return [f"{value:.3f}" for value in values]

"""``anymic calibrate``: calibrate a trained model's probabilities."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anymic.cli import options
from anymic.cli.inputs import require_choice
from anymic.cli.printing import failures_as_json, finish, print_json

if TYPE_CHECKING:
    from anymic.training.calibrating import Calibrated, CalibrationScores


def calibrate(
    model: options.Model,
    data: Annotated[Path, typer.Option(help="A manifest (or folder) with the clips to fit on.")],
    method: Annotated[
        str,
        typer.Option(
            help="temperature (one number; no answer changes) or isotonic (a step function for"
            " each label; needs many clips)."
        ),
    ] = "temperature",
    split: Annotated[
        str | None,
        typer.Option(
            help="Fit on this split's clips; all for every clip."
            " [default: the clips that were set aside when MODEL was trained]"
        ),
    ] = None,
    per_device: Annotated[
        bool,
        typer.Option("--per-device", help="Also fit one calibrator for each device."),
    ] = False,
    out: options.ChangedModel = None,
    cache: options.Cache = None,
    as_json: options.Outcome = False,
) -> None:
    """Calibrate a trained model's probabilities.

    The model classifies clips that it was not trained on. A calibrator is fitted to its
    probabilities, so that they agree with how often its answers are right, and is saved in the
    model: `anymic predict` and `anymic evaluate` then give calibrated probabilities. No weight
    changes. A calibrator that the model had before is replaced.

    Log loss, Brier score and calibration error are shown before and after: on the clips that the
    calibrator was fitted on ("on these clips", which is optimistic), and in five parts, each with a
    calibrator that was fitted on the recordings of the other parts ("held out"). Use `anymic
    evaluate` to measure the model on clips that had no part in it.

    Clips that the model was trained on, clips of the same recordings, clips of the manifest's split
    test, and devices (--per-device) with too few clips are refused.

    The exit status is 1 if some files could not be used; they are listed.

    Example: anymic calibrate run --data manifest.csv --method temperature
    """
    from anymic.calibration import METHODS
    from anymic.training import calibrating

    require_choice("--method", method, METHODS)
    found = calibrating.calibrate(
        model,
        data,
        method=method,  # type: ignore[arg-type]
        split=split,
        per_device=per_device,
        cache=cache,
        progress=True,
    )
    place = found.model.save(out or model)
    _show(found, place, data, as_json=as_json)
    finish(found.failures)


def _show(found: Calibrated, place: Path, data: Path, *, as_json: bool) -> None:
    calibration = found.model.calibration
    assert calibration is not None
    if as_json:
        print_json(
            {
                "model": str(place),
                "calibration": calibration.summary(),
                "changes": [asdict(change) for change in found.changes],
                "failures": failures_as_json(found.failures),
            }
        )
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("device")
    for head in ("clips", "", "log loss", "Brier score", "ECE"):
        table.add_column(head, justify="left" if not head else "right")
    for change in found.changes:
        name = change.device or "all clips"
        table.add_row(name, str(change.before.clips), "before", *_cells(change.before))
        table.add_row("", "", "after, on these clips", *_cells(change.fitted))
        if change.held_out is not None:
            table.add_row("", "", "after, held out", *_cells(change.held_out))
    Console().print(table)
    print(f"{place}: calibrated, {calibration.describe()}")
    print(f"next: anymic evaluate {place} --data {data} --split test")


def _cells(scores: CalibrationScores) -> list[str]:
    values = (scores.log_loss, scores.brier_score, scores.expected_calibration_error)
    return [f"{value:.3f}" for value in values]

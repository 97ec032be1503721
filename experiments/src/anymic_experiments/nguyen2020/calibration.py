"""Calibration errors by device, before and after calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic import metrics
from anymic.calibration import DeviceCalibrator, IsotonicCalibrator, TemperatureCalibrator
from anymic.evaluation.report.rows import row
from anymic.evaluation.report.scored import ScoredClips
from anymic_experiments.findings import Findings
from anymic_experiments.nguyen2020.settings import Settings
from anymic_experiments.page import Section
from anymic_experiments.runs import Member

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AS_IS = "as it is"
TEMPERATURE = "temperature, on validation clips"
ISOTONIC = "isotonic, on validation clips"
BY_DEVICE = "temperature by device, on other recordings"
CALIBRATIONS = (AS_IS, TEMPERATURE, ISOTONIC, BY_DEVICE)


def calibrated(member: Member, calibration: str) -> NDArray[np.float64]:
    """Return a member's probabilities for the test clips, calibrated in one of `CALIBRATIONS`."""
    if calibration == AS_IS:
        return member.outcome.probabilities
    if calibration == BY_DEVICE:
        return by_device(member)
    calibrator = TemperatureCalibrator() if calibration == TEMPERATURE else IsotonicCalibrator()
    calibrator.fit(member.validation, member.targets)
    return calibrator.transform(member.outcome.probabilities)


def by_device(member: Member) -> NDArray[np.float64]:
    """Calibrate each device on half of the test recordings, and the other half with the result.

    What someone does who has some labelled recordings of each device that were not trained on:
    no recording has a part in its own calibration.
    """
    outcome = member.outcome
    result = np.empty_like(outcome.probabilities)
    half = _halves(outcome.groups, outcome.targets)
    for held_out in (0, 1):
        fitting, answering = half != held_out, half == held_out
        fitted = DeviceCalibrator("temperature").fit(
            outcome.probabilities[fitting],
            outcome.targets[fitting],
            outcome.devices[fitting].tolist(),
            per_device=True,
        )
        devices = outcome.devices[answering].tolist()
        result[answering] = fitted.transform(outcome.probabilities[answering], devices)
    return result


def _halves(groups: NDArray[np.str_], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Deal whole recordings into two halves, 0 and 1, each with half of every class."""
    half = np.zeros(len(groups), dtype=np.int64)
    for target in np.unique(targets):
        for number, group in enumerate(np.unique(groups[targets == target])):
            half[groups == group] = number % 2
    return half


@dataclass(frozen=True, eq=False)
class Calibration(Findings):
    """How well probabilities agree with shares of correct clips."""

    conditions: tuple[str, ...]
    devices: tuple[str, ...]
    # (clip, class): The test clips' probabilities by calibration, of the
    # condition that is shown
    shown: Mapping[str, NDArray[np.float64]]
    targets: NDArray[np.int64]  # their labels, devices and recordings
    recorders: NDArray[np.str_]
    groups: NDArray[np.str_]


def compare(members: Sequence[Member], shown: str) -> Calibration:
    """Return calibration error and log loss by condition, calibration and device."""
    rows = []
    kept = {}
    names = tuple(dict.fromkeys(member.outcome.run.condition for member in members))
    for name in names:
        mine = [member for member in members if member.outcome.run.condition == name]
        targets, recorders, groups = (
            np.concatenate([getattr(member.outcome, fact) for member in mine])
            for fact in ("targets", "devices", "groups")
        )
        for calibration in CALIBRATIONS:
            probabilities = np.concatenate([calibrated(member, calibration) for member in mine])
            if name == shown:
                kept[calibration] = probabilities
            for device in np.unique(recorders):
                of = recorders == device
                scores = metrics.probability_scores(probabilities[of], targets[of], groups[of])
                where = {"setting": name, "calibration": calibration, "device": str(device)}
                rows += [row(metric, score, **where) for metric, score in scores.items()]
    devices = tuple(np.unique(recorders).tolist())
    return Calibration(rows, names, devices, kept, targets, recorders, groups)


def error_if_perfect(
    probabilities: NDArray[np.float64], groups: NDArray[np.str_], *, draws: int = 200
) -> float:
    """Return the calibration error that a model with these probabilities has if they are true.

    It is not 0: the shares of few recordings differ from what is expected of them. Right and wrong
    are drawn by the probabilities, with one draw for all clips of a recording, which succeed and
    fail together.
    """
    confidence = probabilities.max(axis=1)
    bins = metrics.calibration_bins(confidence)
    recordings, index = np.unique(groups, return_inverse=True)
    generator = np.random.default_rng(0)
    errors = [
        np.abs(
            np.bincount(bins, (generator.random(len(recordings))[index] < confidence) - confidence)
        ).sum()
        for _ in range(draws)
    ]
    return float(np.mean(errors) / len(groups))


def section(found: Calibration, grid: Settings) -> Section:
    """Return the calibration errors, and what limits them."""
    errors = {
        name: {
            device: found.of(
                "expected_calibration_error",
                setting=grid.calibrated,
                calibration=name,
                device=device,
            ).value
            for device in found.devices
        }
        for name in CALIBRATIONS
    }
    floors = [
        error_if_perfect(found.shown[BY_DEVICE][of], found.groups[of])
        for of in (found.recorders == device for device in found.devices)
    ]
    facts = {
        "found": found,
        "calibrations": CALIBRATIONS,
        "grid": grid,
        "errors": errors,
        "floor": float(np.mean(floors)),
    }
    return Section("calibration", facts, found.rows, "reliability", figure(found, grid))


def figure(found: Calibration, grid: Settings) -> Figure:
    """Draw reliability diagrams by device: as predicted, and calibrated by device."""
    from anymic.evaluation.report.figures import reliability

    drawn = np.isin(found.recorders, [name for name in grid.devices if name != grid.pair])
    panels = {AS_IS: "as it is", BY_DEVICE: "calibrated"}
    clips = ScoredClips.of(
        np.concatenate([found.shown[name][drawn] for name in panels]),
        np.tile(found.targets[drawn], len(panels)),
        devices=np.concatenate(
            [
                [f"{title}, {device}" for device in found.recorders[drawn]]
                for title in panels.values()
            ]
        ),
        groups=np.tile(found.groups[drawn], len(panels)),
    )
    title = f"{grid.calibrated}: as it is (above), and with a temperature for each device"
    return reliability(clips, title=title)

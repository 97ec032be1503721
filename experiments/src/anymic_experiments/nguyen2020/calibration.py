"""Calibration errors by device, before and after calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anymic import metrics
from anymic.calibration import (
    CalibrationError,
    DeviceCalibrator,
    IsotonicCalibrator,
    TemperatureCalibrator,
)
from anymic.evaluation.report.rows import row
from anymic_experiments.drawing import reliability
from anymic_experiments.findings import Findings
from anymic_experiments.nguyen2020.settings import Settings
from anymic_experiments.page import Section
from anymic_experiments.pooling import Pooled, pool
from anymic_experiments.runs import Member

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
    """Deal whole recordings into two halves, 0 and 1, class after class in turn."""
    half = np.zeros(len(groups), dtype=np.int64)
    every = [
        group for target in np.unique(targets) for group in np.unique(groups[targets == target])
    ]
    for number, group in enumerate(every):
        half[groups == group] = number % 2
    return half


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


def section(members: Sequence[Member], grid: Settings) -> Section:
    """Return calibration error and log loss by condition, calibration and device."""
    answers: dict[str, Pooled] = {}
    refused: dict[str, str] = {}  # with few clips some cannot be fitted, and the others can
    for calibration in CALIBRATIONS:
        try:
            answers[calibration] = pool(
                replace(member.outcome, probabilities=calibrated(member, calibration))
                for member in members
            )
        except CalibrationError as error:
            refused[calibration] = error.problem
    best = BY_DEVICE if BY_DEVICE in answers else AS_IS
    devices = np.unique(answers[AS_IS].devices).tolist()
    rows = [
        row(metric, score, setting=setting, calibration=calibration, device=device)
        for setting in answers[AS_IS].conditions
        for calibration, pooled in answers.items()
        for device in devices
        for metric, score in pooled.on(device).scores(setting).items()
    ]
    parts = [answers[best].on(device) for device in devices]
    floors = [error_if_perfect(part.probabilities[grid.calibrated], part.groups) for part in parts]
    facts = {
        "floor": float(np.mean(floors)),  # what limits the calibration error
        "refused": refused,
        "validation": [len(member.targets) for member in members],
    }
    panels = {
        f"{title}, {device}": (answers[calibration].on(device), grid.calibrated)
        for title, calibration in (("as it is", AS_IS), ("calibrated", best))
        for device in grid.devices
        if device != grid.pair
    }
    title = f"{grid.calibrated}: as it is (above), and {best}"
    drawn = reliability(panels, title=title)
    return Section("calibration", Findings(rows), facts, "reliability", drawn)

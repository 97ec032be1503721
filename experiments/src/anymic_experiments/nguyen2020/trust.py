"""How sure is it? Calibration errors by device, before and after calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic import metrics
from anymic.calibration import DeviceCalibrator, IsotonicCalibrator, TemperatureCalibrator
from anymic.evaluation.report.cells import plain
from anymic.evaluation.report.rows import row
from anymic_experiments.findings import Findings
from anymic_experiments.members import Member
from anymic_experiments.nguyen2020.grid import Setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETTINGS = tuple(
    Setting(correction, temperature)
    for correction in ("NoCorrection", "Ref.ABC")
    for temperature in (1, 10)
)
SHOWN = Setting("Ref.ABC")  # in the reliability diagrams
DRAWN = ("A", "B", "C")  # there too
BAR = 0.06  # what the calibration error of every device should be at most
AS_IS = "as it is"
TEMPERATURE = "temperature, on validation clips"
ISOTONIC = "isotonic, on validation clips"
BY_DEVICE = "temperature by device, on other recordings"

Calibration = Callable[[Member], NDArray[np.float64]]


def _as_it_is(member: Member) -> NDArray[np.float64]:
    return member.outcome.probabilities


def _temperature(member: Member) -> NDArray[np.float64]:
    fitted = TemperatureCalibrator().fit(member.validation, member.targets)
    return fitted.transform(member.outcome.probabilities)


def _isotonic(member: Member) -> NDArray[np.float64]:
    fitted = IsotonicCalibrator().fit(member.validation, member.targets)
    return fitted.transform(member.outcome.probabilities)


def by_device(member: Member) -> NDArray[np.float64]:
    """Calibrate each device on half of the test recordings, and answer for the other half.

    What someone does who has some labelled recordings of each device that training never heard:
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
            of_their_own=True,
        )
        devices = outcome.devices[answering].tolist()
        result[answering] = fitted.transform(outcome.probabilities[answering], devices)
    return result


def _halves(groups: NDArray[np.str_], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Deal whole recordings into two halves, 0 and 1, each with half of every class."""
    half = np.zeros(len(groups), dtype=np.int64)
    for target in np.unique(targets):
        mine = targets == target
        for number, group in enumerate(np.unique(groups[mine])):
            half[groups == group] = number % 2
    return half


CALIBRATIONS: dict[str, Calibration] = {
    AS_IS: _as_it_is,
    TEMPERATURE: _temperature,
    ISOTONIC: _isotonic,
    BY_DEVICE: by_device,
}


@dataclass(frozen=True, eq=False)
class Trust(Findings):
    """How well probabilities mean what they say.

    Attributes
    ----------
    devices : tuple of str
    calibrated : dict of str to array (clip, class)
        The test clips' probabilities by calibration, of the setting `SHOWN`.
    targets, heard, groups : array (clip,)
        Their labels, devices and recordings.
    """

    devices: tuple[str, ...]
    calibrated: Mapping[str, NDArray[np.float64]]
    targets: NDArray[np.int64]
    heard: NDArray[np.str_]
    groups: NDArray[np.str_]


def compare(members: Sequence[Member]) -> Trust:
    """Return calibration error and log loss by setting, calibration and device.

    Parameters
    ----------
    members : sequence of Member
        The trained runs, every fold and seed; those of `SETTINGS` are used.
    """
    rows = []
    calibrated = {}
    for setting in SETTINGS:
        mine = [member for member in members if member.outcome.run.condition == setting.name]
        facts = [
            np.concatenate([getattr(member.outcome, name) for member in mine])
            for name in ("targets", "devices", "groups")
        ]
        targets, heard, groups = facts
        for name, calibrate in CALIBRATIONS.items():
            probabilities = np.concatenate([calibrate(member) for member in mine])
            if setting == SHOWN:
                calibrated[name] = probabilities
            for device in np.unique(heard):
                of = heard == device
                scores = metrics.probability_scores(probabilities[of], targets[of], groups[of])
                where = {"setting": setting.name, "calibration": name, "device": str(device)}
                rows += [row(metric, score, **where) for metric, score in scores.items()]
    return Trust(
        rows,
        devices=tuple(np.unique(heard).tolist()),
        calibrated=calibrated,
        targets=targets,
        heard=heard,
        groups=groups,
    )


def error_if_perfect(
    probabilities: NDArray[np.float64], groups: NDArray[np.str_], *, draws: int = 200
) -> float:
    """Return the calibration error that a model with these probabilities has if they are true.

    It is not 0: the shares of few recordings differ from what is expected of them. Right and wrong
    are drawn by the probabilities, with one draw for all clips of a recording, which succeed and
    fail together.

    Parameters
    ----------
    probabilities : array (clip, class)
    groups : array (clip,) of str
        The recording of each clip.
    draws : int
        To average over.
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


def markdown(found: Trust, metric: str) -> str:
    """Return a metric by setting, calibration and device."""
    lines = [
        f"| trained with | calibrated | {' | '.join(found.devices)} |",
        "|---" * (2 + len(found.devices)) + "|",
    ]
    for setting in SETTINGS:
        for name in CALIBRATIONS:
            cells = [
                plain(found.of(metric, setting=setting.name, calibration=name, device=device))
                for device in found.devices
            ]
            lines.append("| " + " | ".join([setting.name, name, *cells]) + " |")
    return "\n".join(lines) + "\n"


def reading(found: Trust) -> str:
    """Say where every device's calibration error is low enough."""
    sentences = []
    for name in CALIBRATIONS:
        errors = {
            device: found.of(
                "expected_calibration_error",
                setting=SHOWN.name,
                calibration=name,
                device=device,
            ).value
            for device in found.devices
        }
        above = [f"{device} {error:.3f}" for device, error in errors.items() if error > BAR]
        met = f"not on {', '.join(above)}" if above else "on every device"
        worst = max(errors.values())
        sentences.append(f"{name}: at most {BAR} {met} (worst {worst:.3f}).")
    floors = [
        error_if_perfect(found.calibrated[BY_DEVICE][of], found.groups[of])
        for of in (found.heard == device for device in found.devices)
    ]
    return (
        f"Calibration error with {SHOWN.name}. {' '.join(sentences)} What limits it is the number "
        f"of recordings: probabilities that were exactly true would be measured at about "
        f"{np.mean(floors):.3f} on so few."
    )


def figure(found: Trust) -> Figure:
    """Draw reliability diagrams by device, of the setting `SHOWN` calibrated by device."""
    from anymic.evaluation.report.figures import reliability

    shown = np.isin(found.heard, DRAWN)
    panels = {AS_IS: "as it is", BY_DEVICE: "calibrated"}
    return reliability(
        np.concatenate([found.calibrated[name][shown] for name in panels]),
        np.tile(found.targets[shown], len(panels)),
        devices=np.concatenate(
            [[f"{title}, {device}" for device in found.heard[shown]] for title in panels.values()]
        ),
        groups=np.tile(found.groups[shown], len(panels)),
        title=f"{SHOWN.name}: as it is (above), and with a temperature for each device",
    )

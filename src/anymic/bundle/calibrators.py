"""The calibrators of a bundle, and those of an ensemble's members, as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from anymic.bundle.format import read_tensors
from anymic.calibration import CalibrationError, DeviceCalibrator, IsotonicCalibrator
from anymic.errors import BundleError

CALIBRATION = "calibration.safetensors"  # of the answer, by device
CALIBRATORS = "calibrators.safetensors"  # of each member's answer, before they vote


def write_calibration(folder: Path, calibration: DeviceCalibrator | None) -> dict[str, Any] | None:
    """Write a calibrator's numbers; return what the index keeps of it."""
    if calibration is None:
        return None
    from safetensors.torch import save

    record, arrays = calibration.to_parts()
    tensors = {name: torch.from_numpy(values.copy()) for name, values in arrays.items()}
    (folder / CALIBRATION).write_bytes(save(tensors))
    return record


def read_calibration(
    folder: Path, record: Mapping[str, Any] | None, *, labels: int
) -> DeviceCalibrator | None:
    """Read the calibrator of a bundle whose files were verified; BundleError if it is spoilt."""
    if record is None:
        return None
    tensors = read_tensors(folder, CALIBRATION)
    arrays = {name: tensor.double().numpy() for name, tensor in tensors.items()}
    try:
        return DeviceCalibrator.from_parts(record, arrays, labels=labels)
    except CalibrationError as error:
        raise BundleError(
            f"{folder / CALIBRATION} does not fit its model ({error.problem})",
            expected=f"a calibrator for {labels} labels",
            fix="calibrate again with anymic calibrate",
        ) from error


def write_voters(
    folder: Path, names: Sequence[str], calibrators: Sequence[IsotonicCalibrator]
) -> list[str]:
    """Write the members' calibrators, where there are some; return the name of the file."""
    if not calibrators:
        return []
    from safetensors.torch import save

    steps = {
        key: torch.from_numpy(values)
        for name, one in zip(names, calibrators, strict=True)
        for key, values in one.to_arrays(name).items()
    }
    (folder / CALIBRATORS).write_bytes(save(steps))
    return [CALIBRATORS]


def read_voters(
    folder: Path, names: Sequence[str], *, labels: int
) -> tuple[IsotonicCalibrator, ...]:
    """Read the members' calibrators; BundleError if they do not fit the members."""
    tensors = read_tensors(folder, CALIBRATORS)
    steps = {name: tensor.double().numpy() for name, tensor in tensors.items()}
    try:
        return tuple(IsotonicCalibrator.from_arrays(steps, name, labels=labels) for name in names)
    except (KeyError, CalibrationError) as error:
        raise BundleError(
            f"{folder / CALIBRATORS} does not fit its members ({error})",
            expected="a calibrator for each member and label",
            fix="build the ensemble again",
        ) from error

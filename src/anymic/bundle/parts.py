"""The tensors of a bundle: its network, front-end, optional parts and calibrators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from anymic.bundle.format import Record, read_tensors, tensor_bytes
from anymic.calibration import CalibrationError, DeviceCalibrator, IsotonicCalibrator
from anymic.errors import BundleError
from anymic.features import Frontend

if TYPE_CHECKING:
    from anymic.devices.correction.blind import MeanSpectrum
    from anymic.devices.identification.identifier import DeviceIdentifier

# The file of each optional part, by the name of its record in the index.
FILES = {
    "identifier": "identifier.safetensors",
    "spectrum": "spectrum.safetensors",
    "calibration": "calibration.safetensors",
}
MEMBER_CALIBRATORS = "calibrators.safetensors"  # applied before the members vote


def tensors_of(network: nn.Module, frontend: Frontend) -> dict[str, Tensor]:
    """Return every weight by its name in the file; BundleError if one is not finite."""
    parts = {"network": network, "frontend": frontend}
    tensors = {
        f"{part}.{name}": tensor.detach().cpu()
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    wrong = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if wrong:
        raise BundleError(
            f"some weights are not finite ({', '.join(wrong[:3])})",
            expected="finite weights",
            fix="train again with a lower learning rate",
        )
    return tensors


def part_of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the tensors of a part, without its prefix."""
    prefix = part + "."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def build_frontend(record: Record, tensors: Mapping[str, Tensor]) -> Frontend:
    """Build the front-end from its saved filters, which needs no librosa."""
    bands, bins = record.frontend.bands, record.frontend.bins
    filters, gains = tensors["filters"], tensors["gains"]
    devices = record.correction.devices
    known = [(1 + len(devices), size) for size in (bins, bands)]
    if filters.shape != (bands, bins) or gains.shape not in known:
        raise RuntimeError(
            f"filters {tuple(filters.shape)} and gains {tuple(gains.shape)} "
            f"for {bands} bands, {bins} bins and {len(devices)} devices"
        )
    rows = zip(devices, gains[1:].double().numpy(), strict=True)
    frontend = Frontend(record.frontend, device_gains=dict(rows), filters=filters)
    frontend.load_state_dict(tensors)
    return frontend


def write_parts(
    folder: Path, **parts: DeviceIdentifier | MeanSpectrum | DeviceCalibrator | None
) -> dict[str, Any]:
    """Write the tensors of each part that is not None; return their records for the index."""
    records: dict[str, Any] = {}
    for name, part in parts.items():
        if part is not None:
            records[name], tensors = part.to_parts()
            (folder / FILES[name]).write_bytes(tensor_bytes(tensors))
    return records


def part_records(index: Any) -> dict[str, Mapping[str, Any]]:
    """Return the records of the optional parts that an index has."""
    records = {name: getattr(index, name, None) for name in FILES}
    return {name: record for name, record in records.items() if record is not None}


def read_parts(
    folder: Path, records: Mapping[str, Mapping[str, Any]], *, labels: int
) -> dict[str, Any]:
    """Read the parts of a bundle whose files were verified, by their names.

    Raises
    ------
    BundleError, DeviceError
        If the tensors of a part do not fit its record.
    """
    parts: dict[str, Any] = {}
    for name, record in records.items():
        tensors = read_tensors(folder, FILES[name])
        if name == "identifier":
            from anymic.devices.identification.identifier import DeviceIdentifier

            parts[name] = DeviceIdentifier.from_parts(record, tensors)
        elif name == "spectrum":
            from anymic.devices.correction.blind import MeanSpectrum

            parts[name] = MeanSpectrum.from_parts(record, tensors)
        else:
            try:
                parts[name] = DeviceCalibrator.from_parts(record, _arrays(tensors), labels=labels)
            except CalibrationError as error:
                raise BundleError(
                    f"{folder / FILES[name]} does not fit its model ({error.problem})",
                    expected=f"a calibrator for {labels} labels",
                    fix="calibrate again with anymic calibrate",
                ) from error
    return parts


def write_member_calibrators(
    folder: Path, names: Sequence[str], calibrators: Sequence[IsotonicCalibrator]
) -> None:
    """Write the calibrator of each member."""
    steps: dict[str, NDArray[np.float64]] = {}
    for name, calibrator in zip(names, calibrators, strict=True):
        steps |= calibrator.to_arrays(name)
    (folder / MEMBER_CALIBRATORS).write_bytes(tensor_bytes(steps))


def read_member_calibrators(
    folder: Path, names: Sequence[str], *, labels: int
) -> tuple[IsotonicCalibrator, ...]:
    """Read the calibrator of each member; BundleError if they do not fit the members."""
    steps = _arrays(read_tensors(folder, MEMBER_CALIBRATORS))
    try:
        return tuple(IsotonicCalibrator.from_arrays(steps, name, labels=labels) for name in names)
    except (KeyError, CalibrationError) as error:
        raise BundleError(
            f"{folder / MEMBER_CALIBRATORS} does not fit its members ({error})",
            expected="a calibrator for each member and label",
            fix="build the ensemble again",
        ) from error


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.float64]]:
    return {name: tensor.double().numpy() for name, tensor in tensors.items()}

"""The index of a bundle, and the tensors of its network, front-end and optional parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from anymic._internal import settings as config
from anymic._internal.files import file_digest
from anymic._internal.gain_factors import ROW_PARTS
from anymic._internal.reading import reason_of
from anymic._internal.saved_folder import FolderFormat, tensor_bytes
from anymic.bundle.contract import InputContract
from anymic.bundle.targets import Targets
from anymic.bundle.voting import Voting
from anymic.calibration import CalibrationError, DeviceCalibrator, IsotonicCalibrator
from anymic.errors import BundleError, ConfigError, counted
from anymic.features import Frontend, FrontendConfig

FOLDER = FolderFormat(
    "bundle",
    "anymic-bundle",
    version=1,
    index="bundle.json",
    error=BundleError,
    remedy="pass the folder that `anymic train` wrote",
    again="train it again",
)
WEIGHTS, PROFILE, ENSEMBLE = "weights.safetensors", "profile.json", "ensemble"
# The file of each optional part, by the name of its record in the index.
PARTS = {
    "identifier": "identifier.safetensors",
    "spectrum": "spectrum.safetensors",
    "calibration": "calibration.safetensors",
}
MEMBER_CALIBRATORS = "calibrators.safetensors"  # applied before the members vote


@dataclass(frozen=True)
class NetworkRecord:
    """The arguments of `anymic.models.build`."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Correction:
    """The devices of the gains' rows, in order, and the profile's reference and estimator.

    `blind` are the devices whose gains were estimated from recordings of them alone.
    """

    devices: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    estimator: str = ""
    blind: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _AnyRecord:
    """The content of every `bundle.json`."""

    format: str
    version: int
    library: str
    created: str
    labels: tuple[str, ...]
    contract: InputContract
    training: dict[str, Any]
    sha256: dict[str, str]
    identifier: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    thresholds: tuple[float, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Record(_AnyRecord):
    """The content of a single model's `bundle.json`."""

    frontend: FrontendConfig
    network: NetworkRecord
    correction: Correction
    temperature: float
    fitted_on: dict[str, list[str]]
    file_hashes: dict[str, str] = field(default_factory=dict)
    spectrum: dict[str, Any] | None = None
    targets: Targets = "one"


@dataclass(frozen=True, kw_only=True)
class EnsembleRecord(_AnyRecord):
    """The content of an ensemble's `bundle.json`."""

    kind: str
    voting: Voting
    members: tuple[str, ...]


AnyRecord = TypeVar("AnyRecord", Record, EnsembleRecord)


def read_record(folder: Path, kind: type[AnyRecord]) -> AnyRecord:
    """Read the index of a single model or an ensemble; BundleError if there is none."""
    values = FOLDER.read_index(folder)
    if ("kind" in values) != (kind is EnsembleRecord):
        found, wanted = f"an {values.get('kind')}", "a single model"
        if kind is EnsembleRecord:
            found, wanted = "a single model", "an ensemble"
        raise BundleError(
            f"the folder {folder} is {found}", expected=wanted, fix="load it with `anymic.load`"
        )
    try:
        return config.from_mapping(kind, values)
    except ConfigError as error:
        raise BundleError(
            f"{folder / FOLDER.index} was altered: {error.problem}",
            expected="the settings of a bundle",
            fix="undo the change, or save the bundle again where it was trained",
        ) from error


def write_record(
    folder: Path, record_type: type[AnyRecord], model: Any, files: Sequence[str], **own: Any
) -> None:
    """Write the optional parts and the index of a Bundle or Ensemble; its other `files` are there.

    `own` are the entries of the record that the other kind of model does not have.
    """
    found = {name: getattr(model, name, None) for name in PARTS}
    parts: dict[str, Any] = {}
    for name, part in found.items():
        if part is not None:
            parts[name], tensors = part.to_parts()
            (folder / PARTS[name]).write_bytes(tensor_bytes(tensors))
    files = [*files, *(PARTS[name] for name in parts)]
    record = record_type(
        **FOLDER.header(),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        labels=model.labels,
        contract=model.contract,
        training=model.training,
        thresholds=model.thresholds,
        sha256={name: file_digest(folder / name) for name in files},
        **own,
        **parts,
    )
    FOLDER.write_index(folder, config.to_mapping(record))


def read_parts(
    folder: Path, record: Record | EnsembleRecord, *, needed: Sequence[str]
) -> dict[str, Any]:
    """Verify the `needed` files and those of the optional parts; read the parts, by their names.

    BundleError or DeviceError if a file is missing or was altered, or a part does not fit.
    """
    found = {name: getattr(record, name, None) for name in PARTS}
    records = {name: one for name, one in found.items() if one is not None}
    needed = [*needed, *(PARTS[name] for name in records)]
    FOLDER.verify(folder, record.sha256, needed=needed, optional=[PROFILE])
    return {
        name: _read_part(folder / PARTS[name], name, one, len(record.labels))
        for name, one in records.items()
    }


def _read_part(file: Path, name: str, record: Mapping[str, Any], labels: int) -> Any:
    tensors = FOLDER.read_tensors(file)
    if name == "identifier":
        from anymic.devices.identification.identifier import DeviceIdentifier

        return DeviceIdentifier.from_parts(record, tensors)
    if name == "spectrum":
        from anymic.devices.correction.blind import MeanSpectrum

        return MeanSpectrum.from_parts(record, tensors)
    try:
        return DeviceCalibrator.from_parts(record, _arrays(tensors), labels=labels)
    except CalibrationError as error:
        raise BundleError(
            f"{file} does not fit its model ({error.problem})",
            expected=f"a calibrator for {counted(labels, 'label')}",
            fix="calibrate again with anymic calibrate",
        ) from error


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


def build_frontend(record: Record, tensors: Mapping[str, Tensor]) -> Frontend:
    """Build the front-end from its saved filters, which needs no librosa."""
    bands, bins = record.frontend.bands, record.frontend.bins
    filters, gains = tensors["filters"], tensors["gains"]
    devices = record.correction.devices
    known = [(1 + len(devices), size) for size in (bins, bands, ROW_PARTS * bins)]
    if filters.shape != (bands, bins) or gains.shape not in known:
        raise RuntimeError(
            f"filters {tuple(filters.shape)} and gains {tuple(gains.shape)} "
            f"for {bands} bands, {bins} bins and {len(devices)} devices"
        )
    rows = zip(devices, gains[1:].double().numpy(), strict=True)
    frontend = Frontend(record.frontend, device_gains=dict(rows), filters=filters)
    frontend.load_state_dict(tensors)
    return frontend


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
    steps = _arrays(FOLDER.read_tensors(folder / MEMBER_CALIBRATORS))
    try:
        return tuple(IsotonicCalibrator.from_arrays(steps, name, labels=labels) for name in names)
    except Exception as error:  # altered arrays can raise any error
        raise BundleError(
            f"{folder / MEMBER_CALIBRATORS} does not fit its members ({reason_of(error)})",
            expected="a calibrator for each member and label",
            fix="build the ensemble again",
        ) from error


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.float64]]:
    return {name: tensor.double().numpy() for name, tensor in tensors.items()}

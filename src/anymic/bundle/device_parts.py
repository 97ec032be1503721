"""What a bundle knows of devices besides their gains: who they are, and what is usual."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic.bundle.calibrators import CALIBRATION
from anymic.bundle.contract import InputContract
from anymic.bundle.format import read_tensors
from anymic.features import FrontendConfig

if TYPE_CHECKING:
    from torch import Tensor

    from anymic.devices.correction.blind import MeanSpectrum
    from anymic.devices.identification.identifier import DeviceIdentifier

SPECTRUM, IDENTIFIER = "spectrum.safetensors", "identifier.safetensors"


def misfits(
    identifier: DeviceIdentifier | None,
    spectrum: MeanSpectrum | None,
    frontend: FrontendConfig,
    contract: InputContract,
) -> list[str]:
    """Say where these do not fit the model they are to listen for."""
    problems = misheard(identifier, contract)
    if spectrum is None:
        if contract.unknown_device == "blind":
            problems.append("the contract estimates gains blindly, and there is no mean spectrum")
    elif (spectrum.rate_hz, spectrum.fft_size) != (frontend.rate_hz, frontend.fft_size):
        problems.append(
            f"the mean spectrum is for {spectrum.rate_hz} Hz and FFT size {spectrum.fft_size}"
            f" and the front-end for {frontend.rate_hz} Hz and {frontend.fft_size}"
        )
    return problems


def misheard(identifier: DeviceIdentifier | None, contract: InputContract) -> list[str]:
    """Say whether an identifier hears another rate than the model."""
    if identifier is None or identifier.rate_hz == contract.rate_hz:
        return []
    return [
        f"the identifier is for {identifier.rate_hz} Hz and the model for {contract.rate_hz} Hz"
    ]


def write_part(
    folder: Path, name: str, part: DeviceIdentifier | MeanSpectrum | None
) -> dict[str, Any] | None:
    """Write a part's tensors to the file `name`; return what the index keeps of it."""
    if part is None:
        return None
    from safetensors.torch import save

    record, tensors = part.to_parts()
    whole: dict[str, Tensor] = {key: value.contiguous() for key, value in tensors.items()}
    (folder / name).write_bytes(save(whole))
    return record


def read_identifier(folder: Path, record: Mapping[str, Any] | None) -> DeviceIdentifier | None:
    """Read the identifier of a bundle whose files were verified; DeviceError if it is spoilt."""
    if record is None:
        return None
    from anymic.devices.identification.identifier import DeviceIdentifier

    return DeviceIdentifier.from_parts(record, read_tensors(folder, IDENTIFIER))


def read_spectrum(folder: Path, record: Mapping[str, Any] | None) -> MeanSpectrum | None:
    """Read the mean spectrum of a bundle whose files were verified; DeviceError if spoilt."""
    if record is None:
        return None
    from anymic.devices.correction.blind import MeanSpectrum

    return MeanSpectrum.from_parts(record, read_tensors(folder, SPECTRUM))


def named(**records: Mapping[str, Any] | None) -> list[str]:
    """Return the names of the files that these records need."""
    files = {"spectrum": SPECTRUM, "identifier": IDENTIFIER, "calibration": CALIBRATION}
    return [files[name] for name, record in records.items() if record is not None]

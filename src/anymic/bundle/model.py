"""The bundle in memory, its saving and its loading."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from anymic import config, models
from anymic.bundle.contract import InputContract
from anymic.bundle.files import (
    FORMAT,
    INDEX,
    PROFILE,
    VERSION,
    WEIGHTS,
    Correction,
    NetworkRecord,
    Record,
    checksum,
    read_record,
    read_tensors,
    verify,
)
from anymic.bundle.listening import (
    IDENTIFIER,
    SPECTRUM,
    misfits,
    named,
    read_identifier,
    read_spectrum,
    write_part,
)
from anymic.devices.profile import DeviceProfile
from anymic.errors import AnymicError, BundleError
from anymic.frontend import Frontend

if TYPE_CHECKING:
    from anymic.devices.blind import MeanSpectrum
    from anymic.devices.identify import DeviceIdentifier

# What is fitted on clips, and so the keys of `Bundle.fitted_on`.
USES = (
    "correction",
    "standardization",
    "weights",
    "validation",
    "calibration",
    "identifier",
    "spectrum",
)


@dataclass
class Bundle:
    """A model that is ready to predict.

    Attributes
    ----------
    network : nn.Module
        Standardized features (batch, 1, band, frame) to logits (batch, label).
    frontend : Frontend
        Samples to standardized features; holds the device gains.
    labels : tuple of str
        In the order of the logits.
    contract : InputContract
        What goes in.
    network_name, network_arguments
        With these `anymic.models.build` makes the same network (without its weights).
    training : dict
        How it was trained: settings, versions, best epoch; plain JSON values.
    fitted_on : dict of str to tuple of str
        Ids of the clips (`Manifest.clip_ids`) that each use saw; the uses are `USES`.
    profile : DeviceProfile or None
        Where the front-end's device gains come from.
    temperature : float
        Probabilities are softmax(logits / temperature): the one that the loss of training had.
    identifier : DeviceIdentifier or None
        Names the device of clips for which none is stated.
    spectrum : MeanSpectrum or None
        Of what the network was trained on; blind gains lead to it.

    Raises
    ------
    BundleError
        If the parts do not belong together.
    """

    network: nn.Module
    frontend: Frontend
    labels: tuple[str, ...]
    contract: InputContract
    network_name: str
    network_arguments: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    fitted_on: dict[str, tuple[str, ...]] = field(default_factory=dict)
    profile: DeviceProfile | None = None
    temperature: float = 1.0
    identifier: DeviceIdentifier | None = None
    spectrum: MeanSpectrum | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit; put the network and front-end in inference mode."""
        problems = []
        if not self.labels or len(set(self.labels)) < len(self.labels) or "" in self.labels:
            problems.append(f"labels {', '.join(map(repr, self.labels)) or 'none'}")
        if self.frontend.config.rate_hz != self.contract.rate_hz:
            problems.append(
                f"a front-end for {self.frontend.config.rate_hz} Hz"
                f" and a contract for {self.contract.rate_hz} Hz"
            )
        unknown = sorted(set(self.fitted_on) - set(USES))
        if unknown:
            problems.append(f"fitted_on {', '.join(unknown)}")
        if self.profile and set(self.profile.devices) != set(self.frontend.device_names):
            problems.append(
                f"a profile of {', '.join(sorted(self.profile.devices))} and a front-end for "
                f"{', '.join(sorted(self.frontend.device_names)) or 'no device'}"
            )
        if self.contract.unknown_device == "refuse" and not self.devices:
            problems.append("a contract that refuses unknown devices and no known one")
        problems += misfits(self.identifier, self.spectrum, self.frontend.config, self.contract)
        if not 0 < self.temperature < math.inf:
            problems.append(f"a temperature of {self.temperature}")
        if problems:
            raise BundleError(
                "a bundle with " + "; ".join(problems),
                wanted="different labels, one rate, the devices of the profile, "
                f"a positive temperature, and clips fitted for {', '.join(USES)}",
                remedy="put together what was trained together",
            )
        self.network.eval()
        self.frontend.eval()

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices whose gains the model knows."""
        return self.frontend.device_names

    def save(self, folder: str | Path) -> Path:
        """Write the bundle into `folder`, which is made where it is missing.

        Every file is first written whole beside its place. An existing bundle is replaced only
        then, `bundle.json` last, so that an interruption leaves the old bundle, the new one, or
        (between two renames) one that `load` refuses; never one that predicts something else.
        Other files in the folder stay.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        BundleError
            If a weight is not finite, a value of the training record is no plain JSON, or the
            place is a file.
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise BundleError(f"a file {folder}", wanted="a folder", remedy="choose another place")
        folder.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder, prefix=".bundle."))
        try:
            files = self._write(beside)
            for name in (*files, INDEX):
                os.replace(beside / name, folder / name)
            for name in {PROFILE, IDENTIFIER, SPECTRUM}.difference(files):
                (folder / name).unlink(missing_ok=True)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return folder

    def _write(self, folder: Path) -> list[str]:
        """Write all files of the bundle; return the names of those that are checksummed."""
        from safetensors.torch import save

        # Not save_file, which hides the file from everyone but its writer.
        (folder / WEIGHTS).write_bytes(save(self._tensors()))
        files = [WEIGHTS]
        if self.profile is not None:
            self.profile.write(folder / PROFILE)
            files.append(PROFILE)
        identifier = write_part(folder, IDENTIFIER, self.identifier)
        spectrum = write_part(folder, SPECTRUM, self.spectrum)
        files += named(identifier=identifier, spectrum=spectrum)
        record = Record(
            format=FORMAT,
            version=VERSION,
            library=version("anymic"),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            labels=self.labels,
            contract=self.contract,
            frontend=self.frontend.config,
            network=NetworkRecord(self.network_name, dict(self.network_arguments)),
            correction=self._correction(),
            temperature=self.temperature,
            training=self.training,
            fitted_on={use: list(clips) for use, clips in self.fitted_on.items()},
            sha256={name: checksum(folder / name) for name in files},
            identifier=identifier,
            spectrum=spectrum,
        )
        try:
            text = json.dumps(config.to_mapping(record), indent=1, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BundleError(
                f"a training record that JSON cannot hold ({error})",
                wanted="texts, finite numbers, lists and mappings",
                remedy="convert the value first",
            ) from error
        (folder / INDEX).write_text(text + "\n", encoding="utf-8")
        return files

    def _tensors(self) -> dict[str, Tensor]:
        parts = {"network": self.network, "frontend": self.frontend}
        tensors = {
            f"{part}.{name}": tensor.detach().cpu().contiguous()
            for part, module in parts.items()
            for name, tensor in module.state_dict().items()
        }
        wrong = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
        if wrong:
            raise BundleError(
                f"weights that are not finite ({', '.join(wrong[:3])})",
                wanted="a network that has learned",
                remedy="train again with a lower learning rate",
            )
        return tensors

    def _correction(self) -> Correction:
        if self.profile is None:
            return Correction(self.devices)
        return Correction(self.devices, self.profile.reference, self.profile.estimator)

    @classmethod
    def load(cls, folder: str | Path) -> Bundle:
        """Read a bundle that `save` wrote.

        Raises
        ------
        BundleError
            If there is no such folder, it is no bundle, a file of it is missing or was altered,
            a newer anymic wrote it, or its weights are not those of its network.
        """
        folder = Path(folder)
        record = read_record(folder)
        needed = [WEIGHTS, *named(identifier=record.identifier, spectrum=record.spectrum)]
        verify(folder, record.sha256, needed=needed)
        tensors = read_tensors(folder)
        try:
            network = models.build(
                record.network.name, classes=len(record.labels), **record.network.arguments
            )
            network.load_state_dict(_part(tensors, "network"))
            frontend = _frontend(record, _part(tensors, "frontend"))
            profile = DeviceProfile.read(folder / PROFILE) if PROFILE in record.sha256 else None
            identifier = read_identifier(folder, record.identifier)
            spectrum = read_spectrum(folder, record.spectrum)
        except BundleError:
            raise
        except AnymicError as error:
            raise BundleError(
                f"bundle {folder} with {error.got}",
                wanted=error.wanted,
                remedy="install the anymic that wrote it, or train it again",
            ) from error
        except (RuntimeError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise BundleError(
                f"bundle {folder}, whose weights do not fit its settings ({reason})",
                wanted=f"the weights of {record.network.name} for {len(record.labels)} labels",
                remedy="save the bundle again where it was trained",
            ) from error
        return cls(
            network=network,
            frontend=frontend,
            labels=record.labels,
            contract=record.contract,
            network_name=record.network.name,
            network_arguments=record.network.arguments,
            training=record.training,
            fitted_on={use: tuple(clips) for use, clips in record.fitted_on.items()},
            profile=profile,
            temperature=record.temperature,
            identifier=identifier,
            spectrum=spectrum,
        )


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    prefix = part + "."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _frontend(record: Record, tensors: Mapping[str, Tensor]) -> Frontend:
    """Build the front-end from its saved filters, without librosa."""
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

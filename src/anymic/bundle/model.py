"""The bundle in memory, its saving and its loading."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from anymic import models
from anymic._internal.files import atomic_folder, file_digest
from anymic.bundle.calibrators import CALIBRATION, read_calibration, write_calibration
from anymic.bundle.contract import InputContract
from anymic.bundle.device_parts import (
    IDENTIFIER,
    SPECTRUM,
    misfits,
    named,
    read_identifier,
    read_spectrum,
    write_part,
)
from anymic.bundle.format import (
    FORMAT,
    INDEX,
    PROFILE,
    VERSION,
    WEIGHTS,
    Correction,
    NetworkRecord,
    Record,
    read_record,
    read_tensors,
    verify,
    write_index,
)
from anymic.bundle.leakage import refuse_overlap
from anymic.bundle.weights import build_frontend, part_of, tensors_of
from anymic.calibration import DeviceCalibrator
from anymic.devices.correction.profile import DeviceProfile
from anymic.errors import AnymicError, BundleError
from anymic.features import Frontend

if TYPE_CHECKING:
    from anymic.devices.correction.blind import MeanSpectrum
    from anymic.devices.identification.identifier import DeviceIdentifier

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
        Standardized features (batch, channel, band, frame) to logits (batch, label).
    frontend : Frontend
        Samples to standardized features; holds the device gains.
    labels : tuple of str
        In the order of the logits. None at all is a model that only embeds, such as an imported
        VGGish: `anymic embed` hears with it, but it cannot predict.
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
    calibration : DeviceCalibrator or None
        Makes the probabilities of a clip, the mean over its windows, mean what they say; fitted
        after training. Its clips are those of `fitted_on["calibration"]`.

    Raises
    ------
    BundleError
        If the parts do not belong together, or it is calibrated on clips that it learned from.
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
    calibration: DeviceCalibrator | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit; put the network and front-end in inference mode."""
        problems = []
        if len(set(self.labels)) < len(self.labels) or "" in self.labels:
            problems.append(f"the labels are {', '.join(map(repr, self.labels))}")
        if self.frontend.config.rate_hz != self.contract.rate_hz:
            problems.append(
                f"the front-end is for {self.frontend.config.rate_hz} Hz"
                f" and the contract for {self.contract.rate_hz} Hz"
            )
        unknown = sorted(set(self.fitted_on) - set(USES))
        if unknown:
            problems.append(f"fitted_on has {', '.join(unknown)}")
        if self.profile and set(self.profile.devices) != set(self.frontend.device_names):
            problems.append(
                f"the profile has {', '.join(sorted(self.profile.devices))} and the front-end "
                f"{', '.join(sorted(self.frontend.device_names)) or 'no device'}"
            )
        if self.contract.unknown_device == "refuse" and not self.devices:
            problems.append("the contract refuses unknown devices, and there is no known device")
        problems += misfits(self.identifier, self.spectrum, self.frontend.config, self.contract)
        if not 0 < self.temperature < math.inf:
            problems.append(f"the temperature is {self.temperature}")
        if problems:
            raise BundleError(
                "the parts of the bundle do not fit: " + "; ".join(problems),
                expected="different labels, one rate, the devices of the profile, "
                f"a positive temperature, and clips fitted for {', '.join(USES)}",
                fix="use the parts of one training",
            )
        if self.calibration is not None:
            refuse_overlap(self.fitted_on, self.calibration.fitted_on, "a model")
            self.fitted_on = {**self.fitted_on, "calibration": self.calibration.fitted_on}
        self.network.eval()
        self.frontend.eval()

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices whose gains the model knows."""
        return self.frontend.device_names

    def uncalibrated(self) -> Bundle:
        """Return the model as its training left it: with its network's own probabilities."""
        if self.calibration is None:
            return self
        kept = {use: clips for use, clips in self.fitted_on.items() if use != "calibration"}
        return replace(self, calibration=None, fitted_on=kept)

    def save(self, folder: str | Path) -> Path:
        """Write the bundle into `folder`, which is made where it is missing.

        Every file is first written to a temporary folder. An existing bundle is replaced only
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
        if not self.network_name:
            raise BundleError(
                "the network cannot be built again by name",
                expected="a registered network that is built from `classes` alone",
                fix="register its class with anymic.register_network, and train it again",
            )
        if folder.exists() and not folder.is_dir():
            raise BundleError(f"{folder} is a file", expected="a folder", fix="choose another path")
        optional = (PROFILE, IDENTIFIER, SPECTRUM, CALIBRATION)
        with atomic_folder(folder, index=INDEX, optional=optional) as unfinished:
            self._write(unfinished)
        return folder

    def _write(self, folder: Path) -> None:
        """Write all files of the bundle."""
        from safetensors.torch import save

        # Not save_file, which hides the file from everyone but its writer.
        (folder / WEIGHTS).write_bytes(save(tensors_of(self.network, self.frontend)))
        files = [WEIGHTS]
        if self.profile is not None:
            self.profile.write(folder / PROFILE)
            files.append(PROFILE)
        identifier = write_part(folder, IDENTIFIER, self.identifier)
        spectrum = write_part(folder, SPECTRUM, self.spectrum)
        calibration = write_calibration(folder, self.calibration)
        files += named(identifier=identifier, spectrum=spectrum, calibration=calibration)
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
            sha256={name: file_digest(folder / name) for name in files},
            identifier=identifier,
            spectrum=spectrum,
            calibration=calibration,
        )
        write_index(folder, record)

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
            its version is another, or its weights are not those of its network.
        """
        folder = Path(folder)
        record = read_record(folder)
        parts = {name: getattr(record, name) for name in ("identifier", "spectrum", "calibration")}
        verify(folder, record.sha256, needed=[WEIGHTS, *named(**parts)])
        tensors = read_tensors(folder)
        if record.network.name not in models.NETWORKS:
            raise BundleError(
                f"bundle {folder} has the unknown network {record.network.name!r}",
                expected=f"a registered one ({', '.join(sorted(models.NETWORKS))})",
                fix="import the module that registers it with anymic.register_network first",
            )
        try:
            network = models.build(
                record.network.name, classes=len(record.labels), **record.network.arguments
            )
            network.load_state_dict(part_of(tensors, "network"))
            frontend = build_frontend(record, part_of(tensors, "frontend"))
            profile = DeviceProfile.read(folder / PROFILE) if PROFILE in record.sha256 else None
            identifier = read_identifier(folder, record.identifier)
            spectrum = read_spectrum(folder, record.spectrum)
            labels = len(record.labels)
            calibration = read_calibration(folder, record.calibration, labels=labels)
        except BundleError:
            raise
        except AnymicError as error:
            raise BundleError(
                f"bundle {folder} cannot be loaded: {error.problem}",
                expected=error.expected,
                fix="install the anymic that wrote it, or train it again",
            ) from error
        except (RuntimeError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise BundleError(
                f"the weights of bundle {folder} do not fit its settings ({reason})",
                expected=f"the weights of {record.network.name} for {len(record.labels)} labels",
                fix="save the bundle again where it was trained",
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
            calibration=calibration,
        )

"""A trained model in memory, and how it is saved and loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from anymic import models
from anymic._internal.process_state import left_as_found
from anymic._internal.reading import reason_of
from anymic._internal.saved_folder import part_of, tensor_bytes
from anymic.bundle.contract import InputContract
from anymic.bundle.format import (
    FOLDER,
    PARTS,
    PROFILE,
    WEIGHTS,
    Correction,
    NetworkRecord,
    Record,
    build_frontend,
    read_parts,
    read_record,
    tensors_of,
    write_record,
)
from anymic.bundle.installed import resolve
from anymic.bundle.leakage import refuse_overlap
from anymic.bundle.targets import Targets, threshold_problems
from anymic.calibration import DeviceCalibrator
from anymic.devices.correction.profile import DeviceProfile
from anymic.errors import AnymicError, BundleError, DependencyError, counted
from anymic.features import Frontend

if TYPE_CHECKING:
    from anymic.devices.correction.blind import MeanSpectrum
    from anymic.devices.identification.identifier import DeviceIdentifier

# The keys of `Bundle.fitted_on`.
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
        In the order of the logits. A model without labels, such as an imported VGGish, computes
        embeddings but cannot predict.
    contract : InputContract
        The input that it expects.
    network_name, network_arguments
        The arguments of `anymic.models.build` that give this network, without its weights.
    training : dict
        Settings, versions and best epoch of the training; plain JSON values.
    fitted_on : dict of str to tuple of str
        Ids of the clips (`Manifest.clip_ids`) that each of `USES` was fitted on.
    file_hashes : dict of str to str
        For these clips, by id, a hash of the file's content, so that a file is recognized by
        whatever name. Empty in models that were trained before hashes were stored.
    profile : DeviceProfile or None
        The source of the front-end's device gains.
    temperature : float
        Probabilities are softmax(logits / temperature), as in the loss of the training; with
        several labels a clip, sigmoid(logits / temperature).
    identifier : DeviceIdentifier or None
        Identifies the device of clips for which none is stated.
    spectrum : MeanSpectrum or None
        Of the training clips; blind gains correct a clip to it.
    calibration : DeviceCalibrator or None
        Calibrates the probabilities of a clip, after the mean over its windows. It was fitted
        after training, on the clips of `fitted_on["calibration"]`.
    targets : {"one", "several"}
        one: a clip has one label, and its probabilities sum to 1. several: a clip has any number of
        labels, also none; the probabilities of the labels are independent scores.
    thresholds : tuple of float, or None
        With several labels a clip: the probability from which each label is named. None is 0.5 for
        all. They were chosen on the clips of `fitted_on["calibration"]`, where there are some, or
        of `fitted_on["validation"]`.

    Raises
    ------
    BundleError
        If the parts do not fit each other, or it is calibrated on clips that it was trained on.

    Examples
    --------
    >>> import anymic
    >>> bundle = anymic.Bundle.load("run")
    >>> bundle.labels, bundle.network_name
    (('bus', 'park', 'street_traffic'), 'basic1')
    >>> sorted(bundle.profile.devices)
    ['A', 'B', 'C']
    >>> bundle.save("copy").name
    'copy'
    """

    network: nn.Module = field(repr=False)
    frontend: Frontend = field(repr=False)
    labels: tuple[str, ...]
    contract: InputContract
    network_name: str
    network_arguments: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict, repr=False)
    fitted_on: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    file_hashes: dict[str, str] = field(default_factory=dict, repr=False)
    profile: DeviceProfile | None = None
    temperature: float = 1.0
    identifier: DeviceIdentifier | None = field(default=None, repr=False)
    spectrum: MeanSpectrum | None = field(default=None, repr=False)
    calibration: DeviceCalibrator | None = field(default=None, repr=False)
    targets: Targets = "one"
    thresholds: tuple[float, ...] | None = None

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
        problems += identifier_problems(self.identifier, self.contract)
        problems += self._spectrum_problems()
        if not 0 < self.temperature < math.inf:
            problems.append(f"the temperature is {self.temperature}")
        problems += threshold_problems(
            self.targets, self.thresholds, self.labels, calibrated=self.calibration is not None
        )
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

    def _spectrum_problems(self) -> list[str]:
        spectrum, config = self.spectrum, self.frontend.config
        if spectrum is None:
            blind = self.contract.unknown_device == "blind"
            return ["the contract estimates gains blindly, and there is no mean spectrum"] * blind
        if (spectrum.rate_hz, spectrum.fft_size) == (config.rate_hz, config.fft_size):
            return []
        return [
            f"the mean spectrum is for {spectrum.rate_hz} Hz and FFT size {spectrum.fft_size}"
            f" and the front-end for {config.rate_hz} Hz and {config.fft_size}"
        ]

    @property
    def members(self) -> tuple[Bundle, ...]:
        """The model itself; those of an `Ensemble` vote."""
        return (self,)

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that the model has gains for."""
        return self.frontend.device_names

    @property
    def blind_devices(self) -> tuple[str, ...]:
        """Those of them whose gains were estimated from recordings of the device alone."""
        return self.profile.blind if self.profile else ()

    def uncalibrated(self) -> Bundle:
        """Return the model without its calibrator, with the probabilities of its network."""
        if self.calibration is None:
            return self
        kept = {use: clips for use, clips in self.fitted_on.items() if use != "calibration"}
        return replace(self, calibration=None, fitted_on=kept)

    def save(self, folder: str | Path) -> Path:
        """Write the bundle into a folder, which is created if it is missing; return the folder.

        Every file is first written to a temporary folder. An existing bundle is replaced only
        then, `bundle.json` last, so that an interruption leaves the old bundle, the new one, or
        (between two renames) one that `load` refuses. Other files in the folder are kept.

        Raises
        ------
        BundleError
            If a weight is not finite, a value of the training record is not plain JSON, or
            `folder` is a file.
        """
        if not self.network_name:
            raise BundleError(
                "the network cannot be built again by name",
                expected="a registered network that is built from `classes` alone",
                fix="register its class with anymic.register_network, and train it again",
            )
        folder = Path(folder)
        with FOLDER.writing(folder, optional=(PROFILE, *PARTS.values())) as new:
            weights = tensor_bytes(tensors_of(self.network, self.frontend))
            (new / WEIGHTS).write_bytes(weights)
            files, correction = [WEIGHTS], Correction(self.devices)
            if (own := self.profile) is not None:
                own.write(new / PROFILE)
                files.append(PROFILE)
                correction = Correction(self.devices, own.reference, own.estimator, own.blind)
            write_record(
                new,
                Record,
                self,
                files,
                frontend=self.frontend.config,
                network=NetworkRecord(self.network_name, dict(self.network_arguments)),
                correction=correction,
                temperature=self.temperature,
                targets=self.targets,
                fitted_on={use: list(clips) for use, clips in self.fitted_on.items()},
                file_hashes=self.file_hashes,
            )
        return folder

    @classmethod
    @left_as_found()
    def load(cls, folder: str | Path) -> Bundle:
        """Read a bundle that `save` wrote, or the installed model of that name.

        Raises
        ------
        BundleError
            If the folder is missing or is not a bundle, a file of it is missing or was altered,
            it has another version, or its weights do not fit its network.
        """
        folder = resolve(folder)
        record = read_record(folder, Record)
        if record.network.name not in models.NETWORKS:
            raise BundleError(
                f"bundle {folder} has the unknown network {record.network.name!r}",
                expected=f"a registered one ({', '.join(sorted(models.NETWORKS))})",
                fix="import the module that registers it with anymic.register_network first",
            )
        try:
            parts = read_parts(folder, record, needed=[WEIGHTS])
            tensors = FOLDER.read_tensors(folder / WEIGHTS)
            network = models.build(
                record.network.name, classes=len(record.labels), **record.network.arguments
            )
            network.load_state_dict(part_of(tensors, "network"))
            frontend = build_frontend(record, part_of(tensors, "frontend"))
            profile = DeviceProfile.read(folder / PROFILE) if PROFILE in record.sha256 else None
        except (BundleError, DependencyError):
            raise
        except AnymicError as error:
            raise BundleError(
                f"bundle {folder} cannot be loaded: {error.problem}",
                expected=error.expected,
                fix="install the anymic that wrote it, or train it again",
            ) from error
        except Exception as error:  # altered settings or weights can raise any error
            raise BundleError(
                f"the weights of bundle {folder} do not fit its settings ({reason_of(error)})",
                expected=f"the weights of {record.network.name} for"
                f" {counted(len(record.labels), 'label')}",
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
            file_hashes=record.file_hashes,
            profile=profile,
            temperature=record.temperature,
            targets=record.targets,
            thresholds=record.thresholds,
            **parts,
        )


def identifier_problems(identifier: DeviceIdentifier | None, contract: InputContract) -> list[str]:
    """Return a problem if an identifier is for another rate than the model, else none."""
    if identifier is None or identifier.rate_hz == contract.rate_hz:
        return []
    return [
        f"the identifier is for {identifier.rate_hz} Hz and the model for {contract.rate_hz} Hz"
    ]

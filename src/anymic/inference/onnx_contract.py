"""What an ONNX file that anymic exported says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic._internal.reading import parsing
from anymic._internal.settings import from_mapping
from anymic.bundle import InputContract, Targets
from anymic.calibration import DeviceCalibrator
from anymic.errors import ClassifierError, DeviceError
from anymic.inference.answers import average, calibrate


@dataclass(frozen=True)
class OnnxContract:
    """The metadata of a file that `anymic.exporters.export` wrote.

    Attributes
    ----------
    contract : InputContract
        How files become windows: as for the model that was exported.
    devices : tuple of str
        Their numbers in the input `device` begin at 1.
    corrected, blind : tuple of str
        Those with gains, and those of them whose gains are blind.
    targets, thresholds
        As of a `Bundle`.
    calibration : DeviceCalibrator or None
        It is in the file too, and calibrates the mean over windows that are passed one by one.
    notes : tuple of str
        What the file does not do for clips whose device is not stated.
    shortest_samples : int
    """

    contract: InputContract
    devices: tuple[str, ...]
    corrected: tuple[str, ...]
    blind: tuple[str, ...]
    targets: Targets
    thresholds: tuple[float, ...] | None
    calibration: DeviceCalibrator | None
    notes: tuple[str, ...]
    shortest_samples: int

    @classmethod
    def read(cls, stated: Mapping[str, str], name: str, labels: int) -> OnnxContract:
        """Read the metadata properties of a file; ClassifierError if they do not fit."""
        expected, fix = "the metadata that `anymic export` writes", "export the model again"
        with parsing(name, ClassifierError, expected=expected, fix=fix):
            values: dict[str, Any] = {
                one: json.loads(stated[one])
                for one in (
                    "contract",
                    "devices",
                    "corrected_devices",
                    "blind_devices",
                    "thresholds",
                    "calibration",
                    "notes",
                    "shortest_samples",
                )
            }
            thresholds = values["thresholds"]
            calibration = values["calibration"]
            return cls(
                contract=from_mapping(InputContract, values["contract"]),
                devices=tuple(map(str, values["devices"])),
                corrected=tuple(map(str, values["corrected_devices"])),
                blind=tuple(map(str, values["blind_devices"])),
                targets="several" if stated["targets"] == "several" else "one",
                thresholds=None if thresholds is None else tuple(map(float, thresholds)),
                calibration=None
                if calibration is None
                else DeviceCalibrator.from_parts(
                    calibration["record"],
                    {key: np.array(one) for key, one in calibration["arrays"].items()},
                    labels=labels,
                ),
                notes=tuple(map(str, values["notes"])),
                shortest_samples=int(values["shortest_samples"]),
            )

    def number(self, device: str | None) -> int:
        """Return the number of a device, 0 where it is unknown.

        DeviceError if the contract refuses clips of unknown devices.
        """
        if self.contract.unknown_device == "refuse" and device not in self.corrected:
            raise DeviceError(
                f"the device {device!r} is unknown" if device else "no device is stated",
                expected=f"one of {', '.join(self.corrected)}",
                fix="state the device, or add it to the model and export it again",
            )
        return 0 if device not in self.devices else 1 + self.devices.index(str(device))

    def of_clip(self, windows: NDArray[np.float64], device: str | None) -> NDArray[np.float64]:
        """Return the probabilities (label,) of a clip from those of its windows, calibrated."""
        (own,) = calibrate(average(windows)[None], self.calibration, [device])
        return np.asarray(own)

    def of_windows(self, windows: NDArray[np.float64], device: str | None) -> NDArray[np.float64]:
        """Return the probabilities (window, label) as if each window were the whole clip."""
        return calibrate(windows, self.calibration, [device] * len(windows))

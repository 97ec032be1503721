"""One calibrator for all clips, and where there are clips enough one for each device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.calibration.checks import CalibrationError, checked_pairs, unfitted
from anymic.calibration.isotonic import IsotonicCalibrator
from anymic.calibration.temperature import TemperatureCalibrator

Method = Literal["temperature", "isotonic"]
Calibrator = TemperatureCalibrator | IsotonicCalibrator
METHODS: tuple[Method, ...] = get_args(Method)

# What benchmarks/calibration.py bears out: with so many a temperature is known to about a fifth,
# and step functions more than halve a calibration error (for log loss as well they need more).
LEAST_OF_DEVICE = 30  # clips
LEAST_OF_LABEL = 20  # clips of each label and device


class DeviceCalibrator:
    """Calibrates a clip by its device's calibrator, or by the general one where it has none.

    The general calibrator is fitted on all clips, whatever their device. A device has one of its
    own only where that was asked for, and needs clips enough for it: 30 for a temperature, 20 of
    each label for isotonic regression.

    Parameters
    ----------
    method : {"temperature", "isotonic"}

    Attributes
    ----------
    general_ : TemperatureCalibrator or IsotonicCalibrator
    devices_ : dict of str to the same
    counts_ : dict of str to int
        The clips behind each device's calibrator; "" is the general one.
    fitted_on : tuple of str
        The ids of these clips, where they were told.
    """

    general_: Calibrator
    devices_: dict[str, Calibrator]
    counts_: dict[str, int]

    def __init__(self, method: Method = "temperature") -> None:
        if method not in METHODS:
            raise CalibrationError(
                f"unknown method {method!r}",
                expected=" or ".join(METHODS),
                fix="choose one of them",
            )
        self.method = method
        self.fitted_on: tuple[str, ...] = ()

    def fit(
        self,
        probabilities: ArrayLike,
        targets: ArrayLike,
        devices: Sequence[str | None] | None = None,
        *,
        of_their_own: bool | Sequence[str] = False,
        clip_ids: Sequence[str] = (),
        labels: Sequence[str] = (),
    ) -> DeviceCalibrator:
        """Learn from clips that were not trained on; returns self.

        Parameters
        ----------
        probabilities : array (clip, label)
        targets : array (clip,)
            The number of each clip's label.
        devices : sequence (clip,), optional
            The device of each clip, as prediction names it; None or "" where it is not known.
        of_their_own : bool or sequence of str
            The devices that get a calibrator of their own; True is all of them.
        clip_ids : sequence of str
            What to remember the clips by (`Manifest.clip_ids`).
        labels : sequence of str
            What to call the labels where there are too few clips of one.

        Raises
        ------
        CalibrationError
            If the clips cannot calibrate, or such a device has too few of them.
        """
        p, t = checked_pairs(probabilities, targets)
        names = _names(devices, len(t))
        wanted = sorted(set(names.tolist()) - {""}) if of_their_own is True else of_their_own or ()
        if of_their_own is True and not wanted:
            raise CalibrationError(
                f"no device is stated for any of the {len(t)} clips",
                expected="clips of the devices to calibrate",
                fix="add the column device, or calibrate all devices together",
            )
        called = labels or [f"label {number}" for number in range(p.shape[1])]
        self._refuse_few(called, t, names, wanted)
        self.general_ = self._one().fit(p, t)
        self.counts_ = {"": len(t)}
        self.fitted_on = tuple(clip_ids)
        self.devices_ = {}
        for device in wanted:
            own = names == device
            try:
                self.devices_[device] = self._one().fit(p[own], t[own])
            except CalibrationError as error:
                raise CalibrationError(
                    f"device {device}: {error.problem}",
                    expected=error.expected,
                    fix=f"{error.fix}, or calibrate all devices together",
                ) from error
            self.counts_[device] = int(own.sum())
        return self

    def transform(
        self, probabilities: ArrayLike, devices: Sequence[str | None] | None = None
    ) -> NDArray[np.float64]:
        """Return calibrated probabilities (clip, label), which sum to 1.

        Parameters
        ----------
        probabilities : array (clip, label)
        devices : sequence (clip,), optional
            The device of each clip; one without a calibrator of its own gets the general one.

        Raises
        ------
        CalibrationError
            If nothing was learned yet, or the arrays do not fit.
        """
        if not hasattr(self, "general_"):
            raise unfitted()
        p = np.asarray(probabilities, dtype=np.float64)
        names = _names(devices, len(p))
        result = self.general_.transform(p)
        for device, one in self.devices_.items():
            own = names == device
            result[own] = one.transform(p[own])
        return result

    def of_device(self, device: str | None) -> Calibrator:
        """Return the calibrator that a clip of this device gets.

        Raises
        ------
        CalibrationError
            If nothing was learned yet.
        """
        if not hasattr(self, "general_"):
            raise unfitted()
        return self.devices_.get(device or "", self.general_)

    def summary(self) -> dict[str, Any]:
        """Return what was learned, as plain JSON values: method, clips, temperature, devices."""
        if not hasattr(self, "general_"):
            raise unfitted()
        devices = {name: self._said(name, one) for name, one in self.devices_.items()}
        return {"method": self.method, **self._said("", self.general_), "devices": devices}

    def describe(self) -> str:
        """Say in one line what was learned: temperature 1.83 (240 clips); A 1.41 (48 clips)."""
        general = self.summary()
        own = [f"{name} {_words(said)}" for name, said in general["devices"].items()]
        return "; ".join((f"{self.method} {_words(general)}", *own))

    def _said(self, device: str, one: Calibrator) -> dict[str, Any]:
        found: dict[str, Any] = {"clips": self.counts_[device]}
        if isinstance(one, TemperatureCalibrator):
            found["temperature"] = one.temperature_
        return found

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
        """Return what the calibrator has learned as plain JSON values and arrays, by name."""
        if not hasattr(self, "general_"):
            raise unfitted()
        record = {
            "method": self.method,
            "devices": list(self.devices_),
            "counts": dict(self.counts_),
            "fitted_on": list(self.fitted_on),
        }
        arrays: dict[str, NDArray[np.float64]] = {}
        for number, one in enumerate((self.general_, *self.devices_.values())):
            if isinstance(one, TemperatureCalibrator):
                arrays[f"{number}.temperature"] = np.array([one.temperature_])
                continue
            for side, steps in (("inputs", one.inputs_), ("outputs", one.outputs_)):
                for label, values in enumerate(steps):
                    arrays[f"{number}.{label}.{side}"] = values
        return record, arrays

    @classmethod
    def from_parts(
        cls, record: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float64]], *, labels: int
    ) -> DeviceCalibrator:
        """Return the calibrator that `to_parts` took apart.

        Raises
        ------
        CalibrationError
            If parts are missing, or they are none of a calibrator for so many labels.
        """
        try:
            found = cls(record["method"])
            devices = [str(device) for device in record["devices"]]
            found.fitted_on = tuple(map(str, record["fitted_on"]))
            found.counts_ = {str(name): int(count) for name, count in record["counts"].items()}
            each = [found._read(arrays, number, labels) for number in range(1 + len(devices))]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CalibrationError(
                f"the calibrator is incomplete ({error})",
                expected="the values of a fitted calibrator",
                fix="calibrate again",
            ) from error
        found.general_, found.devices_ = each[0], dict(zip(devices, each[1:], strict=True))
        if set(found.counts_) != {"", *devices}:
            raise CalibrationError(
                f"the calibrator has counts for {', '.join(found.counts_)}",
                expected=f"counts for {', '.join(['all', *devices])}",
                fix="calibrate again",
            )
        return found

    def _read(self, arrays: Mapping[str, NDArray[np.float64]], number: int, labels: int) -> Any:
        if self.method == "temperature":
            return TemperatureCalibrator.of(float(arrays[f"{number}.temperature"].item()))
        steps = [
            [arrays[f"{number}.{label}.{side}"] for label in range(labels)]
            for side in ("inputs", "outputs")
        ]
        return IsotonicCalibrator.of(*steps)

    def _one(self) -> Calibrator:
        return TemperatureCalibrator() if self.method == "temperature" else IsotonicCalibrator()

    def _refuse_few(
        self,
        labels: Sequence[str],
        targets: NDArray[np.int64],
        names: NDArray[np.str_],
        wanted: Sequence[str],
    ) -> None:
        few = []
        for device in wanted:
            counts = np.bincount(targets[names == device], minlength=len(labels))
            if self.method == "temperature" and counts.sum() < LEAST_OF_DEVICE:
                few.append(f"{counts.sum()} of {device}")
            elif self.method == "isotonic" and counts.min() < LEAST_OF_LABEL:
                rarest = labels[int(counts.argmin())]
                few.append(f"{counts.sum()} of {device} ({counts.min()} of {rarest})")
        if few:
            isotonic = f"at least {LEAST_OF_LABEL} of each label from each device"
            temperature = f"at least {LEAST_OF_DEVICE} clips of each device"
            raise CalibrationError(
                f"too few clips for a calibrator of each device: {', '.join(few)}",
                expected=isotonic if self.method == "isotonic" else temperature,
                fix="set more clips aside, or calibrate all devices together",
            )


def _names(devices: Sequence[str | None] | None, clips: int) -> NDArray[np.str_]:
    if devices is None:
        return np.full(clips, "")
    if len(devices) != clips:
        raise CalibrationError(
            f"there are {len(devices)} devices for {clips} clips",
            expected="one device for each clip",
        )
    return np.array([name or "" for name in devices], dtype=str)


def _words(said: Mapping[str, Any]) -> str:
    value = f"{said['temperature']:.3g} " if "temperature" in said else ""
    return f"{value}({said['clips']} clips)"

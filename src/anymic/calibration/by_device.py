"""One calibrator for all clips, and where there are clips enough one for each device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic._internal.reading import parsing
from anymic.calibration.calibrator import (
    Arrays,
    CalibrationError,
    Calibrator,
    checked_pairs,
    require_fitted,
)
from anymic.calibration.isotonic import IsotonicCalibrator
from anymic.calibration.temperature import TemperatureCalibrator
from anymic.errors import counted

Method = Literal["temperature", "isotonic"]
METHODS: tuple[Method, ...] = get_args(Method)
_KINDS: dict[str, type[Calibrator]] = {
    "temperature": TemperatureCalibrator,
    "isotonic": IsotonicCalibrator,
}

# benchmarks/calibration.py shows that with so many clips the error of a temperature is about a
# fifth, and step functions more than halve a calibration error (log loss needs more clips).
LEAST_OF_DEVICE = 30  # clips
LEAST_OF_LABEL = 20  # clips of each label and device


class DeviceCalibrator:
    """A general calibrator, and one for each of some devices.

    The general calibrator is fitted on all clips, whatever their device. A calibrator of a device
    is fitted on request, on at least 30 clips of the device for a temperature, and 20 of each label
    for isotonic regression.

    Parameters
    ----------
    method : {"temperature", "isotonic"}

    Attributes
    ----------
    general_ : Calibrator
    devices_ : dict of str to Calibrator
    counts_ : dict of str to int
        The number of clips that each device's calibrator was fitted on; "" is the general one.
    fitted_on : tuple of str
        The ids of these clips, where they were given.
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
        per_device: bool | Sequence[str] = False,
        clip_ids: Sequence[str] = (),
        labels: Sequence[str] = (),
    ) -> DeviceCalibrator:
        """Fit to clips that the model was not trained on; returns self.

        Parameters
        ----------
        probabilities : array (clip, label)
        targets : array (clip,)
            The number of each clip's label.
        devices : sequence (clip,), optional
            The device of each clip, as prediction names it; None or "" where it is unknown.
        per_device : bool or sequence of str
            The devices that get a calibrator; True is all of them.
        clip_ids : sequence of str
            The ids of the clips (`Manifest.clip_ids`), stored as `fitted_on`.
        labels : sequence of str
            Names of the labels, for error messages.

        Raises
        ------
        CalibrationError
            As for `Calibrator.fit`, or if a device has too few clips.
        """
        p, t = checked_pairs(probabilities, targets)
        names = _names(devices, len(t))
        wanted = sorted(set(names.tolist()) - {""}) if per_device is True else per_device or ()
        if per_device is True and not wanted:
            raise CalibrationError(
                f"no device is stated for any clip ({counted(len(t), 'clip')})",
                expected="clips of the devices to calibrate",
                fix="add the column device, or calibrate all devices together",
            )
        shown = labels or [f"label {number}" for number in range(p.shape[1])]
        self._refuse_few(shown, t, names, wanted)
        kind = _KINDS[self.method]
        self.general_, self.devices_ = kind().fit(p, t), {}
        self.counts_ = {"": len(t)}
        self.fitted_on = tuple(clip_ids)
        for device in wanted:
            own = names == device
            try:
                self.devices_[device] = kind().fit(p[own], t[own])
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
            The device of each clip. The general calibrator is used for devices that have none.

        Raises
        ------
        CalibrationError
            If the calibrator is not fitted, or the arrays do not fit.
        """
        require_fitted(self, "general_")
        p = np.asarray(probabilities, dtype=np.float64)
        names = _names(devices, len(p))
        result = self.general_.transform(p)
        for device, one in self.devices_.items():
            own = names == device
            result[own] = one.transform(p[own])
        return result

    def summary(self) -> dict[str, Any]:
        """Return the fitted state as plain JSON values: method, clips, temperature, devices."""
        require_fitted(self, "general_")
        found: dict[str, dict[str, Any]] = {}
        for device, one in {"": self.general_, **self.devices_}.items():
            found[device] = {"clips": self.counts_[device]}
            if isinstance(one, TemperatureCalibrator):
                found[device]["temperature"] = one.temperature_
        return {"method": self.method, **found.pop(""), "devices": found}

    def describe(self) -> str:
        """Return one line such as "temperature 1.83 (240 clips); A 1.41 (48 clips)"."""
        general = self.summary()
        own = [f"{name} {_words(each)}" for name, each in general["devices"].items()]
        return "; ".join((f"{self.method} {_words(general)}", *own))

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
        """Return the fitted state as plain JSON values, and arrays by name."""
        require_fitted(self, "general_")
        record = {
            "method": self.method,
            "devices": list(self.devices_),
            "counts": dict(self.counts_),
            "fitted_on": list(self.fitted_on),
        }
        arrays: dict[str, NDArray[np.float64]] = {}
        for number, one in enumerate((self.general_, *self.devices_.values())):
            arrays |= one.to_arrays(str(number))
        return record, arrays

    @classmethod
    def from_parts(
        cls, record: Mapping[str, Any], arrays: Arrays, *, labels: int
    ) -> DeviceCalibrator:
        """Return the calibrator whose state `to_parts` returned; CalibrationError if none fits."""
        fix, expected = "calibrate again", "the values of a fitted calibrator"
        with parsing("the calibrator", CalibrationError, expected=expected, fix=fix):
            found = cls(record["method"])
            devices = [str(device) for device in record["devices"]]
            found.fitted_on = tuple(map(str, record["fitted_on"]))
            found.counts_ = {str(name): int(count) for name, count in record["counts"].items()}
            each = [
                _KINDS[found.method].from_arrays(arrays, str(number), labels=labels)
                for number in range(1 + len(devices))
            ]
        found.general_, found.devices_ = each[0], dict(zip(devices, each[1:], strict=True))
        if set(found.counts_) != {"", *devices}:
            raise CalibrationError(
                f"the calibrator has counts for {', '.join(found.counts_)}",
                expected=f"counts for {', '.join(['all', *devices])}",
                fix="calibrate again",
            )
        return found

    def _refuse_few(
        self,
        labels: Sequence[str],
        targets: NDArray[np.int64],
        names: NDArray[np.str_],
        wanted: Sequence[str],
    ) -> None:
        isotonic, few = self.method == "isotonic", []
        for device in wanted:
            counts = np.bincount(targets[names == device], minlength=len(labels))
            rarest = int(counts.argmin())
            if isotonic and counts[rarest] < LEAST_OF_LABEL:
                few.append(f"{counts.sum()} of {device} ({counts[rarest]} of {labels[rarest]})")
            elif not isotonic and counts.sum() < LEAST_OF_DEVICE:
                few.append(f"{counts.sum()} of {device}")
        if few:
            raise CalibrationError(
                f"too few clips for a calibrator of each device: {', '.join(few)}",
                expected=f"at least {LEAST_OF_LABEL} of each label from each device"
                if isotonic
                else f"at least {LEAST_OF_DEVICE} clips of each device",
                fix="set more clips aside, or calibrate all devices together",
            )


def _names(devices: Sequence[str | None] | None, clips: int) -> NDArray[np.str_]:
    if devices is None:
        return np.full(clips, "")
    if len(devices) != clips:
        raise CalibrationError(
            f"{counted(len(devices), 'device')} for {counted(clips, 'clip')}",
            expected="one device for each clip",
        )
    return np.array([name or "" for name in devices], dtype=str)


def _words(summary: Mapping[str, Any]) -> str:
    value = f"{summary['temperature']:.3g} " if "temperature" in summary else ""
    return f"{value}({summary['clips']} clips)"

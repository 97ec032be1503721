"""What a prediction holds: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anymic.errors import ConfigError, Failure

DeviceFrom = Literal["stated", "manifest", "identified", "assumed"]
DevicePolicy = Literal["profile", "identity", "blind"]


@dataclass(frozen=True)
class Prediction:
    """The model's prediction for one clip.

    Attributes
    ----------
    path : str
        The file; empty for samples.
    label : str
        The most probable one.
    probability : float
        Of that label.
    probabilities : dict of str to float
        Of every label; they sum to 1. For several windows: the mean over them. Calibrated by the
        clip's device where the model is calibrated.
    device : str or None
        The device that recorded the clip; None where it is not known.
    device_from : {"stated", "manifest", "identified", "assumed"}
        How the device is known: from an argument, the manifest's column, the model's identifier
        (which found none of the known devices where `device` is None), or not at all.
    device_policy : {"profile", "identity", "blind"}
        How the clip was corrected: with the gains of the model's profile, not at all, or with gains
        estimated from the recording, or from all recordings of the device.
    windows : int
        How many windows were classified.
    start_s, duration_s : float
        The stretch of the file, in seconds.
    notes : tuple of str
        What was noticed (clipping) and what the contract did (resampling, padding).
    window_starts_s : tuple of float
        Where each window begins.
    window_probabilities : array (window, label)
        The probabilities if the window were the whole clip, calibrated where the model is. The
        calibrator is applied after the mean over windows, so their mean need not be
        `probabilities`.
    device_probability : float or None
        The identifier's probability of the named device, or of the most similar one where none
        is named.
    min_confidence : float
        The probability that the label needs to be the answer (`Predictor`).
    """

    path: str
    label: str
    probability: float
    probabilities: dict[str, float]
    device: str | None
    device_from: DeviceFrom
    device_policy: DevicePolicy
    windows: int
    start_s: float
    duration_s: float
    notes: tuple[str, ...] = ()
    window_starts_s: tuple[float, ...] = field(default=(), repr=False)
    window_probabilities: NDArray[np.float64] = field(
        default_factory=lambda: np.empty((0, 0)), repr=False, compare=False
    )
    device_probability: float | None = None
    min_confidence: float = 0.0

    @property
    def answer(self) -> str | None:
        """The label, or None where its probability is below `min_confidence`."""
        return self.label if self.probability >= self.min_confidence else None


@dataclass(frozen=True, eq=False)
class ManifestPredictions:
    """Probabilities for the usable clips of a manifest.

    Attributes
    ----------
    probabilities : array (clip, label), float64
        One entry for each row of `rows`; never NaN. Calibrated where the model is.
    rows : array (clip,), int64
        The manifest's row of each entry.
    failures : tuple of Failure
        The clips that could not be used.
    devices : tuple of (str or None)
        The device of each entry, as `Prediction.device`.
    policies : tuple of {"profile", "identity", "blind"}
        How it was corrected, as `Prediction.device_policy`.
    """

    probabilities: NDArray[np.float64]
    rows: NDArray[np.int64]
    failures: tuple[Failure, ...]
    devices: tuple[str | None, ...] = ()
    policies: tuple[DevicePolicy, ...] = ()


def require_share(value: float, name: str) -> float:
    """Return a setting that must be a probability; ConfigError where it is not."""
    if not 0 <= value <= 1:
        raise ConfigError(
            f"{name} is {value}",
            expected="a probability from 0 to 1",
            fix="choose a value such as 0.8",
        )
    return float(value)

"""The results of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anymic.errors import ConfigError, Failure, require_type

DeviceFrom = Literal["stated", "manifest", "identified", "assumed"]
DevicePolicy = Literal["profile", "identity", "blind"]


@dataclass(frozen=True)
class Stretch:
    """A part of a recording that one device recorded, with one bandwidth.

    Attributes
    ----------
    start_s, end_s : float
        In seconds, in the file.
    device, device_from, device_policy, device_probability, bandwidth_hz
        As of a `Prediction`, for this part.
    """

    start_s: float
    end_s: float
    device: str | None
    device_from: DeviceFrom
    device_policy: DevicePolicy
    device_probability: float | None
    bandwidth_hz: float | None


@dataclass(frozen=True)
class Prediction:
    """The model's prediction for one clip.

    Attributes
    ----------
    path : str
        The file; empty for samples.
    label : str
        The most probable label. With several labels a clip, `labels` is the answer.
    probability : float
        Of that label.
    probabilities : dict of str to float
        Of every label; they sum to 1. The mean over windows, then calibrated for the device if the
        model is calibrated. With several labels a clip, independent scores.
    device : str or None
        The device that recorded the clip; None if unknown.
    device_from : {"stated", "manifest", "identified", "assumed"}
        The source of the device: an argument, the manifest's column, the model's identifier
        (`device` is None if it found no known device), or none.
    device_policy : {"profile", "identity", "blind"}
        The gains that corrected the clip: those of the model's profile, none, or blind ones,
        estimated from the recording or from recordings of the device alone.
    windows : int
        Number of windows.
    start_s, duration_s : float
        The part of the file, in seconds.
    notes : tuple of str
        A stated device without a profile or with blind gains, observations (clipping, band limits,
        hum, digital silence, channels without a signal) and changes (resampling, padding).
    window_starts_s : tuple of float
        Start of each window.
    window_probabilities : array (window, label)
        As if each window were the whole clip. The calibrator is applied after the mean over
        windows, so their mean may differ from `probabilities`.
    device_probability : float or None
        The identifier's probability of the identified device, or of the most similar one if none
        was identified, among the known devices.
    bandwidth_hz : float or None
        The highest frequency at which the recording holds sound (`anymic.audio.bandwidth`); None
        for sound that is still arriving.
    min_confidence : float
        As of the `Predictor`.
    thresholds : dict of str to float, or None
        With several labels a clip, the probability from which each is named; else None.
    stretches : tuple of Stretch
        Where the device or the bandwidth changes within the recording: its parts, of which each has
        its own gains. Empty if nothing changes. `device` and the attributes about it are then those
        of the device of the longest part.

    Examples
    --------
    >>> import anymic
    >>> prediction = anymic.load("run").predict("clip.wav", device="B")
    >>> prediction.label in prediction.probabilities
    True
    >>> prediction.device, prediction.device_from, prediction.windows
    ('B', 'stated', 1)
    """

    path: str
    label: str
    probability: float
    probabilities: dict[str, float]
    device: str | None = None
    device_from: DeviceFrom = "assumed"
    device_policy: DevicePolicy = "identity"
    windows: int = 1
    start_s: float = 0.0
    duration_s: float = 0.0
    notes: tuple[str, ...] = ()
    window_starts_s: tuple[float, ...] = field(default=(), repr=False)
    window_probabilities: NDArray[np.float64] = field(
        default_factory=lambda: np.empty((0, 0)), repr=False, compare=False
    )
    device_probability: float | None = None
    bandwidth_hz: float | None = None
    min_confidence: float = 0.0
    thresholds: dict[str, float] | None = None
    stretches: tuple[Stretch, ...] = ()

    @property
    def answer(self) -> str | None:
        """The label, or None if its probability is below `min_confidence`.

        With several labels a clip, these with semicolons between them; "" if none is named.
        """
        if self.thresholds is not None:
            return ";".join(self.labels)
        return self.label if self.probability >= self.min_confidence else None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the clip, the most probable first.

        With several labels a clip: those whose probability reaches their threshold, and
        `min_confidence`; there may be none. Otherwise the answer, if there is one.
        """
        least = self.min_confidence
        if self.thresholds is None:
            return (self.label,) if self.probability >= least else ()
        return tuple(label for label, _ in named_labels(self.probabilities, self.thresholds, least))


def named_labels(
    probabilities: Mapping[str, float], thresholds: Mapping[str, float], least: float = 0.0
) -> list[tuple[str, float]]:
    """Return the labels that are named with their probabilities, the most probable first.

    Those whose probability reaches their threshold, and `least`. Equal ones keep their order.
    """
    found = [
        (label, share)
        for label, share in probabilities.items()
        if share >= max(thresholds[label], least)
    ]
    return sorted(found, key=lambda item: -item[1])


@dataclass(frozen=True, eq=False)
class ManifestPredictions:
    """Probabilities for the usable clips of a manifest.

    Attributes
    ----------
    probabilities : array (clip, label), float64
        As `Prediction.probabilities`; never NaN.
    rows : array (clip,), int64
        The manifest's row of each clip.
    failures : tuple of Failure
        The clips that could not be used.
    devices : tuple of str or None
        `Prediction.device` of each clip.
    policies : tuple of str
        `Prediction.device_policy` of each clip.
    """

    probabilities: NDArray[np.float64]
    rows: NDArray[np.int64]
    failures: tuple[Failure, ...]
    devices: tuple[str | None, ...] = ()
    policies: tuple[DevicePolicy, ...] = ()


def require_share(value: float, name: str) -> float:
    """Return a setting that must be a probability; ConfigError if it is not."""
    require_type(value, Real, f"the argument {name}", expected="a probability from 0 to 1")
    if not 0 <= value <= 1:
        raise ConfigError(
            f"{name} is {value}",
            expected="a probability from 0 to 1",
            fix="choose a value such as 0.8",
        )
    return float(value)

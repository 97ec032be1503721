"""The input that a model expects, and how other input is converted or refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from anymic.errors import ConfigError

UnknownDevice = Literal["identity", "blind", "refuse"]


@dataclass(frozen=True)
class InputContract:
    """The input that a model expects, and how other input is converted or refused.

    Attributes
    ----------
    rate_hz : int
        The sampling rate of the front-end.
    clip_s : float
        Length of the training clips, in seconds; longer files are cut into windows.
    channel : {"mean", "left", "right", "only"} or int
        The channel of a file that is classified; "only" refuses files with several.
    other_rates : {"resample", "refuse"}
        For a file of another rate.
    shorter : {"pad", "repeat", "refuse"}
        For a clip shorter than `clip_s`: add zeros at its end, or repeat it.
    unknown_device : {"identity", "blind", "refuse"}
        For a clip whose device is not in the model's profile, or neither stated nor identified:
        no correction, or a correction with gains that are estimated from it.
    least_bandwidth_hz : float or None
        A recording whose spectrum ends below this frequency (`anymic.audio.condition`) ...
    narrower : {"note", "refuse"}
        ... is noted, or refused.
    hop_s : float or None
        Distance between the starts of two windows of a longer file; None is `clip_s`, without
        overlap or gaps.

    Raises
    ------
    ConfigError
        If the rate, a length, the hop or the least bandwidth is not positive, or does not fit the
        others.

    Examples
    --------
    >>> import anymic
    >>> contract = anymic.Bundle.load("run").contract
    >>> contract.rate_hz, contract.clip_s, contract.unknown_device
    (16000, 1.0, 'identity')
    >>> anymic.InputContract(rate_hz=8000, clip_s=2.0, shorter="refuse").other_rates
    'resample'
    """

    rate_hz: int
    clip_s: float
    channel: Literal["mean", "left", "right", "only"] | int = "mean"
    other_rates: Literal["resample", "refuse"] = "resample"
    shorter: Literal["pad", "repeat", "refuse"] = "pad"
    unknown_device: UnknownDevice = "identity"
    hop_s: float | None = None
    least_bandwidth_hz: float | None = None
    narrower: Literal["note", "refuse"] = "note"

    def __post_init__(self) -> None:
        """Check the rate and the lengths."""
        if self.rate_hz < 1 or not math.isfinite(self.clip_s) or self.clip_s <= 0:
            raise ConfigError(
                f"the rate is {self.rate_hz} Hz and the length of a clip {self.clip_s} s",
                expected="a positive rate and length",
            )
        least_hz = self.least_bandwidth_hz
        if least_hz is not None and not 0 < least_hz <= self.rate_hz / 2:
            raise ConfigError(
                f"the least bandwidth is {least_hz:g} Hz",
                expected=f"above 0, up to {self.rate_hz / 2:g} Hz, half the rate of the model",
            )
        if self.hop_s is not None and not 1 <= self.hop_s * self.rate_hz <= self.clip_samples:
            raise ConfigError(
                f"windows of {self.clip_s} s cannot start every {self.hop_s} s",
                expected="a hop of at least one sample and at most the length of a window",
            )

    @property
    def clip_samples(self) -> int:
        """Length of a window, in samples."""
        return round(self.clip_s * self.rate_hz)

    @property
    def hop_samples(self) -> int:
        """Distance between the starts of two windows, in samples."""
        return self.clip_samples if self.hop_s is None else round(self.hop_s * self.rate_hz)

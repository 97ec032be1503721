"""What a model takes in, and what it does with anything else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from anymic.errors import ConfigError

UnknownDevice = Literal["identity", "blind", "refuse"]


@dataclass(frozen=True)
class InputContract:
    """What the model was made for, and what it does with anything else.

    Attributes
    ----------
    rate_hz : int
        The sampling rate of the front-end.
    clip_s : float
        Length of the clips it was trained on, in seconds; longer files are cut into windows.
    channel : {"mean", "left", "right", "only"} or int
        Which channel of a file is heard; "only" refuses files with several.
    other_rates : {"resample", "refuse"}
        What happens to a file of another rate.
    shorter : {"pad", "repeat", "refuse"}
        What happens to a clip shorter than `clip_s`: zeros at its end, repetition, or refusal.
    unknown_device : {"identity", "blind", "refuse"}
        What happens to a clip whose device is not in the model's profile, or neither stated nor
        identified: it is heard as it is, with gains estimated from it alone, or not at all.
    hop_s : float or None
        How far the beginnings of two windows of a longer file are apart; None is `clip_s`: they
        neither overlap nor leave anything out.
    """

    rate_hz: int
    clip_s: float
    channel: Literal["mean", "left", "right", "only"] | int = "mean"
    other_rates: Literal["resample", "refuse"] = "resample"
    shorter: Literal["pad", "repeat", "refuse"] = "pad"
    unknown_device: UnknownDevice = "identity"
    hop_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse a rate or length that cannot be."""
        if self.rate_hz < 1 or not math.isfinite(self.clip_s) or self.clip_s <= 0:
            raise ConfigError(
                f"the rate is {self.rate_hz} Hz and the length of a clip {self.clip_s} s",
                expected="a positive rate and length",
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
        """Distance between the beginnings of two windows, in samples."""
        return self.clip_samples if self.hop_s is None else round(self.hop_s * self.rate_hz)

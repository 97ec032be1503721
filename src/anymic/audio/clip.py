"""The values the rest of the library passes on: a clip of sound, and what a header says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anymic.errors import AudioError


@dataclass(frozen=True, eq=False)
class Clip:
    """Mono sound with its rate; nothing downstream guesses either.

    Attributes
    ----------
    samples : (sample,) float32
        Amplitudes; full scale is 1.0. Other floating types are converted, integers refused
        (their full scale is not known here).
    rate_hz : int
        Samples a second.
    path : str
        Where the sound came from, for messages.
    notes : tuple of str
        What was noticed on reading, e.g. ``"clipped: 3.1 % of samples at full scale"``.
    start_s : float
        Where the clip begins in its file.

    Raises
    ------
    AudioError
        Samples that are not one axis of floating numbers or are none at all; a rate below 1 Hz.
    """

    samples: NDArray[np.float32]
    rate_hz: int
    path: str = ""
    notes: tuple[str, ...] = ()
    start_s: float = 0.0

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples)
        name = self.path or "a clip"
        if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
            raise AudioError(
                f"{name} is an array of shape {samples.shape} and type {samples.dtype}",
                expected="mono float32 samples of shape (sample,), full scale 1.0",
                fix="mix the channels to one and divide integers by their full scale",
            )
        if samples.size == 0:
            raise AudioError(
                f"{name} has no samples",
                expected="at least one sample",
                fix="leave it out, or record it again",
            )
        object.__setattr__(self, "samples", samples.astype(np.float32, copy=False))
        object.__setattr__(self, "rate_hz", checked_rate(self.rate_hz, name=name))

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a file says; nothing is decoded for it.

    Attributes
    ----------
    path : str
        The file.
    rate_hz : int
        Samples a second, as stored.
    channels : int
        Number of channels.
    frames : int or None
        Samples a channel; None where the container does not say. Lossy containers round, and
        count what encoders put before and after: true to 0.1 s.
    duration_s : float or None
        Length in seconds; None where the container does not say. For MP3 without a Xing header
        and for raw AAC it is not said: the bit rate only allows a guess.
    format : str
        Container and coding, e.g. ``"WAV PCM_16"`` or ``"mp4 aac"``.
    """

    path: str
    rate_hz: int
    channels: int
    frames: int | None
    duration_s: float | None
    format: str


def checked_clip(value: object) -> Clip:
    """Return a clip as it is, or raise AudioError where an array or something else is passed."""
    if not isinstance(value, Clip):
        raise AudioError(
            f"a value of type {type(value).__name__} is not a Clip",
            expected="a Clip",
            fix="wrap an array as Clip(samples, rate_hz), read a file with anymic.audio.read",
        )
    return value


def checked_rate(rate_hz: float, *, name: str) -> int:
    """Return the rate as an int, or raise AudioError where it is no whole number above zero."""
    if isinstance(rate_hz, bool) or not (rate_hz >= 1 and float(rate_hz).is_integer()):
        raise AudioError(
            f"rate_hz is {rate_hz} for {name}",
            expected="a whole number of Hz, 1 or more",
            fix="pass a rate such as 44100",
        )
    return int(rate_hz)


def checked_length(seconds: float, rate_hz: int, *, name: str) -> int:
    """Return round(seconds x rate) samples, or raise AudioError where that is not at least one."""
    if not (np.isfinite(seconds) and round(seconds * rate_hz) >= 1):
        raise AudioError(
            f"{name} is {seconds} s",
            expected=f"at least one sample ({1 / rate_hz:.2g} s at {rate_hz} Hz)",
            fix="pass a longer time",
        )
    return round(seconds * rate_hz)

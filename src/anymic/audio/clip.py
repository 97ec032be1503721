"""A clip of sound, and what the header of a file states."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic.errors import AudioError, require_type

if TYPE_CHECKING:
    from anymic.audio.condition import Condition


@dataclass(frozen=True, eq=False)
class Clip:
    """Mono sound with its sampling rate.

    Attributes
    ----------
    samples : (sample,) float32
        Amplitudes; full scale is 1.0. Other floating types are converted; integers are refused,
        because their full scale is not known here.
    rate_hz : int
    path : str
        The file, for messages; empty for samples.
    notes : tuple of str
        Observations on reading, e.g. ``"clipped: 3.1 % of samples at full scale"``.
    start_s : float
        Where the clip begins in its file.

    Raises
    ------
    AudioError
        If the samples are empty or not one axis of floating numbers, or the rate is below 1 Hz.

    Examples
    --------
    >>> import anymic, numpy as np
    >>> clip = anymic.Clip(np.zeros(8000, np.float32), 16000)
    >>> clip.samples.shape, clip.rate_hz
    ((8000,), 16000)
    >>> anymic.audio.read("clip.wav").path
    'clip.wav'
    """

    samples: NDArray[np.float32]
    rate_hz: int
    path: str = ""
    notes: tuple[str, ...] = ()
    start_s: float = 0.0

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples)
        name = clip_name(self.path)
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
    """What the header of a file states.

    Attributes
    ----------
    path : str
    rate_hz, channels : int
    frames : int or None
        Samples per channel; None where the container does not state it, such as MP3 without a
        Xing header and raw AAC. Lossy containers round it and include the encoder's delay and
        padding: it is accurate to 0.1 s.
    duration_s : float or None
        frames / rate_hz.
    format : str
        Container and coding, e.g. ``"WAV PCM_16"`` or ``"mp4 aac"``.

    Examples
    --------
    >>> import anymic
    >>> info = anymic.audio.probe("clip.wav")
    >>> info.rate_hz, info.channels, info.duration_s, info.format
    (16000, 1, 1.0, 'WAV FLOAT')
    """

    path: str
    rate_hz: int
    channels: int
    frames: int | None
    duration_s: float | None
    format: str


@dataclass(frozen=True, eq=False)
class DecodedFile:
    """A file that was decoded elsewhere, such as in another process.

    Attributes
    ----------
    info : AudioInfo
        What its header states, as `anymic.audio.probe` returns it.
    clips : tuple of Clip
        Its windows, as `anymic.audio.stream` yields them.
    condition : Condition or None
        What was measured as it was read.
    """

    info: AudioInfo
    clips: tuple[Clip, ...]
    condition: Condition | None = None

    @property
    def path(self) -> str:
        """The file."""
        return self.info.path

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return sum(clip.duration_s for clip in self.clips)

    def clip(self) -> Clip:
        """Return the whole file as one clip, with the notes of all windows, each once."""
        notes = dict.fromkeys(note for one in self.clips for note in one.notes)
        samples = np.concatenate([one.samples for one in self.clips])
        return Clip(samples, self.clips[0].rate_hz, path=self.path, notes=tuple(notes))


def clip_name(path: str) -> str:
    """Return what messages call a clip."""
    return f"the clip {path}" if path else "a clip"


def checked_clip(value: object) -> Clip:
    """Return a clip; raise AudioError for an array or anything else."""
    if not isinstance(value, Clip):
        raise AudioError(
            f"a value of type {type(value).__name__} is not a Clip",
            expected="a Clip",
            fix="wrap an array as Clip(samples, rate_hz), read a file with anymic.audio.read",
        )
    return value


def checked_rate(rate_hz: float, *, name: str) -> int:
    """Return the rate as an int; raise AudioError if it is not a whole number above zero."""
    wanted = "a whole number of Hz, 1 or more"
    require_type(rate_hz, Real, "the argument rate_hz", expected=wanted, error=AudioError)
    if isinstance(rate_hz, bool) or not (rate_hz >= 1 and float(rate_hz).is_integer()):
        raise AudioError(
            f"rate_hz is {rate_hz} for {name}",
            expected=wanted,
            fix="pass a rate such as 44100",
        )
    return int(rate_hz)


def checked_length(seconds: float, rate_hz: int, *, name: str) -> int:
    """Return round(seconds x rate) samples; raise AudioError if that is less than one."""
    if not (np.isfinite(seconds) and round(seconds * rate_hz) >= 1):
        raise AudioError(
            f"{name} is {seconds} s",
            expected=f"at least one sample ({1 / rate_hz:.2g} s at {rate_hz} Hz)",
            fix="pass a longer time",
        )
    return round(seconds * rate_hz)

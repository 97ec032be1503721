"""What is wrong with samples, seen in one cheap pass: not finite, silent, clipped."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from anymic.audio.clip import Clip, checked_clip
from anymic.errors import AudioError

NEAR_FULL_SCALE = 0.99
"""Below this peak nothing can have clipped."""

CLIPPED_SHARE = 0.001
"""A share of clipped samples above this is noted."""


def inspect(
    frames: NDArray[np.float32], *, path: str, rate_hz: int, start_s: float = 0.0
) -> tuple[float, int]:
    """Return the peak and the number of clipped samples.

    A sample counts as clipped where it lies in a run of at least three neighbours at the highest
    (or lowest) value of its channel, that value being 0.99 of full scale or beyond; beyond full
    scale (floating-point files, lossy codecs) the run is one of values at or over full scale.

    Parameters
    ----------
    frames : (sample,) or (sample, channel) float32
        Full scale 1.0; never empty.
    path : str
        For the message.
    rate_hz : int
        Samples a second, for the message.
    start_s : float
        Where the frames begin in the file, for the message.

    Returns
    -------
    peak : float
        The largest magnitude.
    clipped : int
        Clipped samples, over all channels.

    Raises
    ------
    AudioError
        NaN or infinite samples.
    """
    # Both carry a NaN through, so two passes answer three questions.
    top, bottom = float(frames.max()), float(frames.min())
    if not (np.isfinite(top) and np.isfinite(bottom)):
        _refuse_not_finite(frames, path=path, rate_hz=rate_hz, start_s=start_s)
    peak = max(top, -bottom)
    if peak < NEAR_FULL_SCALE:
        return peak, 0
    columns = frames[:, None] if frames.ndim == 1 else frames
    return peak, sum(_clipped(columns[:, index]) for index in range(columns.shape[1]))


def check(clip: Clip, *, allow_silence: bool = False) -> Clip:
    """Return the clip as it is, if a classifier can make sense of it.

    Parameters
    ----------
    clip : Clip
        Any sound, e.g. one made from an array.
    allow_silence : bool
        Let a clip through whose every sample is 0.

    Returns
    -------
    Clip
        The same clip.

    Raises
    ------
    AudioError
        NaN or infinite samples, silence, or an array in place of a clip.
    """
    name = checked_clip(clip).path or "a clip"
    peak, _ = inspect(clip.samples, path=name, rate_hz=clip.rate_hz, start_s=clip.start_s)
    if peak == 0 and not allow_silence:
        refuse_silence(name)
    return clip


def refuse_silence(
    path: str,
    *,
    how: str = "every sample is 0",
    fix: str = "check the recording (Python reads it with allow_silence=True)",
) -> NoReturn:
    """Raise the AudioError for silence."""
    raise AudioError(f"{path} is silent ({how})", expected="audio that is not silent", fix=fix)


def clipping_note(clipped: int, samples: int) -> tuple[str, ...]:
    """Return the note for a share of clipped samples, or nothing where it is 0.1 % or less."""
    if clipped <= CLIPPED_SHARE * samples:
        return ()
    return (f"clipped: {100 * clipped / samples:.1f} % of samples at full scale",)


def _clipped(channel: NDArray[np.float32]) -> int:
    """Count the samples in runs of three or more at the channel's extremes."""
    count = 0
    top, bottom = float(channel.max()), float(channel.min())
    if top >= NEAR_FULL_SCALE:
        count += _in_runs(channel >= np.float32(min(top, 1.0)))
    if bottom <= -NEAR_FULL_SCALE:
        count += _in_runs(channel <= np.float32(max(bottom, -1.0)))
    return count


def _in_runs(at: NDArray[np.bool_]) -> int:
    """Count the true values that lie in runs of three or more."""
    inner = at[:-2] & at[1:-1] & at[2:]
    if not inner.any():
        return 0
    within = np.zeros(len(at), dtype=np.bool_)
    for shift in range(3):
        within[shift : shift + len(inner)] |= inner
    return int(within.sum())


def _refuse_not_finite(
    frames: NDArray[np.float32], *, path: str, rate_hz: int, start_s: float
) -> NoReturn:
    bad = ~np.isfinite(frames)
    if bad.ndim > 1:
        bad = np.logical_or.reduce(bad, axis=1)
    first_s = start_s + int(bad.argmax()) / rate_hz
    raise AudioError(
        f"{path} has {int(bad.sum())} NaN or infinite samples, the first at {first_s:.3f} s",
        expected="finite samples",
        fix="write the file again from its source, or remove that part",
    )

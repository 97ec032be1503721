"""Find samples that are not finite, silent or clipped."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from anymic.audio.clip import Clip, checked_clip, clip_name
from anymic.errors import AudioError

HIGHEST = 1e10  # beyond any scale of integers; squares of spectra stay far below infinity
NEAR_FULL_SCALE = 0.99  # a lower peak cannot be clipped


def inspect(
    frames: NDArray[np.float32], *, path: str, rate_hz: int, start_s: float = 0.0
) -> tuple[float, int]:
    """Return the peak, and the number of clipped samples over all channels.

    A sample is clipped if it lies in a run of at least three neighbours at the highest (or lowest)
    value of its channel, and that value is 0.99 of full scale or beyond. Beyond full scale
    (floating-point files, lossy codecs) the run is of values at or over full scale.

    Parameters
    ----------
    frames : (sample,) or (sample, channel) float32
        Full scale 1.0; never empty.
    path, rate_hz, start_s
        Of the frames, for the message.

    Raises
    ------
    AudioError
        If a sample is NaN or infinite, or beyond 1e10 times full scale.
    """
    # The extremes of an array with a NaN are NaN: no separate test is needed.
    top, bottom = float(frames.max()), float(frames.min())
    columns = frames.reshape(len(frames), -1)
    if not (top <= HIGHEST and bottom >= -HIGHEST):
        bad = ~(np.abs(columns) <= HIGHEST).all(axis=1)
        first_s = start_s + int(bad.argmax()) / rate_hz
        name, count = clip_name(path), int(bad.sum())
        finite = np.isfinite(columns).all()
        what = (
            f"samples beyond {HIGHEST:g} times full scale" if finite else "NaN or infinite samples"
        )
        raise AudioError(
            f"{name} has {count} {what}, the first at {first_s:.3f} s",
            expected="samples around full scale" if finite else "finite samples",
            fix="write the file again from its source, or remove that part",
        )
    peak = max(top, -bottom)
    if peak < NEAR_FULL_SCALE:
        return peak, 0
    return peak, sum(_clipped(channel) for channel in columns.T)


def check(clip: Clip, *, allow_silence: bool = False) -> Clip:
    """Return the clip itself, if it can be classified.

    Parameters
    ----------
    clip : Clip
    allow_silence : bool
        Accept a clip of which every sample is 0.

    Raises
    ------
    AudioError
        If it is silent, holds NaN or infinite samples, or is not a clip.
    """
    path = checked_clip(clip).path
    peak, _ = inspect(clip.samples, path=path, rate_hz=clip.rate_hz, start_s=clip.start_s)
    if peak == 0 and not allow_silence:
        refuse_silence(path)
    return clip


def refuse_silence(
    path: str,
    *,
    peak: float = 0.0,
    start_s: float = 0.0,
    fix: str = "check the recording (Python reads it with allow_silence=True)",
) -> NoReturn:
    """Raise the AudioError for silence; `peak` is that of the channels before their mean.

    `start_s` is where the clip begins in its file.
    """
    how = "its channels cancel each other in the mean" if peak else "every sample is 0"
    raise AudioError(
        f"{clip_name(path)}{f' from {start_s:.3f} s' * (start_s > 0)} is silent ({how})",
        expected="audio that is not silent",
        fix=fix,
    )


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

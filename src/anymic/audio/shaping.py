"""Change the rate or the length of a clip."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import soxr

from anymic._internal.optional import extra
from anymic.audio.clip import Clip, checked_clip, checked_length, checked_rate, clip_name
from anymic.audio.inspection import check, refuse_silence
from anymic.errors import AudioError


def resample(clip: Clip, rate_hz: int) -> Clip:
    """Return the clip at another rate; the clip itself at its own rate.

    Returns
    -------
    Clip
        round(samples x new rate / old rate) samples, by soxr (sinc, quality HQ). Peaks may grow:
        the wave between two samples can be higher than either.

    Raises
    ------
    AudioError
        If the rate is below 1 Hz, no samples remain, or it is not a clip.
    """
    name = clip_name(checked_clip(clip).path)
    rate = checked_rate(rate_hz, name=name)
    if rate == clip.rate_hz:
        return clip
    if round(len(clip.samples) * rate / clip.rate_hz) < 1:
        raise AudioError(
            f"{name} has no samples left at {rate} Hz: it has {len(clip.samples)} "
            f"at {clip.rate_hz} Hz",
            expected="at least one sample",
            fix="leave it out, or record it again",
        )
    samples = soxr.resample(clip.samples, clip.rate_hz, rate, quality="HQ")
    return replace(clip, samples=samples, rate_hz=rate)


def trim_silence(clip: Clip, *, top_db: float = 60.0) -> Clip:
    """Remove silence from both ends (``librosa.effects.trim``); ``start_s`` is adjusted.

    Parameters
    ----------
    clip : Clip
    top_db : float
        Frames (2048 samples, hop 512) this far below the loudest count as silent.

    Raises
    ------
    AudioError
        If every sample is 0, one is NaN or infinite, or top_db is not positive.
    """
    if not top_db > 0:
        raise AudioError(
            f"top_db is {top_db}", expected="more than 0 dB", fix="pass top_db=60, for example"
        )
    check(clip, allow_silence=True)
    if not clip.samples.any():
        refuse_silence(clip.path, fix="leave it out: nothing would be left of it")
    with extra("train"):
        import librosa

    _, (begin, end) = librosa.effects.trim(clip.samples, top_db=top_db)
    samples = clip.samples[int(begin) : int(end)]
    return replace(clip, samples=samples, start_s=clip.start_s + int(begin) / clip.rate_hz)


def fit_length(
    clip: Clip,
    length_s: float,
    *,
    shorter: Literal["pad", "repeat", "refuse"] = "refuse",
    longer: Literal["crop", "center", "refuse"] = "refuse",
) -> Clip:
    """Return a clip of exactly round(length_s x rate) samples; the clip itself if it has them.

    Parameters
    ----------
    clip : Clip
    length_s : float
    shorter : {"refuse", "pad", "repeat"}
        For a shorter clip: add zeros at its end, or repeat it.
    longer : {"refuse", "crop", "center"}
        For a longer clip: keep its beginning, or its middle.

    Raises
    ------
    AudioError
        If a shorter or longer clip is refused, or a rule or the length is invalid.
    """
    checked_clip(clip)
    if shorter not in ("pad", "repeat", "refuse"):
        raise AudioError(
            f"unknown rule shorter={shorter!r}", expected="'pad', 'repeat' or 'refuse'"
        )
    if longer not in ("crop", "center", "refuse"):
        raise AudioError(f"unknown rule longer={longer!r}", expected="'crop', 'center' or 'refuse'")
    length, have = checked_length(length_s, clip.rate_hz, name="length_s"), len(clip.samples)
    if have == length:
        return clip
    if (shorter if have < length else longer) == "refuse":
        remedy = "shorter='pad' or 'repeat'" if have < length else "longer='crop' or 'center'"
        raise AudioError(
            f"{clip_name(clip.path)} lasts {clip.duration_s:.3f} s",
            expected=f"{length_s:.3f} s",
            fix=f"pass {remedy}",
        )
    if have > length:
        begin = (have - length) // 2 if longer == "center" else 0
        samples = clip.samples[begin : begin + length]
        return replace(clip, samples=samples, start_s=clip.start_s + begin / clip.rate_hz)
    if shorter == "repeat":
        return replace(clip, samples=np.resize(clip.samples, length))
    return replace(clip, samples=np.pad(clip.samples, (0, length - have)))

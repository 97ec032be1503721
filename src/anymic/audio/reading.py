"""From a file to clips: whole, a stretch of it, or window by window."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from typing import Literal, NoReturn

import numpy as np
import soxr
from numpy.typing import NDArray

from anymic.audio.clip import AudioInfo, Clip, checked_length, checked_rate
from anymic.audio.decoding import open_source
from anymic.audio.inspection import clipping_note, inspect, refuse_silence
from anymic.audio.shaping import resample
from anymic.audio.source import Source
from anymic.errors import AudioError

Channel = Literal["mean", "left", "right", "only"] | int
"""How channels become one: their mean, one of them, or only where there is just one."""

SEGMENT_SLACK_S = 0.001
"""A stretch may end this much after its file: tables round times to milliseconds."""


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Say what a file's header says, decoding at most its first frame.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    AudioInfo
        Rate, channels, length and format.

    Raises
    ------
    AudioError
        A file that is missing, a folder, empty, not audio, without a single frame, or that ends
        before its header says (WAV, AIFF) or within a page (Ogg).
    """
    with open_source(path) as source:
        if source.frames == 0:
            source.refuse_empty()
        if source.content.cut and source.frames is not None:
            source.refuse_cut(source.frames)
        frames = source.frames if source.frames is not None else source.promised
        return AudioInfo(
            path=os.fsdecode(path),
            rate_hz=source.rate_hz,
            channels=source.channels,
            frames=frames,
            duration_s=None if frames is None else frames / source.rate_hz,
            format=source.format,
        )


def read(
    path: str | os.PathLike[str],
    *,
    rate_hz: int | None = None,
    channel: Channel = "mean",
    start_s: float = 0.0,
    duration_s: float | None = None,
    allow_silence: bool = False,
) -> Clip:
    """Read a file, or a stretch of it, as one mono clip.

    The decoder is chosen by content: libsndfile for WAV, FLAC, Ogg Vorbis, AIFF, AU, CAF, W64;
    FFmpeg through PyAV for MP3, M4A/AAC, Opus, WebM. Encoder delay and padding of lossy codecs are
    taken off only where the container states them and FFmpeg honours that (Opus pre-skip, LAME
    header, MP4 edit list); nothing else is trimmed. The first audio stream of several is read.

    That a file was cut short shows in the header of WAV, AIFF and FLAC, in the last page of Ogg,
    in the length that MP4, WebM and MP3 with a Xing header state (to 0.1 s), and in a broken last
    frame of raw AAC; in an MP3 without a Xing header it is only noted.

    Parameters
    ----------
    path : path-like
        The file.
    rate_hz : int, optional
        Resample to this rate (soxr, HQ). Without it the file's own rate stays.
    channel : {"mean", "left", "right", "only"} or int
        How channels become one. "left" is channel 0, "right" channel 1; "only" refuses a file of
        several channels.
    start_s, duration_s : float
        The stretch to read, from and for so many seconds; what lies outside is not decoded where
        the format lets one seek. The stretch must lie within the file (to a millisecond).
    allow_silence : bool
        Let a clip through whose every sample is 0.

    Returns
    -------
    Clip
        (sample,) float32, full scale 1.0. Clipping is noted in ``notes``, not refused.

    Raises
    ------
    AudioError
        A file that is missing, a folder, empty, not audio, cut short (in a stretch: only if it is
        not all there), damaged, silent, or holds NaN or infinite samples; a channel or stretch
        that the file has not.
    """
    with open_source(path) as source:
        if source.frames == 0:
            source.refuse_empty()
        column = _column(source, channel)
        first, count = _stretch(source, start_s, duration_s)
        if count is None and source.content.cut and source.frames is not None:
            source.refuse_cut(source.frames)
        if first:
            source.seek(first)
        frames = source.read(count)
        if count is None:
            source.finish()
        elif len(frames) < count - SEGMENT_SLACK_S * source.rate_hz or not len(frames):
            _refuse_stretch(source, start_s, duration_s)
        if not len(frames):
            _refuse_stretch(source, start_s, duration_s)
        rate, notes = source.rate_hz, source.notes
    name = os.fsdecode(path)
    if column is not None:
        frames = np.ascontiguousarray(frames[:, column]) if frames.ndim > 1 else frames
    peak, clipped = inspect(frames, path=name, rate_hz=rate, start_s=start_s)
    samples = _mono(frames)
    if not allow_silence and (peak == 0 or (samples is not frames and not samples.any())):
        refuse_silence(name, how=_how_silent(peak))
    notes += clipping_note(clipped, frames.size)
    clip = Clip(samples, rate, path=name, notes=notes, start_s=first / rate)
    return clip if rate_hz is None else resample(clip, rate_hz)


def stream(
    path: str | os.PathLike[str],
    *,
    window_s: float,
    rate_hz: int | None = None,
    channel: Channel = "mean",
    allow_silence: bool = False,
) -> Iterator[Clip]:
    """Read a file of any length as consecutive windows, a few of which are in memory at a time.

    Put together, the windows are what :func:`read` returns: resampling runs on through them.

    Parameters
    ----------
    path : path-like
        The file.
    window_s : float
        Length of a window: round(window_s x rate) samples. The last may be shorter.
    rate_hz, channel, allow_silence
        As in :func:`read`; silence is judged over the whole file.

    Yields
    ------
    Clip
        With its ``start_s`` in the file; ``notes`` speak of the frames behind that window.

    Raises
    ------
    AudioError
        As :func:`read`. What can be known at once is raised before the first window; damage and
        NaN when they are reached; silence after the last window.
    """
    with open_source(path) as source:
        if source.frames == 0:
            source.refuse_empty()
        if source.content.cut and source.frames is not None:
            source.refuse_cut(source.frames)
        column = _column(source, channel)
        name = os.fsdecode(path)
        rate = source.rate_hz if rate_hz is None else checked_rate(rate_hz, name=name)
        window = checked_length(window_s, rate, name="window_s")
        yield from _windows(source, name, rate, window, column, allow_silence)


def _windows(
    source: Source,
    name: str,
    rate: int,
    window: int,
    column: int | None,
    allow_silence: bool,
) -> Iterator[Clip]:
    """Cut what comes out of the (resampled) stream into windows."""
    same = rate == source.rate_hz
    resampler = None
    if not same:
        resampler = soxr.ResampleStream(source.rate_hz, rate, 1, dtype="float32", quality="HQ")
    waiting: list[NDArray[np.float32]] = []
    notes: deque[tuple[str, ...]] = deque()
    blocks, given, peak, silent, last = 0, 0, 0.0, True, False
    while not last:
        # Block k of the file is what window k is made of; the resampler lags a little behind.
        blocks += 1
        count = round(blocks * window * source.rate_hz / rate) - source.position
        start_s = source.position / source.rate_hz
        frames = source.read(count)
        last = len(frames) < count
        if last:
            source.finish()
        clipped = 0
        if len(frames):
            if column is not None and frames.ndim > 1:
                frames = np.ascontiguousarray(frames[:, column])
            highest, clipped = inspect(frames, path=name, rate_hz=source.rate_hz, start_s=start_s)
            peak = max(peak, highest)
        notes.append(clipping_note(clipped, max(frames.size, 1)))
        mono = _mono(frames)
        silent = silent and not mono.any()
        waiting.append(mono if resampler is None else resampler.resample_chunk(mono, last=last))
        while (have := sum(map(len, waiting))) >= window or (last and have):
            samples = np.concatenate(waiting) if len(waiting) > 1 else waiting[0]
            waiting = [samples[window:]]
            noted = source.notes + (notes.popleft() if notes else ())
            yield Clip(samples[:window], rate, path=name, notes=noted, start_s=given / rate)
            given += len(samples[:window])
    if silent and not allow_silence:
        refuse_silence(name, how=_how_silent(peak))


def _column(source: Source, channel: Channel) -> int | None:
    """Return which channel to take; None for the mean of all."""
    if channel == "mean":
        return None
    if channel == "only":
        if source.channels == 1:
            return 0
        raise AudioError(
            f"{source.path} has {source.channels} channels",
            expected="one channel, because channel is 'only'",
            fix="pass channel='mean', 'left', 'right' or a number",
        )
    index = {"left": 0, "right": 1}.get(channel) if isinstance(channel, str) else channel
    if index is None or isinstance(index, bool) or not isinstance(index, int):
        raise AudioError(
            f"unknown channel {channel!r}", expected="'mean', 'left', 'right', 'only' or a number"
        )
    if not 0 <= index < source.channels:
        raise AudioError(
            f"{source.path} has no channel {channel!r}: it has {source.channels} channels",
            expected=f"a channel from 0 to {source.channels - 1}",
            fix="pass channel='mean' or one that exists",
        )
    return index


def _stretch(source: Source, start_s: float, duration_s: float | None) -> tuple[int, int | None]:
    """Return the first frame and the number of frames (None: to the end)."""
    if not (np.isfinite(start_s) and start_s >= 0):
        raise AudioError(f"start_s is {start_s}", expected="0 s or more")
    first = round(start_s * source.rate_hz)
    if duration_s is None:
        return first, None
    return first, checked_length(duration_s, source.rate_hz, name="duration_s")


def _refuse_stretch(source: Source, start_s: float, duration_s: float | None) -> NoReturn:
    """Raise AudioError for a stretch that ends after the file does, saying why it does."""
    source.finish()
    end = "the end" if duration_s is None else f"{start_s + duration_s:.3f} s"
    raise AudioError(
        f"the part from {start_s:.3f} s to {end} is not within {source.path}",
        expected=f"a part of its {source.position / source.rate_hz:.3f} s",
        fix="correct start_s and duration_s",
    )


def _mono(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (frame,): the mean over channels; what has one already passes as it is."""
    if frames.ndim == 1:
        return frames
    if frames.shape[1] == 2:  # as fast as the product, without threads of BLAS
        mono: NDArray[np.float32] = frames[:, 0] + frames[:, 1]
        mono *= np.float32(0.5)
        return mono
    return frames @ np.full(frames.shape[1], 1 / frames.shape[1], np.float32)


def _how_silent(peak: float) -> str:
    return "every sample is 0" if peak == 0 else "its channels cancel each other in the mean"

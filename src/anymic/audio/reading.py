"""Read a file as clips: the whole file, a part of it, or consecutive windows."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from typing import Literal, NoReturn

import numpy as np
import soxr
from numpy.typing import NDArray

from anymic.audio.clip import AudioInfo, Clip, checked_length, checked_rate
from anymic.audio.condition import clipping_note
from anymic.audio.condition_meter import ConditionMeter
from anymic.audio.decoding import open_source
from anymic.audio.inspection import inspect, refuse_silence
from anymic.audio.shaping import resample
from anymic.audio.source import Source
from anymic.errors import AudioError, counted

Channel = Literal["mean", "left", "right", "only"] | int

# A part may end this much after its file: tables round times to milliseconds.
SEGMENT_SLACK_S = 0.001
_WINDOW_S = 30.0  # decoded at a time to measure a file


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Return what a file's header states; at most its first frame is decoded.

    Raises
    ------
    AudioError
        If the file is missing, a folder, empty, not audio, without a single frame, or ends before
        its header states (WAV, AIFF, FLAC) or within a page (Ogg).
    """
    with open_source(path) as source:
        source.refuse_unusable()
        frames = source.frames if source.frames is not None else source.stated_frames
        if frames is not None and not source.is_plausible(frames):
            frames = None  # only decoding shows it
        return AudioInfo(
            path=source.path,
            rate_hz=source.rate_hz,
            channels=source.channels,
            frames=frames,
            duration_s=None if frames is None else frames / source.rate_hz,
            format=source.format,
        )


def length_s(path: str | os.PathLike[str]) -> float:
    """Return the length of a file in s; it is decoded where its header does not state it.

    Raises
    ------
    AudioError
        As for :func:`probe`, and where it is decoded, for :func:`stream`.
    """
    stated = probe(path).duration_s
    if stated is not None:
        return stated
    return sum(clip.duration_s for clip in stream(path, window_s=_WINDOW_S, allow_silence=True))


def read(
    path: str | os.PathLike[str],
    *,
    rate_hz: int | None = None,
    channel: Channel = "mean",
    start_s: float = 0.0,
    duration_s: float | None = None,
    most_s: float | None = None,
    allow_silence: bool = False,
    meter: ConditionMeter | None = None,
) -> Clip:
    """Read a file, or a part of it, as one mono clip.

    The decoder is chosen by content: libsndfile for WAV, FLAC, Ogg Vorbis, AIFF, AU, CAF, W64;
    FFmpeg through PyAV for MP3, M4A/AAC, Opus, WebM and what libsndfile does not read whole. The
    delay and padding of a lossy encoder are removed only where the container states them and FFmpeg
    applies that (Opus pre-skip, LAME header, MP4 edit list); nothing else is trimmed. The first
    audio stream of several is read. A pause in a film becomes silence, with a note.

    A file that was cut short is detected by the header of WAV, AIFF and FLAC, the last page of Ogg,
    the segment of Matroska and WebM, the length that MP4 and MP3 with a Xing header state (to
    0.1 s), and an incomplete last frame of raw AAC. It is only noted for AU, CAF, W64, AVI and an
    MP3 without a Xing header. Lengths that a pipe could not know are not a sign of it, nor are up
    to 44 bytes that a WAV lacks: some recorders state the size of the whole file.

    Parameters
    ----------
    path : path-like
    rate_hz : int, optional
        Resample to this rate (soxr, HQ); by default the file's own rate is kept.
    channel : {"mean", "left", "right", "only"} or int
        How several channels become one. "left" is channel 0, "right" channel 1; "only" refuses a
        file with several channels.
    start_s, duration_s : float
        The part to read, in seconds. It must lie within the file (to a millisecond). The rest is
        not decoded where the format allows seeking.
    most_s : float, optional
        Where no duration is given, read so many seconds, or less if the file ends before.
    allow_silence : bool
        Accept a file of which every sample is 0.
    meter : ConditionMeter, optional
        Measures the condition of what is read, at the rate of the file.

    Returns
    -------
    Clip
        (sample,) float32, full scale 1.0. Clipping is noted in ``notes``, not refused.

    Raises
    ------
    AudioError
        If the file is missing, a folder, empty, not audio, cut short (for a part: within it),
        damaged, silent, holds NaN or infinite samples, states what is beyond the limits of
        `anymic.audio.limits`, or has no such channel or part; any error of a decoder becomes one.
    """
    with open_source(path) as source:
        source.refuse_unusable(whole=False)
        column = _column(source, channel)
        first, count = _part(source, start_s, most_s if duration_s is None else duration_s)
        source.refuse_unusable(whole=count is None)
        if first:
            source.seek(first)
        frames = source.read(count)
        complete = count and len(frames) >= count - SEGMENT_SLACK_S * source.rate_hz
        if not complete and duration_s is None:
            source.finish()  # the file may be cut short
        if not len(frames) or not (complete or duration_s is None):
            _refuse_part(source, start_s, duration_s)
        rate, notes = source.rate_hz, source.notes
    name = source.path
    every = frames
    if column is not None:
        frames = np.ascontiguousarray(frames[:, column]) if frames.ndim > 1 else frames
    peak, clipped = inspect(frames, path=name, rate_hz=rate, start_s=start_s)
    samples = _mono(frames)
    if not allow_silence and (peak == 0 or (samples is not frames and not samples.any())):
        refuse_silence(name, peak=peak, start_s=first / rate)
    notes += clipping_note(clipped / frames.size)
    if meter is not None:
        meter.add(every, samples, rate_hz=rate, clipped=clipped)
    clip = Clip(samples, rate, path=name, notes=notes, start_s=first / rate)
    return clip if rate_hz is None else resample(clip, rate_hz)


def stream(
    path: str | os.PathLike[str],
    *,
    window_s: float,
    rate_hz: int | None = None,
    channel: Channel = "mean",
    allow_silence: bool = False,
    meter: ConditionMeter | None = None,
) -> Iterator[Clip]:
    """Read a file of any length as consecutive windows, of which few are in memory at a time.

    Concatenated, the windows are what :func:`read` returns, resampling included.

    Parameters
    ----------
    path : path-like
    window_s : float
        Length of a window: round(window_s x rate) samples. The last may be shorter.
    rate_hz, channel, allow_silence, meter
        As for :func:`read`; a file is silent if all of its windows are.

    Yields
    ------
    Clip
        With its ``start_s`` in the file; ``notes`` are about this window.

    Raises
    ------
    AudioError
        As for :func:`read`: damage and NaN when they are reached, silence after the last window,
        everything else before the first window.
    """
    with open_source(path) as source:
        source.refuse_unusable()
        yield from windows_of(
            source,
            window_s=window_s,
            rate_hz=rate_hz,
            channel=channel,
            allow_silence=allow_silence,
            meter=meter,
        )


def windows_of(
    source: Source,
    *,
    window_s: float,
    rate_hz: int | None = None,
    channel: Channel = "mean",
    allow_silence: bool = False,
    meter: ConditionMeter | None = None,
) -> Iterator[Clip]:
    """Read an open source as consecutive windows; arguments and errors are those of `stream`."""
    column = _column(source, channel)
    name = source.path
    rate = source.rate_hz if rate_hz is None else checked_rate(rate_hz, name=name)
    window = checked_length(window_s, rate, name="window_s")
    yield from _windows(source, name, rate, window, column, allow_silence, meter)


def _windows(
    source: Source,
    name: str,
    rate: int,
    window: int,
    column: int | None,
    allow_silence: bool,
    meter: ConditionMeter | None,
) -> Iterator[Clip]:
    """Cut the (resampled) stream into windows."""
    resampler, ahead = None, 0
    if rate != source.rate_hz:
        ahead = round(source.ahead_s * source.rate_hz)
        resampler = soxr.ResampleStream(source.rate_hz, rate, 1, dtype="float32", quality="HQ")
    waiting: list[NDArray[np.float32]] = []
    notes: deque[tuple[str, ...]] = deque()
    blocks, given, peak, silent, last = 0, 0, 0.0, True, False
    while not last:
        # Window k is computed from block k of the file; the resampler delays it a little.
        blocks += 1
        count = round(blocks * window * source.rate_hz / rate) + ahead - source.position
        start_s = source.position / source.rate_hz
        frames = source.read(count)
        last = len(frames) < count
        if last:
            source.finish()
        clipped, every = 0, frames
        if len(frames):
            if column is not None and frames.ndim > 1:
                frames = np.ascontiguousarray(frames[:, column])
            highest, clipped = inspect(frames, path=name, rate_hz=source.rate_hz, start_s=start_s)
            peak = max(peak, highest)
        notes.append(clipping_note(clipped / max(frames.size, 1)))
        mono = _mono(frames)
        if meter is not None:
            meter.add(every, mono, rate_hz=source.rate_hz, clipped=clipped)
        silent = silent and not mono.any()
        waiting.append(mono if resampler is None else resampler.resample_chunk(mono, last=last))
        while (have := sum(map(len, waiting))) >= window or (last and have):
            samples = np.concatenate(waiting) if len(waiting) > 1 else waiting[0]
            waiting = [samples[window:]]
            noted = source.notes + (notes.popleft() if notes else ())
            yield Clip(samples[:window], rate, path=name, notes=noted, start_s=given / rate)
            given += len(samples[:window])
    if silent and not allow_silence:
        refuse_silence(name, peak=peak)


def _column(source: Source, channel: Channel) -> int | None:
    """Return the number of the channel to read; None for the mean of all."""
    if channel == "mean":
        return None
    if channel == "only":
        if source.channels == 1:
            return 0
        raise AudioError(
            f"the file {source.path} has {counted(source.channels, 'channel')}",
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
            f"the file {source.path} has no channel {channel!r}: it has"
            f" {counted(source.channels, 'channel')}",
            expected=f"a channel from 0 to {source.channels - 1}",
            fix="pass channel='mean' or one that exists",
        )
    return index


def _part(source: Source, start_s: float, duration_s: float | None) -> tuple[int, int | None]:
    """Return the first frame and the number of frames (None: to the end)."""
    if not (np.isfinite(start_s) and start_s >= 0):
        raise AudioError(f"start_s is {start_s}", expected="0 s or more")
    first = round(start_s * source.rate_hz)
    if duration_s is None:
        return first, None
    return first, checked_length(duration_s, source.rate_hz, name="duration_s")


def _refuse_part(source: Source, start_s: float, duration_s: float | None) -> NoReturn:
    """Raise AudioError for a part that ends after the file."""
    source.finish()  # the file may be cut short
    end = "the end" if duration_s is None else f"{start_s + duration_s:.3f} s"
    raise AudioError(
        f"the part from {start_s:.3f} s to {end} is not within {source.path}",
        expected=f"a part of its {source.position / source.rate_hz:.3f} s",
        fix="correct start_s and duration_s",
    )


def _mono(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean over channels, (frame,); frames of one channel are returned as they are."""
    if frames.ndim == 1:
        return frames
    if frames.shape[1] == 2:  # as fast as the product, without threads of BLAS
        mono: NDArray[np.float32] = frames[:, 0] + frames[:, 1]
        mono *= np.float32(0.5)
        return mono
    return frames @ np.full(frames.shape[1], 1 / frames.shape[1], np.float32)

"""Decode MP3, AAC, Opus and other formats with FFmpeg, in process through PyAV."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from anymic.audio.content import Content, Section
from anymic.audio.limits import how_to_raise, limit
from anymic.audio.source import Source
from anymic.errors import AudioError

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

# A lossy stream may decode to this much less than its container states (rounding, priming).
SLACK_S = 0.1
# Time stamps that jump this far leave a pause; smaller jumps are the rounding of a container.
_PAUSE_S = 0.05
_SILENCE_FRAMES = 1 << 20  # of a pause, returned at a time

_LEAST_BYTES_PER_S = 1000  # the lowest bit rate of MP3; below it, the stated length may be wrong

_TIMED = {"mov", "matroska"}  # these state the time of each packet
_PROMISED = {"mov", "mp3", "ogg", "flac"}  # these state the length of the sound itself
_ESTIMATED = {"wav"}  # FFmpeg estimates it from a bit rate
_FRAMED = {"mov", "matroska", "aac"}  # only the last packet of a cut file is not whole
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")


class ContainerSource(Source):
    """The first audio stream of a file that FFmpeg decodes; `read` documents what is trimmed."""

    def __init__(self, content: Content, *, before: str = "", end: int | None = None) -> None:
        super().__init__(content)
        import av

        # The format is forced to the detected one: FFmpeg's own guess finds MP3 in random bytes.
        # An absolute path is never interpreted as a URL. Tags may be in any encoding.
        path = os.path.abspath(content.place)
        part = content.begin or end is not None
        self._section = Section(path, content.begin, end) if part else None
        try:
            opened = av.open(
                self._section or path,
                format=content.format,
                options={"max_streams": str(limit("most_streams"))},
                metadata_errors="replace",
            )
        except (av.FFmpegError, ValueError) as error:
            reason = before or getattr(error, "strerror", None) or str(error)
            index = "its index (moov) may be missing: " if content.format == "mov" else ""
            raise AudioError(
                f"the file {self.path} begins as {content.format} but cannot be opened "
                f"({index}{reason.strip().rstrip('.')})",
                expected="a complete audio file",
                fix="fetch it again, or convert it to WAV or FLAC",
            ) from None
        self._container = cast("InputContainer", opened)
        try:
            self._open_stream(content)
        except BaseException:
            self.close()
            raise

    def _open_stream(self, content: Content) -> None:
        streams = self._container.streams.audio
        if not streams:
            raise AudioError(
                f"the file {self.path} has no audio stream",
                expected="an audio file",
                fix="pass a file that contains audio",
            )
        if len(streams) > 1:
            self.notes += (f"the first of {len(streams)} audio streams was read",)
        stream = streams[0]
        if stream.codec_context is None:
            raise AudioError(
                f"the audio of {self.path} is coded in a way that is not known",
                expected="a coding that libsndfile or FFmpeg decodes",
                fix="convert it with the program that wrote it",
            )
        self._frames_left = self._decode(stream)
        self._pending: list[NDArray[np.float32]] = []
        self._damage, self._paused_s = "", 0.0
        self.rate_hz, self.channels = stream.rate or 0, stream.channels
        self.format = f"{content.format} {stream.codec_context.name}"
        self.frames = None
        # Headers of some codecs (HE-AAC) state half the rate; the first decoded frame is correct.
        self.stated_frames = None
        if not self._pull():
            if self._damage:
                self.refuse_cut(0, reason=self._damage)
            self.refuse_empty()
        seconds = self._stated_s(stream) if content.counted else None
        self.stated_frames = None if seconds is None else round(seconds * self.rate_hz)
        self.promised = content.format in _PROMISED
        self.slack = round(SLACK_S * self.rate_hz)
        if content.format in _ESTIMATED:
            self.slack = (self.stated_frames or 0) // 2

    def _stated_s(self, stream: av.AudioStream) -> float | None:
        unit_s = float(stream.time_base or 0)
        if stream.duration:
            return stream.duration * unit_s
        if self.content.format != "matroska":
            return None
        begin_s = (stream.start_time or 0) * unit_s
        end = re.fullmatch(r"(\d{1,4}):(\d\d):(\d\d\.\d+)", stream.metadata.get("DURATION", ""))
        if end is not None:  # a statistic that most programs write for each stream
            return 3600 * int(end[1]) + 60 * int(end[2]) + float(end[3]) - begin_s
        if self._container.duration and len(self._container.streams) == 1:
            return self._container.duration / 1e6 - begin_s
        return None

    def _decode(self, stream: av.AudioStream) -> Iterator[NDArray[np.float32]]:
        """Yield the samples of a stream, with silence in its pauses."""
        timed, begun, now_s = self.content.format in _TIMED, False, None
        for frame in self._frames(stream):
            samples = self._checked(frame, begun=begun)
            if timed and frame.time is not None:
                if not begun:
                    self._note_late(frame.time)
                elif now_s is not None and frame.time - now_s > _PAUSE_S:
                    yield from self._pause(frame.time - now_s)
                now_s = frame.time + len(samples) / self.rate_hz
            begun = True
            yield samples

    def _frames(self, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
        """Yield the frames that can be decoded; set `_damage` where these are not all."""
        import av

        undecodable, begun = False, False
        try:
            for packet in self._container.demux(stream):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    undecodable |= begun and not _is_tag(bytes(packet))
                    continue
                if frames and undecodable:
                    break
                begun = begun or bool(frames)
                yield from frames
                if packet.is_corrupt and self.content.format in _FRAMED:
                    self._damage = "cut short"
                    return
            else:
                if undecodable and self.content.format == "mp3":
                    self.notes += ("bytes at its end are not audio",)
                    return
        except av.FFmpegError:
            undecodable = True
        if undecodable:
            self._damage = "damaged or cut short"

    def _checked(self, frame: av.AudioFrame, *, begun: bool) -> NDArray[np.float32]:
        """Return a frame's samples; the first states the rate and the channels of all."""
        frames = _float_frames(frame)
        if not begun:
            self.rate_hz, self.channels = frame.sample_rate, frames.shape[1]
        elif (frame.sample_rate, frames.shape[1]) != (self.rate_hz, self.channels):
            self.refuse_change()
        return frames

    def _note_late(self, at_s: float) -> None:
        late_s = at_s - (self._container.start_time or 0) / 1e6
        if late_s > _PAUSE_S and len(self._container.streams) > 1:
            self.notes += (f"the audio begins {late_s:.3f} s after the file",)

    def _pause(self, pause_s: float) -> Iterator[NDArray[np.float32]]:
        """Yield a pause as silence."""
        self._paused_s += pause_s
        longest_s = limit("longest_pause_s")
        if self._paused_s > longest_s:
            raise AudioError(
                f"the audio of {self.path} pauses for {self._paused_s:.0f} s",
                expected=f"pauses of at most {longest_s} s",
                fix=f"divide it there, or {how_to_raise('longest_pause_s')}",
            )
        self.notes = tuple(note for note in self.notes if not note.startswith("pauses"))
        self.notes += (f"pauses of {self._paused_s:.3f} s in total were filled with silence",)
        left = round(pause_s * self.rate_hz)
        while left:
            step = min(left, _SILENCE_FRAMES)
            yield np.zeros((step, self.channels), np.float32)
            left -= step

    def _pull(self) -> bool:
        """Decode one more piece; return False at the end."""
        piece = next(self._frames_left, None)
        if piece is not None:
            self._pending.append(piece)
        return piece is not None

    def read(self, count: int | None) -> NDArray[np.float32]:
        """Return the next frames, as `Source.read`."""
        have = sum(map(len, self._pending))
        while count is None or have < count:
            if not self._pull():
                break
            have += len(self._pending[-1])
        taken = have if count is None else min(count, have)
        if self._damage and (count is None or taken < count):
            self.refuse_cut(self.position + have, reason=self._damage)
        self.position += taken
        if not taken:
            return np.zeros((0, self.channels), np.float32)
        frames = self._pending[0] if len(self._pending) == 1 else np.concatenate(self._pending)
        self._pending = [frames[taken:]] if taken < have else []
        frames = frames[:taken]
        return frames[:, 0] if self.channels == 1 else frames

    def is_plausible(self, frames: int) -> bool:
        """Return whether a file of this size may hold so many frames; fewer bytes are rare."""
        return frames * _LEAST_BYTES_PER_S <= os.path.getsize(self.content.place) * self.rate_hz

    def close(self) -> None:
        """Close the container."""
        self._container.close()
        if self._section is not None:
            self._section.close()


def _is_tag(packet: bytes) -> bool:
    """Return whether a packet holds a tag in place of a frame: at its end or from its beginning."""
    return packet.startswith(_TAGS) or b"APETAGEX" in packet


def _float_frames(frame: av.AudioFrame) -> NDArray[np.float32]:
    """Return (frame, channel) float32 with full scale 1.0 from any of FFmpeg's sample formats."""
    raw = frame.to_ndarray()
    channels = frame.layout.nb_channels
    frames = raw.T if frame.format.is_planar else raw.reshape(-1, channels)
    if frames.dtype == np.uint8:
        return np.asarray((frames.astype(np.float32) - 128) / 128, dtype=np.float32)
    if frames.dtype.kind == "i":
        full_scale = np.float32(2 ** (8 * frames.dtype.itemsize - 1))
        return (frames.astype(np.float32) / full_scale).astype(np.float32, copy=False)
    return np.asarray(frames, dtype=np.float32)

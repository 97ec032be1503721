"""Decode MP3, AAC, Opus and other formats with FFmpeg, in process through PyAV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic.audio.sniffing import Content
from anymic.audio.source import Source
from anymic.errors import AudioError

if TYPE_CHECKING:
    import av

# A lossy stream may decode to this much less than its container states (rounding, priming).
SLACK_S = 0.1


class ContainerSource(Source):
    """The first audio stream of a file that FFmpeg decodes; `read` documents what is trimmed."""

    def __init__(self, content: Content, *, before: str = "") -> None:
        super().__init__(content)
        import av

        # The format is forced to the detected one: FFmpeg's own guess finds MP3 in random bytes.
        # An absolute path is never interpreted as a URL.
        try:
            self._container = av.open(os.path.abspath(content.path), format=content.format)
        except (av.FFmpegError, ValueError) as error:
            reason = before or getattr(error, "strerror", None) or str(error)
            index = "its index (moov) may be missing: " if content.format == "mov" else ""
            raise AudioError(
                f"{self.path} begins as {content.format} but cannot be opened "
                f"({index}{reason.strip().rstrip('.')})",
                expected="a complete audio file",
                fix="fetch it again, or convert it to WAV or FLAC",
            ) from None
        try:
            self._open_stream(content)
        except BaseException:
            self._container.close()
            raise

    def _open_stream(self, content: Content) -> None:
        streams = self._container.streams.audio
        if not streams:
            raise AudioError(
                f"{self.path} has no audio stream",
                expected="an audio file",
                fix="pass a file that contains audio",
            )
        if len(streams) > 1:
            self.notes += (f"the first of {len(streams)} audio streams was read",)
        stream = streams[0]
        self._frames_left = self._decode(stream)
        self._pending: list[NDArray[np.float32]] = []
        self._damage = ""
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
        self.slack = round(SLACK_S * self.rate_hz)

    def _stated_s(self, stream: av.AudioStream) -> float | None:
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        if self.content.format == "matroska" and self._container.duration:
            return self._container.duration / 1e6
        return None

    def _decode(self, stream: av.AudioStream) -> Iterator[NDArray[np.float32]]:
        import av

        try:
            for packet in self._container.demux(stream):
                for frame in packet.decode():
                    frames = _float_frames(frame)
                    if self.position == 0 and not self._pending:
                        self.rate_hz, self.channels = frame.sample_rate, frames.shape[1]
                    elif (frame.sample_rate, frames.shape[1]) != (self.rate_hz, self.channels):
                        raise AudioError(
                            f"the rate or the channels change within {self.path}",
                            expected="one rate and one number of channels in a file",
                            fix="convert it to WAV or FLAC",
                        )
                    yield frames
                # The last packet of a pipe without a stated length is shorter than requested.
                if packet.is_corrupt and not self.content.unsized:
                    self._damage = "cut short"
                    return
        except av.FFmpegError:
            self._damage = "damaged or cut short"

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

    def seek(self, frame: int) -> None:
        """Decode up to a frame, which keeps positions exact."""
        while self.position < frame:
            if not len(self.read(min(frame - self.position, 1 << 16))):
                return

    def close(self) -> None:
        """Close the container."""
        self._container.close()


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

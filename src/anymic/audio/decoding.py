"""Files as a run of float32 frames: libsndfile for what it reads well, FFmpeg (PyAV) else."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import soundfile
from numpy.typing import NDArray

from anymic.audio.sniffing import SOUNDFILE_FORMATS, Content, sniff
from anymic.errors import AudioError

if TYPE_CHECKING:
    import av

SLACK_S = 0.1
"""How much shorter than its container says a lossy stream may decode (rounding, priming)."""

_DENSEST_FRAMES_A_BYTE = 1000
"""No codec here packs more; a header that claims more does not know its length."""


class Source(ABC):
    """An open file that gives frames in order.

    Attributes
    ----------
    rate_hz, channels : int
        As stored.
    frames : int or None
        Frames that the file is thought to hold; None where only decoding tells.
    promised : int or None
        Frames that its header promises, where it does.
    position : int
        The next frame to be read.
    """

    rate_hz: int
    channels: int
    frames: int | None
    promised: int | None
    slack: int = 0
    format: str = ""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.path = content.path
        self.notes = content.notes
        self.position = 0

    @abstractmethod
    def read(self, count: int | None) -> NDArray[np.float32]:
        """Return the next `count` frames (all that are left for None), fewer at the end only.

        Returns
        -------
        (frame,) float32 for one channel, else (frame, channel)

        Raises
        ------
        AudioError
            The stream is damaged; the line says how much of it decodes.
        """

    @abstractmethod
    def seek(self, frame: int) -> None:
        """Make `frame` the next to be read; past the end, reading gives no frames."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def finish(self) -> None:
        """Raise AudioError if the end that was reached is not the end that was promised."""
        if self.position == 0:
            self.refuse_empty()
        short = self.promised is not None and self.position < self.promised - self.slack
        if self.content.cut or short:
            self.refuse_cut(self.position)

    def refuse_empty(self) -> NoReturn:
        """Raise the AudioError for a header with no frames behind it."""
        if self.content.cut:
            self.refuse_cut(0)
        raise AudioError(
            f"{self.path} with a header but no sound in it",
            wanted="at least one sample",
            remedy="leave it out, or record it again",
        )

    def refuse_cut(self, decodable: int, *, reason: str = "cut short") -> NoReturn:
        """Raise the AudioError for a file of which only the beginning can be had."""
        promised = f" of {self.promised / self.rate_hz:.3f} s" if self.promised else ""
        there_s = math.floor(1000 * decodable / self.rate_hz) / 1000
        part = f", or read what is there with duration_s={there_s:.3f}" if there_s else ""
        raise AudioError(
            f"{self.path} {reason}: only {there_s:.3f} s{promised} can be decoded",
            wanted="the whole file",
            remedy=f"fetch it again{part}",
        ) from None

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_source(path: str | os.PathLike[str]) -> Source:
    """Open a file with the decoder that its content asks for.

    Raises
    ------
    AudioError
        See :func:`anymic.audio.sniffing.sniff`; also a file that its decoder will not open.
    """
    content = sniff(path)
    if content.format in SOUNDFILE_FORMATS and not (content.opus or content.unsized):
        try:
            source = SoundfileSource(content)
        except soundfile.SoundFileError as error:
            return ContainerSource(content, before=str(error))
        if source.frames is not None:
            return source
        source.close()
    return ContainerSource(content)


class SoundfileSource(Source):
    """WAV, FLAC, Ogg Vorbis, AIFF, AU, CAF, W64 through libsndfile."""

    def __init__(self, content: Content) -> None:
        super().__init__(content)
        self._file = soundfile.SoundFile(content.path)
        self.rate_hz = self._file.samplerate
        self.channels = self._file.channels
        self.format = f"{self._file.format} {self._file.subtype}"
        frames = self._file.frames
        plausible = frames <= _DENSEST_FRAMES_A_BYTE * os.path.getsize(content.path)
        self.frames = frames if plausible else None
        self.promised = round(frames / (1 - content.missing)) if content.missing < 1 else None
        if content.format == "ogg" and content.cut:
            self.promised = None  # libsndfile counts what is there

    def read(self, count: int | None) -> NDArray[np.float32]:
        """Return the next frames; see :meth:`Source.read`."""
        try:
            frames: NDArray[np.float32] = self._file.read(
                -1 if count is None else count, dtype="float32"
            )
        except soundfile.SoundFileError:
            self.refuse_cut(self._decodable(), reason="damaged or cut short")
        self.position += len(frames)
        return frames

    def seek(self, frame: int) -> None:
        """Go to a frame without decoding what lies before it."""
        assert self.frames is not None
        try:
            self.position = self._file.seek(min(frame, self.frames))
        except soundfile.SoundFileError:
            self.refuse_cut(self._decodable(), reason="damaged or cut short")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _decodable(self) -> int:
        """Count the frames before the damage, in small steps, for the message."""
        count = 0
        try:
            with soundfile.SoundFile(self.path) as file:
                while step := len(file.read(1024, dtype="float32")):
                    count += step
        except soundfile.SoundFileError:
            pass
        return count


class ContainerSource(Source):
    """MP3, M4A/AAC, Opus, WebM and what else FFmpeg decodes, in process.

    The first audio stream is read. Encoder delay and padding are taken off where the container
    states them and FFmpeg honours it (Opus pre-skip, LAME header, MP4 edit list); nothing more is
    trimmed here. Seeking decodes what lies before, so that positions are exact.
    """

    def __init__(self, content: Content, *, before: str = "") -> None:
        super().__init__(content)
        import av

        # The container is forced to what the content says: a guess finds MP3 in random bytes.
        # An absolute path is never taken for a URL.
        try:
            self._container = av.open(os.path.abspath(content.path), format=content.format)
        except (av.FFmpegError, ValueError) as error:
            self._refuse_open(before or str(error))
        try:
            self._open_stream(content)
        except BaseException:
            self._container.close()
            raise

    def _open_stream(self, content: Content) -> None:
        streams = self._container.streams.audio
        if not streams:
            raise AudioError(
                f"{self.path} without an audio stream",
                wanted="audio",
                remedy="give a file with sound in it",
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
        # Headers of some codecs (HE-AAC) state half the rate: the first decoded frame knows.
        self._pull()
        if self.rate_hz < 1 or self.channels < 1:
            self.refuse_empty()
        seconds = self._promised_s(stream) if content.counted else None
        self.promised = None if seconds is None else round(seconds * self.rate_hz)
        self.slack = round(SLACK_S * self.rate_hz)

    def _promised_s(self, stream: av.AudioStream) -> float | None:
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
                            f"{self.path} whose rate or channels change on the way",
                            wanted="one rate and one number of channels",
                            remedy="convert it to WAV or FLAC",
                        )
                    yield frames
                if packet.is_corrupt:
                    self._damage = "cut short"
                    return
        except av.FFmpegError:
            self._damage = "damaged or cut short"

    def _pull(self) -> bool:
        """Decode one more piece; False at the end. Damage is an error once it is reached."""
        piece = next(self._frames_left, None)
        if piece is not None:
            self._pending.append(piece)
        return piece is not None

    def read(self, count: int | None) -> NDArray[np.float32]:
        """Return the next frames; see :meth:`Source.read`."""
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
        """Decode and drop what lies before a frame."""
        while self.position < frame:
            if not len(self.read(min(frame - self.position, 1 << 16))):
                return

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _refuse_open(self, reason: str) -> NoReturn:
        index = "" if self.content.format != "mov" else "its index (moov) may be missing: "
        raise AudioError(
            f"{self.path}, which begins as {self.content.format} but cannot be opened "
            f"({index}{reason.strip().rstrip('.')})",
            wanted="a whole audio file",
            remedy="fetch it again, or convert it to WAV or FLAC",
        ) from None


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

"""Choose the library that decodes a file: libsndfile where it reads the format, else FFmpeg."""

from __future__ import annotations

import os

import numpy as np
import soundfile
from numpy.typing import NDArray

from anymic.audio.containers import ContainerSource
from anymic.audio.sniffing import SOUNDFILE_FORMATS, Content, sniff
from anymic.audio.source import Source

# No codec here packs more; a header that states more does not know its length.
_MOST_FRAMES_PER_BYTE = 1000


def open_source(path: str | os.PathLike[str]) -> Source:
    """Open a file with the decoder for its content; AudioError if it cannot be decoded."""
    content = sniff(path)
    if content.format in SOUNDFILE_FORMATS and not (content.opus or content.unsized):
        try:
            source = SoundfileSource(content)
        except soundfile.SoundFileError as error:
            reason = getattr(error, "error_string", str(error))
            return ContainerSource(content, before=reason)
        if source.frames is not None:
            return source
        source.close()
    return ContainerSource(content)


class SoundfileSource(Source):
    """A WAV, FLAC, Ogg Vorbis, AIFF, AU, CAF or W64 file, decoded by libsndfile."""

    def __init__(self, content: Content) -> None:
        super().__init__(content)
        self._file = soundfile.SoundFile(content.path)
        self.rate_hz = self._file.samplerate
        self.channels = self._file.channels
        self.format = f"{self._file.format} {self._file.subtype}"
        frames = self._file.frames
        plausible = frames <= _MOST_FRAMES_PER_BYTE * os.path.getsize(content.path)
        self.frames = frames if plausible else None
        self.stated_frames = round(frames / (1 - content.missing)) if content.missing < 1 else None
        if content.format == "ogg" and content.cut:
            self.stated_frames = None  # libsndfile counts the samples that are present

    def read(self, count: int | None) -> NDArray[np.float32]:
        """Return the next frames, as `Source.read`."""
        try:
            frames: NDArray[np.float32] = self._file.read(
                -1 if count is None else count, dtype="float32"
            )
        except soundfile.SoundFileError:
            self.refuse_cut(self._decodable(), reason="damaged or cut short")
        self.position += len(frames)
        return frames

    def seek(self, frame: int) -> None:
        """Go to a frame without decoding what precedes it."""
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

"""What the bytes of a file state about it, before any of it is decoded."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAYBE_CUT = "the header states more samples than the file has: it may be cut short"


@dataclass(frozen=True)
class Content:
    """What the first bytes of a file, and for some formats the last, state.

    Attributes
    ----------
    path : str
    format : str
        FFmpeg's short name of the container: wav, flac, ogg, aiff, au, caf, w64, mp3, aac, mov,
        avi, matroska.
    begin : int
        Bytes of tags (ID3v2, APEv2) in front of the format's own.
    ffmpeg : bool
        Whether libsndfile reads the container but not what is in it: Opus, joined streams, a
        FLAC file that counts too few of its samples, MP3 in WAV.
    missing : float
        Share of the samples that the header states and the file lacks; 0 where not known.
    cut : bool
        Whether the file certainly ends too early.
    samples_at : int or None
        The first byte of the samples of a WAV file whose stated size does not tell how many there
        are, so that all bytes to the end are samples.
    counted : bool
        Whether the container states the length of its sound; otherwise it is a guess from the bit
        rate, or wrong.
    links : tuple of int
        The first bytes of joined Ogg Vorbis streams, and the end of the last.
    notes : tuple of str
        Irregularities that are not errors.
    copy : str
        Where the bytes are, if not at `path`: the path of a copy of a file at a URL.
    """

    path: str
    format: str
    begin: int = 0
    ffmpeg: bool = False
    missing: float = 0.0
    cut: bool = False
    samples_at: int | None = None
    counted: bool = True
    links: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    copy: str = ""

    @property
    def place(self) -> str:
        """The path of the bytes; `path` is that of messages."""
        return self.copy or self.path


class Section(io.FileIO):
    """A part of a file, for decoders that expect a format to begin at byte 0."""

    def __init__(self, path: str | bytes, begin: int, end: int | None = None) -> None:
        super().__init__(path)
        self._begin, self._end = begin, end
        self.seek(0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte, as `io.FileIO.seek`."""
        if whence == os.SEEK_END and self._end is not None:
            offset, whence = self._end - self._begin + offset, os.SEEK_SET
        if whence == os.SEEK_SET:
            offset += self._begin
        return super().seek(offset, whence) - self._begin

    def tell(self) -> int:
        """Return the position, as `io.FileIO.tell`."""
        return super().tell() - self._begin

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer, up to the end of the part, as `io.FileIO.readinto`."""
        view = memoryview(buffer)
        return super().readinto(view[: self._allowed(len(view))])

    def read(self, size: int | None = -1) -> bytes:
        """Return bytes, up to the end of the part, as `io.FileIO.read`."""
        return super().read(self._allowed(-1 if size is None else size))

    def _allowed(self, size: int) -> int:
        """Return how many of `size` bytes (-1: all) are in the part."""
        if self._end is None:
            return size
        left = max(0, self._end - self._begin - self.tell())
        return left if size < 0 else min(size, left)

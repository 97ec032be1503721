"""Choose the library that decodes a file: libsndfile where it reads the format, else FFmpeg."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import numpy as np
import soundfile
from numpy.typing import NDArray

from anymic._internal.remote import local_copy, remote_of
from anymic.audio.containers import ContainerSource
from anymic.audio.content import MAYBE_CUT, Content, Section
from anymic.audio.lc3_files import Lc3Source
from anymic.audio.limits import how_to_raise, limit
from anymic.audio.sniffing import SOUNDFILE_FORMATS, sniff
from anymic.audio.source import Source
from anymic.errors import AnymicError, AudioError

_BLOCK_SAMPLES = 1 << 24  # a header may state more samples than memory holds
_PCM = {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"}
_UNKNOWN_BYTES = 1 << 62  # written to a pipe, whose length was not known
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE}


@contextmanager
def open_source(path: str | os.PathLike[str]) -> Iterator[Source]:
    """Open a file with the decoder for its content; one at a URL is copied first.

    Raises
    ------
    AudioError
        If it cannot be decoded, also later: any error of a decoder within the block becomes one.
    DependencyError
        If it is at a URL, and the driver is not installed.
    """
    remote = remote_of(path)
    name = os.fsdecode(path) if remote is None else str(remote)
    copy = None
    try:
        copy = None if remote is None else local_copy(remote)
        with _opened(name, "" if copy is None else copy.place) as source:
            _check_rate(source)
            yield source
    except AnymicError:
        raise
    except Exception as error:
        import av

        memory = isinstance(error, MemoryError) and not isinstance(error, av.FFmpegError)
        if memory or (isinstance(error, OSError) and error.errno in _DISK):
            raise
        reason = str(error) or type(error).__name__
        reason = reason if copy is None else reason.replace(copy.place, name)
        raise AudioError(
            f"the file {name} cannot be decoded ({reason.strip().rstrip('.')[:200]})",
            expected="an audio file that libsndfile or FFmpeg decodes",
            fix="convert it to WAV or FLAC, or fetch it again",
        ) from error


def _opened(name: str, copy: str) -> Source:
    content = sniff(name, copy=copy)
    return JoinedSource(content) if content.links else _decoder(content)


def _decoder(content: Content, *, end: int | None = None) -> Source:
    if content.format == "lc3":
        return Lc3Source(content)
    if content.format not in SOUNDFILE_FORMATS or content.ffmpeg:
        return ContainerSource(content)
    try:
        source = SoundfileSource(content, end=end)
    except soundfile.SoundFileError as error:
        before = getattr(error, "error_string", str(error))
        return ContainerSource(content, before=before, end=end)
    if source.frames is not None:
        return source
    source.close()
    return ContainerSource(content, end=end)


def _check_rate(source: Source) -> None:
    lowest, highest = limit("lowest_rate_hz"), limit("highest_rate_hz")
    if not lowest <= source.rate_hz <= highest:
        low = 0 < source.rate_hz < lowest
        name = "lowest_rate_hz" if low else "highest_rate_hz"
        raise AudioError(
            f"the file {source.path} states a rate of {source.rate_hz} Hz",
            expected=f"a rate from {lowest} to {highest} Hz",
            fix="fetch it again" + (f", or {how_to_raise(name)}" if source.rate_hz > 0 else ""),
        )


class SoundfileSource(Source):
    """A WAV, FLAC, Ogg Vorbis, AIFF, AU, CAF or W64 file, decoded by libsndfile."""

    def __init__(self, content: Content, *, end: int | None = None) -> None:
        super().__init__(content)
        self._sections: list[Section] = []
        self._end = end
        self._file = self._open(content.begin)
        self.format = f"{self._file.format} {self._file.subtype}"
        known = content.samples_at is None
        if content.samples_at is not None and self._file.subtype in _PCM:
            with self._file as header:
                self._file = self._open(content.samples_at, header)
            known = True
        self.rate_hz = self._file.samplerate
        self.channels = self._file.channels
        frames = self._file.frames
        self.frames = frames if known and self.is_plausible(frames) else None
        self.stated_frames = round(frames / (1 - content.missing)) if content.missing < 1 else None
        if content.format == "flac" and content.cut:  # libsndfile counts what the header states
            self.stated_frames, self.frames = frames, round(frames * (1 - content.missing))
        if content.format == "ogg" and content.cut:
            self.stated_frames = None  # libsndfile counts the samples that are present
        log = self._file.extra_info if content.format in ("au", "w64") else ""
        data = re.search(r"^data : (\d+)", log, re.MULTILINE)
        more = data and os.path.getsize(content.place) < int(data[1]) < _UNKNOWN_BYTES
        if more or re.search(r": \d+ \(should be", log):  # -1 where the writer did not know it
            self.notes += (MAYBE_CUT,)

    def read(self, count: int | None) -> NDArray[np.float32]:
        """Return the next frames, as `Source.read`."""
        assert self.frames is not None
        wanted = self.frames - self.position if count is None else count
        most = max(1, _BLOCK_SAMPLES // self.channels)
        blocks: list[NDArray[np.float32]] = []
        try:
            while wanted > 0 and (not blocks or len(blocks[-1]) == most):
                blocks.append(self._samples(min(wanted, most)))
                wanted -= len(blocks[-1])
        except soundfile.SoundFileError:
            self.refuse_cut(self._decodable(), reason="damaged or cut short")
        if not blocks:
            return np.zeros((0, self.channels), np.float32)
        frames = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        self.position += len(frames)
        return frames

    def _samples(self, count: int) -> NDArray[np.float32]:
        """Return the next frames; of 16 bits libsndfile reads integers five times as fast."""
        if self._file.subtype != "PCM_16":
            return np.asarray(self._file.read(count, dtype="float32"))
        frames: NDArray[np.float32] = self._file.read(count, dtype="int16").astype(np.float32)
        frames *= np.float32(2**-15)  # exact
        return frames

    def seek(self, frame: int) -> None:
        """Go to a frame, without decoding what precedes it where the coding allows."""
        assert self.frames is not None
        if not self._file.seekable():  # GSM 6.10
            super().seek(frame)
            return
        try:
            self.position = self._file.seek(min(frame, self.frames))
        except soundfile.SoundFileError:
            self.refuse_cut(self._decodable(), reason="damaged or cut short")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        for section in self._sections:
            section.close()

    def _decodable(self) -> int:
        """Count the frames before the damage, in small steps, for the message."""
        count = 0
        try:
            with self._open(self.content.begin) as file:
                while step := len(file.read(1024, dtype="float32")):
                    count += step
        except soundfile.SoundFileError:
            pass
        return count

    def _open(self, begin: int, header: soundfile.SoundFile | None = None) -> soundfile.SoundFile:
        """Open the file from a byte on; with a header, the bytes from there are its samples."""
        name = os.fsencode(self.content.place)  # soundfile refuses text that is not UTF-8
        raw = {}
        if header is not None:
            order = "BIG" if header.format in ("AIFF", "AU") else "LITTLE"
            raw = {
                "format": "RAW",
                "samplerate": header.samplerate,
                "channels": header.channels,
                "subtype": header.subtype,
                "endian": order if header.endian == "FILE" else header.endian,
            }
        if not begin and self._end is None:
            return soundfile.SoundFile(name)
        self._sections.append(Section(name, begin, self._end))
        return soundfile.SoundFile(self._sections[-1], **raw)


class JoinedSource(Source):
    """Joined Ogg streams, each decoded to its last sample.

    FFmpeg decodes a few more samples of Vorbis, and the comments of Speex as if they were sound.
    """

    def __init__(self, content: Content) -> None:
        super().__init__(content)
        self.frames = self.stated_frames = None
        self._left = list(pairwise(content.links))
        self._link = self._opened_next()
        self.rate_hz, self.channels = self._link.rate_hz, self._link.channels
        self.format = self._link.format

    def _opened_next(self) -> Source:
        begin, end = self._left.pop(0)
        return _decoder(replace(self.content, begin=begin, cut=False, ffmpeg=False), end=end)

    def read(self, count: int | None) -> NDArray[np.float32]:
        """Return the next frames, as `Source.read`."""
        blocks, wanted = [self._link.read(count)], count
        while (wanted is None or len(blocks[-1]) < wanted) and self._left:
            self._link.close()
            self._link = self._opened_next()
            if (self._link.rate_hz, self._link.channels) != (self.rate_hz, self.channels):
                self.refuse_change()
            wanted = None if wanted is None else wanted - len(blocks[-1])
            blocks.append(self._link.read(wanted))
        frames = np.concatenate(blocks)
        self.position += len(frames)
        return frames

    def close(self) -> None:
        """Close the file."""
        self._link.close()

"""Read the chunks of a WAV or AIFF file: its decoders do not report that it was cut."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from anymic.audio.content import Content
from anymic.audio.limits import how_to_raise, limit
from anymic.errors import AudioError, counted

# What ffmpeg, sox, arecord and gstreamer state when they do not know the length (pipes): the most
# that 31 or 32 bits hold, less the header or what is left over of the last frame.
_UNKNOWN = (range(0x7F000000, 0x80000001), range(0xFFFF0000, 0x100000000))
_WIDEST = 0xFFFFFFFF
# Some recorders state the size of the file, or of all that follows RIFF, as that of the samples.
_HEADER_BYTES = 44
_STRAY_BYTES = 4096  # more than this after the samples is noted
_MPEG_TAGS = (0x50, 0x55)


def riff(path: str, file: BinaryIO, known: str, begin: int) -> Content:
    """Return whether a file that begins with RIFF, RIFX, RF64, BW64 or FORM has what it states.

    Raises
    ------
    AudioError
        If it has more chunks than the limit, or ends within one that is not its samples.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(begin)
    order = ">" if file.read(4) in (b"RIFX", b"FORM") else "<"
    facts: dict[str, Any] = {"path": path, "format": known, "begin": begin}
    wide = None
    for name, length, at in _chunks(path, file, order, begin + 12):
        if name == b"ds64":
            wide = int.from_bytes(file.read(16)[8:], "little")
        elif name == b"fmt ":
            facts["ffmpeg"] = int.from_bytes(file.read(2), "little") in _MPEG_TAGS
        elif name in (b"data", b"SSND"):
            stated = length if wide is None or length != _WIDEST else wide % (1 << 63)
            own = 8 * (name == b"SSND")  # the header of this chunk
            return Content(
                **facts, **_sound(path, file, order, at + own, max(0, stated - own), size)
            )
        if at + length > size + 1:  # a decoder would ask for memory for it
            raise AudioError(
                f"the file {path} begins as {known} but cannot be opened "
                f"(its chunk {name.decode('latin-1')!r} ends after the file)",
                expected="a complete audio file",
                fix="fetch it again, or convert it to WAV or FLAC",
            )
    return Content(**facts)


def avi(content: Content, head: bytes, size: int) -> Content:
    """Note whether an AVI file ends before its header states; it does not count its samples.

    `head` are the file's first bytes after the tags.
    """
    stated = int.from_bytes(head[4:8], "little")
    known = not any(stated in sizes for sizes in _UNKNOWN)
    cut = known and content.begin + 8 + stated > size
    note = "its header states more bytes than the file has: it may be cut short"
    return replace(content, counted=False, notes=(note,) * cut)


def _sound(
    path: str, file: BinaryIO, order: str, at: int, stated: int, size: int
) -> dict[str, Any]:
    """Compare the bytes of samples that are stated with those present, from `at` to `size`."""
    present = size - at
    if stated <= _WIDEST < present or stated == 0:
        # 32 bits do not hold the size, or it was never written, unless chunks follow.
        if present < 8 or _is_followed_by_chunks(path, file, order, at + stated, size):
            return {}
        return {"samples_at": at, "counted": False}
    if any(stated in sizes for sizes in _UNKNOWN) and present < stated:
        return {"counted": False}
    short = stated - present
    if short > _HEADER_BYTES or (short > 0 and not present):
        return {"missing": short / stated, "cut": True}
    # Less than that may be one byte to make the size even, or zeros to fill a block.
    if -short > _STRAY_BYTES and not _is_followed_by_chunks(path, file, order, at + stated, size):
        return {
            "notes": (
                f"{counted(-short, 'byte')} after the samples that its header states are not read",
            )
        }
    return {}


def _chunks(path: str, file: BinaryIO, order: str, at: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the stated length and the first byte of chunk after chunk."""
    most = limit("most_chunks")
    for _ in range(most):
        file.seek(at)
        header = file.read(8)
        if len(header) < 8:
            return
        name, length = struct.unpack(f"{order}4sI", header)
        yield name, length, at + 8
        at += 8 + length + length % 2
    raise AudioError(
        f"the file {path} has more than {most} chunks",
        expected="an audio file",
        fix=f"fetch it again, or {how_to_raise('most_chunks')}",
    )


def _is_followed_by_chunks(path: str, file: BinaryIO, order: str, at: int, size: int) -> bool:
    """Return whether whole chunks lead from byte `at` to the end: samples never do."""
    end = at = at + at % 2
    for name, length, begin in _chunks(path, file, order, at):
        if name == b"RIFF" or not (name.isascii() and name.decode().isprintable()):
            return False
        end = begin + length
    return end > at and size <= end + end % 2 <= size + 1

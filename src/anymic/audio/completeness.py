"""Check whether a file is as complete as its header states, from a few of its bytes."""

from __future__ import annotations

import mmap
import os
from dataclasses import replace
from functools import lru_cache
from typing import BinaryIO

from anymic.audio.content import MAYBE_CUT, Content

_OGG_PAGE_BYTES = 1 << 16  # a page is shorter
_OGG_PAGE_SAMPLES = 255 << 16  # 255 packets; the longest, of FLAC, have nearly 65,536 samples
_FLAC_TAIL_BYTES = 1 << 18
_JOINABLE = (b"\x01vorbis", b"Speex   ")  # their first packets begin with this
_SEGMENT = 0x18538067  # the identifier of the element that holds all of a film


def ogg(content: Content, file: BinaryIO, head: bytes, size: int) -> Content:
    """Return whether the last page is complete and marked as the last, and how many streams join.

    `head` are the file's first bytes after the tags.
    """
    opus = b"OpusHead" in head[:256]
    file.seek(max(0, size - 2 * _OGG_PAGE_BYTES))
    tail = file.read()
    at = tail.rfind(b"OggS\0")
    page = tail[at:] if at >= 0 else b""
    segments = page[26] if len(page) > 26 else 0
    length = 27 + segments + sum(page[27 : 27 + segments])
    if at < 0 or len(page) < 27 + segments or len(page) < length:
        return replace(content, ffmpeg=opus, cut=True)
    # Streams side by side, such as pictures and sound, all begin before any of them continues.
    continued = _find(file, b"OggS\0\0", content.begin)
    joined = continued >= 0 and _find(file, b"OggS\0\2", continued) >= 0
    notes = () if page[5] & 4 else ("no end-of-stream mark: the file may lack its end",)
    before = tail[max(0, tail.rfind(b"OggS\0", 0, at)) : at]
    wrong = before[14:18] == page[14:18] and _position(page) - _position(before) > _OGG_PAGE_SAMPLES
    if wrong:
        notes = (*notes, "its last page states a length that cannot be")
    other = joined or wrong
    links = _links(file, content.begin, size) if joined and not wrong else ()
    return replace(content, ffmpeg=opus or other, counted=not other, links=links, notes=notes)


def _links(file: BinaryIO, begin: int, size: int) -> tuple[int, ...]:
    """Return where joined streams begin and end; none if not all are of Vorbis or Speex alone."""
    links = []
    at = begin
    while at >= 0:
        file.seek(at)
        page = file.read(28 + 255 + 6).ljust(28, b"\0")
        after = 28 + page[27]  # the first page holds one packet, which is shorter than 255 bytes
        if not page[28:].startswith(_JOINABLE) or page[after : after + 6] == b"OggS\0\2":
            return ()
        links.append(at)
        at = _find(file, b"OggS\0\2", at + 1)
    return (*links, size)


def _position(page: bytes) -> int:
    """Return the number of samples to the end of an Ogg page (granule position; RFC 3533, 6)."""
    return int.from_bytes(page[6:14], "little", signed=True)


def _find(file: BinaryIO, mark: bytes, begin: int) -> int:
    """Return where a mark occurs first after a byte of a file; -1 where it does not."""
    status = os.fstat(file.fileno())
    return _find_once(file.name, status.st_size, status.st_mtime_ns, mark, begin)


@lru_cache(maxsize=4096)  # many parts of a long file are read one by one
def _find_once(path: str, size: int, changed_ns: int, mark: bytes, begin: int) -> int:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as whole:
        return whole.find(mark, begin)


def flac(content: Content, file: BinaryIO, size: int) -> Content:
    """Return whether the header counts fewer samples, or more, than end with the last frame.

    libsndfile stops where the header states. RFC 9639, 8.2 (stream information), 9.1 (frame
    header) and 9.3 (its checksum).
    """
    file.seek(content.begin + 8)
    info = file.read(18)
    stated = int.from_bytes(info[10:18], "big") & (1 << 36) - 1
    if len(info) < 18 or not stated:
        return content
    if _find(file, b"fLaC\0\0\0\x22", content.begin + 4) >= 0:  # joined files
        return replace(content, ffmpeg=True, counted=False)
    file.seek(max(content.begin + 42, size - _FLAC_TAIL_BYTES))
    tail = file.read()
    at, later, last = len(tail), (-1, 0), 0
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        frame = _flac_frame(tail[at : at + 16].ljust(16, b"\0"), int.from_bytes(info[2:4], "big"))
        if frame is None:
            continue
        if frame[1] == stated and later[0] < 0:
            return content
        # Other bytes pass for a frame once in thousands of files, but not as two in a row.
        if frame[1] == later[0] or (frame[0] == 0 and frame[1] > stated):
            first, end = later if frame[1] == later[0] else frame
            if end > stated:
                note = "its header counts fewer samples than were decoded"
                return replace(content, ffmpeg=True, counted=False, notes=(*content.notes, note))
            if end == stated:
                return content
            # libsndfile reads all samples but one before a frame that is not whole.
            there = end if _remainder(tail[last:], 0x8005, 16) == 0 else max(0, first - 1)
            return replace(content, cut=True, missing=1 - there / stated)
        later, last = frame, at
    return content


def _flac_frame(header: bytes, block: int) -> tuple[int, int] | None:
    """Return the first sample of the frame that begins here, and the one after; None if none."""
    if header[1] & 0xFE != 0xF8 or header[3] & 1 or header[2] < 16:
        return None
    more = 0  # the number is coded as UTF-8, in up to seven bytes
    while more < 7 and header[4] << more & 0x80:
        more += 1
    if more == 1:
        return None
    number = header[4] & 0x7F >> more
    end = 4 + max(1, more)
    for byte in header[5:end]:
        number = number << 6 | byte & 0x3F
    kind = header[2] >> 4
    if not kind:  # reserved: these bytes are not a frame's
        return None
    more = {6: 1, 7: 2}.get(kind, 0)
    if more:  # the size of a last frame, which is shorter than the others
        size = int.from_bytes(header[end : end + more], "big") + 1
    else:
        size = 192 if kind == 1 else 576 << (kind - 2) if kind < 6 else 256 << (kind - 8)
    end += more + {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)
    if _remainder(header[: end + 1], 0x07, 8):
        return None
    first = number if header[1] & 1 else number * block
    return first, first + size


def _remainder(data: bytes, polynomial: int, bits: int) -> int:
    """Return a checksum that is 0 for bytes that end with their own."""
    check, top = 0, 1 << (bits - 1)
    for byte in data:
        check ^= byte << (bits - 8)
        for _ in range(8):
            check = (check << 1 ^ polynomial if check & top else check << 1) & (2 * top - 1)
    return check


def au(content: Content, head: bytes, size: int) -> Content:
    """Return where the samples of an AU file begin whose size libsndfile takes for a negative one.

    `head` are the file's first bytes after the tags.
    """
    begin, stated = (int.from_bytes(head[at : at + 4], "big") for at in (4, 8))
    if not 1 << 31 <= stated < (1 << 32) - 1:
        return content
    begin += content.begin
    notes = (*content.notes, MAYBE_CUT) if begin + stated > size else content.notes
    return replace(content, samples_at=begin, notes=notes)


def caf(content: Content, head: bytes, size: int) -> Content:
    """Note whether the samples that the header states are not all there.

    `head` are the file's first bytes after the tags.
    """
    at = head.find(b"data") + 4
    stated = int.from_bytes(head[at : at + 8], "big", signed=True)
    cut = at >= 4 and content.begin + at + 8 + stated > size
    return replace(content, notes=(*content.notes, MAYBE_CUT)) if cut else content


def matroska(content: Content, file: BinaryIO, size: int) -> Content:
    """Return whether all bytes of the segment are present: FFmpeg does not report a cut file.

    RFC 8794, 4 (variable-size integers) and RFC 9559, 4.5 (segment).
    """
    at = content.begin
    for _ in range(8):
        file.seek(at)
        header = file.read(12).ljust(12, b"\0")
        identifier_bytes = 9 - header[0].bit_length()
        if identifier_bytes > 4:
            break
        first = header[identifier_bytes]
        length_bytes = 9 - first.bit_length()
        if length_bytes > 8:
            break
        value = int.from_bytes(header[identifier_bytes : identifier_bytes + length_bytes], "big")
        most = (1 << 7 * length_bytes) - 1  # all bits set: the length is not known
        length = value & most
        at += identifier_bytes + length_bytes + length
        if int.from_bytes(header[:identifier_bytes], "big") == _SEGMENT:
            return replace(content, cut=length != most and at > size)
    return content

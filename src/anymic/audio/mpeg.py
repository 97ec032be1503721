"""Find the frames of MP3 and AAC (ADTS): FFmpeg's own guess finds them in random bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO

from anymic.audio.content import Content

_SCAN_BYTES = 1 << 17  # searched for the first frame
_TAIL_BYTES = 1 << 14


def mpeg(path: str, file: BinaryIO, begin: int, *, ape: bool) -> Content | None:
    """Return the content of a file with three consecutive frames after byte `begin`, else None.

    Parameters
    ----------
    path, file, begin
        See `Content`.
    ape : bool
        Whether there is an APEv2 tag in front: FFmpeg does not find the stated length behind it.
    """
    file.seek(begin)
    data = file.read(_SCAN_BYTES)
    at = data.find(b"\xff")
    while 0 <= at < len(data) - 7:
        for form, measure in (("mp3", _mp3_frame), ("aac", _adts_frame)):
            if _chain(data, at, measure):
                if form == "aac":
                    return Content(path, form, counted=False)
                stated = _stated_bytes(data[at : at + 256])
                if stated is not None:
                    # FFmpeg guesses the length of joined files, which begin with the header of one.
                    present = file.seek(0, os.SEEK_END) - begin - at
                    single = present - stated <= min(stated, present) >> 4
                    return Content(path, form, counted=single and not ape)
                return Content(path, form, counted=False, notes=_last_mp3_frame(file))
        at = data.find(b"\xff", at + 1)
    return None


def _stated_bytes(frame: bytes) -> int | None:
    """Return the size that a Xing, Info or VBRI header states; None if it states none."""
    for name, bytes_at in ((b"Xing", 12), (b"Info", 12), (b"VBRI", 10)):
        at = frame.find(name)
        if at > 0:
            known = name == b"VBRI" or frame[at + 7] & 3 == 3
            size = frame[at + bytes_at : at + bytes_at + 4]
            return int.from_bytes(size, "big") if known else None
    return None


def _last_mp3_frame(file: BinaryIO) -> tuple[str, ...]:
    """Note an incomplete last frame, the only sign that such a file was cut."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
    tail = file.read()
    at = tail.find(b"\xff")
    while at >= 0 and not _chain(tail, at, _mp3_frame):
        at = tail.find(b"\xff", at + 1)
    while 0 <= at < len(tail) and (found := _mp3_frame(tail[at : at + 7].ljust(7, b"\0"))):
        at += found[1]
    return ("the last frame is not whole: the file may lack its end",) if at > len(tail) else ()


def _chain(data: bytes, at: int, measure: Callable[[bytes], tuple[int, int] | None]) -> bool:
    """Return whether three frames follow each other from `at`; fewer if they fill a whole file.

    Random bytes hold a single header every few thousand bytes, but not two or three in a row.
    """
    begin, kind = at, -1
    for count in range(3):
        if at + 7 > len(data):
            return count > 1 or (count == 1 and begin == 0 and at == len(data))
        found = measure(data[at : at + 7])
        if found is None or kind not in (-1, found[0]):
            return False
        kind = found[0]
        at += found[1]
    return True


_MP3_KBPS = {
    (3, 3): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 1): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MP3_RATES = (44100, 48000, 32000)


def _mp3_frame(header: bytes) -> tuple[int, int] | None:
    """Return the part that is equal in all frames, and the frame's length in bytes.

    ISO/IEC 11172-3, 2.4.1.3, and 13818-3 for half rates; free-format streams are not supported.
    """
    word = int.from_bytes(header[:4], "big")
    version, layer = word >> 19 & 3, word >> 17 & 3
    kbps_index, rate_index, padding = word >> 12 & 15, word >> 10 & 3, word >> 9 & 1
    if word >> 21 != 0x7FF or version == 1 or layer == 0:
        return None
    if kbps_index in (0, 15) or rate_index == 3:
        return None
    kbps = _MP3_KBPS[(3 if version == 3 else 2, layer)][kbps_index]
    rate = _MP3_RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    if layer == 3:
        return word >> 17 << 2 | rate_index, (12000 * kbps // rate + padding) * 4
    per_frame = 72000 if layer == 1 and version != 3 else 144000
    return word >> 17 << 2 | rate_index, per_frame * kbps // rate + padding


def _adts_frame(header: bytes) -> tuple[int, int] | None:
    """Return the same as `_mp3_frame`, by ISO/IEC 13818-7, 6.2 (ADTS)."""
    word = int.from_bytes(header[:7], "big")
    length = word >> 13 & 0x1FFF
    if word >> 44 != 0xFFF or header[1] & 6 or (header[2] >> 2 & 15) > 12 or length < 7:
        return None
    return int.from_bytes(header[:3], "big"), length

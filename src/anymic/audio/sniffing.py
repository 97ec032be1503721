"""Detect the format of a file by its content, and whether the file is complete."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from anymic.errors import AudioError

HEAD_BYTES = 4096
TAIL_BYTES = 1 << 14
SCAN_BYTES = 1 << 17  # searched for the first MP3 or AAC frame

# Sizes that ffmpeg, sox, arecord and gstreamer write when they do not know the length (pipes).
UNKNOWN_SIZES = {0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x7FFFF000, 0xFFFFFFFF - 36}

SOUNDFILE_FORMATS = {"wav", "flac", "ogg", "aiff", "au", "caf", "w64"}

_MAGIC = {
    b"RIFF": "wav",
    b"RIFX": "wav",
    b"RF64": "wav",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"FORM": "aiff",
    b".snd": "au",
    b"caff": "caf",
    b"riff": "w64",
    b"\x1aE\xdf\xa3": "matroska",
}


@dataclass(frozen=True)
class Content:
    """What the first bytes of a file, and for some formats the last, state.

    Attributes
    ----------
    path : str
    format : str
        FFmpeg's short name of the container: wav, flac, ogg, aiff, au, caf, w64, mp3, aac, mov,
        matroska.
    opus : bool
        Whether it is an Ogg file whose first stream is Opus.
    missing : float
        Share of the samples that the header states and the file lacks; 0 where not known.
    cut : bool
        Whether the file certainly ends too early.
    unsized : bool
        Whether a WAV header states 0 bytes although samples follow (a pipe that was not closed).
    counted : bool
        Whether the container states its length; otherwise a duration is a guess from the bit rate.
    notes : tuple of str
        Irregularities that are not errors.
    """

    path: str
    format: str
    opus: bool = False
    missing: float = 0.0
    cut: bool = False
    unsized: bool = False
    counted: bool = True
    notes: tuple[str, ...] = ()


def sniff(path: str | os.PathLike[str]) -> Content:
    """Return the format of a file and whether it is complete.

    Raises
    ------
    AudioError
        If it is missing, a folder, unreadable, empty, text, or of no known format.
    """
    name = os.fsdecode(path)
    try:
        status = os.stat(name)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            # Opening a pipe blocks until something writes to it.
            raise AudioError(
                f"{name} is a pipe or a device", expected="an audio file", fix="save it to a file"
            )
        with open(name, "rb") as file:
            head = file.read(HEAD_BYTES)
            if not head:
                raise AudioError(
                    f"{name} has 0 bytes", expected="an audio file", fix="fetch or record it again"
                )
            return _classify(name, file, head, status.st_size)
    except IsADirectoryError:
        raise AudioError(
            f"the path {name} is a folder", expected="an audio file", fix="pass the files in it"
        ) from None
    except FileNotFoundError:
        raise AudioError(
            f"no file at {name}", expected="an audio file", fix="check the path"
        ) from None
    except (OSError, ValueError) as error:
        raise AudioError(
            f"{name!r} cannot be opened ({error})",
            expected="a readable file",
            fix="check its name and permissions",
        ) from None


def _classify(name: str, file: BinaryIO, head: bytes, size: int) -> Content:
    known = _MAGIC.get(head[:4])
    if known in ("wav", "aiff"):
        return _riff(name, file, known, size)
    if known == "ogg":
        return _ogg(name, file, head, size)
    if known is not None:
        return Content(name, known)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return Content(name, "mov")
    frames = _frames_after_tag(name, file, head)
    if frames is not None:
        return frames
    if _is_text(head):
        raise AudioError(
            f"{name} contains text",
            expected="an audio file",
            fix="look inside: it may be an error page or a pointer file; fetch the audio itself",
        )
    raise AudioError(
        f"{name} is in no known audio format",
        expected="WAV, FLAC, Ogg, MP3, M4A/AAC, Opus or WebM",
        fix="convert it, or fetch it again",
    )


def _riff(name: str, file: BinaryIO, known: str, size: int) -> Content:
    """Check the chunks of a WAV or AIFF file: libsndfile does not report a cut file."""
    file.seek(0)
    magic = file.read(12)[:4]
    order = ">" if magic in (b"RIFX", b"FORM") else "<"
    wide: int | None = None
    while len(header := file.read(8)) == 8:
        chunk, length = header[:4], struct.unpack(f"{order}I", header[4:])[0]
        if chunk == b"ds64":
            body = file.read(length + length % 2)
            wide = struct.unpack("<Q", body[8:16])[0] if len(body) >= 16 else None
            continue
        if chunk not in (b"data", b"SSND"):
            file.seek(length + length % 2, os.SEEK_CUR)
            continue
        present = size - file.tell()
        if length == 0xFFFFFFFF and wide:
            length = wide
        if length in UNKNOWN_SIZES:
            next_chunk = file.read(4)
            closed = present < 8 or (next_chunk.isascii() and next_chunk.strip().isalnum())
            return Content(name, known, counted=False, unsized=length == 0 and not closed)
        missing = max(0.0, 1 - present / length)
        return Content(name, known, missing=missing, cut=missing > 0)
    return Content(name, known)


def _ogg(name: str, file: BinaryIO, head: bytes, size: int) -> Content:
    """Check whether the last page is complete and marked as the last."""
    opus = b"OpusHead" in head[:256]
    file.seek(max(0, size - (1 << 16)))
    tail = file.read()
    at = tail.rfind(b"OggS\0")
    page = tail[at:] if at >= 0 else b""
    segments = page[26] if len(page) > 26 else 0
    length = 27 + segments + sum(page[27 : 27 + segments])
    if at < 0 or len(page) < 27 + segments or len(page) < length:
        return Content(name, "ogg", opus=opus, cut=True)
    last = bool(page[5] & 4)
    notes = () if last else ("no end-of-stream mark: the file may lack its end",)
    return Content(name, "ogg", opus=opus, notes=notes)


def _frames_after_tag(name: str, file: BinaryIO, head: bytes) -> Content | None:
    """Find three consecutive MP3 or AAC frames, after an ID3 tag and other bytes if any."""
    begin = 0
    if head[:3] == b"ID3" and len(head) >= 10:
        a, b, c, d = (byte & 0x7F for byte in head[6:10])
        begin = 10 + (a << 21 | b << 14 | c << 7 | d)
    file.seek(begin)
    data = file.read(SCAN_BYTES)
    if begin and data[:4] == b"fLaC":
        return Content(name, "flac")
    at = data.find(b"\xff")
    while 0 <= at < len(data) - 7:
        for form, measure in (("mp3", _mp3_frame), ("aac", _adts_frame)):
            if _chain(data, at, measure):
                frame = data[at : at + 256]
                if form == "mp3" and any(tag in frame for tag in (b"Xing", b"Info", b"VBRI")):
                    return Content(name, form)
                notes = _last_mp3_frame(file) if form == "mp3" else ()
                return Content(name, form, counted=False, notes=notes)
        at = data.find(b"\xff", at + 1)
    return None


def _last_mp3_frame(file: BinaryIO) -> tuple[str, ...]:
    """Note an incomplete last frame, the only sign that such a file was cut."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
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


def _is_text(head: bytes) -> bool:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = head.decode("utf-16", errors="replace")
    else:
        text = head.decode("utf-8", errors="ignore")
        if len(text.encode()) < len(head) - 3:
            return False
    return all(letter.isprintable() or letter in "\t\n\r\f\v\x1b\ufeff" for letter in text)

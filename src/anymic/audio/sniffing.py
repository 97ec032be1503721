"""Detect the format of a file by its content, and whether the file is complete."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import BinaryIO

from anymic._internal.lc3 import MAGIC as LC3_MAGIC
from anymic._internal.remote import as_path
from anymic.audio.completeness import au, caf, flac, matroska, ogg
from anymic.audio.content import Content
from anymic.audio.endings import FORMAT_OF_BARE
from anymic.audio.mpeg import mpeg
from anymic.audio.riff import avi, riff
from anymic.errors import AudioError

_HEAD_BYTES = 4096
_MOST_TAGS = 20

SOUNDFILE_FORMATS = {"wav", "flac", "ogg", "aiff", "au", "caf", "w64"}

_MAGIC = {
    b"RIFF": "wav",
    b"RIFX": "wav",
    b"RF64": "wav",
    b"BW64": "wav",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"FORM": "aiff",
    b".snd": "au",
    b"caff": "caf",
    b"riff": "w64",
    b"\x1aE\xdf\xa3": "matroska",
    b"#!AM": "amr",
}

# What an MP4 or QuickTime file may begin with, as FFmpeg's probe has it.
_BOXES = {
    *(b"ftyp", b"moov", b"mdat", b"pnot", b"udta", b"wide", b"free", b"junk", b"pict", b"skip"),
    *(b"uuid", b"prfl", b"styp"),
}


def sniff(path: str | os.PathLike[str], *, copy: str = "") -> Content:
    """Return the format of a file and whether it is complete; it is read at `copy`, if given.

    Raises
    ------
    AudioError
        If it is missing, a folder, unreadable, empty, text, or of no known format.
    """
    name = os.fsdecode(path)
    try:
        status = os.stat(copy or name)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            # Opening a pipe blocks until something writes to it.
            raise AudioError(
                f"the file {name} is a pipe or a device",
                expected="an audio file",
                fix="save it to a file",
            )
        with open(copy or name, "rb") as file:
            if not file.read(1):
                raise AudioError(
                    f"the file {name} has 0 bytes",
                    expected="an audio file",
                    fix="fetch or record it again",
                )
            content = _classify(name, file, status.st_size)
            return replace(content, copy=copy) if copy else content
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
            f"the file {name!r} cannot be opened ({error})",
            expected="a readable file",
            fix="check its name and permissions",
        ) from None


def _classify(name: str, file: BinaryIO, size: int) -> Content:
    begin, ape = _after_tags(file)
    file.seek(begin)
    head = file.read(_HEAD_BYTES)
    known = _format(head)
    if known in ("wav", "aiff"):
        return riff(name, file, known, begin)
    if known is not None:
        return _content(Content(name, known, begin=begin), file, head, size)
    if head[:2] == LC3_MAGIC:
        return Content(name, "lc3", begin=begin)
    raw = FORMAT_OF_BARE.get(as_path(name).suffix.lower())
    if raw is not None and not _is_text(head):
        return Content(name, raw, begin=begin)
    frames = mpeg(name, file, begin, ape=ape)
    if frames is None and begin:  # the size of a tag may be wrong
        frames = mpeg(name, file, 10, ape=True)
    if frames is not None:
        return frames
    if head and _is_text(head):
        raise AudioError(
            f"the file {name} contains text",
            expected="an audio file",
            fix="look inside: it may be an error page or a pointer file; fetch the audio itself",
        )
    raise AudioError(
        f"the file {name} is in no known audio format",
        expected="WAV, FLAC, Ogg, MP3, M4A/AAC, Opus or WebM",
        fix="convert it, or fetch it again",
    )


def _content(content: Content, file: BinaryIO, head: bytes, size: int) -> Content:
    """Add what the bytes of a file state to its format."""
    match content.format:
        case "ogg":
            return ogg(content, file, head, size)
        case "flac":
            return flac(content, file, size)
        case "matroska":
            return matroska(content, file, size)
        case "au":
            return au(content, head, size)
        case "caf":
            return caf(content, head, size)
        case "avi":
            return avi(content, head, size)
    return content


def _format(head: bytes) -> str | None:
    """Return the format that a file's first bytes after the tags name; None if they name none."""
    if head[:4] == b"RIFF" and head[8:12] != b"WAVE":
        return "avi" if head[8:12] == b"AVI " else None
    return _MAGIC.get(head[:4]) or ("mov" if head[4:8] in _BOXES else None)


def _after_tags(file: BinaryIO) -> tuple[int, bool]:
    """Return the first byte after the ID3v2 and APEv2 tags in front; whether there is an APEv2."""
    at, ape = 0, False
    for _ in range(_MOST_TAGS):
        file.seek(at)
        head = file.read(32)
        if head[:3] == b"ID3" and len(head) >= 10:
            a, b, c, d = (byte & 0x7F for byte in head[6:10])
            at += (20 if head[5] & 0x10 else 10) + (a << 21 | b << 14 | c << 7 | d)
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            at, ape = at + 32 + int.from_bytes(head[12:16], "little"), True
        else:
            break
    return at, ape


def _is_text(head: bytes) -> bool:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = head.decode("utf-16", errors="replace")
    else:
        text = head.decode("utf-8", errors="ignore")
        if len(text.encode()) < len(head) - 3:
            return False
    return all(letter.isprintable() or letter in "\t\n\r\f\v\x1b\ufeff" for letter in text)

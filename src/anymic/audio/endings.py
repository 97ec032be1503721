"""The endings of the names of files that `anymic.audio.read` decodes.

A file's content decides how it is read, and its name only for bare streams of codecs, which have
no header. The endings tell which files of a folder are audio, so every format that is detected has
a row here.
"""

from __future__ import annotations

from typing import Final

# By the format's name in FFmpeg (`Content.format`).
ENDINGS_BY_FORMAT: Final[dict[str, tuple[str, ...]]] = {
    "wav": (".wav", ".wave", ".bwf", ".rf64"),
    "flac": (".flac",),
    "ogg": (".ogg", ".oga", ".ogv", ".ogx", ".opus", ".spx"),
    "aiff": (".aiff", ".aif", ".aifc", ".afc"),
    "au": (".au", ".snd"),
    "caf": (".caf",),
    "w64": (".w64",),
    "mp3": (".mp3", ".mp2", ".mpga", ".m2a", ".mpa"),
    "aac": (".aac", ".adts"),
    "mov": (".m4a", ".m4b", ".m4r", ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4a", ".f4v"),
    "avi": (".avi",),
    "matroska": (".webm", ".weba", ".mka", ".mkv", ".mk3d"),
    "amr": (".amr", ".awb"),
    "lc3": (".lc3",),
    "sbc": (".sbc", ".msbc"),
    "aptx": (".aptx",),
    "aptx_hd": (".aptxhd", ".aptx_hd"),
    "g722": (".g722", ".722"),
}

BARE_STREAMS: Final = ("sbc", "aptx", "aptx_hd", "g722")
"""Formats without a header, which only the name of a file tells."""

FORMAT_OF_BARE: Final = {
    ending: form for form in BARE_STREAMS for ending in ENDINGS_BY_FORMAT[form]
}

AUDIO_ENDINGS: Final = frozenset(
    ending for endings in ENDINGS_BY_FORMAT.values() for ending in endings
)

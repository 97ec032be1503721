"""The endings of the names of files that `anymic.audio.read` decodes.

A file's content decides how it is read, never its name. The endings only tell which files of a
folder are audio, so every format that is detected has a row here.
"""

from __future__ import annotations

from typing import Final

# By the format's name in FFmpeg (`Content.format`).
ENDINGS_BY_FORMAT: Final[dict[str, tuple[str, ...]]] = {
    "wav": (".wav", ".wave", ".bwf", ".rf64"),
    "flac": (".flac",),
    "ogg": (".ogg", ".oga", ".opus"),
    "aiff": (".aiff", ".aif", ".aifc"),
    "au": (".au", ".snd"),
    "caf": (".caf",),
    "w64": (".w64",),
    "mp3": (".mp3", ".mp2", ".mpga"),
    "aac": (".aac", ".adts"),
    "mov": (".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp", ".3g2"),
    "matroska": (".webm", ".weba", ".mka", ".mkv"),
}

AUDIO_ENDINGS: Final = frozenset(
    ending for endings in ENDINGS_BY_FORMAT.values() for ending in endings
)

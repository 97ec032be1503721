"""Short recordings in many formats, for the fuzzer to change."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from tests.odd_files.writing import coded, film, noise, sound_file

SECONDS = 1.5


def _sound(form: str, subtype: str) -> bytes:
    return sound_file(form, subtype, _tone())


def _coded(form: str, codec: str, *, rate_hz: int = 16000) -> bytes:
    exact = {"fflags": "+bitexact"}  # else some containers hold random numbers
    return coded(form, codec, noise(SECONDS, rate_hz=rate_hz), rate_hz=rate_hz, options=exact)


def _tone() -> np.ndarray:
    return noise(SECONDS)


WRITERS: dict[str, Callable[[], bytes]] = {
    "pcm16.wav": partial(_sound, "WAV", "PCM_16"),
    "pcm24.wav": partial(_sound, "WAV", "PCM_24"),
    "float.wav": partial(_sound, "WAV", "FLOAT"),
    "adpcm.wav": partial(_sound, "WAV", "MS_ADPCM"),
    "ima.wav": partial(_sound, "WAV", "IMA_ADPCM"),
    "gsm.wav": partial(_sound, "WAV", "GSM610"),
    "mulaw.wav": partial(_sound, "WAV", "ULAW"),
    "extensible.wav": partial(_sound, "WAVEX", "PCM_16"),
    "large.wav": partial(_sound, "RF64", "PCM_16"),
    "mp3.wav": partial(_coded, "wav", "mp3"),
    "a.w64": partial(_sound, "W64", "PCM_16"),
    "a.aiff": partial(_sound, "AIFF", "PCM_16"),
    "float.aifc": partial(_sound, "AIFF", "FLOAT"),
    "a.caf": partial(_sound, "CAF", "PCM_16"),
    "alac.caf": partial(_sound, "CAF", "ALAC_16"),
    "a.au": partial(_sound, "AU", "PCM_16"),
    "a.flac": partial(_sound, "FLAC", "PCM_16"),
    "flac.ogg": partial(_coded, "ogg", "flac"),
    "vorbis.ogg": partial(_sound, "OGG", "VORBIS"),
    "a.opus": partial(_coded, "ogg", "libopus", rate_hz=48000),
    "a.mp3": partial(_coded, "mp3", "mp3"),
    "a.m4a": partial(_coded, "ipod", "aac"),
    "a.mp4": partial(_coded, "mp4", "aac"),
    "a.aac": partial(_coded, "adts", "aac"),
    "a.mkv": partial(_coded, "matroska", "aac"),
    "a.webm": partial(_coded, "webm", "libopus", rate_hz=48000),
    "film.mkv": partial(film, "matroska", "aac", video_s=1.0, seconds=SECONDS),
    "film.avi": partial(film, "avi", "mp3", video_s=1.0, seconds=SECONDS),
}

"""The table of codecs: what each is called, how it is packed, and what it offers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from anymic.errors import ConfigError

Backend = Literal["ffmpeg", "libsndfile", "lame", "fdkaac", "none"]

ORIGINAL = "wav"
"""Stands for no codec at all: the clip as it is."""


@dataclass(frozen=True)
class Offer:
    """Bitrates that a codec has at some sampling rates.

    Attributes
    ----------
    rates_hz : tuple of int
        Of the audio that is encoded, ascending.
    kbps : tuple of float
        Nominal, for one channel, ascending.
    """

    rates_hz: tuple[int, ...]
    kbps: tuple[float, ...]


@dataclass(frozen=True)
class Entry:
    """One codec.

    Attributes
    ----------
    name : str
        As on the command line.
    title : str
        As in the literature.
    container : str
        How the stream is packed, in FFmpeg's name of the format; its bytes count in the bitrate.
    encoder : str
        The encoder, in FFmpeg's name of it or the program's.
    backend : {"ffmpeg", "libsndfile", "lame", "fdkaac", "none"}
        Who encodes: FFmpeg inside PyAV, libsndfile, LAME by itself, or the program fdkaac.
    sample_format : str
        What the encoder takes: FFmpeg's fltp, flt or s16.
    offers : tuple of Offer
        None for the original.
    """

    name: str
    title: str
    container: str
    encoder: str
    backend: Backend
    sample_format: str
    offers: tuple[Offer, ...]

    @property
    def kbps(self) -> tuple[float, ...]:
        """Every bitrate, ascending."""
        return tuple(sorted({one for offer in self.offers for one in offer.kbps}))

    @property
    def rates_hz(self) -> tuple[int, ...]:
        """Every sampling rate, ascending."""
        return tuple(sorted({one for offer in self.offers for one in offer.rates_hz}))

    def rates_at(self, kbps: float) -> tuple[int, ...]:
        """Return the sampling rates that have this bitrate, ascending."""
        fitting = [offer.rates_hz for offer in self.offers if kbps in offer.kbps]
        return tuple(sorted({rate for rates in fitting for rate in rates}))

    def rate_for(self, kbps: float, clip_rate_hz: int) -> int:
        """Return the lowest rate that carries all of a clip at this bitrate, else the highest."""
        rates = self.rates_at(kbps)
        return next((rate for rate in rates if rate >= clip_rate_hz), rates[-1])


_MP3_HIGH = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MP3_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160)
_AMR_NB = (4.75, 5.15, 5.9, 6.7, 7.4, 7.95, 10.2, 12.2)
_FULL = (32000, 44100, 48000)

_ENTRIES = (
    Entry(ORIGINAL, "the original, not encoded", "", "", "none", "", ()),
    Entry(
        "aac",
        "AAC-LC",
        "adts",
        "aac",
        "ffmpeg",
        "fltp",
        (
            Offer((16000,), (16, 24, 32, 48, 64)),
            Offer((22050, 24000), (24, 32, 48, 64, 96)),
            Offer(_FULL, (24, 32, 48, 64, 96, 128, 160)),
        ),
    ),
    Entry(
        "he-aac",
        "HE-AAC v1 (AAC-LC and spectral band replication)",
        "adts",
        "fdkaac",
        "fdkaac",
        "s16",
        (Offer(_FULL, (16, 24, 32, 48, 64)),),
    ),
    Entry(
        "mp3",
        "MPEG-1 and MPEG-2 audio layer III",
        "mp3",
        "libmp3lame",
        "lame",
        "s16",
        (Offer((16000, 22050, 24000), _MP3_LOW), Offer(_FULL, _MP3_HIGH)),
    ),
    Entry(
        "opus",
        "Opus",
        "ogg",
        "libopus",
        "ffmpeg",
        "flt",
        (
            Offer((8000, 12000), (8, 12, 16, 24, 32)),
            Offer((16000, 24000), (8, 12, 16, 24, 32, 48, 64)),
            Offer((48000,), (8, 12, 16, 24, 32, 48, 64, 96, 128)),
        ),
    ),
    Entry(
        "sbc",
        "SBC, Bluetooth's subband codec",
        "sbc",
        "sbc",
        "ffmpeg",
        "s16",
        (Offer((16000,), (32, 48, 64)), Offer(_FULL, (64, 96, 128, 192))),
    ),
    Entry(
        "vorbis",
        "Vorbis",
        "ogg",
        "libvorbis",
        "libsndfile",
        "fltp",
        (Offer((44100, 48000), (48, 64, 80, 96, 128)),),
    ),
    Entry(
        "g722",
        "G.722, wideband telephony",
        "g722",
        "g722",
        "ffmpeg",
        "s16",
        (Offer((16000,), (64,)),),
    ),
    Entry(
        "amr-nb",
        "AMR narrowband, mobile telephony",
        "amr",
        "libopencore_amrnb",
        "ffmpeg",
        "s16",
        (Offer((8000,), _AMR_NB),),
    ),
    Entry(
        "mu-law",
        "G.711 mu-law, telephony",
        "wav",
        "pcm_mulaw",
        "ffmpeg",
        "s16",
        (Offer((8000,), (64,)),),
    ),
)

BANK = {entry.name: entry for entry in _ENTRIES}
"""Every codec by its name."""


def entry(name: str) -> Entry:
    """Return a codec of the bank.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    found = BANK.get(name)
    if found is None:
        near = difflib.get_close_matches(str(name).lower(), list(BANK), n=1)
        raise ConfigError(
            f"codec {name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""),
            expected=f"one of {', '.join(BANK)}",
            fix="`anymic codec list` says what each of them offers",
        )
    return found


def listed(numbers: Iterable[float]) -> str:
    """Write numbers one after the other, whole ones without a point."""
    return ", ".join(f"{number:g}" for number in numbers)

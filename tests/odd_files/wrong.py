"""Files whose lengths are wrong, whose headers ask for too much, or that nothing decodes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from tests.odd_files.writing import (
    RATE_HZ,
    chunk,
    coded,
    film,
    id3,
    ints,
    mp3,
    noise,
    ogg_pages,
    sound_file,
    wav,
)


def chained_cases() -> dict[str, tuple[Callable[[], bytes], int]]:
    """Return joined Ogg and FLAC files, and how many samples they have."""

    def vorbis(seconds: float) -> bytes:
        return sound_file("OGG", "VORBIS", noise(seconds))

    def opus(seconds: float) -> bytes:
        return coded("ogg", "libopus", noise(seconds, rate_hz=48000), rate_hz=48000)

    return {
        "two_vorbis.ogg": (lambda: vorbis(2) + ogg_pages(vorbis(2), 77), 4 * RATE_HZ),
        "same_vorbis_twice.ogg": (lambda: 2 * vorbis(2), 4 * RATE_HZ),
        "three_vorbis.ogg": (
            lambda: vorbis(1) + ogg_pages(vorbis(2), 7) + ogg_pages(vorbis(1), 8),
            4 * RATE_HZ,
        ),
        "two_flac.flac": (lambda: 2 * sound_file("FLAC", "PCM_16"), 4 * RATE_HZ),
        "two_flac.oga": (
            lambda: coded("ogg", "flac") + ogg_pages(coded("ogg", "flac"), 3),
            4 * RATE_HZ,
        ),
        "two_opus.opus": (lambda: opus(2) + ogg_pages(opus(1), 77), 3 * 48000),
        "same_opus_twice.opus": (lambda: 2 * opus(2), 4 * 48000),
        "three_opus.opus": (lambda: opus(1) + ogg_pages(opus(1), 5) + opus(2), 4 * 48000),
    }


def with_flac_count(data: bytes, count: int) -> bytes:
    """Return a FLAC file whose header states another number of samples."""
    changed = bytearray(data)
    old = int.from_bytes(data[18:26], "big")
    changed[18:26] = (old >> 36 << 36 | count).to_bytes(8, "big")
    return bytes(changed)


def sparse_wav(folder: Path, *, size: int, frames: int, form: bytes = b"RIFF") -> Path:
    """Write a stereo WAV of 16 bits and `frames`, silent but for its last 1,000 frames."""
    path = folder / "large.wav"
    with path.open("wb") as file:
        file.write(wav(b"", rate_hz=48000, channels=2, size=size).replace(b"RIFF", form, 1))
        file.seek(4 * (frames - 1000), 1)
        file.write(np.full(2000, 8192, "<i2").tobytes())
    return path


def bombs() -> dict[str, tuple[Callable[[], bytes], str]]:
    """Return files that state what is not plausible, and what the refusal says."""
    pcm = ints(noise())
    flac = sound_file("FLAC", "PCM_16")
    aiff = sound_file("AIFF", "PCM_16")
    empty = chunk(b"JUNK")
    sizes = struct.pack("<QQQI", 1 << 40, 1 << 40, 1 << 39, 0)

    def rf64(size: int, ds64: bytes) -> bytes:
        return wav(pcm, size=size, before=ds64).replace(b"RIFF", b"RF64", 1)

    return {
        **{
            f"{rate_hz}_hz.wav": (partial(wav, pcm, rate_hz=rate_hz), "rate|cannot be opened")
            for rate_hz in (0, 1, 8, 20, 99, 2_000_000_000, 0xFFFFFFFF)
        },
        "1_hz.flac": (lambda: with_rate(flac, 1), "states a rate of 1 Hz"),
        "1_hz.au": (
            lambda: sound_file("AU", "PCM_16").replace(struct.pack(">I", RATE_HZ), b"\0\0\0\1", 1),
            "states a rate of 1 Hz",
        ),
        "terabyte.wav": (lambda: rf64(0xFFFFFFFF, chunk(b"ds64", sizes)), "cut short: only 2.000"),
        "ds64_of_4_gb.wav": (
            lambda: rf64(0xFFFFFFFF, chunk(b"ds64", sizes, size=0xFFFFFFF0)),
            "cannot be opened|cut short",
        ),
        "chunk_of_4_gb.wav": (
            lambda: wav(pcm, before=chunk(b"LIST", size=0xFFFFFFF0)),
            "cannot be opened",
        ),
        "list_of_2_gb.wav": (
            lambda: wav(pcm, tag=0x028F, before=chunk(b"LIST", b"INFOISFT", size=0x7E000000)),
            "cannot be opened",
        ),
        "empty_chunks.wav": (lambda: wav(pcm, before=empty * 4_000_000), "more than 1000 chunks"),
        "empty_chunks_behind.wav": (
            lambda: wav(pcm) + empty * 4_000_000,
            "more than 1000 chunks",
        ),
        "empty_chunks.aiff": (
            lambda: aiff[:12] + empty * 4_000_000 + aiff[12:],
            "more than 1000 chunks",
        ),
        "empty_chunks.w64": (
            lambda: b64(coded("w64", "pcm_s16le"), 1_300_000),
            "cannot be opened",
        ),
        "empty_tags.mp3": (lambda: id3(b"") * 3_000_000 + mp3(), "no known audio format"),
        "two_billion.flac": (lambda: with_flac_count(flac, 2 * 10**9), "cut short: only 2.000 s"),
        "most.flac": (lambda: with_flac_count(flac, (1 << 36) - 1), "cut short: only 2.000 s"),
        "two_billion_long.flac": (
            lambda: with_flac_count(sound_file("FLAC", "PCM_16", noise(140)), 2 * 10**9),
            "cut short: only 140.000 s of 125000.000 s",
        ),
        "pause_of_hours.mkv": (
            lambda: film("matroska", "aac", pause_s=9000),
            "pauses for 9000 s. Expected pauses of at most 600 s",
        ),
    }


CLAIM_S = 140  # so long that two billion frames do not look like a mistake beside its bytes


def claims() -> dict[str, Callable[[], bytes]]:
    """Return files of minutes whose headers state many hours."""

    def placed(data: bytes, at: int, number: bytes) -> bytes:
        return data[:at] + number + data[at + len(number) :]

    def long(form: str, subtype: str = "PCM_16") -> bytes:
        return sound_file(form, subtype, noise(CLAIM_S))

    def ogg(data: bytes) -> bytes:
        at = data.rfind(b"OggS\0")
        page = placed(data[at:], 6, struct.pack("<q", 2 * 10**9))
        return data[:at] + ogg_pages(page, int.from_bytes(page[14:18], "little"))

    def behind(data: bytes, mark: bytes, skipped: int, form: str, number: int | float) -> bytes:
        return placed(data, data.index(mark) + skipped, struct.pack(form, number))

    def opus(form: str) -> bytes:
        return coded(form, "libopus", noise(CLAIM_S, rate_hz=48000), rate_hz=48000)

    def xing() -> bytes:
        return behind(mp3(noise(CLAIM_S)), b"Info", 8, ">I", 3 * 10**6)

    def matroska() -> bytes:
        data = opus("matroska")
        return placed(data, data.index(b"00:02:20", data.index(b"DURATION")), b"05:02:20")

    return {
        "flac.flac": lambda: with_flac_count(long("FLAC"), 2 * 10**9),
        "ten_times.flac": lambda: with_flac_count(long("FLAC"), 10 * CLAIM_S * RATE_HZ),
        "vorbis.ogg": lambda: ogg(long("OGG", "VORBIS")),
        "opus.ogg": lambda: ogg(opus("ogg")),
        "flac.oga": lambda: ogg(coded("ogg", "flac", noise(CLAIM_S))),
        "more_than_2_gb.au": lambda: placed(long("AU"), 8, struct.pack(">I", 4 * 10**9)),
        "2_gb.au": lambda: placed(long("AU", "ULAW"), 8, struct.pack(">I", 2 * 10**9)),
        "w64.w64": lambda: behind(long("W64"), b"data", 16, "<Q", 4 * 10**9),
        "caf.caf": lambda: behind(long("CAF"), b"data", 4, ">q", 4 * 10**9),
        "count.aiff": lambda: behind(long("AIFF"), b"COMM", 10, ">I", 2 * 10**9),
        "size.aiff": lambda: behind(long("AIFF"), b"SSND", 4, ">I", 4 * 10**9),
        "size.wav": lambda: behind(long("WAV"), b"data", 4, "<I", 2 * 10**9),
        "fact.wav": lambda: behind(long("WAV", "IMA_ADPCM"), b"fact", 8, "<I", 2 * 10**9),
        "xing.mp3": xing,
        "statistic.mka": matroska,
    }


def b64(data: bytes, chunks: int) -> bytes:
    """Return a W64 file with empty chunks in front of its others."""
    return data[:40] + (b"junk" + bytes(12) + struct.pack("<Q", 24)) * chunks + data[40:]


def with_rate(data: bytes, rate_hz: int) -> bytes:
    """Return a FLAC file whose header states another rate."""
    rest = int.from_bytes(data[18:26], "big") & (1 << 44) - 1
    return data[:18] + (rate_hz << 44 | rest).to_bytes(8, "big") + data[26:]


def undecodable() -> dict[str, bytes]:
    """Return files of known formats whose coding is unknown, or cannot be."""
    pcm = ints(noise())
    return {
        "tag_0131.wav": wav(pcm, tag=0x0131),
        "tag_7777.wav": wav(pcm, tag=0x7777),
        "extensible_without_a_format.wav": wav(pcm, tag=0xFFFE),
        "0_bits.wav": wav(pcm, bits=0),
        "128_bits.wav": wav(pcm, bits=128),
        "0_channels.wav": wav(pcm, channels=0),
        "64_bit_integers.wav": coded("wav", "pcm_s64le"),
        "unknown_coding.mkv": film("matroska", "aac").replace(b"A_AAC", b"A_ZZZ"),
        "unknown_coding.caf": sound_file("CAF", "PCM_16").replace(b"lpcm", b"zzzz"),
        "unknown_coding.au": (lambda data: data[:12] + struct.pack(">I", 99) + data[16:])(
            sound_file("AU", "PCM_16")
        ),
        "unknown_coding.aifc": coded("aiff", "pcm_s16le").replace(b"sowt", b"zzzz"),
    }

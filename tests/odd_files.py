"""Small generators of odd audio files: good ones that are easily refused, and bad ones.

Each function writes one file into a folder and returns its path. Bytes are written by hand, or by
soundfile and PyAV; nothing here needs a program.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

RATE_HZ = 16000


def noise(seconds: float = 2.0, *, rate_hz: int = RATE_HZ, seed: int = 1) -> np.ndarray:
    """Return (sample,) float32 noise below half of full scale."""
    samples = round(seconds * rate_hz)
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


def ints(samples: np.ndarray) -> bytes:
    """Return float samples as 16-bit little-endian integers, as FFmpeg and libsndfile read them."""
    data: bytes = np.rint(samples * 32767).astype("<i2").tobytes()
    return data


def chunk(name: bytes, body: bytes = b"", *, size: int | None = None) -> bytes:
    """Return a RIFF chunk, of which the stated size may be wrong."""
    return name + struct.pack("<I", len(body) if size is None else size) + body


def wav(
    body: bytes,
    *,
    tag: int = 1,
    rate_hz: int = RATE_HZ,
    channels: int = 1,
    bits: int = 16,
    size: int | None = None,
    before: bytes = b"",
) -> bytes:
    """Return the bytes of a WAV file; `size` is what its data chunk states."""
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block & 0xFFFFFFFF, block, bits)
    rest = b"WAVE" + chunk(b"fmt ", form) + before + chunk(b"data", body, size=size)
    return b"RIFF" + struct.pack("<I", len(rest) & 0xFFFFFFFF) + rest


def coded(
    form: str,
    codec: str,
    samples: np.ndarray | None = None,
    *,
    rate_hz: int = RATE_HZ,
    seekable: bool = True,
    options: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> bytes:
    """Return a file that FFmpeg encoded; one not `seekable` is written as to a pipe."""
    target = io.BytesIO() if seekable else Pipe()
    container: Any
    with av.open(target, "w", format=form, options=options or {}) as container:
        container.metadata.update(tags or {})
        encode_audio(container, codec, noise() if samples is None else samples, rate_hz)
    return target.getvalue()


class Pipe(io.RawIOBase):
    """Bytes written one after the other, without a way back."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._bytes += bytes(data)
        return len(data)

    def getvalue(self) -> bytes:
        """Return what was written."""
        return bytes(self._bytes)


def encode_audio(
    container: Any, codec: str, samples: np.ndarray, rate_hz: int, *, options: Any = None
) -> None:
    """Encode mono samples into a stream of an open container."""
    stream = container.add_stream(codec, rate=rate_hz, layout="mono", options=options or {})
    for packet in packets_of(stream, samples, rate_hz):
        container.mux(packet)


def packets_of(stream: Any, samples: np.ndarray, rate_hz: int) -> list[Any]:
    """Return mono samples as packets of a stream."""
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "flt", "mono")
    frame.sample_rate, frame.pts = rate_hz, 0
    convert = av.AudioResampler(stream.codec_context.format.name, "mono", rate_hz)
    frames = [*convert.resample(frame), *convert.resample(None), None]
    return [packet for piece in frames for packet in stream.encode(piece)]


def saved(folder: Path, name: str, data: bytes) -> Path:
    """Write bytes to a file."""
    (folder / name).write_bytes(data)
    return folder / name


# Containers of which the sound is only a part.


def film(
    form: str,
    codec: str,
    *,
    late_s: float = 0.0,
    pause_s: float = 0.0,
    video_s: float = 0.0,
    seconds: float = 2.0,
    rate_hz: int = RATE_HZ,
) -> bytes:
    """Return a film: its sound starts late, pauses in its middle, or ends before its pictures."""
    target = io.BytesIO()
    container: Any
    with av.open(target, "w", format=form) as container:
        sound = container.add_stream(codec, rate=rate_hz, layout="mono")
        pictures = None
        if video_s:
            pictures = container.add_stream("libvpx" if form == "webm" else "mpeg4", rate=5)
            pictures.width = pictures.height = 32
            pictures.pix_fmt = "yuv420p"
        packets = []
        for packet in packets_of(sound, noise(seconds, rate_hz=rate_hz), rate_hz):
            half = float(packet.pts * packet.time_base) > seconds / 2
            shift = round((late_s + pause_s * half) / packet.time_base)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packets.append(packet)
        for number in range(round(5 * video_s)):
            assert pictures is not None
            picture = av.VideoFrame(32, 32, "yuv420p")
            picture.pts = number
            packets += pictures.encode(picture)
        if pictures is not None:
            packets += pictures.encode(None)
        for packet in sorted(packets, key=lambda packet: float(packet.dts * packet.time_base)):
            container.mux(packet)
    return target.getvalue()


# MP3 with other bytes around it.


def id3(body: bytes = bytes(500)) -> bytes:
    """Return an ID3v2 tag."""
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\4\0\0" + size + body


def ape(body: bytes = b"\5\0\0\0\0\0\0\0Title\0noise", *, header: bool = True) -> bytes:
    """Return an APEv2 tag."""
    fields = struct.pack("<III", 2000, len(body) + 32, 1)
    first = b"APETAGEX" + fields + struct.pack("<I", 0xA0000000) + bytes(8)
    last = b"APETAGEX" + fields + struct.pack("<I", 0x80000000 * header) + bytes(8)
    return (first if header else b"") + body + last


def id3v1() -> bytes:
    """Return an ID3v1 tag."""
    return b"TAG" + b"noise".ljust(124, b"\0") + b"\xff"


def mp3(samples: np.ndarray | None = None, *, xing: bool = True, vbr: bool = False) -> bytes:
    """Return an MP3 of two seconds, with or without the header that states its length."""
    options = {"write_xing": str(int(xing)), "id3v2_version": "0", "write_id3v1": "0"}
    target = io.BytesIO()
    with av.open(target, "w", format="mp3", options=options) as container:
        encode_audio(
            container,
            "mp3",
            noise() if samples is None else samples,
            RATE_HZ,
            options={"q:a": "4", "global_quality": "500", "flags": "+qscale"} if vbr else {},
        )
    return target.getvalue()


def mp3_cases() -> dict[str, Callable[[], bytes]]:
    """Return MP3 files that FFmpeg decodes whole: tags and zeros around, and joined files."""
    quiet = noise(3) * np.linspace(0.001, 1, 3 * RATE_HZ, dtype=np.float32)
    return {
        "ape_at_the_end.mp3": lambda: mp3() + ape(),
        "large_ape_at_the_end.mp3": lambda: mp3() + ape(bytes(range(256)) * 100),
        "ape_without_header_at_the_end.mp3": lambda: mp3() + ape(header=False) + id3v1(),
        "lyrics_at_the_end.mp3": lambda: (
            mp3() + b"LYRICSBEGIN" + b"la " * 99 + b"000297LYRICS200" + id3v1()
        ),
        "one_zero_at_the_end.mp3": lambda: mp3() + bytes(1),
        "zeros_at_the_end.mp3": lambda: mp3() + bytes(5000),
        "zeros_without_length.mp3": lambda: mp3(xing=False) + bytes(5000),
        "joined_vbr.mp3": lambda: mp3(vbr=True) + mp3(quiet, vbr=True),
        "joined_tagged.mp3": lambda: (
            id3() + mp3(vbr=True) + id3v1() + id3() + mp3(quiet, vbr=True) + ape() + id3v1()
        ),
        "joined_three.mp3": lambda: (
            mp3(quiet[:8000], vbr=True) + mp3(quiet, vbr=True) + mp3(noise(1), vbr=True)
        ),
        "vbr_without_length.mp3": lambda: mp3(quiet, vbr=True, xing=False),
        "id3_of_a_wrong_size.mp3": lambda: id3().replace(b"\0\0\3\x74", b"\0\1\0\0") + mp3(),
        "two_id3.mp3": lambda: id3() + id3() + mp3(),
        "two_large_id3.mp3": lambda: id3(bytes(200_000)) * 2 + mp3(),
        "ape_in_front.mp3": lambda: ape() + mp3(),
        "large_ape_in_front.mp3": lambda: ape(bytes(150_000)) + mp3(),
        "id3_and_ape_in_front.mp3": lambda: id3() + ape() + mp3(),
    }


def tagged_cases() -> dict[str, tuple[bytes, Callable[[], bytes]]]:
    """Return the tags in front of files of other formats, and these files without them."""

    def plain_wav() -> bytes:
        return wav(ints(noise()))

    def vorbis() -> bytes:
        return sound_file("OGG", "VORBIS")

    return {
        "id3.wav": (id3(), plain_wav),
        "two_id3.wav": (id3() + id3(), plain_wav),
        "ape.wav": (ape(), plain_wav),
        "id3.ogg": (id3(), vorbis),
        "id3_and_ape.ogg": (id3() + ape(), vorbis),
        "id3.opus": (id3(), lambda: coded("ogg", "libopus", noise(rate_hz=48000), rate_hz=48000)),
        "two_id3.flac": (id3() * 2, lambda: sound_file("FLAC", "PCM_16")),
        "id3.aiff": (id3(), lambda: sound_file("AIFF", "PCM_16")),
        "id3.m4a": (id3(), lambda: coded("mp4", "aac")),
    }


def sound_file(form: str, subtype: str, samples: np.ndarray | None = None) -> bytes:
    """Return a file that libsndfile wrote."""
    target = io.BytesIO()
    samples = noise() if samples is None else samples
    soundfile.write(target, samples, RATE_HZ, format=form, subtype=subtype)
    return target.getvalue()


# Lengths that were not known, or are wrong.


def three_bytes(samples: np.ndarray) -> bytes:
    """Return samples as 24-bit little-endian integers."""
    wide = np.rint(samples * (2**23 - 1)).astype("<i4")
    data: bytes = wide.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return data


def caf_of_unknown_length() -> bytes:
    """Return a CAF file whose data chunk states -1, as the format allows for the last chunk."""
    data = bytearray(sound_file("CAF", "PCM_16"))
    at = data.index(b"data")
    data[at + 4 : at + 12] = b"\xff" * 8
    return bytes(data)


def sox_aiff() -> bytes:
    """Return an AIFF file as sox writes it to a pipe."""
    data = bytearray(sound_file("AIFF", "PCM_16"))
    most = 0x7F000000
    for name, after, value in ((b"FORM", 4, most + 46), (b"COMM", 10, most // 2)):
        at = data.index(name) + after
        data[at : at + 4] = struct.pack(">I", value)
    at = data.index(b"SSND") + 4
    data[at : at + 4] = struct.pack(">I", most + 8)
    return bytes(data)


def rifx(size: int) -> bytes:
    """Return a WAV file of big-endian numbers; `size` is what its data chunk states."""
    target = io.BytesIO()
    soundfile.write(target, noise(), RATE_HZ, format="WAV", subtype="PCM_16", endian="BIG")
    data = target.getvalue()
    at = data.index(b"data") + 4
    return data[:at] + struct.pack(">I", size) + data[at + 4 :]


def sized_cases() -> dict[str, Callable[[], bytes]]:
    """Return files of `noise()` in integers, whose header does not tell how many samples follow."""
    pcm = ints(noise())
    like_chunk = np.frombuffer(b"LIST\4\0\0\0INFO", "<i2").tobytes() + pcm[12:]
    return {
        "sox_24_bits.wav": lambda: wav(three_bytes(noise()), bits=24, size=0x7FFFEFFC),
        "sox_stereo_24_bits.wav": lambda: wav(
            three_bytes(noise()), bits=24, channels=2, size=0x7FFFEFFA
        ),
        "sox_16_bits.wav": lambda: wav(pcm, size=0x7FFFF000 - 36),
        "gstreamer.wav": lambda: wav(pcm, size=0xFFFFFFFF - 36),
        "unknown.caf": caf_of_unknown_length,
        "pipe.caf": lambda: coded("caf", "pcm_s16le", seekable=False),
        "sox.aiff": sox_aiff,
        "pipe.aiff": lambda: coded("aiff", "pcm_s16be", seekable=False),
        "pipe.w64": lambda: coded("w64", "pcm_s16le", seekable=False),
        "pipe_rf64.wav": lambda: coded(
            "wav", "pcm_s16le", seekable=False, options={"rf64": "always"}
        ),
        "nothing_stated_rifx.wav": lambda: rifx(0),
        "unknown_rifx.wav": lambda: rifx(0xFFFFFFFF),
        "pipe.au": lambda: coded("au", "pcm_s16be", seekable=False),
        **{f"{more}_more.wav": partial(wav, pcm, size=64000 + more) for more in MORE},
        "nothing_stated.wav": lambda: wav(pcm, size=0),
        "nothing_stated_like_chunk.wav": lambda: wav(like_chunk, size=0),
        "nothing_stated_like_text.wav": lambda: wav(b"data" + pcm[4:], size=0),
        "nothing_stated_24_bits.wav": lambda: wav(three_bytes(noise()), bits=24, size=0),
    }


MORE = (2, 8, 36, 44)


# Audio within another container.


def compressed_wav_cases() -> dict[str, Callable[[], bytes]]:
    """Return WAV files whose samples are compressed, written to a file and to a pipe."""
    return {
        f"{codec}{'' if seekable else '_pipe'}.wav": partial(
            coded, "wav", codec, noise(3), seekable=seekable
        )
        for codec in ("mp3", "mp2", "g722", "flac", "adpcm_yamaha", "adpcm_ms", "pcm_mulaw")
        for seekable in (True, False)
    }


def latin1_tag_cases() -> dict[str, Callable[[], bytes]]:
    """Return files whose tags are in Latin-1 although the format asks for UTF-8."""
    formats = {
        "a.m4a": ("ipod", "aac"),
        "a.mp3": ("mp3", "mp3"),
        "a.opus": ("ogg", "libopus"),
        "a.webm": ("webm", "libopus"),
        "a.mka": ("matroska", "aac"),
    }
    return {name: partial(_latin1_tagged, *formats[name]) for name in formats}


def _latin1_tagged(form: str, codec: str) -> bytes:
    mark = "CafX Ritter"
    data = coded(form, codec, noise(rate_hz=48000), rate_hz=48000, tags={"title": mark})
    return ogg_pages(data.replace(mark.encode(), b"Caf\xe9 Ritter"))


# Wrong lengths that were not noticed.


def ogg_pages(data: bytes, serial: int = 1) -> bytes:
    """Return an Ogg stream with this serial number and right checksums; other files unchanged."""
    if not data.startswith(b"OggS"):
        return data
    pages, at = bytearray(), 0
    while at < len(data):
        count = data[at + 26]
        length = 27 + count + sum(data[at + 27 : at + 27 + count])
        page = bytearray(data[at : at + length])
        page[14:18] = struct.pack("<I", serial)
        page[22:26] = bytes(4)
        check = 0
        for byte in page:
            check ^= byte << 24
            for _ in range(8):
                check = (check << 1 ^ (0x04C11DB7 if check & 0x80000000 else 0)) & 0xFFFFFFFF
        page[22:26] = struct.pack("<I", check)
        pages += page
        at += length
    return bytes(pages)


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


# Headers that ask for too much, and codings that nothing decodes.


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
            "cut short: only 139.968 s",
        ),
        "pause_of_hours.mkv": (
            lambda: film("matroska", "aac", pause_s=9000),
            "pauses for 9000 s. Expected pauses of at most 600 s",
        ),
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

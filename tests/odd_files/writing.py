"""Write audio files in memory: as FFmpeg and libsndfile do, or byte by byte."""

from __future__ import annotations

import io
import struct
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


def sound_file(form: str, subtype: str, samples: np.ndarray | None = None) -> bytes:
    """Return a file that libsndfile wrote."""
    target = io.BytesIO()
    samples = noise() if samples is None else samples
    with soundfile.SoundFile(target, "w", RATE_HZ, 1, subtype, format=form) as file:
        for begin in range(0, len(samples), 1 << 16):  # more at once ends the Vorbis encoder
            file.write(samples[begin : begin + (1 << 16)])
    return target.getvalue()


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
    with av.open(target, "w", format=form, options={"fflags": "+bitexact"}) as container:
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

"""Good audio that is easily refused, because of what is around it or what its header claims."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import partial

import numpy as np
import soundfile
from tests.odd_files.writing import (
    RATE_HZ,
    ape,
    coded,
    id3,
    id3v1,
    ints,
    mp3,
    noise,
    ogg_pages,
    sound_file,
    wav,
)


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

    def box(name: bytes) -> bytes:  # that some programs write in front of the others
        return struct.pack(">I", 24) + name + bytes(16)

    def fragments() -> bytes:  # in which nothing has its place counted from the file's beginning
        flags = "frag_keyframe+empty_moov+default_base_moof"
        return coded("mp4", "aac", options={"movflags": flags})

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
        "old_preview.mov": (box(b"pnot"), fragments),
        "segment_type.m4s": (box(b"styp"), fragments),
        "identifier.mp4": (box(b"uuid"), fragments),
    }


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
        "bw64.wav": lambda: b"BW64" + coded("wav", "pcm_s16le", options={"rf64": "always"})[4:],
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

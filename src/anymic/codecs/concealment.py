"""Opus with lost packets, concealed by libopus: FFmpeg's decoders leave a gap instead."""

from __future__ import annotations

import ctypes
import ctypes.util
import io
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic.errors import AudioError, DependencyError

_RATE_HZ = 48000
_MOST_SAMPLES = 5760  # of a packet: 120 ms
_PRE_SKIP = slice(10, 12)  # in the identification header: RFC 7845, 5.1


def decode_opus(
    data: bytes, *, share: float, generator: np.random.Generator
) -> tuple[NDArray[np.float32], int]:
    """Return the samples (sample,) of an Ogg Opus file with lost packets, and their rate in Hz.

    Each packet is lost with the probability `share`, independently of the others, and libopus
    continues the sound (RFC 6716, 4.4). There is no forward error correction.

    Raises
    ------
    DependencyError
        If libopus is neither inside PyAV nor installed.
    AudioError
        If it does not decode a packet.
    """
    import av

    with av.open(io.BytesIO(data), "r", format="ogg") as container:
        header = container.streams.audio[0].codec_context.extradata or b""
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    library = _library()
    error = ctypes.c_int()
    decoder = library.opus_decoder_create(_RATE_HZ, 1, ctypes.byref(error))
    if error.value or not decoder:
        raise AudioError(f"libopus does not start a decoder (error {error.value})")
    lost = generator.random(len(packets)) < share
    room = np.zeros(_MOST_SAMPLES, np.float32)
    pieces = []
    try:
        for packet, gone in zip(packets, lost, strict=True):
            length = library.opus_packet_get_nb_samples(packet, len(packet), _RATE_HZ)
            coded, size = (None, 0) if gone else (packet, len(packet))
            wanted = length if gone else _MOST_SAMPLES
            count = library.opus_decode_float(decoder, coded, size, room.ctypes.data, wanted, 0)
            if count < 0:
                raise AudioError(f"libopus does not decode a packet (error {count})")
            pieces.append(room[:count].copy())
    finally:
        library.opus_decoder_destroy(decoder)
    skipped = int.from_bytes(header[_PRE_SKIP], "little")
    return np.concatenate(pieces)[skipped:], _RATE_HZ


@cache
def _library() -> ctypes.CDLL:
    """Return the libopus inside PyAV's wheel, else the installed one."""
    import av

    package = Path(av.__file__).parent
    inside = [*package.parent.glob("av.libs/libopus*"), *package.glob(".dylibs/libopus*")]
    name = str(inside[0]) if inside else ctypes.util.find_library("opus")
    if name is None:
        raise DependencyError(
            "libopus, which conceals lost packets, is not installed",
            fix="install the wheel of PyAV from PyPI, or on Debian `apt-get install libopus0`",
        )
    library = ctypes.CDLL(name)
    number, pointer, coded = ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p
    library.opus_decoder_create.argtypes = [ctypes.c_int32, number, pointer]
    library.opus_decoder_create.restype = pointer
    library.opus_decoder_destroy.argtypes = [pointer]
    library.opus_decoder_destroy.restype = None
    library.opus_packet_get_nb_samples.argtypes = [coded, ctypes.c_int32, ctypes.c_int32]
    library.opus_decode_float.argtypes = [
        pointer, coded, ctypes.c_int32, pointer, number, number,
    ]  # fmt: skip
    return library

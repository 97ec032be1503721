"""LC3 by Google's liblc3, inside the package lc3py: frames, and the files of its tools.

The library is called directly: the classes of lc3py 1.1 never free their memory.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anymic.errors import AudioError, DependencyError

REMEDY = "run pip install 'anymic[codecs]'"
MAGIC = b"\x1c\xcc"
_HEADER = "<9H"  # magic, bytes, rate / 100, bitrate / 100, channels, frame / 10 us, 0, samples (2)
_FLOAT = 3  # liblc3's name of the format of samples
_HIGHEST_CHANNELS = 8


class Lc3File(NamedTuple):
    """A file: its rate, the length of a frame, its samples, and the coded frames by channel."""

    rate_hz: int
    frame_us: int
    samples: int
    frames: list[list[bytes]]


@cache
def library() -> ctypes.CDLL | None:
    """Return liblc3; None if lc3py is not installed, or does not run here."""
    found = find_spec("lc3")
    if found is None or found.origin is None:
        return None
    files = sorted(Path(found.origin).parent.glob(".lc3py.mesonpy.libs/*lc3*"))
    files = [file for file in files if file.is_file()]
    if not files:
        return None
    try:
        opened = ctypes.CDLL(str(files[0]))
    except OSError:
        return None
    number, pointer = ctypes.c_int, ctypes.c_void_p
    for kind in ("encoder", "decoder"):
        size, setup = getattr(opened, f"lc3_{kind}_size"), getattr(opened, f"lc3_setup_{kind}")
        size.argtypes, size.restype = [number, number], ctypes.c_uint
        setup.argtypes, setup.restype = [number, number, number, pointer], pointer
    opened.lc3_encode.argtypes = [pointer, number, pointer, number, number, pointer]
    opened.lc3_decode.argtypes = [pointer, pointer, number, number, pointer, number]
    return opened


def required() -> ctypes.CDLL:
    """Return liblc3; DependencyError if there is none."""
    found = library()
    if found is None:
        raise DependencyError("the package lc3py is not installed", fix=REMEDY)
    return found


def encode(
    samples: NDArray[np.float32], *, rate_hz: int, frame_us: int, frame_bytes: int
) -> list[bytes]:
    """Return the frames of one channel (sample,); zeros fill the last."""
    called = required()
    count = rate_hz * frame_us // 1_000_000
    padded = np.pad(samples, (0, -len(samples) % count)).astype(np.float32)
    memory = np.zeros(called.lc3_encoder_size(frame_us, rate_hz) // 8 + 1)
    encoder = called.lc3_setup_encoder(frame_us, rate_hz, 0, memory.ctypes.data)
    coded = ctypes.create_string_buffer(frame_bytes)
    frames = []
    for frame in padded.reshape(-1, count):
        if called.lc3_encode(encoder, _FLOAT, frame.ctypes.data, 1, frame_bytes, coded):
            raise AudioError(
                f"the encoder liblc3 does not support {frame_bytes} bytes a frame at {rate_hz} Hz"
            )
        frames.append(coded.raw)
    return frames


def decode(frames: Sequence[bytes | None], *, rate_hz: int, frame_us: int) -> NDArray[np.float32]:
    """Return the samples (sample,) of one channel; None is a lost frame, which is concealed."""
    called = required()
    count = rate_hz * frame_us // 1_000_000
    memory = np.zeros(called.lc3_decoder_size(frame_us, rate_hz) // 8 + 1)
    decoder = called.lc3_setup_decoder(frame_us, rate_hz, 0, memory.ctypes.data)
    decoded = np.zeros((len(frames), count), np.float32)
    for frame, samples in zip(frames, decoded, strict=True):
        size = len(frame) if frame is not None else 0
        if called.lc3_decode(decoder, frame, size, _FLOAT, samples.ctypes.data, 1) < 0:
            raise AudioError(f"liblc3 does not decode a frame of {size} bytes at {rate_hz} Hz")
    return decoded.reshape(-1)


def delay_samples(*, rate_hz: int, frame_us: int) -> int:
    """Return the delay of encoder and decoder together: 2.5 ms, or 4 ms for frames of 7.5 ms."""
    return rate_hz * (4000 if frame_us == 7500 else 2500) // 1_000_000


def to_file(frames: Sequence[bytes], *, rate_hz: int, frame_us: int, samples: int) -> bytes:
    """Return one channel as a file of liblc3's tools (elc3, dlc3), which FFmpeg reads as well."""
    kbps = 8000 * len(frames[0]) / frame_us if frames else 0
    header = struct.pack(
        _HEADER, 0xCC1C, 18, rate_hz // 100, round(10 * kbps), 1, frame_us // 10, 0,
        samples & 0xFFFF, samples >> 16,
    )  # fmt: skip
    return header + b"".join(struct.pack("<H", len(frame)) + frame for frame in frames)


def from_file(data: bytes) -> Lc3File:
    """Return the content of a file; AudioError if its header or a frame is damaged."""
    length = struct.calcsize(_HEADER)
    if len(data) < length or data[:2] != MAGIC:
        raise AudioError("the file has no header of LC3", expected="a file of LC3")
    _, begin, rate, _, channels, frame, high, low, upper = struct.unpack(_HEADER, data[:length])
    rate_hz, frame_us = 100 * rate, 10 * frame
    known = rate_hz in (8000, 16000, 24000, 32000, 48000) and frame_us in (2500, 5000, 7500, 10000)
    if not known or high or not 1 <= channels <= _HIGHEST_CHANNELS or begin < length:
        raise AudioError(
            f"the file of LC3 states {rate_hz} Hz, {channels} channels and {frame_us / 1000:g} ms",
            expected="8 to 48 kHz, up to 8 channels, and frames of 2.5 to 10 ms",
        )
    blocks: list[bytes] = []
    while begin + 2 <= len(data):
        size = int.from_bytes(data[begin : begin + 2], "little")
        blocks.append(data[begin + 2 : begin + 2 + size])
        begin += 2 + size
        if len(blocks[-1]) < size or size < channels:
            raise AudioError("the file of LC3 is cut short", expected="a complete file")
    frames: list[list[bytes]] = [[] for _ in range(channels)]
    for block in blocks:
        at = 0
        for channel in range(channels):
            size = len(block) // channels + (channel < len(block) % channels)
            frames[channel].append(block[at : at + size])
            at += size
    return Lc3File(rate_hz, frame_us, low | upper << 16, frames)

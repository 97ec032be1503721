"""Vorbis by libsndfile, which also decodes it."""

from __future__ import annotations

import io
import struct
from functools import cache

import numpy as np
import soundfile
from numpy.typing import NDArray

from anymic.codecs.backend import CodecSpec
from anymic.codecs.libsndfile import Libsndfile
from anymic.codecs.table import register_builtin

_BLOCK_SAMPLES = 1 << 16


class Vorbis(Libsndfile):
    """Encodes and decodes by libsndfile, because FFmpeg drops the last hundred of some files."""

    title, container, subtype = "Vorbis", "OGG", "VORBIS"

    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> bytes:
        """Return the whole file, at the quality whose nominal bitrate is this one."""
        return _encode(samples, rate_hz, _level(rate_hz, kbps))


def _encode(samples: NDArray[np.float32], rate_hz: int, level: float) -> bytes:
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", rate_hz, 1, format="OGG", subtype="VORBIS", compression_level=level
    ) as file:
        # In blocks: libsndfile's Vorbis encoder overflows the stack on long arrays.
        for begin in range(0, len(samples), _BLOCK_SAMPLES):
            file.write(samples[begin : begin + _BLOCK_SAMPLES])
    return buffer.getvalue()


@cache
def _level(rate_hz: int, kbps: float) -> float:
    """Return the level at which the header of the stream states this nominal bitrate.

    Vorbis is encoded by quality; libvorbis writes the nominal bitrate of a quality into the
    identification header (Vorbis I specification, 4.2.2), and it falls with libsndfile's level.
    """
    low, high = 0.0, 1.0
    for _ in range(24):
        level = (low + high) / 2
        if nominal_kbps(_encode(np.zeros(64, np.float32), rate_hz, level)) > kbps:
            low = level
        else:
            high = level
    return high


def nominal_kbps(data: bytes) -> float:
    """Return the nominal bitrate in the header of a Vorbis stream."""
    at = data.index(b"\x01vorbis") + 7
    _, _, _, _, nominal, _ = struct.unpack("<IBIiii", data[at : at + 21])
    return float(nominal) / 1000


register_builtin(Vorbis())

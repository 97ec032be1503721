"""A cache of encoded files on disk: encoding takes ten times as long as decoding."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic._internal.cached import read_cached
from anymic._internal.files import key_of, write_bytes
from anymic.codecs.backend import CodecSpec

CHECKSUM_BYTES = 4  # of a CRC-32, behind the encoded file
VERSION = 2  # to be raised when the same samples and settings give other files


class EncodeCache:
    """Encoded files in a folder, which is made where it is missing.

    The key of a file contains the samples, the encoder and its version, rate and bitrate. Several
    threads and processes may share the folder, and any file in it may be deleted. A damaged file is
    made again, with a warning.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> bytes:
        """Return the file that the codec's backend encodes, from the cache where it is there."""
        assert spec.backend is not None
        made_by = [spec.encoder, spec.backend.version(spec), spec.container, rate_hz, kbps]
        made_by += [list(option) for option in spec.options]
        content = np.ascontiguousarray(samples, dtype="<f4").tobytes()
        name = f"{spec.name}-{kbps:g}".replace(" > ", "-then-").replace(" ", "-").replace("%", "")
        file = self.folder / name / key_of([VERSION, *made_by], content)
        if (kept := read_cached(file, _checked)) is not None:
            return kept
        data = spec.backend.encode(spec, samples, rate_hz=rate_hz, kbps=kbps)
        write_bytes(file, data + _checksum(data))
        return data


def _checked(stored: bytes) -> bytes | None:
    data, checksum = stored[:-CHECKSUM_BYTES], stored[-CHECKSUM_BYTES:]
    return data if _checksum(data) == checksum else None


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(CHECKSUM_BYTES, "little")
